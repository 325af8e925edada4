#include "processor/plan/operator_check.h"

#include "proto/sys/check.h"

#include <string.h>

struct operator_check_known {
    const char *name;
    Millrace__Plan__Operation operation;
    bool is_comparison;
};

static const struct operator_check_known known_operators[] = {
    {"=", MILLRACE__PLAN__OPERATION__OPERATION_EQ, true},
    {"<>", MILLRACE__PLAN__OPERATION__OPERATION_NE, true},
    {"<", MILLRACE__PLAN__OPERATION__OPERATION_LT, true},
    {"<=", MILLRACE__PLAN__OPERATION__OPERATION_LE, true},
    {">", MILLRACE__PLAN__OPERATION__OPERATION_GT, true},
    {">=", MILLRACE__PLAN__OPERATION__OPERATION_GE, true},
    {"+", MILLRACE__PLAN__OPERATION__OPERATION_ADD, false},
    {"-", MILLRACE__PLAN__OPERATION__OPERATION_SUB, false},
    {"*", MILLRACE__PLAN__OPERATION__OPERATION_MUL, false},
    {"/", MILLRACE__PLAN__OPERATION__OPERATION_DIV, false},
    {"%", MILLRACE__PLAN__OPERATION__OPERATION_MOD, false},
};

const struct operator_check_known *operator_check_find(const char *name)
{
    for (size_t i = 0; i < sizeof known_operators / sizeof known_operators[0]; i++) {
        if (strcmp(known_operators[i].name, name) == 0) {
            return &known_operators[i];
        }
    }
    return NULL;
}

static enum status refuse(const struct operator_check_known *known, struct plan_fault *fault,
                          uint32_t position, struct typed_expr *const sides[2])
{
    Millrace__Plan__Type left = sides[0]->message.type;
    Millrace__Plan__Type right = sides[1]->message.type;
    bool is_text =
        (left == MILLRACE__PLAN__TYPE__TYPE_TEXT) != (right == MILLRACE__PLAN__TYPE__TYPE_TEXT);
    Millrace__Plan__Type other = left == MILLRACE__PLAN__TYPE__TYPE_TEXT ? right : left;
    return plan_fault_raise(
        fault, &(struct plan_fault_text){
                   .code = "TYPE_MISMATCH",
                   .position = position,
                   .what = plan_fault_print(fault, "operator does not exist: %s %s %s",
                                            typed_expr_type_name(left), known->name,
                                            typed_expr_type_name(right)),
                   .why = "no operator of that name works on these types, and none of them turns "
                          "into the other by itself",
                   .fix = is_text ? plan_fault_print(fault, "cast the text: CAST(… AS %s)",
                                                     typed_expr_type_name(other))
                                  : "cast one side to the type of the other, or use another one"});
}

static bool is_time(Millrace__Plan__Type type)
{
    return type == MILLRACE__PLAN__TYPE__TYPE_TIMESTAMPTZ;
}

static bool is_span(Millrace__Plan__Type type)
{
    return type == MILLRACE__PLAN__TYPE__TYPE_INTERVAL;
}

/* A loose side is what the other one is; `ts + '1 hour'` is the one where it is not. */
static enum status settle(const struct operator_check_known *known, struct plan_fault *fault,
                          struct typed_expr *sides[2])
{
    bool is_addition = known->operation == MILLRACE__PLAN__OPERATION__OPERATION_ADD;
    for (int i = 0; i < 2; i++) {
        struct typed_expr *other = sides[1 - i];
        Millrace__Plan__Type type =
            other->is_loose ? MILLRACE__PLAN__TYPE__TYPE_TEXT : other->message.type;
        if (is_addition && is_time(type)) {
            type = MILLRACE__PLAN__TYPE__TYPE_INTERVAL;
        }
        TRY(typed_expr_settle(fault, sides[i], type, &sides[i]));
    }
    return STATUS_OK;
}

/* The type that both sides are cast to; UNKNOWN: they have none in common. */
static Millrace__Plan__Type common_type(Millrace__Plan__Type left, Millrace__Plan__Type right)
{
    if (typed_expr_is_implicit(left, right)) {
        return right;
    }
    return typed_expr_is_implicit(right, left) ? left : MILLRACE__PLAN__TYPE__TYPE_UNKNOWN;
}

static bool is_allowed(const struct operator_check_known *known, Millrace__Plan__Type type)
{
    if (known->is_comparison) {
        return type != MILLRACE__PLAN__TYPE__TYPE_UNKNOWN;
    }
    if (known->operation == MILLRACE__PLAN__OPERATION__OPERATION_MOD) {
        return type == MILLRACE__PLAN__TYPE__TYPE_INT || type == MILLRACE__PLAN__TYPE__TYPE_BIGINT;
    }
    bool is_sum = known->operation == MILLRACE__PLAN__OPERATION__OPERATION_ADD ||
                  known->operation == MILLRACE__PLAN__OPERATION__OPERATION_SUB;
    return typed_expr_is_number(type) || (is_sum && is_span(type));
}

