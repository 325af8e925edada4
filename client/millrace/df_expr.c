/* Expressions of a data frame. */
#include "client/millrace/df_frame.h"
#include "proto/sys/check.h"

#include <string.h>

/* An expression of which `parts` (NULL-terminated) are made; NULL: the frame is spoilt. */
static struct millrace_expr *new_expr(struct millrace_df *df, struct millrace_expr *const *parts)
{
    uint32_t level_count = 1;
    uint32_t term_count = 1;
    for (; parts != NULL && *parts != NULL; parts++) {
        if (df_frame_part(df, *parts) == NULL) {
            return NULL;
        }
        level_count =
            (*parts)->level_count >= level_count ? (*parts)->level_count + 1 : level_count;
        term_count += (*parts)->term_count;
    }
    if (level_count > DF_FRAME_LEVELS_MAX || term_count > DF_FRAME_TERMS_MAX) {
        df_frame_spoil(df, "an expression is too large",
                       "it has at most 1,000 levels and 100,000 terms");
        return NULL;
    }
    struct millrace_expr *expr = df_frame_take(df, sizeof *expr);
    if (expr != NULL) {
        millrace__plan__expr__init(&expr->message);
        expr->df = df;
        expr->level_count = level_count;
        expr->term_count = term_count;
    }
    return expr;
}

struct millrace_expr *millrace_df_column(struct millrace_df *df, const char *name)
{
    struct millrace_expr *expr = new_expr(df, NULL);
    Millrace__Plan__ColumnName *column = df_frame_take(df, sizeof *column);
    char *copy = df_frame_copy(df, name, "the column's name");
    if (expr == NULL || column == NULL || copy == NULL) {
        return NULL;
    }
    millrace__plan__column_name__init(column);
    column->name = copy;
    expr->message.kind_case = MILLRACE__PLAN__EXPR__KIND_COLUMN;
    expr->message.column = column;
    return expr;
}

static Millrace__Plan__Literal literal_of(Millrace__Plan__Literal__ValueCase kind)
{
    Millrace__Plan__Literal literal;
    millrace__plan__literal__init(&literal);
    literal.value_case = kind;
    return literal;
}

/* Copies it; NULL: the frame is spoilt. */
static struct millrace_expr *new_literal(struct millrace_df *df,
                                         const Millrace__Plan__Literal *literal)
{
    struct millrace_expr *expr = new_expr(df, NULL);
    Millrace__Plan__Literal *copy = df_frame_take(df, sizeof *copy);
    if (expr == NULL || copy == NULL) {
        return NULL;
    }
    *copy = *literal;
    expr->message.kind_case = MILLRACE__PLAN__EXPR__KIND_LITERAL;
    expr->message.literal = copy;
    return expr;
}

struct millrace_expr *millrace_df_int(struct millrace_df *df, int64_t value)
{
    Millrace__Plan__Literal literal = literal_of(MILLRACE__PLAN__LITERAL__VALUE_INTEGER);
    literal.integer = value;
    return new_literal(df, &literal);
}

struct millrace_expr *millrace_df_double(struct millrace_df *df, double value)
{
    Millrace__Plan__Literal literal = literal_of(MILLRACE__PLAN__LITERAL__VALUE_REAL);
    literal.real = value;
    return new_literal(df, &literal);
}

struct millrace_expr *millrace_df_bool(struct millrace_df *df, bool value)
{
    Millrace__Plan__Literal literal = literal_of(MILLRACE__PLAN__LITERAL__VALUE_BOOLEAN);
    literal.boolean = value;
    return new_literal(df, &literal);
}

struct millrace_expr *millrace_df_null(struct millrace_df *df)
{
    Millrace__Plan__Literal literal = literal_of(MILLRACE__PLAN__LITERAL__VALUE_IS_NULL);
    literal.is_null = true;
    return new_literal(df, &literal);
}

struct millrace_expr *millrace_df_text(struct millrace_df *df, const char *value)
{
    if (value == NULL) {
        df_frame_spoil(df, "a text is NULL", "call millrace_df_null() for a null");
        return NULL;
    }
    size_t byte_count = strlen(value);
    char *copy = df_frame_take(df, byte_count + 1);
    if (copy == NULL) {
        return NULL;
    }
    memcpy(copy, value, byte_count);
    Millrace__Plan__Literal literal = literal_of(MILLRACE__PLAN__LITERAL__VALUE_TEXT);
    literal.text = copy;
    return new_literal(df, &literal);
}

