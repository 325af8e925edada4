#include "processor/parser/sql_expr.h"

#include "processor/parser/sql_type.h"

#include "processor/text/time_text.h"
#include "proto/sys/check.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum status new_expr(struct sql_context *context, int32_t location,
                            Millrace__Plan__Expr **out_expr)
{
    Millrace__Plan__Expr *expr = arena_take(context->arena, sizeof *expr);
    if (expr == NULL) {
        return STATUS_NO_MEMORY;
    }
    millrace__plan__expr__init(expr);
    expr->position = sql_context_position(context, location);
    *out_expr = expr;
    return STATUS_OK;
}

static enum status new_literal(struct sql_context *context, int32_t location,
                               Millrace__Plan__Expr **out_expr)
{
    Millrace__Plan__Expr *expr = NULL;
    TRY(new_expr(context, location, &expr));
    expr->literal = arena_take(context->arena, sizeof *expr->literal);
    if (expr->literal == NULL) {
        return STATUS_NO_MEMORY;
    }
    millrace__plan__literal__init(expr->literal);
    expr->kind_case = MILLRACE__PLAN__EXPR__KIND_LITERAL;
    *out_expr = expr;
    return STATUS_OK;
}

/* A call whose arguments are to be filled in. */
static enum status new_call(struct sql_context *context, int32_t location, const char *name,
                            size_t argument_count, Millrace__Plan__Expr **out_expr)
{
    Millrace__Plan__Expr *expr = NULL;
    TRY(new_expr(context, location, &expr));
    Millrace__Plan__FunctionCall *call = arena_take(context->arena, sizeof *call);
    if (call == NULL) {
        return STATUS_NO_MEMORY;
    }
    millrace__plan__function_call__init(call);
    TRY(sql_context_copy(context, name, &call->name));
    call->arguments =
        arena_take_array(context->arena, argument_count, sizeof(Millrace__Plan__Expr *));
    if (call->arguments == NULL) {
        return STATUS_NO_MEMORY;
    }
    call->n_arguments = argument_count;
    expr->call = call;
    expr->kind_case = MILLRACE__PLAN__EXPR__KIND_CALL;
    *out_expr = expr;
    return STATUS_OK;
}

static enum status read_number(struct sql_context *context, const PgQuery__AConst *node,
                               Millrace__Plan__Literal *literal)
{
    const char *text = node->fval->fval;
    char *end = NULL;
    errno = 0;
    long long integer = strtoll(text, &end, 10);
    if (errno == 0 && *end == '\0' && end != text) {
        literal->value_case = MILLRACE__PLAN__LITERAL__VALUE_INTEGER;
        literal->integer = integer;
        return STATUS_OK;
    }
    double real = strtod(text, &end);
    if (*end != '\0' || end == text || !isfinite(real)) {
        return plan_fault_raise(
            context->fault,
            &(struct plan_fault_text){
                .code = "BAD_LITERAL",
                .position = sql_context_position(context, node->location),
                .what = plan_fault_print(context->fault, "the number %s is out of range", text),
                .why = "it is neither a bigint nor a double precision",
                .fix = "write a smaller number"});
    }
    literal->value_case = MILLRACE__PLAN__LITERAL__VALUE_REAL;
    literal->real = real;
    return STATUS_OK;
}

