#include "tests/unit/processor/plan/expr_words.h"

#include "processor/text/time_text.h"
#include "proto/sys/check.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define ARGUMENTS_MAX 64U

typedef Millrace__Plan__TypedExpr plan_expr;

struct words {
    const char *next;
    const struct expr_words_input *inputs;
    uint32_t input_count;
    struct arena *arena;
};

static const char *const type_names[] = {"",       "bool", "int",         "bigint",
                                         "double", "text", "timestamptz", "interval"};

enum value_type expr_words_type(const char *name)
{
    for (int i = 1; i < 8; i++) {
        if (strcmp(name, type_names[i]) == 0) {
            return (enum value_type)i;
        }
    }
    return (enum value_type)0;
}

static void *take(struct words *self, size_t byte_count)
{
    void *taken = arena_take_array(self->arena, 1, byte_count);
    check(taken != NULL);
    return taken;
}

static plan_expr *new_expr(struct words *self, enum value_type type)
{
    plan_expr *plan = take(self, sizeof *plan);
    millrace__plan__typed_expr__init(plan);
    plan->type = (Millrace__Plan__Type)type;
    return plan;
}

static plan_expr *new_literal(struct words *self, enum value_type type,
                              Millrace__Plan__Literal__ValueCase value_case)
{
    plan_expr *plan = new_expr(self, type);
    plan->kind_case = MILLRACE__PLAN__TYPED_EXPR__KIND_LITERAL;
    plan->literal = take(self, sizeof *plan->literal);
    millrace__plan__literal__init(plan->literal);
    plan->literal->value_case = value_case;
    return plan;
}

static plan_expr *new_call(struct words *self, enum value_type type,
                           Millrace__Plan__Operation operation, plan_expr **arguments, size_t count)
{
    plan_expr *plan = new_expr(self, type);
    plan->kind_case = MILLRACE__PLAN__TYPED_EXPR__KIND_CALL;
    plan->call = take(self, sizeof *plan->call);
    millrace__plan__typed_call__init(plan->call);
    plan->call->operation = operation;
    plan->call->n_arguments = count;
    plan->call->arguments = take(self, count * sizeof(plan_expr *) + 1);
    memcpy(plan->call->arguments, arguments, count * sizeof(plan_expr *));
    return plan;
}

plan_expr *expr_words_to_text(plan_expr *plan, struct arena *arena)
{
    struct words self = {.arena = arena};
    return new_call(&self, VALUE_TEXT, MILLRACE__PLAN__OPERATION__OPERATION_CAST, &plan, 1);
}

/* `'…'` at the cursor. */
static char *read_quoted(struct words *self)
{
    check(*self->next == '\'');
    const char *end = strchr(self->next + 1, '\'');
    check(end != NULL);
    char *text = arena_copy_text(self->arena, self->next + 1, (size_t)(end - self->next) - 1);
    self->next = end + 1;
    return text;
}

static plan_expr *read_quoted_literal(struct words *self)
{
    char sign = *self->next;
    self->next += sign == '@' || sign == '%';
    char *text = read_quoted(self);
    if (sign == '@') {
        plan_expr *plan =
            new_literal(self, VALUE_TIMESTAMPTZ, MILLRACE__PLAN__LITERAL__VALUE_TIMESTAMP_US);
        enum status status =
            time_text_parse_timestamp(text, strlen(text), &plan->literal->timestamp_us);
        check(status == STATUS_OK);
        return plan;
    }
    if (sign == '%') {
        plan_expr *plan =
            new_literal(self, VALUE_INTERVAL, MILLRACE__PLAN__LITERAL__VALUE_INTERVAL);
        struct interval interval;
        enum status status = time_text_parse_interval(text, strlen(text), &interval);
        check(status == STATUS_OK);
        plan->literal->interval = take(self, sizeof *plan->literal->interval);
        millrace__plan__interval__init(plan->literal->interval);
        plan->literal->interval->months = interval.months;
        plan->literal->interval->days = interval.days;
        plan->literal->interval->micros = interval.micros;
        return plan;
    }
    plan_expr *plan = new_literal(self, VALUE_TEXT, MILLRACE__PLAN__LITERAL__VALUE_TEXT);
    plan->literal->text = text;
    return plan;
}

