#include "processor/plan/expr_check.h"

#include "processor/plan/aggregate_check.h"
#include "processor/plan/operator_check.h"
#include "processor/plan/plan_check.h"
#include "proto/sys/check.h"

#include <string.h>

static enum status raise(struct expr_check *self, const char *code, uint32_t position,
                         const char *what, const char *why, const char *fix)
{
    return plan_fault_raise(
        self->fault, &(struct plan_fault_text){
                         .code = code, .position = position, .what = what, .why = why, .fix = fix});
}

/* Only a Script that no parser made has holes. */
static enum status refuse_hole(struct expr_check *self, uint32_t position)
{
    return raise(self, "SYNTAX", position, "a part of the expression is missing",
                 "every operator, CASE and cast needs what it works on", "complete it");
}

static enum status read_column(struct expr_check *self, const Millrace__Plan__Expr *expr,
                               struct typed_expr **out_expr)
{
    struct typed_expr *column = NULL;
    TRY(name_scope_find(self->scope, expr->column, expr->position, self->fault, &column));
    bool is_window = column->message.column == NAME_SCOPE_WINDOW_START ||
                     column->message.column == NAME_SCOPE_WINDOW_END;
    if (is_window && (self->has_no_window || self->is_in_aggregate)) {
        const char *clause = self->is_in_aggregate ? "an aggregate" : self->clause;
        return raise(
            self, "WINDOW", expr->position,
            plan_fault_print(self->fault, "%s is not known in %s", expr->column->name, clause),
            "rows are put into windows when they are grouped",
            "compare the time column itself, or use HAVING");
    }
    *out_expr = column;
    return STATUS_OK;
}

static enum status read_all(struct expr_check *self, uint32_t position,
                            Millrace__Plan__Expr *const *exprs, size_t count,
                            struct typed_expr ***out_exprs)
{
    struct typed_expr **read = arena_take_array(self->fault->arena, count, sizeof *read);
    if (read == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        if (exprs[i] == NULL) {
            return refuse_hole(self, position);
        }
        TRY(expr_check_read(self, exprs[i], &read[i]));
    }
    *out_exprs = read;
    return STATUS_OK;
}

/* Settled to boolean; `what` as in "argument of AND". */
static enum status need_bool(struct expr_check *self, const char *what, struct typed_expr *expr,
                             struct typed_expr **out_expr)
{
    TRY(typed_expr_settle(self->fault, expr, MILLRACE__PLAN__TYPE__TYPE_BOOL, &expr));
    if (expr->message.type != MILLRACE__PLAN__TYPE__TYPE_BOOL) {
        return raise(self, "TYPE_MISMATCH", expr->position,
                     plan_fault_print(self->fault, "%s must be type boolean, not type %s", what,
                                      typed_expr_type_name(expr->message.type)),
                     "it says yes or no", "write a comparison");
    }
    *out_expr = expr;
    return STATUS_OK;
}

/* Joins conditions pair by pair, so that a long list makes a low tree. */
static enum status join(struct expr_check *self, Millrace__Plan__Operation operation,
                        struct typed_expr **conditions, size_t count, struct typed_expr **out_expr)
{
    check(count > 0);
    while (count > 1) {
        for (size_t i = 0; i + 1 < count; i += 2) {
            const struct typed_expr_call call = {.position = conditions[i]->position,
                                                 .operation = operation,
                                                 .type = MILLRACE__PLAN__TYPE__TYPE_BOOL,
                                                 .arguments = &conditions[i],
                                                 .argument_count = 2};
            TRY(typed_expr_new_call(self->fault, &call, &conditions[i / 2]));
        }
        if (count % 2 == 1) {
            conditions[count / 2] = conditions[count - 1];
        }
        count = (count + 1) / 2;
    }
    *out_expr = conditions[0];
    return STATUS_OK;
}

static enum status read_and_or(struct expr_check *self, const Millrace__Plan__Expr *expr,
                               struct typed_expr **out_expr)
{
    bool is_and = strcmp(expr->call->name, "and") == 0;
    struct typed_expr **arguments = NULL;
    size_t count = expr->call->n_arguments;
    if (count == 0) {
        return refuse_hole(self, expr->position);
    }
    TRY(read_all(self, expr->position, expr->call->arguments, count, &arguments));
    for (size_t i = 0; i < count; i++) {
        TRY(need_bool(self, is_and ? "argument of AND" : "argument of OR", arguments[i],
                      &arguments[i]));
    }
    return join(self,
                is_and ? MILLRACE__PLAN__OPERATION__OPERATION_AND
                       : MILLRACE__PLAN__OPERATION__OPERATION_OR,
                arguments, count, out_expr);
}