static enum status read_const(struct sql_context *context, const PgQuery__AConst *node,
                              Millrace__Plan__Expr **out_expr)
{
    Millrace__Plan__Expr *expr = NULL;
    TRY(new_literal(context, node->location, &expr));
    Millrace__Plan__Literal *literal = expr->literal;
    switch ((int)node->val_case) {
    case PG_QUERY__A__CONST__VAL_IVAL:
        literal->value_case = MILLRACE__PLAN__LITERAL__VALUE_INTEGER;
        literal->integer = node->ival->ival;
        break;
    case PG_QUERY__A__CONST__VAL_FVAL:
        TRY(read_number(context, node, literal));
        break;
    case PG_QUERY__A__CONST__VAL_BOOLVAL:
        literal->value_case = MILLRACE__PLAN__LITERAL__VALUE_BOOLEAN;
        literal->boolean = node->boolval->boolval;
        break;
    case PG_QUERY__A__CONST__VAL_SVAL:
        literal->value_case = MILLRACE__PLAN__LITERAL__VALUE_TEXT;
        TRY(sql_context_copy(context, node->sval->sval, &literal->text));
        break;
    case PG_QUERY__A__CONST__VAL_BSVAL:
        return sql_context_refuse(context, node->location, "a bit string",
                                  "write a number or a text");
    default:
        literal->value_case = MILLRACE__PLAN__LITERAL__VALUE_IS_NULL;
        literal->is_null = true;
        break;
    }
    *out_expr = expr;
    return STATUS_OK;
}

static enum status read_column(struct sql_context *context, const PgQuery__ColumnRef *node,
                               Millrace__Plan__Expr **out_expr)
{
    const char *parts[2] = {NULL, NULL};
    for (size_t i = 0; i < node->n_fields && i < 2; i++) {
        parts[i] = sql_context_string(node->fields[i]);
    }
    if (node->n_fields == 0 || node->n_fields > 2 || parts[node->n_fields - 1] == NULL ||
        parts[0] == NULL) {
        return sql_context_refuse(context, node->location, "a name of more than two parts, or a *",
                                  "write column, or table.column; * stands alone after SELECT");
    }
    Millrace__Plan__Expr *expr = NULL;
    TRY(new_expr(context, node->location, &expr));
    Millrace__Plan__ColumnName *name = arena_take(context->arena, sizeof *name);
    if (name == NULL) {
        return STATUS_NO_MEMORY;
    }
    millrace__plan__column_name__init(name);
    if (node->n_fields == 2) {
        TRY(sql_context_copy(context, parts[0], &name->table));
    }
    TRY(sql_context_copy(context, parts[node->n_fields - 1], &name->name));
    expr->column = name;
    expr->kind_case = MILLRACE__PLAN__EXPR__KIND_COLUMN;
    *out_expr = expr;
    return STATUS_OK;
}

static enum status read_all(struct sql_context *context, PgQuery__Node *const *nodes, size_t count,
                            Millrace__Plan__Expr **out_exprs)
{
    for (size_t i = 0; i < count; i++) {
        TRY(sql_expr_read(context, nodes[i], &out_exprs[i]));
    }
    return STATUS_OK;
}

enum status sql_expr_read_call(struct sql_context *context, const PgQuery__FuncCall *node,
                               Millrace__Plan__FunctionCall **out_call)
{
    const char *name =
        node->n_funcname == 0 ? NULL : sql_context_string(node->funcname[node->n_funcname - 1]);
    const char *schema = node->n_funcname == 2 ? sql_context_string(node->funcname[0]) : NULL;
    bool is_plain = node->n_funcname == 1 || (schema != NULL && strcmp(schema, "pg_catalog") == 0);
    if (name == NULL || !is_plain) {
        return sql_context_refuse(context, node->location, "a function of a schema",
                                  "write the function's name alone");
    }
    if (node->over != NULL) {
        return sql_context_refuse(context, node->location, "a window function (OVER)",
                                  "group by a window instead: FROM tumble(t, ts, interval '…')");
    }
    if (node->n_agg_order > 0 || node->agg_within_group || node->func_variadic) {
        return sql_context_refuse(context, node->location, "ORDER BY or VARIADIC in a call",
                                  "leave it out");
    }
    Millrace__Plan__Expr *expr = NULL;
    TRY(new_call(context, node->location, name, node->n_args, &expr));
    expr->call->is_star = node->agg_star;
    expr->call->is_distinct = node->agg_distinct;
    TRY(read_all(context, node->args, node->n_args, expr->call->arguments));
    TRY(sql_expr_read_optional(context, node->agg_filter, &expr->call->filter));
    *out_call = expr->call;
    return STATUS_OK;
}

