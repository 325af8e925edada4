#include "processor/plan/expr_kernel.h"

#include "processor/row/double_text.h"
#include "processor/text/time_text.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NUMBER_BYTES_MAX 1024U /* Of a text that is cast to a number; PostgreSQL has no bound. */
#define SHORT_BYTES_MAX (TIME_TEXT_BYTES_MAX + 8)

_Static_assert(SHORT_BYTES_MAX >= DOUBLE_TEXT_BYTES_MAX, "room for a double");

static bool is_space(uint8_t byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static struct column_text trim(struct column_text text)
{
    while (text.byte_count > 0 && is_space(text.bytes[0])) {
        text.bytes++;
        text.byte_count--;
    }
    while (text.byte_count > 0 && is_space(text.bytes[text.byte_count - 1])) {
        text.byte_count--;
    }
    return text;
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

/* A sign and digits. */
static bool read_whole(struct column_text text, int64_t *out)
{
    bool is_negative = text.byte_count > 0 && text.bytes[0] == '-';
    size_t first = text.byte_count > 0 && (text.bytes[0] == '-' || text.bytes[0] == '+');
    int64_t value = 0;
    if (first == text.byte_count) {
        return false;
    }
    /* Downwards, since there is one negative number more. */
    for (size_t i = first; i < text.byte_count; i++) {
        if (!is_digit(text.bytes[i]) || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, text.bytes[i] - '0', &value)) {
            return false;
        }
    }
    return is_negative ? (*out = value, true) : !__builtin_sub_overflow(INT64_C(0), value, out);
}

static bool is_word(struct column_text text, const char *word)
{
    return text.byte_count == strlen(word) &&
           strncasecmp((const char *)text.bytes, word, text.byte_count) == 0;
}

/* Digits with at most one point and an exponent: what strtod() may see. */
static bool is_decimal(struct column_text text)
{
    size_t i = text.byte_count > 0 && (text.bytes[0] == '-' || text.bytes[0] == '+');
    size_t digits = 0;
    bool has_point = false;
    for (; i < text.byte_count && (is_digit(text.bytes[i]) || text.bytes[i] == '.'); i++) {
        if (text.bytes[i] == '.' && has_point) {
            return false;
        }
        has_point = has_point || text.bytes[i] == '.';
        digits += text.bytes[i] != '.';
    }
    if (digits == 0 || i == text.byte_count) {
        return digits > 0;
    }
    if ((text.bytes[i] | 0x20) != 'e') {
        return false;
    }
    i++;
    i += i < text.byte_count && (text.bytes[i] == '-' || text.bytes[i] == '+');
    size_t first = i;
    while (i < text.byte_count && is_digit(text.bytes[i])) {
        i++;
    }
    return i > first && i == text.byte_count;
}

static bool read_double(struct column_text text, double *out)
{
    char number[NUMBER_BYTES_MAX + 1];
    if (text.byte_count > NUMBER_BYTES_MAX) {
        return false;
    }
    if (is_word(text, "nan")) {
        *out = NAN;
        return true;
    }
    bool is_negative = text.byte_count > 0 && text.bytes[0] == '-';
    size_t sign = text.byte_count > 0 && (is_negative || text.bytes[0] == '+');
    struct column_text word = {text.bytes + sign, text.byte_count - sign};
    if (is_word(word, "infinity") || is_word(word, "inf")) {
        *out = is_negative ? -INFINITY : INFINITY;
        return true;
    }
    if (!is_decimal(text)) {
        return false;
    }
    memcpy(number, text.bytes, text.byte_count);
    number[text.byte_count] = '\0';
    errno = 0;
    double value = strtod(number, NULL);
    if (errno == ERANGE && (value == 0 || isinf(value))) {
        return false; /* Too small is refused as too large is; what is just imprecise is not. */
    }
    *out = value;
    return true;
}

/* Any beginning of a word that begins no other. */
static bool read_bool(struct column_text text, bool *out)
{
    static const struct {
        const char *word;
        size_t bytes_min;
        bool value;
    } words[] = {{"true", 1, true}, {"false", 1, false}, {"yes", 1, true}, {"no", 1, false},
                 {"on", 2, true},   {"off", 2, false},   {"1", 1, true},   {"0", 1, false}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (text.byte_count >= words[i].bytes_min && text.byte_count <= strlen(words[i].word) &&
            strncasecmp((const char *)text.bytes, words[i].word, text.byte_count) == 0) {
            *out = words[i].value;
            return true;
        }
    }
    return false;
}

static bool read_value(struct column *column, uint32_t row, struct column_text text)
{
    int64_t whole = 0;
    bool is_true = false;
    const char *bytes = (const char *)text.bytes;
    switch (column->type) {
    case VALUE_BOOL:
        if (!read_bool(text, &is_true)) {
            return false;
        }
        if (is_true) {
            row_bits_set(column->values.bools, row);
        }
        return true;
    case VALUE_INT:
        if (!read_whole(text, &whole) || whole < INT32_MIN || whole > INT32_MAX) {
            return false;
        }
        column->values.ints[row] = (int32_t)whole;
        return true;
    case VALUE_BIGINT:
        return read_whole(text, &column->values.bigints[row]);
    case VALUE_DOUBLE:
        return read_double(text, &column->values.doubles[row]);
    case VALUE_TIMESTAMPTZ:
        return time_text_parse_timestamp(bytes, text.byte_count, &column->values.bigints[row]) ==
               STATUS_OK;
    case VALUE_INTERVAL:
        return time_text_parse_interval(bytes, text.byte_count, &column->values.intervals[row]) ==
               STATUS_OK;
    case VALUE_TEXT:
        break;
    }
    check_unreachable("a text is a text already");
}

enum status expr_cast_text_from(struct expr_call *call)
{
    TRY(expr_call_begin(call));
    for (uint32_t row = 0; row < call->row_count; row++) {
        if (column_is_null(&call->column, row)) {
            continue;
        }
        struct column_text text = column_text(expr_call_column(call, 0), row);
        if (!read_value(&call->column, row, trim(text))) {
            expr_call_fault(call, row);
        }
    }
    return STATUS_OK;
}

/* `2001-01-01 00:00:00+00`: PostgreSQL's way where the time zone is UTC. */
static size_t write_time(int64_t us, char out[SHORT_BYTES_MAX])
{
    size_t byte_count = time_text_format_timestamp(us, out);
    char *letter = strchr(out, 'T');
    check(letter != NULL && byte_count > 0 && out[byte_count - 1] == 'Z');
    *letter = ' ';
    memcpy(out + byte_count - 1, "+00", 4);
    return byte_count + 2;
}

static size_t write_value(const struct column *column, uint32_t row, char out[SHORT_BYTES_MAX])
{
    int written = 0;
    switch (column->type) {
    case VALUE_BOOL:
        written = snprintf(out, SHORT_BYTES_MAX, "%s", column_bool(column, row) ? "true" : "false");
        break;
    case VALUE_INT:
        written = snprintf(out, SHORT_BYTES_MAX, "%d", column->values.ints[row]);
        break;
    case VALUE_BIGINT:
        written = snprintf(out, SHORT_BYTES_MAX, "%lld", (long long)column->values.bigints[row]);
        break;
    case VALUE_DOUBLE:
        return double_text_write(column->values.doubles[row], out);
    case VALUE_TIMESTAMPTZ:
        return write_time(column->values.bigints[row], out);
    case VALUE_INTERVAL:
        return time_text_format_interval(&column->values.intervals[row], out);
    case VALUE_TEXT:
        check_unreachable("a text is a text already");
    }
    check(written > 0 && (size_t)written < SHORT_BYTES_MAX);
    return (size_t)written;
}

enum status expr_cast_text_to(struct expr_call *call)
{
    TRY(expr_call_begin(call));
    size_t capacity = 0;
    size_t end = 0;
    for (uint32_t row = 0; row < call->row_count; row++) {
        if (capacity - end < SHORT_BYTES_MAX) {
            capacity = 2 * capacity + (size_t)16 * call->row_count + SHORT_BYTES_MAX;
            uint8_t *bytes = arena_take(call->arena, capacity);
            if (bytes == NULL) {
                return STATUS_NO_MEMORY;
            }
            memcpy(bytes, call->column.text_bytes, end);
            call->column.text_bytes = bytes;
        }
        if (!column_is_null(&call->column, row)) {
            char text[SHORT_BYTES_MAX];
            size_t byte_count = write_value(expr_call_column(call, 0), row, text);
            memcpy(call->column.text_bytes + end, text, byte_count);
            end += byte_count; /* 65,536 rows of 72 bytes stay far below 2^31. */
        }
        call->column.values.text_ends[row + 1] = (int32_t)end;
    }
    return STATUS_OK;
}