static enum status read_not(struct expr_check *self, const Millrace__Plan__Expr *expr,
                            struct typed_expr *argument, struct typed_expr **out_expr)
{
    TRY(need_bool(self, "argument of NOT", argument, &argument));
    const struct typed_expr_call call = {.position = expr->position,
                                         .operation = MILLRACE__PLAN__OPERATION__OPERATION_NOT,
                                         .type = MILLRACE__PLAN__TYPE__TYPE_BOOL,
                                         .arguments = &argument,
                                         .argument_count = 1};
    return typed_expr_new_call(self->fault, &call, out_expr);
}

static enum status read_neg(struct expr_check *self, const Millrace__Plan__Expr *expr,
                            struct typed_expr *argument, struct typed_expr **out_expr)
{
    TRY(typed_expr_settle(self->fault, argument, MILLRACE__PLAN__TYPE__TYPE_DOUBLE, &argument));
    Millrace__Plan__Type type = argument->message.type;
    if (!typed_expr_is_number(type) && type != MILLRACE__PLAN__TYPE__TYPE_INTERVAL) {
        return raise(self, "TYPE_MISMATCH", expr->position,
                     plan_fault_print(self->fault, "operator does not exist: - %s",
                                      typed_expr_type_name(type)),
                     "only numbers and intervals have an opposite", "cast it to a number");
    }
    const struct typed_expr_call call = {.position = expr->position,
                                         .operation = MILLRACE__PLAN__OPERATION__OPERATION_NEG,
                                         .type = type,
                                         .arguments = &argument,
                                         .argument_count = 1};
    return typed_expr_new_call(self->fault, &call, out_expr);
}

static enum status read_null_test(struct expr_check *self, const Millrace__Plan__Expr *expr,
                                  struct typed_expr *argument, struct typed_expr **out_expr)
{
    bool is_null = strcmp(expr->call->name, "is_null") == 0;
    TRY(typed_expr_settle(self->fault, argument, MILLRACE__PLAN__TYPE__TYPE_TEXT, &argument));
    const struct typed_expr_call call = {
        .position = expr->position,
        .operation = is_null ? MILLRACE__PLAN__OPERATION__OPERATION_IS_NULL
                             : MILLRACE__PLAN__OPERATION__OPERATION_IS_NOT_NULL,
        .type = MILLRACE__PLAN__TYPE__TYPE_BOOL,
        .arguments = &argument,
        .argument_count = 1};
    return typed_expr_new_call(self->fault, &call, out_expr);
}

/* not, neg, is_null, is_not_null. */
static enum status read_prefix(struct expr_check *self, const Millrace__Plan__Expr *expr,
                               struct typed_expr **out_expr)
{
    const char *name = expr->call->name;
    struct typed_expr **arguments = NULL;
    if (expr->call->n_arguments != 1) {
        return refuse_hole(self, expr->position);
    }
    TRY(read_all(self, expr->position, expr->call->arguments, 1, &arguments));
    if (strcmp(name, "not") == 0) {
        return read_not(self, expr, arguments[0], out_expr);
    }
    if (strcmp(name, "neg") == 0) {
        return read_neg(self, expr, arguments[0], out_expr);
    }
    return read_null_test(self, expr, arguments[0], out_expr);
}

static enum status apply(struct expr_check *self, const char *name, uint32_t position,
                         struct typed_expr *const sides[2], struct typed_expr **out_expr)
{
    const struct operator_check_known *known = operator_check_find(name);
    check(known != NULL);
    return operator_check_apply(known, self->fault, position, sides, out_expr);
}

static enum status read_operator(struct expr_check *self, const Millrace__Plan__Expr *expr,
                                 struct typed_expr **out_expr)
{
    struct typed_expr **sides = NULL;
    if (expr->call->n_arguments != 2) {
        return refuse_hole(self, expr->position);
    }
    TRY(read_all(self, expr->position, expr->call->arguments, 2, &sides));
    return apply(self, expr->call->name, expr->position, sides, out_expr);
}

/* The subject stands in each comparison, so that many of them and a long one multiply. */
static enum status check_copies(struct expr_check *self, const struct typed_expr *subject,
                                size_t count)
{
    uint32_t terms = typed_expr_measure(&subject->message, PLAN_CHECK_TERMS_MAX);
    if (count > PLAN_CHECK_TERMS_MAX || terms * count > PLAN_CHECK_TERMS_MAX) {
        return raise(self, "TOO_COMPLEX", subject->position, "too many comparisons with one value",
                     "an expression has at most 4,096 terms, and the value stands in each",
                     "compute the value in a job of its own, or shorten the list");
    }
    return STATUS_OK;
}

