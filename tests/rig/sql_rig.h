/* A door without its processor: runs the statements of a Script one after the other against tables
 * in memory, and writes down what came of each. Plans are given to the operators, which must take
 * them.
 *
 * Owner: the test. Loop: any. Limits: SQL_RIG_TABLES_MAX. */
#pragma once

#include "processor/plan/plan_check.h"
#include "processor/text/text_builder.h"

#define SQL_RIG_TABLES_MAX 32U

struct sql_rig {
    struct arena arena; /* Holds all that was ever made. */
    Millrace__Plan__Table *tables[SQL_RIG_TABLES_MAX];
    size_t table_count;
    struct plan_settings settings;
    uint32_t partition_count; /* Of every topic. */
    bool shows_plans;         /* Whole messages, below their explanations. */
};

void sql_rig_init(struct sql_rig *self);
void sql_rig_done(struct sql_rig *self);
/* One paragraph per statement, then the fault, if any; checks the invariants of every plan. `text`:
 * what the Script was made of, for what stands at a fault; may be NULL. */
void sql_rig_run(struct sql_rig *self, const Millrace__Plan__Script *script, const char *text,
                 struct text_builder *report);