static enum status read_function(struct sql_context *context, const PgQuery__FuncCall *node,
                                 Millrace__Plan__Expr **out_expr)
{
    Millrace__Plan__Expr *expr = NULL;
    TRY(new_expr(context, node->location, &expr));
    TRY(sql_expr_read_call(context, node, &expr->call));
    expr->kind_case = MILLRACE__PLAN__EXPR__KIND_CALL;
    *out_expr = expr;
    return STATUS_OK;
}

static enum status wrap_not(struct sql_context *context, int32_t location,
                            Millrace__Plan__Expr *inner, Millrace__Plan__Expr **out_expr)
{
    Millrace__Plan__Expr *expr = NULL;
    TRY(new_call(context, location, "not", 1, &expr));
    expr->call->arguments[0] = inner;
    *out_expr = expr;
    return STATUS_OK;
}

/* x IN (…), x BETWEEN a AND b, and their NOTs: what, then the list. */
static enum status read_list(struct sql_context *context, const PgQuery__AExpr *node,
                             const char *name, bool is_not, Millrace__Plan__Expr **out_expr)
{
    if (node->rexpr == NULL || node->rexpr->node_case != PG_QUERY__NODE__NODE_LIST) {
        return sql_context_refuse(context, node->location, "a list that is not one of expressions",
                                  "write x IN (1, 2, 3)");
    }
    const PgQuery__List *list = node->rexpr->list;
    Millrace__Plan__Expr *expr = NULL;
    TRY(new_call(context, node->location, name, list->n_items + 1, &expr));
    TRY(sql_expr_read(context, node->lexpr, &expr->call->arguments[0]));
    TRY(read_all(context, list->items, list->n_items, &expr->call->arguments[1]));
    if (is_not) {
        return wrap_not(context, node->location, expr, out_expr);
    }
    *out_expr = expr;
    return STATUS_OK;
}

static enum status read_operator(struct sql_context *context, const PgQuery__AExpr *node,
                                 Millrace__Plan__Expr **out_expr)
{
    static const char *const operators[] = {
        "=", "<>", "<", "<=", ">", ">=", "+", "-", "*", "/", "%"};
    const char *name = node->n_name == 1 ? sql_context_string(node->name[0]) : NULL;
    bool is_known = false;
    for (size_t i = 0; name != NULL && i < sizeof operators / sizeof operators[0]; i++) {
        is_known = is_known || strcmp(operators[i], name) == 0;
    }
    if (!is_known) {
        return sql_context_refuse_missing(context, node->location,
                                          plan_fault_print(context->fault,
                                                           "there is no operator %s here",
                                                           name == NULL ? "of a schema" : name),
                                          "these are there: = <> < <= > >= + - * / % AND OR NOT");
    }
    Millrace__Plan__Expr *expr = NULL;
    if (node->lexpr == NULL) {
        if (strcmp(name, "+") == 0) {
            return sql_expr_read(context, node->rexpr, out_expr);
        }
        if (strcmp(name, "-") != 0) {
            return sql_context_refuse(context, node->location, "an operator without its left side",
                                      "write what it works on");
        }
        TRY(new_call(context, node->location, "neg", 1, &expr));
        TRY(sql_expr_read(context, node->rexpr, &expr->call->arguments[0]));
    } else {
        TRY(new_call(context, node->location, name, 2, &expr));
        TRY(sql_expr_read(context, node->lexpr, &expr->call->arguments[0]));
        TRY(sql_expr_read(context, node->rexpr, &expr->call->arguments[1]));
    }
    *out_expr = expr;
    return STATUS_OK;
}