struct millrace_expr *millrace_df_time(struct millrace_df *df, int64_t us)
{
    Millrace__Plan__Literal literal = literal_of(MILLRACE__PLAN__LITERAL__VALUE_TIMESTAMP_US);
    literal.timestamp_us = us;
    return new_literal(df, &literal);
}

struct millrace_expr *millrace_df_interval(struct millrace_df *df, int32_t months, int32_t days,
                                           int64_t us)
{
    Millrace__Plan__Interval *interval = df_frame_take(df, sizeof *interval);
    if (interval == NULL) {
        return NULL;
    }
    millrace__plan__interval__init(interval);
    interval->months = months;
    interval->days = days;
    interval->micros = us;
    Millrace__Plan__Literal literal = literal_of(MILLRACE__PLAN__LITERAL__VALUE_INTERVAL);
    literal.interval = interval;
    return new_literal(df, &literal);
}

/* A call of `parts` (NULL-terminated). */
static struct millrace_expr *new_call(struct millrace_df *df, const char *name,
                                      struct millrace_expr *const *parts)
{
    struct millrace_expr *expr = new_expr(df, parts);
    Millrace__Plan__FunctionCall *call = df_frame_take(df, sizeof *call);
    char *copy = df_frame_copy(df, name, "the function's name");
    size_t count = 0;
    while (parts[count] != NULL) {
        count++;
    }
    Millrace__Plan__Expr **arguments = df_frame_take(df, (count + 1) * sizeof *arguments);
    if (expr == NULL || call == NULL || copy == NULL || arguments == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        arguments[i] = &parts[i]->message;
    }
    millrace__plan__function_call__init(call);
    call->name = copy;
    call->arguments = arguments;
    call->n_arguments = count;
    expr->message.kind_case = MILLRACE__PLAN__EXPR__KIND_CALL;
    expr->message.call = call;
    return expr;
}

struct millrace_expr *millrace_df_op(struct millrace_df *df, struct millrace_expr *left,
                                     const char *operation, struct millrace_expr *right)
{
    struct millrace_expr *const parts[] = {left, right, NULL};
    bool is_whole = df_frame_part(df, left) != NULL && df_frame_part(df, right) != NULL;
    return is_whole ? new_call(df, operation, parts) : NULL;
}

struct millrace_expr *millrace_df_call(struct millrace_df *df, const char *function,
                                       struct millrace_expr *argument)
{
    struct millrace_expr *const parts[] = {argument, NULL};
    return df_frame_part(df, argument) == NULL ? NULL : new_call(df, function, parts);
}

struct millrace_expr *millrace_df_not(struct millrace_df *df, struct millrace_expr *expr)
{
    return millrace_df_call(df, "not", expr);
}

struct millrace_expr *millrace_df_is_null(struct millrace_df *df, struct millrace_expr *expr)
{
    return millrace_df_call(df, "is_null", expr);
}

struct millrace_expr *millrace_df_count(struct millrace_df *df)
{
    struct millrace_expr *const parts[] = {NULL};
    struct millrace_expr *expr = new_call(df, "count", parts);
    if (expr != NULL) {
        expr->message.call->is_star = true;
    }
    return expr;
}

struct millrace_expr *millrace_df_cast(struct millrace_df *df, struct millrace_expr *expr,
                                       enum millrace_type type)
{
    struct millrace_expr *const parts[] = {expr, NULL};
    Millrace__Plan__Expr *argument = df_frame_part(df, expr);
    struct millrace_expr *made = argument == NULL ? NULL : new_expr(df, parts);
    Millrace__Plan__Cast *cast = df_frame_take(df, sizeof *cast);
    if (made == NULL || cast == NULL) {
        return NULL;
    }
    millrace__plan__cast__init(cast);
    cast->argument = argument;
    cast->type = (Millrace__Plan__Type)type;
    made->message.kind_case = MILLRACE__PLAN__EXPR__KIND_CAST;
    made->message.cast = cast;
    return made;
}

