#include "processor/plan/typed_expr.h"

#include "processor/plan/typed_literal.h"
#include "proto/sys/check.h"
#include "proto/sys/list.h"

#include <string.h>

#define EXACT_DOUBLE_MAX (INT64_C(1) << 53)

struct typed_expr *typed_expr_of(Millrace__Plan__TypedExpr *message)
{
    return container_of(message, struct typed_expr, message);
}

const char *typed_expr_type_name(Millrace__Plan__Type type)
{
    switch ((int)type) {
    case MILLRACE__PLAN__TYPE__TYPE_BOOL:
        return "boolean";
    case MILLRACE__PLAN__TYPE__TYPE_INT:
        return "integer";
    case MILLRACE__PLAN__TYPE__TYPE_BIGINT:
        return "bigint";
    case MILLRACE__PLAN__TYPE__TYPE_DOUBLE:
        return "double precision";
    case MILLRACE__PLAN__TYPE__TYPE_TEXT:
        return "text";
    case MILLRACE__PLAN__TYPE__TYPE_TIMESTAMPTZ:
        return "timestamptz";
    case MILLRACE__PLAN__TYPE__TYPE_INTERVAL:
        return "interval";
    default:
        return "unknown";
    }
}

static enum status new_expr(struct plan_fault *fault, uint32_t position, Millrace__Plan__Type type,
                            struct typed_expr **out_expr)
{
    struct typed_expr *expr = arena_take(fault->arena, sizeof *expr);
    if (expr == NULL) {
        return STATUS_NO_MEMORY;
    }
    *expr = (struct typed_expr){.position = position};
    millrace__plan__typed_expr__init(&expr->message);
    expr->message.type = type;
    *out_expr = expr;
    return STATUS_OK;
}

enum status typed_expr_new_column(struct plan_fault *fault, uint32_t position,
                                  Millrace__Plan__Type type, uint32_t column,
                                  struct typed_expr **out_expr)
{
    struct typed_expr *expr = NULL;
    TRY(new_expr(fault, position, type, &expr));
    expr->message.kind_case = MILLRACE__PLAN__TYPED_EXPR__KIND_COLUMN;
    expr->message.column = column;
    *out_expr = expr;
    return STATUS_OK;
}

static Millrace__Plan__Type literal_type(const Millrace__Plan__Literal *literal)
{
    switch ((int)literal->value_case) {
    case MILLRACE__PLAN__LITERAL__VALUE_BOOLEAN:
        return MILLRACE__PLAN__TYPE__TYPE_BOOL;
    case MILLRACE__PLAN__LITERAL__VALUE_INTEGER:
        return literal->integer >= INT32_MIN && literal->integer <= INT32_MAX
                   ? MILLRACE__PLAN__TYPE__TYPE_INT
                   : MILLRACE__PLAN__TYPE__TYPE_BIGINT;
    case MILLRACE__PLAN__LITERAL__VALUE_REAL:
        return MILLRACE__PLAN__TYPE__TYPE_DOUBLE;
    case MILLRACE__PLAN__LITERAL__VALUE_TEXT:
        return MILLRACE__PLAN__TYPE__TYPE_TEXT;
    case MILLRACE__PLAN__LITERAL__VALUE_INTERVAL:
        return MILLRACE__PLAN__TYPE__TYPE_INTERVAL;
    case MILLRACE__PLAN__LITERAL__VALUE_TIMESTAMP_US:
        return MILLRACE__PLAN__TYPE__TYPE_TIMESTAMPTZ;
    default:
        return MILLRACE__PLAN__TYPE__TYPE_UNKNOWN;
    }
}

enum status typed_expr_new_literal(struct plan_fault *fault, uint32_t position,
                                   const Millrace__Plan__Literal *literal,
                                   struct typed_expr **out_expr)
{
    struct typed_expr *expr = NULL;
    TRY(new_expr(fault, position, literal_type(literal), &expr));
    TRY(typed_literal_copy(literal, fault->arena, &expr->message.literal));
    expr->message.kind_case = MILLRACE__PLAN__TYPED_EXPR__KIND_LITERAL;
    expr->is_loose = expr->message.type == MILLRACE__PLAN__TYPE__TYPE_TEXT ||
                     expr->message.type == MILLRACE__PLAN__TYPE__TYPE_UNKNOWN;
    *out_expr = expr;
    return STATUS_OK;
}

