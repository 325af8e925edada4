/* What the operators do with the types of their sides: which there are, what they give, which side
 * is cast.
 *
 * Owner: expr_check. Loop: any. */
#pragma once

#include "processor/plan/typed_expr.h"

/* = <> < <= > >= + - * / %; NULL: there is no operator of this name with two sides. */
struct operator_check_known;
const struct operator_check_known *operator_check_find(const char *name);
/* INVALID: not for these types. */
MUST_USE enum status operator_check_apply(const struct operator_check_known *known,
                                          struct plan_fault *fault, uint32_t position,
                                          struct typed_expr *const sides[2],
                                          struct typed_expr **out_expr);
/* The one type that all can have, and all of them cast to it, in place. `what` as in "CASE".
 * INVALID: there is none. */
MUST_USE enum status operator_check_unify(struct plan_fault *fault, const char *what,
                                          struct typed_expr **exprs, size_t count,
                                          Millrace__Plan__Type *out_type);
/* May the cast be written? */
bool operator_check_can_cast(Millrace__Plan__Type from, Millrace__Plan__Type to);