static enum status read_a_expr(struct sql_context *context, const PgQuery__AExpr *node,
                               Millrace__Plan__Expr **out_expr)
{
    switch ((int)node->kind) {
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP:
        return read_operator(context, node, out_expr);
    case PG_QUERY__A__EXPR__KIND__AEXPR_IN: {
        const char *name = node->n_name == 1 ? sql_context_string(node->name[0]) : NULL;
        return read_list(context, node, "in", name != NULL && strcmp(name, "<>") == 0, out_expr);
    }
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN:
        return read_list(context, node, "between", false, out_expr);
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN:
        return read_list(context, node, "between", true, out_expr);
    case PG_QUERY__A__EXPR__KIND__AEXPR_LIKE:
    case PG_QUERY__A__EXPR__KIND__AEXPR_ILIKE:
    case PG_QUERY__A__EXPR__KIND__AEXPR_SIMILAR:
        return sql_context_refuse(context, node->location, "LIKE and SIMILAR TO",
                                  "compare with = or IN");
    case PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF:
        return sql_context_refuse(context, node->location, "NULLIF",
                                  "write CASE WHEN a = b THEN NULL ELSE a END");
    case PG_QUERY__A__EXPR__KIND__AEXPR_DISTINCT:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_DISTINCT:
        return sql_context_refuse(context, node->location, "IS DISTINCT FROM",
                                  "write a <> b, with IS NULL where one may be null");
    default:
        return sql_context_refuse(context, node->location,
                                  "a comparison with ANY, ALL or SYMMETRIC",
                                  "write the comparisons one by one");
    }
}

static enum status read_bool(struct sql_context *context, const PgQuery__BoolExpr *node,
                             Millrace__Plan__Expr **out_expr)
{
    const char *name = node->boolop == PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR  ? "and"
                       : node->boolop == PG_QUERY__BOOL_EXPR_TYPE__OR_EXPR ? "or"
                                                                           : "not";
    Millrace__Plan__Expr *expr = NULL;
    TRY(new_call(context, node->location, name, node->n_args, &expr));
    TRY(read_all(context, node->args, node->n_args, expr->call->arguments));
    *out_expr = expr;
    return STATUS_OK;
}

static enum status read_null_test(struct sql_context *context, const PgQuery__NullTest *node,
                                  Millrace__Plan__Expr **out_expr)
{
    bool is_null = node->nulltesttype == PG_QUERY__NULL_TEST_TYPE__IS_NULL;
    Millrace__Plan__Expr *expr = NULL;
    TRY(new_call(context, node->location, is_null ? "is_null" : "is_not_null", 1, &expr));
    TRY(sql_expr_read(context, node->arg, &expr->call->arguments[0]));
    *out_expr = expr;
    return STATUS_OK;
}

/* coalesce(inner, false). */
static enum status or_false(struct sql_context *context, int32_t location,
                            Millrace__Plan__Expr *inner, Millrace__Plan__Expr **out_expr)
{
    Millrace__Plan__Expr *expr = NULL;
    TRY(new_call(context, location, "coalesce", 2, &expr));
    expr->call->arguments[0] = inner;
    TRY(new_literal(context, location, &expr->call->arguments[1]));
    Millrace__Plan__Literal *literal = expr->call->arguments[1]->literal;
    literal->value_case = MILLRACE__PLAN__LITERAL__VALUE_BOOLEAN;
    literal->boolean = false;
    *out_expr = expr;
    return STATUS_OK;
}