enum status typed_expr_new_call(struct plan_fault *fault, const struct typed_expr_call *call,
                                struct typed_expr **out_expr)
{
    struct typed_expr *expr = NULL;
    TRY(new_expr(fault, call->position, call->type, &expr));
    Millrace__Plan__TypedCall *made = arena_take(fault->arena, sizeof *made);
    if (made == NULL) {
        return STATUS_NO_MEMORY;
    }
    millrace__plan__typed_call__init(made);
    made->operation = call->operation;
    made->n_arguments = call->argument_count;
    made->arguments = arena_take_array(fault->arena, call->argument_count, sizeof *made->arguments);
    if (made->arguments == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < call->argument_count; i++) {
        check(!call->arguments[i]->is_loose);
        made->arguments[i] = &call->arguments[i]->message;
    }
    expr->message.call = made;
    expr->message.kind_case = MILLRACE__PLAN__TYPED_EXPR__KIND_CALL;
    *out_expr = expr;
    return STATUS_OK;
}

enum status typed_expr_settle(struct plan_fault *fault, struct typed_expr *expr,
                              Millrace__Plan__Type type, struct typed_expr **out_expr)
{
    if (!expr->is_loose) {
        *out_expr = expr;
        return STATUS_OK;
    }
    check(type != MILLRACE__PLAN__TYPE__TYPE_UNKNOWN);
    struct typed_expr *settled = NULL;
    TRY(new_expr(fault, expr->position, type, &settled));
    settled->message.kind_case = MILLRACE__PLAN__TYPED_EXPR__KIND_LITERAL;
    TRY(typed_literal_settle(expr->message.literal, type, expr->position, fault,
                             &settled->message.literal));
    *out_expr = settled;
    return STATUS_OK;
}

/* A whole number that the wider type has, too: `bigint_column = 1` needs no cast at work. */
static bool is_widened(const struct typed_expr *expr, Millrace__Plan__Type type)
{
    if (expr->message.kind_case != MILLRACE__PLAN__TYPED_EXPR__KIND_LITERAL ||
        expr->message.literal->value_case != MILLRACE__PLAN__LITERAL__VALUE_INTEGER) {
        return false;
    }
    int64_t integer = expr->message.literal->integer;
    return type == MILLRACE__PLAN__TYPE__TYPE_BIGINT ||
           (type == MILLRACE__PLAN__TYPE__TYPE_DOUBLE && integer <= EXACT_DOUBLE_MAX &&
            integer >= -EXACT_DOUBLE_MAX);
}

static enum status widen(struct plan_fault *fault, const struct typed_expr *expr,
                         Millrace__Plan__Type type, struct typed_expr **out_expr)
{
    struct typed_expr *widened = NULL;
    TRY(new_expr(fault, expr->position, type, &widened));
    widened->message.kind_case = MILLRACE__PLAN__TYPED_EXPR__KIND_LITERAL;
    TRY(typed_literal_copy(expr->message.literal, fault->arena, &widened->message.literal));
    if (type == MILLRACE__PLAN__TYPE__TYPE_DOUBLE) {
        widened->message.literal->value_case = MILLRACE__PLAN__LITERAL__VALUE_REAL;
        widened->message.literal->real = (double)expr->message.literal->integer;
    }
    *out_expr = widened;
    return STATUS_OK;
}

enum status typed_expr_convert(struct plan_fault *fault, struct typed_expr *expr,
                               Millrace__Plan__Type type, struct typed_expr **out_expr)
{
    TRY(typed_expr_settle(fault, expr, type, &expr));
    if (expr->message.type == type) {
        *out_expr = expr;
        return STATUS_OK;
    }
    if (is_widened(expr, type)) {
        return widen(fault, expr, type, out_expr);
    }
    return typed_expr_new_call(
        fault,
        &(struct typed_expr_call){.position = expr->position,
                                  .operation = MILLRACE__PLAN__OPERATION__OPERATION_CAST,
                                  .type = type,
                                  .arguments = &expr,
                                  .argument_count = 1},
        out_expr);
}

