/* Expr → typed_expr: names resolved, types found, implicit casts written, aggregates collected.
 *
 * Columns carry the numbers of name_scope, an aggregate is a column too: what is known only when
 * the query is cut into stages is filled in then.
 *
 * Owner: plan_check. Loop: any. Limits: PLAN_CHECK_DEPTH_MAX, PLAN_CHECK_TERMS_MAX,
 * EXPR_CHECK_AGGREGATES_MAX. */
#pragma once

#include "processor/plan/name_scope.h"

#define EXPR_CHECK_AGGREGATES_MAX 1000U

/* The aggregates of one query; equal ones are one. */
struct expr_check_aggregates {
    Millrace__Plan__AggregateCall *calls[EXPR_CHECK_AGGREGATES_MAX];
    uint32_t count;
};

struct expr_check {
    struct plan_fault *fault;
    const struct name_scope *scope;
    const char *clause;                       /* As PostgreSQL names it: "WHERE". */
    struct expr_check_aggregates *aggregates; /* NULL: none are allowed in this clause. */
    bool is_in_aggregate;
    bool has_no_window; /* window_start cannot be said here. */
    uint32_t depth;
};

/* May be loose. */
MUST_USE enum status expr_check_read(struct expr_check *self, const Millrace__Plan__Expr *expr,
                                     struct typed_expr **out_expr);
/* Settled: text where nothing says what it is. */
MUST_USE enum status expr_check_read_settled(struct expr_check *self,
                                             const Millrace__Plan__Expr *expr,
                                             struct typed_expr **out_expr);
/* A condition. INVALID: it is not boolean. */
MUST_USE enum status expr_check_read_bool(struct expr_check *self, const Millrace__Plan__Expr *expr,
                                          struct typed_expr **out_expr);
/* Does an aggregate stand in it? False for what is too deep. */
bool expr_check_has_aggregate(const Millrace__Plan__Expr *expr, uint32_t depth);