static enum status read_boolean_test(struct sql_context *context, const PgQuery__BooleanTest *node,
                                     Millrace__Plan__Expr **out_expr)
{
    Millrace__Plan__Expr *inner = NULL;
    Millrace__Plan__Expr *expr = NULL;
    TRY(sql_expr_read(context, node->arg, &inner));
    switch ((int)node->booltesttype) {
    case PG_QUERY__BOOL_TEST_TYPE__IS_TRUE:
        return or_false(context, node->location, inner, out_expr);
    case PG_QUERY__BOOL_TEST_TYPE__IS_NOT_TRUE:
        TRY(or_false(context, node->location, inner, &expr));
        return wrap_not(context, node->location, expr, out_expr);
    case PG_QUERY__BOOL_TEST_TYPE__IS_FALSE:
        TRY(wrap_not(context, node->location, inner, &expr));
        return or_false(context, node->location, expr, out_expr);
    case PG_QUERY__BOOL_TEST_TYPE__IS_NOT_FALSE:
        TRY(wrap_not(context, node->location, inner, &expr));
        TRY(or_false(context, node->location, expr, &inner));
        return wrap_not(context, node->location, inner, out_expr);
    default:
        return sql_context_refuse(context, node->location, "IS UNKNOWN",
                                  "write IS NULL or IS NOT NULL");
    }
}

static enum status read_case(struct sql_context *context, const PgQuery__CaseExpr *node,
                             Millrace__Plan__Expr **out_expr)
{
    Millrace__Plan__Expr *expr = NULL;
    TRY(new_expr(context, node->location, &expr));
    Millrace__Plan__Case *choice = arena_take(context->arena, sizeof *choice);
    if (choice == NULL) {
        return STATUS_NO_MEMORY;
    }
    millrace__plan__case__init(choice);
    choice->whens = arena_take_array(context->arena, node->n_args, sizeof(Millrace__Plan__When *));
    Millrace__Plan__When *whens =
        arena_take_array(context->arena, node->n_args, sizeof(Millrace__Plan__When));
    if (choice->whens == NULL || whens == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < node->n_args; i++) {
        check(node->args[i]->node_case == PG_QUERY__NODE__NODE_CASE_WHEN);
        const PgQuery__CaseWhen *when = node->args[i]->case_when;
        millrace__plan__when__init(&whens[i]);
        choice->whens[i] = &whens[i];
        TRY(sql_expr_read(context, when->expr, &whens[i].condition));
        TRY(sql_expr_read(context, when->result, &whens[i].result));
    }
    choice->n_whens = node->n_args;
    TRY(sql_expr_read_optional(context, node->arg, &choice->subject));
    TRY(sql_expr_read_optional(context, node->defresult, &choice->otherwise));
    expr->choice = choice;
    expr->kind_case = MILLRACE__PLAN__EXPR__KIND_CHOICE;
    *out_expr = expr;
    return STATUS_OK;
}

/* The text of `interval '3' hour` with its unit. */
static enum status add_unit(struct sql_context *context, const PgQuery__TypeName *type,
                            Millrace__Plan__Expr *argument)
{
    const char *unit = NULL;
    TRY(sql_type_interval_unit(context, type, &unit));
    if (unit == NULL || argument->kind_case != MILLRACE__PLAN__EXPR__KIND_LITERAL ||
        argument->literal->value_case != MILLRACE__PLAN__LITERAL__VALUE_TEXT) {
        return STATUS_OK;
    }
    const char *text = argument->literal->text;
    if (text[strspn(text, "+-.0123456789")] != '\0') {
        return STATUS_OK;
    }
    return sql_context_copy(context, plan_fault_print(context->fault, "%s %s", text, unit),
                            &argument->literal->text);
}

static enum status read_cast(struct sql_context *context, const PgQuery__TypeCast *node,
                             Millrace__Plan__Expr **out_expr)
{
    Millrace__Plan__Expr *expr = NULL;
    int32_t location = node->location >= 0 ? node->location : node->type_name->location;
    TRY(new_expr(context, location, &expr));
    Millrace__Plan__Cast *cast = arena_take(context->arena, sizeof *cast);
    if (cast == NULL) {
        return STATUS_NO_MEMORY;
    }
    millrace__plan__cast__init(cast);
    TRY(sql_type_read(context, node->type_name, &cast->type));
    TRY(sql_expr_read(context, node->arg, &cast->argument));
    if (cast->type == MILLRACE__PLAN__TYPE__TYPE_INTERVAL) {
        TRY(add_unit(context, node->type_name, cast->argument));
    }
    expr->cast = cast;
    expr->kind_case = MILLRACE__PLAN__EXPR__KIND_CAST;
    *out_expr = expr;
    return STATUS_OK;
}

