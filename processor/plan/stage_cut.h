/* A checked query → stages: what is computed before rows meet by key, and what after.
 *
 * Without groups one stage filters and projects. With groups stage 0 filters, aggregates what it
 * has and routes by key; stage 1 merges, filters by HAVING and projects.
 *
 * Owner: plan_check. Loop: any. */
#pragma once

#include "processor/plan/plan_settings.h"
#include "processor/plan/query_check.h"

/* State is kept under them, and a job that is changed must find it again: each number is for a
 * meaning, so that a filter that comes or goes moves nothing. */
enum stage_cut_operator {
    STAGE_CUT_FILTER = 1,
    STAGE_CUT_AGGREGATION = 2, /* Partial and merge are two halves of one. */
    STAGE_CUT_HAVING = 3,
    STAGE_CUT_PROJECTION = 4,
};

/* `columns` has an expression for each column of the sink, over the query's columns. Fills stages
 * of `plan`, whose source, sink, modes and partition count are there.
 * INVALID: a column that is neither grouped nor aggregated. */
MUST_USE enum status stage_cut_make(const struct query_check *query,
                                    const struct plan_settings *settings,
                                    struct typed_expr *const *columns,
                                    Millrace__Plan__JobPlan *plan);
