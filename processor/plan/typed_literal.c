#include "processor/plan/typed_literal.h"

#include "processor/plan/typed_expr.h"
#include "processor/text/time_text.h"
#include "proto/sys/check.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static enum status new_literal(struct arena *arena, Millrace__Plan__Literal **out_literal)
{
    Millrace__Plan__Literal *literal = arena_take(arena, sizeof *literal);
    if (literal == NULL) {
        return STATUS_NO_MEMORY;
    }
    millrace__plan__literal__init(literal);
    *out_literal = literal;
    return STATUS_OK;
}

static enum status new_interval(struct arena *arena, const struct interval *value,
                                Millrace__Plan__Interval **out_interval)
{
    Millrace__Plan__Interval *interval = arena_take(arena, sizeof *interval);
    if (interval == NULL) {
        return STATUS_NO_MEMORY;
    }
    millrace__plan__interval__init(interval);
    interval->months = value->months;
    interval->days = value->days;
    interval->micros = value->micros;
    *out_interval = interval;
    return STATUS_OK;
}

enum status typed_literal_copy(const Millrace__Plan__Literal *literal, struct arena *arena,
                               Millrace__Plan__Literal **out_literal)
{
    Millrace__Plan__Literal *copy = NULL;
    TRY(new_literal(arena, &copy));
    *copy = *literal;
    copy->base.n_unknown_fields = 0;
    copy->base.unknown_fields = NULL;
    if (literal->value_case == MILLRACE__PLAN__LITERAL__VALUE_TEXT) {
        copy->text = arena_copy_text(arena, literal->text, strlen(literal->text));
        if (copy->text == NULL) {
            return STATUS_NO_MEMORY;
        }
    }
    if (literal->value_case == MILLRACE__PLAN__LITERAL__VALUE_INTERVAL) {
        const struct interval value = {.months = literal->interval->months,
                                       .days = literal->interval->days,
                                       .micros = literal->interval->micros};
        TRY(new_interval(arena, &value, &copy->interval));
    }
    *out_literal = copy;
    return STATUS_OK;
}

/* PostgreSQL takes blanks around all but text. */
struct trimmed {
    const char *text;
    size_t byte_count;
};

static struct trimmed trim(const char *text)
{
    static const char blanks[] = " \t\n\r\f\v";
    size_t skipped = strspn(text, blanks);
    size_t byte_count = strlen(text + skipped);
    while (byte_count > 0 && strchr(blanks, text[skipped + byte_count - 1]) != NULL) {
        byte_count--;
    }
    return (struct trimmed){.text = text + skipped, .byte_count = byte_count};
}

static bool read_bool(const struct trimmed *word, bool *out_value)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"true", true}, {"t", true},  {"yes", true},    {"y", true},
                 {"on", true},   {"1", true},  {"false", false}, {"f", false},
                 {"no", false},  {"n", false}, {"off", false},   {"0", false}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strlen(words[i].word) == word->byte_count &&
            strncasecmp(words[i].word, word->text, word->byte_count) == 0) {
            *out_value = words[i].value;
            return true;
        }
    }
    return false;
}

static bool read_integer(const struct trimmed *word, int64_t low, int64_t high, int64_t *out_value)
{
    char *end = NULL;
    errno = 0;
    long long value = strtoll(word->text, &end, 10);
    if (errno != 0 || word->byte_count == 0 || end != word->text + word->byte_count ||
        value < low || value > high) {
        return false;
    }
    *out_value = value;
    return true;
}

static bool read_real(const struct trimmed *word, double *out_value)
{
    char *end = NULL;
    double value = strtod(word->text, &end);
    bool is_hex = memchr(word->text, 'x', word->byte_count) != NULL ||
                  memchr(word->text, 'X', word->byte_count) != NULL;
    bool is_word = strncasecmp(word->text, "inf", 3) == 0 ||
                   strncasecmp(word->text, "-inf", 4) == 0 ||
                   strncasecmp(word->text, "+inf", 4) == 0;
    if (word->byte_count == 0 || is_hex || end != word->text + word->byte_count ||
        (isinf(value) && !is_word)) {
        return false;
    }
    *out_value = value;
    return true;
}