/* x IN (a, b): x = a OR x = b. */
static enum status read_in(struct expr_check *self, const Millrace__Plan__Expr *expr,
                           struct typed_expr **out_expr)
{
    struct typed_expr **arguments = NULL;
    size_t count = expr->call->n_arguments;
    if (count < 2) {
        return refuse_hole(self, expr->position);
    }
    TRY(read_all(self, expr->position, expr->call->arguments, count, &arguments));
    TRY(check_copies(self, arguments[0], count - 1));
    for (size_t i = 1; i < count; i++) {
        struct typed_expr *const sides[2] = {arguments[0], arguments[i]};
        TRY(apply(self, "=", expr->position, sides, &arguments[i]));
    }
    return join(self, MILLRACE__PLAN__OPERATION__OPERATION_OR, arguments + 1, count - 1, out_expr);
}

/* x BETWEEN a AND b: x >= a AND x <= b. */
static enum status read_between(struct expr_check *self, const Millrace__Plan__Expr *expr,
                                struct typed_expr **out_expr)
{
    struct typed_expr **arguments = NULL;
    if (expr->call->n_arguments != 3) {
        return refuse_hole(self, expr->position);
    }
    TRY(read_all(self, expr->position, expr->call->arguments, 3, &arguments));
    TRY(check_copies(self, arguments[0], 2));
    struct typed_expr *const low[2] = {arguments[0], arguments[1]};
    struct typed_expr *const high[2] = {arguments[0], arguments[2]};
    TRY(apply(self, ">=", expr->position, low, &arguments[1]));
    TRY(apply(self, "<=", expr->position, high, &arguments[2]));
    return join(self, MILLRACE__PLAN__OPERATION__OPERATION_AND, arguments + 1, 2, out_expr);
}

static enum status read_coalesce(struct expr_check *self, const Millrace__Plan__Expr *expr,
                                 struct typed_expr **out_expr)
{
    struct typed_expr **arguments = NULL;
    size_t count = expr->call->n_arguments;
    Millrace__Plan__Type type = MILLRACE__PLAN__TYPE__TYPE_UNKNOWN;
    if (count == 0) {
        return refuse_hole(self, expr->position);
    }
    TRY(read_all(self, expr->position, expr->call->arguments, count, &arguments));
    TRY(operator_check_unify(self->fault, "COALESCE", arguments, count, &type));
    const struct typed_expr_call call = {.position = expr->position,
                                         .operation = MILLRACE__PLAN__OPERATION__OPERATION_COALESCE,
                                         .type = type,
                                         .arguments = arguments,
                                         .argument_count = count};
    return typed_expr_new_call(self->fault, &call, out_expr);
}

struct known_call {
    const char *name;
    enum status (*read)(struct expr_check *self, const Millrace__Plan__Expr *expr,
                        struct typed_expr **out_expr);
};

static const struct known_call known_calls[] = {
    {"and", read_and_or}, {"or", read_and_or},       {"not", read_prefix},
    {"neg", read_prefix}, {"is_null", read_prefix},  {"is_not_null", read_prefix},
    {"in", read_in},      {"between", read_between}, {"coalesce", read_coalesce},
};

static const struct known_call *find_call(const char *name)
{
    for (size_t i = 0; i < sizeof known_calls / sizeof known_calls[0]; i++) {
        if (strcmp(known_calls[i].name, name) == 0) {
            return &known_calls[i];
        }
    }
    return NULL;
}

static enum status refuse_function(struct expr_check *self, const Millrace__Plan__Expr *expr)
{
    static const char *const names[] = {"count", "sum", "avg", "min", "max", "coalesce"};
    const char *name = expr->call->name;
    bool is_window =
        strcmp(name, "tumble") == 0 || strcmp(name, "hop") == 0 || strcmp(name, "session") == 0;
    return raise(
        self, "UNKNOWN_FUNCTION", expr->position,
        plan_fault_print(self->fault, "function %s does not exist", name),
        "functions are count, sum, avg, min, max and coalesce",
        is_window ? "windows stand in FROM: FROM tumble(table, time, interval '1 hour')"
                  : plan_fault_choices(self->fault, name, names, sizeof names / sizeof names[0]));
}

