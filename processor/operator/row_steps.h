/* Filters and projections, one after the other over whole batches.
 *
 * A filter lets rows pass for which it is true. A row whose evaluation fails is told and leaves.
 * What a projection makes keeps origin, kinds, key columns and times of its rows.
 *
 * Owner: the chain. Loop: its. Limits: ROW_STEPS_MAX. */
#pragma once

#include "processor/plan/expr.h"

#define ROW_STEPS_MAX 64U

struct row_step {
    bool is_filter;
    struct expr **exprs; /* Owned; of a filter one. */
    uint32_t expr_count;
};

struct row_steps {
    struct row_step *steps; /* Owned. */
    uint32_t step_count;
    enum value_type *types; /* Owned: of the columns that come out. */
    uint32_t type_count;
};

/* What rows met on their way. */
struct row_steps_report {
    /* Of a row in `rows`; not OK: the rest is not done. */
    enum status (*on_misfit)(void *context, const struct row_batch *rows, uint32_t row,
                             const char *reason);
    void *context;
    uint64_t filtered_count; /* Added to. */
};

/* INVALID, FULL, NO_MEMORY: as expr_new(). On failure `self` may still be passed to _done. */
MUST_USE enum status row_steps_init(struct row_steps *self,
                                    Millrace__Plan__Operator *const *operators,
                                    uint32_t operator_count, const enum value_type *inputs,
                                    uint32_t input_count);
void row_steps_done(struct row_steps *self);
/* How many columns are made on the way of one batch of `input_count` columns. */
uint64_t row_steps_column_count(const struct row_steps *self, uint32_t input_count);
/* `out_rows` is made of `rows` and `arena`. */
MUST_USE enum status row_steps_run(const struct row_steps *self, const struct row_batch *rows,
                                   struct arena *arena, struct row_steps_report *report,
                                   struct row_batch *out_rows);