/* STATUS_MALFORMED: not one of the type. */
static enum status read_value(const char *text, Millrace__Plan__Type type, struct arena *arena,
                              Millrace__Plan__Literal *literal)
{
    struct trimmed word = trim(text);
    struct interval interval;
    bool boolean = false;
    switch ((int)type) {
    case MILLRACE__PLAN__TYPE__TYPE_BOOL:
        literal->value_case = MILLRACE__PLAN__LITERAL__VALUE_BOOLEAN;
        if (!read_bool(&word, &boolean)) {
            return STATUS_MALFORMED;
        }
        literal->boolean = boolean;
        return STATUS_OK;
    case MILLRACE__PLAN__TYPE__TYPE_INT:
        literal->value_case = MILLRACE__PLAN__LITERAL__VALUE_INTEGER;
        return read_integer(&word, INT32_MIN, INT32_MAX, &literal->integer) ? STATUS_OK
                                                                            : STATUS_MALFORMED;
    case MILLRACE__PLAN__TYPE__TYPE_BIGINT:
        literal->value_case = MILLRACE__PLAN__LITERAL__VALUE_INTEGER;
        return read_integer(&word, INT64_MIN, INT64_MAX, &literal->integer) ? STATUS_OK
                                                                            : STATUS_MALFORMED;
    case MILLRACE__PLAN__TYPE__TYPE_DOUBLE:
        literal->value_case = MILLRACE__PLAN__LITERAL__VALUE_REAL;
        return read_real(&word, &literal->real) ? STATUS_OK : STATUS_MALFORMED;
    case MILLRACE__PLAN__TYPE__TYPE_TIMESTAMPTZ:
        literal->value_case = MILLRACE__PLAN__LITERAL__VALUE_TIMESTAMP_US;
        return time_text_parse_timestamp(word.text, word.byte_count, &literal->timestamp_us);
    case MILLRACE__PLAN__TYPE__TYPE_INTERVAL:
        TRY(time_text_parse_interval(word.text, word.byte_count, &interval));
        literal->value_case = MILLRACE__PLAN__LITERAL__VALUE_INTERVAL;
        return new_interval(arena, &interval, &literal->interval);
    default:
        literal->value_case = MILLRACE__PLAN__LITERAL__VALUE_TEXT;
        literal->text = arena_copy_text(arena, text, strlen(text));
        return literal->text == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    }
}

static const char *example(Millrace__Plan__Type type)
{
    switch ((int)type) {
    case MILLRACE__PLAN__TYPE__TYPE_BOOL:
        return "write true or false";
    case MILLRACE__PLAN__TYPE__TYPE_TIMESTAMPTZ:
        return "write '2001-01-31T12:00:00Z'";
    case MILLRACE__PLAN__TYPE__TYPE_INTERVAL:
        return "write '1 hour', '10 minutes' or '500 ms'";
    default:
        return "write a number of that type";
    }
}

enum status typed_literal_settle(const Millrace__Plan__Literal *literal, Millrace__Plan__Type type,
                                 uint32_t position, struct plan_fault *fault,
                                 Millrace__Plan__Literal **out_literal)
{
    if (literal->value_case != MILLRACE__PLAN__LITERAL__VALUE_TEXT) {
        return typed_literal_copy(literal, fault->arena, out_literal);
    }
    Millrace__Plan__Literal *settled = NULL;
    TRY(new_literal(fault->arena, &settled));
    enum status status = read_value(literal->text, type, fault->arena, settled);
    if (status == STATUS_MALFORMED || status == STATUS_OUT_OF_RANGE) {
        return plan_fault_raise(
            fault, &(struct plan_fault_text){
                       .code = "BAD_LITERAL",
                       .position = position,
                       .what = plan_fault_print(fault, "invalid input for type %s: \"%s\"",
                                                typed_expr_type_name(type), literal->text),
                       .why = "what stands beside it says that it is of this type",
                       .fix = example(type)});
    }
    TRY(status);
    *out_literal = settled;
    return STATUS_OK;
}

static bool is_equal_interval(const Millrace__Plan__Interval *a, const Millrace__Plan__Interval *b)
{
    return a->months == b->months && a->days == b->days && a->micros == b->micros;
}

bool typed_literal_is_equal(const Millrace__Plan__Literal *a, const Millrace__Plan__Literal *b)
{
    if (a->value_case != b->value_case) {
        return false;
    }
    switch ((int)a->value_case) {
    case MILLRACE__PLAN__LITERAL__VALUE_BOOLEAN:
        return a->boolean == b->boolean;
    case MILLRACE__PLAN__LITERAL__VALUE_INTEGER:
        return a->integer == b->integer;
    case MILLRACE__PLAN__LITERAL__VALUE_REAL:
        return memcmp(&a->real, &b->real, sizeof a->real) == 0;
    case MILLRACE__PLAN__LITERAL__VALUE_TEXT:
        return strcmp(a->text, b->text) == 0;
    case MILLRACE__PLAN__LITERAL__VALUE_INTERVAL:
        return is_equal_interval(a->interval, b->interval);
    case MILLRACE__PLAN__LITERAL__VALUE_TIMESTAMP_US:
        return a->timestamp_us == b->timestamp_us;
    default:
        return true;
    }
}
