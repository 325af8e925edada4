#include "processor/plan/aggregate_check.h"

#include "proto/sys/check.h"

#include <string.h>

static enum status raise(struct expr_check *self, const char *code, uint32_t position,
                         const char *what, const char *why, const char *fix)
{
    return plan_fault_raise(
        self->fault, &(struct plan_fault_text){
                         .code = code, .position = position, .what = what, .why = why, .fix = fix});
}

Millrace__Plan__AggregateFunction aggregate_check_find(const char *name)
{
    static const struct {
        const char *name;
        Millrace__Plan__AggregateFunction function;
    } functions[] = {
        {"count", MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_COUNT},
        {"sum", MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_SUM},
        {"avg", MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_AVG},
        {"min", MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_MIN},
        {"max", MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_MAX},
    };
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        if (strcmp(functions[i].name, name) == 0) {
            return functions[i].function;
        }
    }
    return MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_NONE;
}

static enum status check_place(struct expr_check *self, const Millrace__Plan__Expr *expr)
{
    if (self->is_in_aggregate) {
        return raise(self, "AGGREGATE", expr->position, "aggregate function calls cannot be nested",
                     "an aggregate takes rows, not results of groups",
                     "aggregate in a job of its own, then the result in a second one");
    }
    if (self->aggregates == NULL) {
        bool is_where = strcmp(self->clause, "WHERE") == 0;
        return raise(self, "AGGREGATE", expr->position,
                     plan_fault_print(self->fault, "aggregate functions are not allowed in %s",
                                      self->clause),
                     "it is evaluated for each row, before there are groups",
                     is_where ? "write the condition after GROUP BY, with HAVING"
                              : "write the aggregate after SELECT");
    }
    if (expr->call->is_distinct) {
        return raise(self, "UNSUPPORTED", expr->position,
                     "DISTINCT in an aggregate is not supported",
                     "every value that was seen would have to be kept",
                     "group by the value in a job of its own, then count its rows");
    }
    bool is_count_star = expr->call->is_star && strcmp(expr->call->name, "count") == 0;
    if (expr->call->n_arguments != (is_count_star ? 0U : 1U) ||
        (expr->call->is_star && !is_count_star)) {
        return raise(self, "UNKNOWN_FUNCTION", expr->position,
                     plan_fault_print(self->fault, "function %s does not exist with %s",
                                      expr->call->name,
                                      expr->call->is_star ? "*" : "this number of arguments"),
                     "aggregates take one argument; only count takes *",
                     plan_fault_print(self->fault, "write %s(column)", expr->call->name));
    }
    return STATUS_OK;
}

static enum status refuse_type(struct expr_check *self, const struct typed_expr *argument,
                               const char *name)
{
    const char *type = typed_expr_type_name(argument->message.type);
    return raise(self, "TYPE_MISMATCH", argument->position,
                 plan_fault_print(self->fault, "function %s(%s) does not exist", name, type),
                 "sum and avg take numbers; min and max take all but booleans and intervals",
                 "cast the argument, or use another aggregate");
}

/* The result's type; UNKNOWN: the function does not take it. */
static Millrace__Plan__Type result_type(Millrace__Plan__AggregateFunction function,
                                        Millrace__Plan__Type argument)
{
    switch ((int)function) {
    case MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_COUNT:
        return MILLRACE__PLAN__TYPE__TYPE_BIGINT;
    case MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_SUM:
        if (argument == MILLRACE__PLAN__TYPE__TYPE_DOUBLE) {
            return argument;
        }
        return typed_expr_is_number(argument) ? MILLRACE__PLAN__TYPE__TYPE_BIGINT
                                              : MILLRACE__PLAN__TYPE__TYPE_UNKNOWN;
    case MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_AVG:
        return typed_expr_is_number(argument) ? MILLRACE__PLAN__TYPE__TYPE_DOUBLE
                                              : MILLRACE__PLAN__TYPE__TYPE_UNKNOWN;
    default:
        return argument == MILLRACE__PLAN__TYPE__TYPE_BOOL ||
                       argument == MILLRACE__PLAN__TYPE__TYPE_INTERVAL
                   ? MILLRACE__PLAN__TYPE__TYPE_UNKNOWN
                   : argument;
    }
}

/* Argument and filter are looked at as if they stood in a WHERE. */
static enum status read_parts(struct expr_check *self, const Millrace__Plan__Expr *expr,
                              Millrace__Plan__AggregateCall *call)
{
    struct typed_expr *part = NULL;
    const Millrace__Plan__FunctionCall *asked = expr->call;
    if (asked->is_star) {
        call->function = MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_COUNT_STAR;
        call->type = MILLRACE__PLAN__TYPE__TYPE_BIGINT;
    } else if (asked->arguments[0] != NULL) {
        TRY(expr_check_read_settled(self, asked->arguments[0], &part));
        call->argument = &part->message;
        call->type = result_type(call->function, part->message.type);
        if (call->type == MILLRACE__PLAN__TYPE__TYPE_UNKNOWN) {
            return refuse_type(self, part, asked->name);
        }
    }
    if (asked->filter != NULL) {
        const char *clause = self->clause;
        self->clause = "FILTER";
        enum status status = expr_check_read_bool(self, asked->filter, &part);
        self->clause = clause;
        TRY(status);
        call->filter = &part->message;
    }
    return STATUS_OK;
}

static bool is_same(const Millrace__Plan__TypedExpr *a, const Millrace__Plan__TypedExpr *b)
{
    return a == NULL || b == NULL ? a == b : typed_expr_is_equal(a, b);
}

static enum status add_call(struct expr_check *self, Millrace__Plan__AggregateCall *call,
                            uint32_t position, uint32_t *out_number)
{
    struct expr_check_aggregates *all = self->aggregates;
    for (uint32_t i = 0; i < all->count; i++) {
        const Millrace__Plan__AggregateCall *known = all->calls[i];
        if (known->function == call->function && is_same(known->argument, call->argument) &&
            is_same(known->filter, call->filter)) {
            *out_number = i;
            return STATUS_OK;
        }
    }
    if (all->count == EXPR_CHECK_AGGREGATES_MAX) {
        return raise(self, "TOO_COMPLEX", position, "too many aggregates",
                     "a query has at most 1,000", "write two jobs");
    }
    all->calls[all->count] = call;
    *out_number = all->count;
    all->count++;
    return STATUS_OK;
}

enum status aggregate_check_read(struct expr_check *self, const Millrace__Plan__Expr *expr,
                                 struct typed_expr **out_expr)
{
    uint32_t number = 0;
    TRY(check_place(self, expr));
    Millrace__Plan__AggregateCall *call = arena_take(self->fault->arena, sizeof *call);
    if (call == NULL) {
        return STATUS_NO_MEMORY;
    }
    millrace__plan__aggregate_call__init(call);
    call->function = aggregate_check_find(expr->call->name);
    check(call->function != MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_NONE);
    self->is_in_aggregate = true;
    enum status status = read_parts(self, expr, call);
    self->is_in_aggregate = false;
    TRY(status);
    if (call->type == MILLRACE__PLAN__TYPE__TYPE_UNKNOWN) {
        return raise(self, "SYNTAX", expr->position, "an aggregate without its argument",
                     "only count takes *", "write what it works on");
    }
    TRY(add_call(self, call, expr->position, &number));
    return typed_expr_new_column(self->fault, expr->position, call->type,
                                 NAME_SCOPE_AGGREGATE_BASE + number, out_expr);
}
