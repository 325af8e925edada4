/* Expressions whose types are known, as they are made: TypedExpr, and where in the text each
 * stands.
 *
 * Text constants and NULL are loose until something beside them says what they are, as in
 * PostgreSQL: `ts > '2001-01-01'` compares moments.
 *
 * Owner: the arena of the fault. Loop: any. Limits: PLAN_CHECK_TERMS_MAX. */
#pragma once

#include "processor/plan/plan_fault.h"

struct typed_expr {
    Millrace__Plan__TypedExpr message;
    uint32_t position;
    bool is_loose;
};

/* Of one that this folder made (all arguments of a typed_expr are). */
struct typed_expr *typed_expr_of(Millrace__Plan__TypedExpr *message);
/* As PostgreSQL names it: "double precision". */
const char *typed_expr_type_name(Millrace__Plan__Type type);

MUST_USE enum status typed_expr_new_column(struct plan_fault *fault, uint32_t position,
                                           Millrace__Plan__Type type, uint32_t column,
                                           struct typed_expr **out_expr);
/* The literal is copied; texts and NULL are loose. */
MUST_USE enum status typed_expr_new_literal(struct plan_fault *fault, uint32_t position,
                                            const Millrace__Plan__Literal *literal,
                                            struct typed_expr **out_expr);
/* Arguments are borrowed for life. */
struct typed_expr_call {
    uint32_t position;
    Millrace__Plan__Operation operation;
    Millrace__Plan__Type type;
    struct typed_expr *const *arguments;
    size_t argument_count;
};
MUST_USE enum status typed_expr_new_call(struct plan_fault *fault,
                                         const struct typed_expr_call *call,
                                         struct typed_expr **out_expr);

/* A loose one becomes a constant of `type`. INVALID: its text is none. Others are left alone. */
MUST_USE enum status typed_expr_settle(struct plan_fault *fault, struct typed_expr *expr,
                                       Millrace__Plan__Type type, struct typed_expr **out_expr);
/* Settled, or with a cast around it unless it is of the type already; whether that cast is allowed
 * is the caller's affair. */
MUST_USE enum status typed_expr_convert(struct plan_fault *fault, struct typed_expr *expr,
                                        Millrace__Plan__Type type, struct typed_expr **out_expr);
/* Can a value of `from` stand for one of `to` without being asked? int → bigint → double. */
bool typed_expr_is_implicit(Millrace__Plan__Type from, Millrace__Plan__Type to);
bool typed_expr_is_number(Millrace__Plan__Type type);
/* The same, wherever they stand. */
bool typed_expr_is_equal(const Millrace__Plan__TypedExpr *a, const Millrace__Plan__TypedExpr *b);
/* Terms, shared ones counted where they stand; more than `term_count_max` are not counted. */
uint32_t typed_expr_measure(const Millrace__Plan__TypedExpr *expr, uint32_t term_count_max);

/* Takes the place of terms: NULL leaves one as it is and goes on inside it. */
struct typed_expr_replacer {
    enum status (*replace)(void *context, const struct typed_expr *expr,
                           struct typed_expr **out_expr);
    void *context;
};
/* A copy with other terms in it; what was shared is not any more. */
MUST_USE enum status typed_expr_replace(struct plan_fault *fault, const struct typed_expr *expr,
                                        const struct typed_expr_replacer *replacer,
                                        struct typed_expr **out_expr);