_Static_assert((int)MILLRACE_TYPE_INTERVAL == (int)MILLRACE__PLAN__TYPE__TYPE_INTERVAL &&
                   (int)MILLRACE_TYPE_BOOL == (int)MILLRACE__PLAN__TYPE__TYPE_BOOL,
               "types of the interface are those of plans");

struct millrace_expr *millrace_df_filter(struct millrace_df *df, struct millrace_expr *aggregate,
                                         struct millrace_expr *condition)
{
    struct millrace_expr *const parts[] = {aggregate, condition, NULL};
    if (df_frame_part(df, aggregate) == NULL || df_frame_part(df, condition) == NULL) {
        return NULL;
    }
    if (aggregate->message.kind_case != MILLRACE__PLAN__EXPR__KIND_CALL) {
        df_frame_spoil(df, "a filter is for aggregates", "give it a count, sum, avg, min or max");
        return NULL;
    }
    struct millrace_expr *expr = new_expr(df, parts);
    Millrace__Plan__FunctionCall *call = df_frame_take(df, sizeof *call);
    if (expr == NULL || call == NULL) {
        return NULL;
    }
    *call = *aggregate->message.call; /* The aggregate itself may be used without the filter. */
    call->filter = &condition->message;
    expr->message.kind_case = MILLRACE__PLAN__EXPR__KIND_CALL;
    expr->message.call = call;
    return expr;
}

/* A copy of the CASE `before` (NULL: an empty one) with room for one more branch. */
static Millrace__Plan__Case *longer_case(struct millrace_df *df, struct millrace_expr *before,
                                         struct millrace_expr *expr)
{
    const Millrace__Plan__Case *old = NULL;
    if (before != NULL) {
        if (before->message.kind_case != MILLRACE__PLAN__EXPR__KIND_CHOICE ||
            before->message.choice->otherwise != NULL) {
            df_frame_spoil(df, "a branch is added to what is no open CASE",
                           "begin with NULL, and end with millrace_df_else()");
            return NULL;
        }
        old = before->message.choice;
    }
    size_t count = old == NULL ? 0 : old->n_whens;
    Millrace__Plan__Case *choice = df_frame_take(df, sizeof *choice);
    Millrace__Plan__When **whens = df_frame_take(df, (count + 1) * sizeof *whens);
    if (choice == NULL || whens == NULL || expr == NULL) {
        return NULL;
    }
    millrace__plan__case__init(choice);
    if (count > 0) {
        memcpy(whens, old->whens, count * sizeof(Millrace__Plan__When *));
    }
    choice->whens = whens;
    choice->n_whens = count;
    expr->message.kind_case = MILLRACE__PLAN__EXPR__KIND_CHOICE;
    expr->message.choice = choice;
    return choice;
}

struct millrace_expr *millrace_df_when(struct millrace_df *df, struct millrace_expr *before,
                                       struct millrace_expr *condition,
                                       struct millrace_expr *result)
{
    struct millrace_expr *const parts[] = {condition, result, before, NULL};
    if (df_frame_part(df, condition) == NULL || df_frame_part(df, result) == NULL) {
        return NULL;
    }
    struct millrace_expr *expr = new_expr(df, parts);
    Millrace__Plan__When *when = df_frame_take(df, sizeof *when);
    Millrace__Plan__Case *choice = longer_case(df, before, expr);
    if (when == NULL || choice == NULL) {
        return NULL;
    }
    millrace__plan__when__init(when);
    when->condition = &condition->message;
    when->result = &result->message;
    choice->whens[choice->n_whens] = when;
    choice->n_whens++;
    return expr;
}

struct millrace_expr *millrace_df_else(struct millrace_df *df, struct millrace_expr *before,
                                       struct millrace_expr *result)
{
    struct millrace_expr *const parts[] = {result, before, NULL};
    Millrace__Plan__Expr *otherwise = df_frame_part(df, result);
    if (otherwise == NULL || df_frame_part(df, before) == NULL) {
        return NULL;
    }
    struct millrace_expr *expr = new_expr(df, parts);
    Millrace__Plan__Case *choice = longer_case(df, before, expr);
    if (choice == NULL) {
        return NULL;
    }
    choice->otherwise = otherwise;
    return expr;
}
