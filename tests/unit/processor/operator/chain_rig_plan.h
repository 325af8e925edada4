/* The plan of the rig's query, held together in one piece.
 *
 * Owner: the rig. */
#pragma once

#include "chain_rig.h"

struct chain_rig_plan {
    Millrace__Plan__JobPlan job;
    Millrace__Plan__Table source;
    Millrace__Plan__Column columns[4];
    Millrace__Plan__Column *column_list[4];
    Millrace__Plan__Stage stages[2];
    Millrace__Plan__Stage *stage_list[2];
    Millrace__Plan__Operator partial, merge;
    Millrace__Plan__Operator *operators[2][2];
    Millrace__Plan__Aggregation aggregation;
    Millrace__Plan__TypedExpr exprs[4];
    Millrace__Plan__TypedExpr *key_list[1];
    Millrace__Plan__AggregateCall calls[6];
    Millrace__Plan__AggregateCall *call_list[6];
    uint32_t source_columns[4];
};

void chain_rig_plan_make(struct chain_rig_plan *self, const struct chain_rig_options *options);