/* Times and spans: what the operation gives, or UNKNOWN. The span is put on the right. */
static Millrace__Plan__Type time_type(const struct operator_check_known *known,
                                      struct typed_expr *sides[2])
{
    bool is_addition = known->operation == MILLRACE__PLAN__OPERATION__OPERATION_ADD;
    bool is_difference = known->operation == MILLRACE__PLAN__OPERATION__OPERATION_SUB;
    if (is_addition && is_span(sides[0]->message.type) && is_time(sides[1]->message.type)) {
        struct typed_expr *span = sides[0];
        sides[0] = sides[1];
        sides[1] = span;
    }
    if (!is_time(sides[0]->message.type) || (!is_addition && !is_difference)) {
        return MILLRACE__PLAN__TYPE__TYPE_UNKNOWN;
    }
    if (is_span(sides[1]->message.type)) {
        return MILLRACE__PLAN__TYPE__TYPE_TIMESTAMPTZ;
    }
    return is_difference && is_time(sides[1]->message.type) ? MILLRACE__PLAN__TYPE__TYPE_INTERVAL
                                                            : MILLRACE__PLAN__TYPE__TYPE_UNKNOWN;
}

enum status operator_check_apply(const struct operator_check_known *known, struct plan_fault *fault,
                                 uint32_t position, struct typed_expr *const given[2],
                                 struct typed_expr **out_expr)
{
    struct typed_expr *sides[2] = {given[0], given[1]};
    TRY(settle(known, fault, sides));
    Millrace__Plan__Type type = time_type(known, sides);
    if (type == MILLRACE__PLAN__TYPE__TYPE_UNKNOWN) {
        Millrace__Plan__Type common = common_type(sides[0]->message.type, sides[1]->message.type);
        if (!is_allowed(known, common)) {
            return refuse(known, fault, position, sides);
        }
        TRY(typed_expr_convert(fault, sides[0], common, &sides[0]));
        TRY(typed_expr_convert(fault, sides[1], common, &sides[1]));
        type = known->is_comparison ? MILLRACE__PLAN__TYPE__TYPE_BOOL : common;
    }
    return typed_expr_new_call(fault,
                               &(struct typed_expr_call){.position = position,
                                                         .operation = known->operation,
                                                         .type = type,
                                                         .arguments = sides,
                                                         .argument_count = 2},
                               out_expr);
}

enum status operator_check_unify(struct plan_fault *fault, const char *what,
                                 struct typed_expr **exprs, size_t count,
                                 Millrace__Plan__Type *out_type)
{
    Millrace__Plan__Type type = MILLRACE__PLAN__TYPE__TYPE_UNKNOWN;
    for (size_t i = 0; i < count; i++) {
        if (exprs[i]->is_loose) {
            continue;
        }
        Millrace__Plan__Type next = exprs[i]->message.type;
        Millrace__Plan__Type common =
            type == MILLRACE__PLAN__TYPE__TYPE_UNKNOWN ? next : common_type(type, next);
        if (common == MILLRACE__PLAN__TYPE__TYPE_UNKNOWN) {
            return plan_fault_raise(
                fault, &(struct plan_fault_text){
                           .code = "TYPE_MISMATCH",
                           .position = exprs[i]->position,
                           .what = plan_fault_print(fault, "%s types %s and %s cannot be matched",
                                                    what, typed_expr_type_name(type),
                                                    typed_expr_type_name(next)),
                           .why = "its result has one type",
                           .fix = plan_fault_print(fault, "cast this one: CAST(… AS %s)",
                                                   typed_expr_type_name(type))});
        }
        type = common;
    }
    if (type == MILLRACE__PLAN__TYPE__TYPE_UNKNOWN) {
        type = MILLRACE__PLAN__TYPE__TYPE_TEXT;
    }
    for (size_t i = 0; i < count; i++) {
        TRY(typed_expr_convert(fault, exprs[i], type, &exprs[i]));
    }
    *out_type = type;
    return STATUS_OK;
}

bool operator_check_can_cast(Millrace__Plan__Type from, Millrace__Plan__Type to)
{
    if (from == to || from == MILLRACE__PLAN__TYPE__TYPE_TEXT ||
        to == MILLRACE__PLAN__TYPE__TYPE_TEXT) {
        return true;
    }
    if (typed_expr_is_number(from) && typed_expr_is_number(to)) {
        return true;
    }
    return (from == MILLRACE__PLAN__TYPE__TYPE_INT && to == MILLRACE__PLAN__TYPE__TYPE_BOOL) ||
           (from == MILLRACE__PLAN__TYPE__TYPE_BOOL && to == MILLRACE__PLAN__TYPE__TYPE_INT);
}
