#include "processor/plan/expr_text.h"

#include "processor/plan/typed_expr.h"
#include "processor/text/time_text.h"
#include "proto/sys/check.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct writer {
    struct text_builder *text;
    const char *const *names;
    uint32_t name_count;
};

static void add(const struct writer *self, const Millrace__Plan__TypedExpr *expr);

static bool is_plain_name(const char *name)
{
    bool is_begin = (name[0] >= 'a' && name[0] <= 'z') || name[0] == '_';
    return is_begin && name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0';
}

/* What a quote ends is doubled. */
static void add_quoted(struct text_builder *text, const char *bytes, char quote)
{
    text_builder_add_bytes(text, &quote, 1);
    for (const char *byte = bytes; *byte != '\0'; byte++) {
        if (*byte == quote) {
            text_builder_add_bytes(text, &quote, 1);
        }
        text_builder_add_bytes(text, byte, 1);
    }
    text_builder_add_bytes(text, &quote, 1);
}

void expr_text_add_name(struct text_builder *text, const char *name)
{
    if (is_plain_name(name)) {
        text_builder_add(text, name);
    } else {
        add_quoted(text, name, '"');
    }
}

void expr_text_add_span(struct text_builder *text, int64_t us)
{
    static const struct {
        int64_t us;
        const char *name;
    } units[] = {{INT64_C(86400000000), "day"}, {INT64_C(3600000000), "hour"}, {60000000, "minute"},
                 {1000000, "second"},           {1000, "millisecond"},         {1, "microsecond"}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (us % units[i].us == 0) {
            int64_t count = us / units[i].us;
            text_builder_print(text, "%" PRId64 " %s%s", count, units[i].name,
                               count == 1 ? "" : "s");
            return;
        }
    }
}

/* The shortest that reads back the same. */
static void add_real(struct text_builder *text, double real)
{
    char digits[40];
    if (!isfinite(real)) {
        text_builder_print(text, "'%s'::double precision",
                           isnan(real) ? "NaN"
                           : real > 0  ? "Infinity"
                                       : "-Infinity");
        return;
    }
    for (int precision = 15; precision <= 17; precision++) {
        (void)snprintf(digits, sizeof digits, "%.*g", precision, real);
        if (strtod(digits, NULL) == real) {
            break;
        }
    }
    bool is_integer = digits[strspn(digits, "-0123456789")] == '\0';
    text_builder_print(text, "%s%s", digits, is_integer ? ".0" : "");
}

static void add_literal(const struct writer *self, const Millrace__Plan__TypedExpr *expr)
{
    const Millrace__Plan__Literal *literal = expr->literal;
    char words[TIME_TEXT_BYTES_MAX];
    struct interval interval;
    switch ((int)literal->value_case) {
    case MILLRACE__PLAN__LITERAL__VALUE_BOOLEAN:
        text_builder_add(self->text, literal->boolean ? "true" : "false");
        return;
    case MILLRACE__PLAN__LITERAL__VALUE_INTEGER:
        text_builder_print(self->text, "%" PRId64, literal->integer);
        return;
    case MILLRACE__PLAN__LITERAL__VALUE_REAL:
        add_real(self->text, literal->real);
        return;
    case MILLRACE__PLAN__LITERAL__VALUE_TEXT:
        add_quoted(self->text, literal->text, '\'');
        return;
    case MILLRACE__PLAN__LITERAL__VALUE_INTERVAL:
        interval = (struct interval){.months = literal->interval->months,
                                     .days = literal->interval->days,
                                     .micros = literal->interval->micros};
        (void)time_text_format_interval(&interval, words);
        text_builder_print(self->text, "interval '%s'", words);
        return;
    case MILLRACE__PLAN__LITERAL__VALUE_TIMESTAMP_US:
        (void)time_text_format_timestamp(literal->timestamp_us, words);
        text_builder_print(self->text, "timestamptz '%s'", words);
        return;
    default:
        text_builder_print(self->text, "NULL::%s", typed_expr_type_name(expr->type));
        return;
    }
}

/* NULL: not one that stands between its arguments. */
static const char *infix_name(Millrace__Plan__Operation operation)
{
    static const char *const names[] = {
        [MILLRACE__PLAN__OPERATION__OPERATION_EQ] = "=",
        [MILLRACE__PLAN__OPERATION__OPERATION_NE] = "<>",
        [MILLRACE__PLAN__OPERATION__OPERATION_LT] = "<",
        [MILLRACE__PLAN__OPERATION__OPERATION_LE] = "<=",
        [MILLRACE__PLAN__OPERATION__OPERATION_GT] = ">",
        [MILLRACE__PLAN__OPERATION__OPERATION_GE] = ">=",
        [MILLRACE__PLAN__OPERATION__OPERATION_ADD] = "+",
        [MILLRACE__PLAN__OPERATION__OPERATION_SUB] = "-",
        [MILLRACE__PLAN__OPERATION__OPERATION_MUL] = "*",
        [MILLRACE__PLAN__OPERATION__OPERATION_DIV] = "/",
        [MILLRACE__PLAN__OPERATION__OPERATION_MOD] = "%",
        [MILLRACE__PLAN__OPERATION__OPERATION_AND] = "AND",
        [MILLRACE__PLAN__OPERATION__OPERATION_OR] = "OR",
    };
    return (size_t)operation < sizeof names / sizeof names[0] ? names[operation] : NULL;
}