static enum status read_call(struct expr_check *self, const Millrace__Plan__Expr *expr,
                             struct typed_expr **out_expr)
{
    const Millrace__Plan__FunctionCall *call = expr->call;
    if (aggregate_check_find(call->name) != MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_NONE) {
        return aggregate_check_read(self, expr, out_expr);
    }
    const struct known_call *known = find_call(call->name);
    if (known == NULL && operator_check_find(call->name) == NULL) {
        return refuse_function(self, expr);
    }
    if (call->is_star || call->is_distinct || call->filter != NULL) {
        return raise(
            self, "AGGREGATE", expr->position,
            plan_fault_print(self->fault,
                             "*, DISTINCT and FILTER specified, but %s is not an aggregate "
                             "function",
                             call->name),
            "they say which rows an aggregate takes", "leave them out");
    }
    return known != NULL ? known->read(self, expr, out_expr) : read_operator(self, expr, out_expr);
}

/* One condition of a CASE, with its subject compared. */
static enum status read_condition(struct expr_check *self, const Millrace__Plan__Expr *expr,
                                  struct typed_expr *subject, struct typed_expr **out_expr)
{
    struct typed_expr *condition = NULL;
    if (subject == NULL) {
        TRY(expr_check_read(self, expr, &condition));
        return need_bool(self, "argument of CASE/WHEN", condition, out_expr);
    }
    TRY(expr_check_read(self, expr, &condition));
    struct typed_expr *const sides[2] = {subject, condition};
    return apply(self, "=", expr->position, sides, out_expr);
}

/* Branches are laid out when, then, when, then, …, else; `results` holds them without the whens. */
static enum status read_branches(struct expr_check *self, const Millrace__Plan__Expr *expr,
                                 struct typed_expr **branches, struct typed_expr **results)
{
    const Millrace__Plan__Case *choice = expr->choice;
    struct typed_expr *subject = NULL;
    if (choice->subject != NULL) {
        TRY(expr_check_read(self, choice->subject, &subject));
        TRY(check_copies(self, subject, choice->n_whens));
    }
    for (size_t i = 0; i < choice->n_whens; i++) {
        const Millrace__Plan__When *when = choice->whens[i];
        if (when->condition == NULL || when->result == NULL) {
            return refuse_hole(self, expr->position);
        }
        TRY(read_condition(self, when->condition, subject, &branches[2 * i]));
        TRY(expr_check_read(self, when->result, &results[i]));
    }
    if (choice->otherwise != NULL) {
        return expr_check_read(self, choice->otherwise, &results[choice->n_whens]);
    }
    Millrace__Plan__Literal null = MILLRACE__PLAN__LITERAL__INIT;
    null.value_case = MILLRACE__PLAN__LITERAL__VALUE_IS_NULL;
    null.is_null = true;
    return typed_expr_new_literal(self->fault, expr->position, &null, &results[choice->n_whens]);
}

static enum status read_case(struct expr_check *self, const Millrace__Plan__Expr *expr,
                             struct typed_expr **out_expr)
{
    size_t when_count = expr->choice->n_whens;
    if (when_count == 0) {
        return refuse_hole(self, expr->position);
    }
    struct arena *arena = self->fault->arena;
    struct typed_expr **branches = arena_take_array(arena, 2 * when_count + 1, sizeof *branches);
    struct typed_expr **results = arena_take_array(arena, when_count + 1, sizeof *results);
    if (branches == NULL || results == NULL) {
        return STATUS_NO_MEMORY;
    }
    Millrace__Plan__Type type = MILLRACE__PLAN__TYPE__TYPE_UNKNOWN;
    TRY(read_branches(self, expr, branches, results));
    TRY(operator_check_unify(self->fault, "CASE", results, when_count + 1, &type));
    for (size_t i = 0; i < when_count; i++) {
        branches[2 * i + 1] = results[i];
    }
    branches[2 * when_count] = results[when_count];
    const struct typed_expr_call call = {.position = expr->position,
                                         .operation = MILLRACE__PLAN__OPERATION__OPERATION_CASE,
                                         .type = type,
                                         .arguments = branches,
                                         .argument_count = 2 * when_count + 1};
    return typed_expr_new_call(self->fault, &call, out_expr);
}

static enum status read_cast(struct expr_check *self, const Millrace__Plan__Expr *expr,
                             struct typed_expr **out_expr)
{
    Millrace__Plan__Type type = expr->cast->type;
    struct typed_expr *argument = NULL;
    if (expr->cast->argument == NULL || type < MILLRACE__PLAN__TYPE__TYPE_BOOL ||
        type > MILLRACE__PLAN__TYPE__TYPE_INTERVAL) {
        return refuse_hole(self, expr->position);
    }
    TRY(expr_check_read(self, expr->cast->argument, &argument));
    TRY(typed_expr_settle(self->fault, argument, type, &argument));
    if (!operator_check_can_cast(argument->message.type, type)) {
        return raise(self, "TYPE_MISMATCH", expr->position,
                     plan_fault_print(self->fault, "cannot cast type %s to %s",
                                      typed_expr_type_name(argument->message.type),
                                      typed_expr_type_name(type)),
                     "no value of the one stands for a value of the other",
                     "compute it with the operators of its type");
    }
    return typed_expr_convert(self->fault, argument, type, out_expr);
}