static enum status read_coalesce(struct sql_context *context, const PgQuery__CoalesceExpr *node,
                                 Millrace__Plan__Expr **out_expr)
{
    Millrace__Plan__Expr *expr = NULL;
    TRY(new_call(context, node->location, "coalesce", node->n_args, &expr));
    TRY(read_all(context, node->args, node->n_args, expr->call->arguments));
    *out_expr = expr;
    return STATUS_OK;
}

static enum status refuse_node(struct sql_context *context, const PgQuery__Node *node)
{
    const char *what = "an expression of a kind that is not supported";
    switch ((int)node->node_case) {
    case PG_QUERY__NODE__NODE_SUB_LINK:
        what = "a subquery";
        break;
    case PG_QUERY__NODE__NODE_PARAM_REF:
        what = "a parameter";
        break;
    case PG_QUERY__NODE__NODE_A_ARRAY_EXPR:
    case PG_QUERY__NODE__NODE_A_INDIRECTION:
        what = "an array or a part of one";
        break;
    case PG_QUERY__NODE__NODE_ROW_EXPR:
        what = "a row of several values";
        break;
    case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION:
        what = "CURRENT_TIMESTAMP and its like";
        break;
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR:
        what = "GREATEST and LEAST";
        break;
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE:
        what = "COLLATE";
        break;
    case PG_QUERY__NODE__NODE_GROUPING_SET:
        what = "GROUPING SETS, ROLLUP and CUBE";
        break;
    default:
        break;
    }
    return sql_context_refuse(context, sql_expr_location(node), what,
                              "write it with columns, constants, operators, CASE and aggregates");
}

enum status sql_expr_read(struct sql_context *context, const PgQuery__Node *node,
                          Millrace__Plan__Expr **out_expr)
{
    switch ((int)node->node_case) {
    case PG_QUERY__NODE__NODE_A_CONST:
        return read_const(context, node->a_const, out_expr);
    case PG_QUERY__NODE__NODE_COLUMN_REF:
        return read_column(context, node->column_ref, out_expr);
    case PG_QUERY__NODE__NODE_FUNC_CALL:
        return read_function(context, node->func_call, out_expr);
    case PG_QUERY__NODE__NODE_A_EXPR:
        return read_a_expr(context, node->a_expr, out_expr);
    case PG_QUERY__NODE__NODE_BOOL_EXPR:
        return read_bool(context, node->bool_expr, out_expr);
    case PG_QUERY__NODE__NODE_NULL_TEST:
        return read_null_test(context, node->null_test, out_expr);
    case PG_QUERY__NODE__NODE_BOOLEAN_TEST:
        return read_boolean_test(context, node->boolean_test, out_expr);
    case PG_QUERY__NODE__NODE_CASE_EXPR:
        return read_case(context, node->case_expr, out_expr);
    case PG_QUERY__NODE__NODE_TYPE_CAST:
        return read_cast(context, node->type_cast, out_expr);
    case PG_QUERY__NODE__NODE_COALESCE_EXPR:
        return read_coalesce(context, node->coalesce_expr, out_expr);
    default:
        return refuse_node(context, node);
    }
}

enum status sql_expr_read_optional(struct sql_context *context, const PgQuery__Node *node,
                                   Millrace__Plan__Expr **out_expr)
{
    if (node == NULL) {
        *out_expr = NULL;
        return STATUS_OK;
    }
    return sql_expr_read(context, node, out_expr);
}