/* Must it stand in parentheses as a part of `outer`? ANDs of ANDs are one. */
static bool needs_parentheses(const Millrace__Plan__TypedExpr *expr,
                              Millrace__Plan__Operation outer)
{
    if (expr->kind_case != MILLRACE__PLAN__TYPED_EXPR__KIND_CALL) {
        return false;
    }
    Millrace__Plan__Operation inner = expr->call->operation;
    bool is_list = inner == MILLRACE__PLAN__OPERATION__OPERATION_AND ||
                   inner == MILLRACE__PLAN__OPERATION__OPERATION_OR;
    bool is_postfix = inner == MILLRACE__PLAN__OPERATION__OPERATION_NOT ||
                      inner == MILLRACE__PLAN__OPERATION__OPERATION_NEG ||
                      inner == MILLRACE__PLAN__OPERATION__OPERATION_IS_NULL ||
                      inner == MILLRACE__PLAN__OPERATION__OPERATION_IS_NOT_NULL;
    if (is_list) {
        return inner != outer;
    }
    bool is_condition = outer == MILLRACE__PLAN__OPERATION__OPERATION_AND ||
                        outer == MILLRACE__PLAN__OPERATION__OPERATION_OR;
    return (infix_name(inner) != NULL || is_postfix) && !is_condition;
}

/* A column may be called as what it was computed from: `a + b`. */
static bool is_phrase(const struct writer *self, const Millrace__Plan__TypedExpr *expr)
{
    if (expr->kind_case != MILLRACE__PLAN__TYPED_EXPR__KIND_COLUMN ||
        expr->column >= self->name_count) {
        return false;
    }
    const char *name = self->names[expr->column];
    return name[0] != '"' && strchr(name, ' ') != NULL;
}

static void add_part(const struct writer *self, const Millrace__Plan__TypedExpr *expr,
                     Millrace__Plan__Operation outer)
{
    bool is_wrapped = needs_parentheses(expr, outer) || is_phrase(self, expr);
    text_builder_add(self->text, is_wrapped ? "(" : "");
    add(self, expr);
    text_builder_add(self->text, is_wrapped ? ")" : "");
}

static void add_case(const struct writer *self, const Millrace__Plan__TypedCall *call)
{
    text_builder_add(self->text, "CASE");
    for (size_t i = 0; i + 1 < call->n_arguments; i += 2) {
        text_builder_add(self->text, " WHEN ");
        add(self, call->arguments[i]);
        text_builder_add(self->text, " THEN ");
        add(self, call->arguments[i + 1]);
    }
    text_builder_add(self->text, " ELSE ");
    add(self, call->arguments[call->n_arguments - 1]);
    text_builder_add(self->text, " END");
}

static void add_coalesce(const struct writer *self, const Millrace__Plan__TypedCall *call)
{
    text_builder_add(self->text, "coalesce(");
    for (size_t i = 0; i < call->n_arguments; i++) {
        text_builder_add(self->text, i == 0 ? "" : ", ");
        add(self, call->arguments[i]);
    }
    text_builder_add(self->text, ")");
}

static void add_infix(const struct writer *self, const Millrace__Plan__TypedCall *call)
{
    for (size_t i = 0; i < call->n_arguments; i++) {
        if (i > 0) {
            text_builder_print(self->text, " %s ", infix_name(call->operation));
        }
        add_part(self, call->arguments[i], call->operation);
    }
}

static void add_call(const struct writer *self, const Millrace__Plan__TypedExpr *expr)
{
    const Millrace__Plan__TypedCall *call = expr->call;
    check(call->n_arguments > 0);
    switch ((int)call->operation) {
    case MILLRACE__PLAN__OPERATION__OPERATION_CASE:
        add_case(self, call);
        return;
    case MILLRACE__PLAN__OPERATION__OPERATION_COALESCE:
        add_coalesce(self, call);
        return;
    case MILLRACE__PLAN__OPERATION__OPERATION_CAST:
        text_builder_add(self->text, "CAST(");
        add(self, call->arguments[0]);
        text_builder_print(self->text, " AS %s)", typed_expr_type_name(expr->type));
        return;
    case MILLRACE__PLAN__OPERATION__OPERATION_NEG:
        text_builder_add(self->text, "- ");
        add_part(self, call->arguments[0], call->operation);
        return;
    case MILLRACE__PLAN__OPERATION__OPERATION_NOT:
        text_builder_add(self->text, "NOT ");
        add_part(self, call->arguments[0], call->operation);
        return;
    case MILLRACE__PLAN__OPERATION__OPERATION_IS_NULL:
        add_part(self, call->arguments[0], call->operation);
        text_builder_add(self->text, " IS NULL");
        return;
    case MILLRACE__PLAN__OPERATION__OPERATION_IS_NOT_NULL:
        add_part(self, call->arguments[0], call->operation);
        text_builder_add(self->text, " IS NOT NULL");
        return;
    default:
        check(infix_name(call->operation) != NULL);
        add_infix(self, call);
        return;
    }
}

static void add(const struct writer *self, const Millrace__Plan__TypedExpr *expr)
{
    if (expr->kind_case == MILLRACE__PLAN__TYPED_EXPR__KIND_CALL) {
        add_call(self, expr);
    } else if (expr->kind_case == MILLRACE__PLAN__TYPED_EXPR__KIND_LITERAL) {
        add_literal(self, expr);
    } else if (expr->column < self->name_count) {
        text_builder_add(self->text, self->names[expr->column]);
    } else {
        text_builder_print(self->text, "$%" PRIu32, expr->column);
    }
}

void expr_text_add(struct text_builder *text, const Millrace__Plan__TypedExpr *expr,
                   const char *const *names, uint32_t name_count)
{
    const struct writer self = {.text = text, .names = names, .name_count = name_count};
    add(&self, expr);
}