bool typed_expr_is_number(Millrace__Plan__Type type)
{
    return type == MILLRACE__PLAN__TYPE__TYPE_INT || type == MILLRACE__PLAN__TYPE__TYPE_BIGINT ||
           type == MILLRACE__PLAN__TYPE__TYPE_DOUBLE;
}

bool typed_expr_is_implicit(Millrace__Plan__Type from, Millrace__Plan__Type to)
{
    return from == to ||
           (typed_expr_is_number(from) && typed_expr_is_number(to) && from < to); /* Widening. */
}

_Static_assert(MILLRACE__PLAN__TYPE__TYPE_INT < MILLRACE__PLAN__TYPE__TYPE_BIGINT &&
                   MILLRACE__PLAN__TYPE__TYPE_BIGINT < MILLRACE__PLAN__TYPE__TYPE_DOUBLE,
               "numbers are in the order in which they widen");

bool typed_expr_is_equal(const Millrace__Plan__TypedExpr *a, const Millrace__Plan__TypedExpr *b)
{
    if (a->type != b->type || a->kind_case != b->kind_case) {
        return false;
    }
    if (a->kind_case == MILLRACE__PLAN__TYPED_EXPR__KIND_COLUMN) {
        return a->column == b->column;
    }
    if (a->kind_case == MILLRACE__PLAN__TYPED_EXPR__KIND_LITERAL) {
        return typed_literal_is_equal(a->literal, b->literal);
    }
    check(a->kind_case == MILLRACE__PLAN__TYPED_EXPR__KIND_CALL);
    if (a->call->operation != b->call->operation || a->call->n_arguments != b->call->n_arguments) {
        return false;
    }
    for (size_t i = 0; i < a->call->n_arguments; i++) {
        if (!typed_expr_is_equal(a->call->arguments[i], b->call->arguments[i])) {
            return false;
        }
    }
    return true;
}

uint32_t typed_expr_measure(const Millrace__Plan__TypedExpr *expr, uint32_t term_count_max)
{
    uint32_t count = 1;
    if (expr->kind_case != MILLRACE__PLAN__TYPED_EXPR__KIND_CALL) {
        return count;
    }
    for (size_t i = 0; i < expr->call->n_arguments && count <= term_count_max; i++) {
        count += typed_expr_measure(expr->call->arguments[i], term_count_max - count);
    }
    return count;
}

enum status typed_expr_replace(struct plan_fault *fault, const struct typed_expr *expr,
                               const struct typed_expr_replacer *replacer,
                               struct typed_expr **out_expr)
{
    struct typed_expr *made = NULL;
    TRY(replacer->replace(replacer->context, expr, &made));
    if (made != NULL) {
        *out_expr = made;
        return STATUS_OK;
    }
    made = arena_take(fault->arena, sizeof *made);
    if (made == NULL) {
        return STATUS_NO_MEMORY;
    }
    *made = *expr;
    if (expr->message.kind_case == MILLRACE__PLAN__TYPED_EXPR__KIND_CALL) {
        const Millrace__Plan__TypedCall *call = expr->message.call;
        Millrace__Plan__TypedCall *copy = arena_take(fault->arena, sizeof *copy);
        Millrace__Plan__TypedExpr **arguments =
            arena_take_array(fault->arena, call->n_arguments, sizeof *arguments);
        if (copy == NULL || arguments == NULL) {
            return STATUS_NO_MEMORY;
        }
        *copy = *call;
        copy->arguments = arguments;
        for (size_t i = 0; i < call->n_arguments; i++) {
            struct typed_expr *argument = NULL;
            TRY(typed_expr_replace(fault, typed_expr_of(call->arguments[i]), replacer, &argument));
            arguments[i] = &argument->message;
        }
        made->message.call = copy;
    }
    *out_expr = made;
    return STATUS_OK;
}
