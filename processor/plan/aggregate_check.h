/* count, sum, avg, min, max: where they may stand, what they take, what they give.
 *
 * Owner: expr_check. Loop: any. Limits: EXPR_CHECK_AGGREGATES_MAX. */
#pragma once

#include "processor/plan/expr_check.h"

/* NONE: not an aggregate. `count` is COUNT. */
Millrace__Plan__AggregateFunction aggregate_check_find(const char *name);
/* As a column of NAME_SCOPE_AGGREGATE_BASE plus its number among `self->aggregates`. */
MUST_USE enum status aggregate_check_read(struct expr_check *self, const Millrace__Plan__Expr *expr,
                                          struct typed_expr **out_expr);