/* The text constant in `node`, with the type that it is cast to, if any. */
static const PgQuery__AConst *text_constant(const PgQuery__Node *node,
                                            const PgQuery__TypeName **out_type)
{
    *out_type = NULL;
    if (node->node_case == PG_QUERY__NODE__NODE_TYPE_CAST) {
        *out_type = node->type_cast->type_name;
        node = node->type_cast->arg;
    }
    bool is_text = node->node_case == PG_QUERY__NODE__NODE_A_CONST &&
                   node->a_const->val_case == PG_QUERY__A__CONST__VAL_SVAL;
    return is_text ? node->a_const : NULL;
}

enum status sql_expr_read_interval(struct sql_context *context, const PgQuery__Node *node,
                                   Millrace__Plan__Interval **out_interval)
{
    const PgQuery__TypeName *type_name = NULL;
    const PgQuery__AConst *text = text_constant(node, &type_name);
    Millrace__Plan__Type type = MILLRACE__PLAN__TYPE__TYPE_INTERVAL;
    const char *unit = NULL;
    if (text != NULL && type_name != NULL) {
        TRY(sql_type_read(context, type_name, &type));
    }
    if (text == NULL || type != MILLRACE__PLAN__TYPE__TYPE_INTERVAL) {
        return sql_context_refuse(context, sql_expr_location(node),
                                  "a window whose length is not a constant interval",
                                  "write interval '1 hour'");
    }
    if (type_name != NULL) {
        TRY(sql_type_interval_unit(context, type_name, &unit));
    }
    const char *words = text->sval->sval;
    if (unit != NULL && words[strspn(words, "+-.0123456789")] == '\0') {
        words = plan_fault_print(context->fault, "%s %s", words, unit);
    }
    struct interval interval;
    if (time_text_parse_interval(words, strlen(words), &interval) != STATUS_OK) {
        return plan_fault_raise(
            context->fault,
            &(struct plan_fault_text){
                .code = "BAD_LITERAL",
                .position = sql_context_position(context, text->location),
                .what = plan_fault_print(context->fault, "\"%s\" is not an interval", words),
                .why = "an interval is a number and a unit, once or several times",
                .fix = "write interval '1 hour' or '10 minutes'"});
    }
    Millrace__Plan__Interval *made = arena_take(context->arena, sizeof *made);
    if (made == NULL) {
        return STATUS_NO_MEMORY;
    }
    millrace__plan__interval__init(made);
    made->months = interval.months;
    made->days = interval.days;
    made->micros = interval.micros;
    *out_interval = made;
    return STATUS_OK;
}

int32_t sql_expr_location(const PgQuery__Node *node)
{
    switch ((int)node->node_case) {
    case PG_QUERY__NODE__NODE_A_CONST:
        return node->a_const->location;
    case PG_QUERY__NODE__NODE_COLUMN_REF:
        return node->column_ref->location;
    case PG_QUERY__NODE__NODE_FUNC_CALL:
        return node->func_call->location;
    case PG_QUERY__NODE__NODE_A_EXPR:
        return node->a_expr->location;
    case PG_QUERY__NODE__NODE_CASE_EXPR:
        return node->case_expr->location;
    case PG_QUERY__NODE__NODE_TYPE_CAST:
        return node->type_cast->location >= 0 ? node->type_cast->location
                                              : node->type_cast->type_name->location;
    case PG_QUERY__NODE__NODE_SUB_LINK:
        return node->sub_link->location;
    case PG_QUERY__NODE__NODE_PARAM_REF:
        return node->param_ref->location;
    case PG_QUERY__NODE__NODE_A_ARRAY_EXPR:
        return node->a_array_expr->location;
    case PG_QUERY__NODE__NODE_ROW_EXPR:
        return node->row_expr->location;
    case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION:
        return node->sqlvalue_function->location;
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR:
        return node->min_max_expr->location;
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE:
        return node->collate_clause->location;
    case PG_QUERY__NODE__NODE_GROUPING_SET:
        return node->grouping_set->location;
    default:
        return -1;
    }
}
