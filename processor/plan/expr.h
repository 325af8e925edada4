/* An expression, compiled into flat steps that each work on whole columns.
 *
 * A row whose evaluation fails (overflow, division by zero, a text that does not cast) is marked as
 * a misfit and its value is null; the batch goes on. CASE evaluates a branch's failure only for the
 * rows that take it.
 *
 * Owner: the operator that holds it. Loop: its. Limits: EXPR_STEPS_MAX. */
#pragma once

#include "processor/row/row_batch.h"
#include "proto/internal/plan.pb-c.h"

#define EXPR_STEPS_MAX 4096U

struct expr;

/* `inputs`: types of the columns of the rows it will see. INVALID: types or arguments do not fit,
 * a plan that this version did not make; FULL: too long. */
MUST_USE enum status expr_new(const Millrace__Plan__TypedExpr *plan, const enum value_type *inputs,
                              uint32_t input_count, struct expr **out_expr);
void expr_free(struct expr *self); /* Accepts NULL. */
enum value_type expr_type(const struct expr *self);
/* Of how many columns it makes its own. */
uint32_t expr_step_count(const struct expr *self);
/* The column lives in `arena`, or is one of the batch's. `misfits`: a bit per row, only set here;
 * never NULL. NO_MEMORY: the arena. */
MUST_USE enum status expr_evaluate(const struct expr *self, const struct row_batch *batch,
                                   struct arena *arena, uint8_t *misfits,
                                   struct column *out_column);
