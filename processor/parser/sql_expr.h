/* Expressions of the grammar's tree → Expr.
 *
 * Owner: nobody. Loop: the program's. Limits: those of sql_tokens bound the recursion. */
#pragma once

#include "processor/parser/sql_context.h"
#include "processor/row/value.h"

/* INVALID: an expression that there is not here. */
MUST_USE enum status sql_expr_read(struct sql_context *context, const PgQuery__Node *node,
                                   Millrace__Plan__Expr **out_expr);
/* NULL stays NULL. */
MUST_USE enum status sql_expr_read_optional(struct sql_context *context, const PgQuery__Node *node,
                                            Millrace__Plan__Expr **out_expr);
MUST_USE enum status sql_expr_read_call(struct sql_context *context, const PgQuery__FuncCall *call,
                                        Millrace__Plan__FunctionCall **out_call);
/* `interval '3 hours'` or just `'3 hours'`. */
MUST_USE enum status sql_expr_read_interval(struct sql_context *context, const PgQuery__Node *node,
                                            Millrace__Plan__Interval **out_interval);
/* -1: the node has none. */
int32_t sql_expr_location(const PgQuery__Node *node);