static enum status read_kind(struct expr_check *self, const Millrace__Plan__Expr *expr,
                             struct typed_expr **out_expr)
{
    switch ((int)expr->kind_case) {
    case MILLRACE__PLAN__EXPR__KIND_COLUMN:
        return read_column(self, expr, out_expr);
    case MILLRACE__PLAN__EXPR__KIND_LITERAL:
        return typed_expr_new_literal(self->fault, expr->position, expr->literal, out_expr);
    case MILLRACE__PLAN__EXPR__KIND_CALL:
        return read_call(self, expr, out_expr);
    case MILLRACE__PLAN__EXPR__KIND_CHOICE:
        return read_case(self, expr, out_expr);
    case MILLRACE__PLAN__EXPR__KIND_CAST:
        return read_cast(self, expr, out_expr);
    default:
        return refuse_hole(self, expr->position);
    }
}

enum status expr_check_read(struct expr_check *self, const Millrace__Plan__Expr *expr,
                            struct typed_expr **out_expr)
{
    if (self->depth == PLAN_CHECK_DEPTH_MAX) {
        return raise(self, "TOO_COMPLEX", expr->position, "too deeply nested",
                     "an expression has at most 1,500 levels",
                     "compute a part in a job of its own");
    }
    self->depth++;
    enum status status = read_kind(self, expr, out_expr);
    self->depth--;
    return status;
}

/* A whole expression: its size is known now. */
static enum status check_size(struct expr_check *self, const struct typed_expr *expr)
{
    if (typed_expr_measure(&expr->message, PLAN_CHECK_TERMS_MAX) > PLAN_CHECK_TERMS_MAX) {
        return raise(self, "TOO_COMPLEX", expr->position, "an expression with too many terms",
                     "it has at most 4,096, lists of IN written out",
                     "compute a part in a job of its own");
    }
    return STATUS_OK;
}

enum status expr_check_read_settled(struct expr_check *self, const Millrace__Plan__Expr *expr,
                                    struct typed_expr **out_expr)
{
    struct typed_expr *read = NULL;
    TRY(expr_check_read(self, expr, &read));
    TRY(check_size(self, read));
    return typed_expr_settle(self->fault, read, MILLRACE__PLAN__TYPE__TYPE_TEXT, out_expr);
}

enum status expr_check_read_bool(struct expr_check *self, const Millrace__Plan__Expr *expr,
                                 struct typed_expr **out_expr)
{
    struct typed_expr *read = NULL;
    TRY(expr_check_read(self, expr, &read));
    TRY(check_size(self, read));
    return need_bool(self, plan_fault_print(self->fault, "argument of %s", self->clause), read,
                     out_expr);
}

static bool any_has_aggregate(Millrace__Plan__Expr *const *exprs, size_t count, uint32_t depth)
{
    for (size_t i = 0; i < count; i++) {
        if (expr_check_has_aggregate(exprs[i], depth)) {
            return true;
        }
    }
    return false;
}

bool expr_check_has_aggregate(const Millrace__Plan__Expr *expr, uint32_t depth)
{
    if (expr == NULL || depth > PLAN_CHECK_DEPTH_MAX) {
        return false;
    }
    if (expr->kind_case == MILLRACE__PLAN__EXPR__KIND_CAST) {
        return expr_check_has_aggregate(expr->cast->argument, depth + 1);
    }
    if (expr->kind_case == MILLRACE__PLAN__EXPR__KIND_CALL) {
        return aggregate_check_find(expr->call->name) !=
                   MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_NONE ||
               any_has_aggregate(expr->call->arguments, expr->call->n_arguments, depth + 1);
    }
    if (expr->kind_case != MILLRACE__PLAN__EXPR__KIND_CHOICE) {
        return false;
    }
    const Millrace__Plan__Case *choice = expr->choice;
    for (size_t i = 0; i < choice->n_whens; i++) {
        if (expr_check_has_aggregate(choice->whens[i]->condition, depth + 1) ||
            expr_check_has_aggregate(choice->whens[i]->result, depth + 1)) {
            return true;
        }
    }
    return expr_check_has_aggregate(choice->subject, depth + 1) ||
           expr_check_has_aggregate(choice->otherwise, depth + 1);
}