static plan_expr *read_number(struct words *self)
{
    char *end = NULL;
    size_t byte_count = strspn(self->next, "-0123456789");
    if (self->next[byte_count] == '.' || self->next[byte_count] == 'e') {
        plan_expr *plan = new_literal(self, VALUE_DOUBLE, MILLRACE__PLAN__LITERAL__VALUE_REAL);
        plan->literal->real = strtod(self->next, &end);
        self->next = end;
        return plan;
    }
    bool is_large = self->next[byte_count] == 'L';
    plan_expr *plan = new_literal(self, is_large ? VALUE_BIGINT : VALUE_INT,
                                  MILLRACE__PLAN__LITERAL__VALUE_INTEGER);
    plan->literal->integer = strtoll(self->next, &end, 10);
    self->next = end + is_large;
    return plan;
}

static const char *read_name(struct words *self)
{
    size_t byte_count = strspn(self->next, "abcdefghijklmnopqrstuvwxyz_0123456789");
    check(byte_count > 0);
    const char *name = arena_copy_text(self->arena, self->next, byte_count);
    self->next += byte_count;
    return name;
}

static Millrace__Plan__Operation operation_of(const char *name)
{
    static const char *const names[] = {
        "",    "eq",  "ne",  "lt", "le",  "gt",     "ge",      "add",  "sub", "mul",     "div",
        "mod", "neg", "and", "or", "not", "isnull", "notnull", "case", "",    "coalesce"};
    for (size_t i = 1; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            return (Millrace__Plan__Operation)i;
        }
    }
    check_unreachable(name);
}

static enum value_type result_type(Millrace__Plan__Operation operation, plan_expr *const *arguments,
                                   size_t count)
{
    enum value_type first = (enum value_type)arguments[0]->type;
    enum value_type second = count > 1 ? (enum value_type)arguments[1]->type : first;
    if (operation >= MILLRACE__PLAN__OPERATION__OPERATION_ADD &&
        operation <= MILLRACE__PLAN__OPERATION__OPERATION_NEG) {
        if (first == VALUE_TIMESTAMPTZ && second == VALUE_TIMESTAMPTZ && count > 1) {
            return VALUE_INTERVAL;
        }
        return first == VALUE_INTERVAL ? second : first;
    }
    if (operation == MILLRACE__PLAN__OPERATION__OPERATION_CASE) {
        return second;
    }
    return operation == MILLRACE__PLAN__OPERATION__OPERATION_COALESCE ? first : VALUE_BOOL;
}

static plan_expr *read_expr(struct words *self);

static plan_expr *read_call(struct words *self, const char *name)
{
    plan_expr *arguments[ARGUMENTS_MAX];
    size_t count = 0;
    do {
        self->next++; /* Parenthesis or comma. */
        check(count < ARGUMENTS_MAX);
        arguments[count++] = read_expr(self);
    } while (*self->next == ',');
    check(*self->next == ')');
    self->next++;
    enum value_type type = expr_words_type(name);
    if (type != 0) {
        return new_call(self, type, MILLRACE__PLAN__OPERATION__OPERATION_CAST, arguments, count);
    }
    Millrace__Plan__Operation operation = operation_of(name);
    return new_call(self, result_type(operation, arguments, count), operation, arguments, count);
}

static plan_expr *read_expr(struct words *self)
{
    char sign = *self->next;
    if (sign == '\'' || sign == '@' || sign == '%') {
        return read_quoted_literal(self);
    }
    if (sign == '-' || (sign >= '0' && sign <= '9')) {
        return read_number(self);
    }
    const char *name = read_name(self);
    if (*self->next == '(') {
        return read_call(self, name);
    }
    if (strcmp(name, "null") == 0) {
        self->next++;
        enum value_type type = expr_words_type(read_name(self));
        plan_expr *plan = new_literal(self, type, MILLRACE__PLAN__LITERAL__VALUE_IS_NULL);
        plan->literal->is_null = 1;
        return plan;
    }
    if (strcmp(name, "true") == 0 || strcmp(name, "false") == 0) {
        plan_expr *plan = new_literal(self, VALUE_BOOL, MILLRACE__PLAN__LITERAL__VALUE_BOOLEAN);
        plan->literal->boolean = name[0] == 't';
        return plan;
    }
    for (uint32_t i = 0; i < self->input_count; i++) {
        if (strcmp(self->inputs[i].name, name) == 0) {
            plan_expr *plan = new_expr(self, self->inputs[i].type);
            plan->kind_case = MILLRACE__PLAN__TYPED_EXPR__KIND_COLUMN;
            plan->column = i;
            return plan;
        }
    }
    check_unreachable(name);
}

plan_expr *expr_words_read(const char *text, const struct expr_words_input *inputs,
                           uint32_t input_count, struct arena *arena)
{
    struct words self = {
        .next = text, .inputs = inputs, .input_count = input_count, .arena = arena};
    plan_expr *plan = read_expr(&self);
    check(*self.next == '\0');
    return plan;
}
