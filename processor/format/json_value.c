#include "processor/format/json_value.h"

#include "processor/format/json_string.h"
#include "processor/format/json_time.h"
#include "processor/row/double_text.h"
#include "processor/text/time_text.h"
#include "proto/sys/check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define SHORT_BYTES_MAX (TIME_TEXT_BYTES_MAX + 2) /* Of anything but a text. */

static size_t write_word(const char *word, uint8_t *out)
{
    size_t byte_count = strlen(word);
    memcpy(out, word, byte_count);
    return byte_count;
}

static size_t write_whole(int64_t value, uint8_t *out)
{
    uint8_t digits[20];
    size_t count = 0;
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[sizeof digits - ++count] = (uint8_t)('0' + magnitude % 10);
        magnitude /= 10;
    } while (magnitude != 0);
    size_t sign = value < 0;
    out[0] = '-';
    memcpy(out + sign, digits + sizeof digits - count, count);
    return count + sign;
}

static size_t write_double(double value, uint8_t *out)
{
    if (!isfinite(value)) {
        return write_word("null", out);
    }
    char text[DOUBLE_TEXT_BYTES_MAX];
    size_t byte_count = double_text_write(value, text);
    memcpy(out, text, byte_count);
    return byte_count;
}

static size_t write_time(int64_t us, uint8_t *out)
{
    out[0] = '"';
    size_t byte_count = json_time_write(us, out + 1);
    out[1 + byte_count] = '"';
    return byte_count + 2;
}

static size_t write_interval(const struct interval *interval, uint8_t *out)
{
    char text[TIME_TEXT_BYTES_MAX];
    size_t byte_count = time_text_format_interval(interval, text);
    out[0] = '"';
    memcpy(out + 1, text, byte_count); /* Digits, words and signs: nothing to escape. */
    out[1 + byte_count] = '"';
    return byte_count + 2;
}

_Static_assert(SHORT_BYTES_MAX >= DOUBLE_TEXT_BYTES_MAX, "room for a double");
_Static_assert(SHORT_BYTES_MAX >= JSON_TIME_BYTES_MAX + 2, "room for a time in quotes");

static size_t write_short(const struct column *column, uint32_t row, uint8_t *out)
{
    switch (column->type) {
    case VALUE_BOOL:
        return write_word(column_bool(column, row) ? "true" : "false", out);
    case VALUE_INT:
        return write_whole(column->values.ints[row], out);
    case VALUE_BIGINT:
        return write_whole(column->values.bigints[row], out);
    case VALUE_DOUBLE:
        return write_double(column->values.doubles[row], out);
    case VALUE_TIMESTAMPTZ:
        return write_time(column->values.bigints[row], out);
    case VALUE_INTERVAL:
        return write_interval(&column->values.intervals[row], out);
    case VALUE_TEXT:
        break;
    }
    check_unreachable("texts are written elsewhere");
}

enum status json_value_write(const struct column *column, uint32_t row, uint8_t *bytes,
                             size_t capacity, size_t *out_byte_count)
{
    check(row < column->row_count);
    if (column->type == VALUE_TEXT && !column_is_null(column, row)) {
        struct column_text text = column_text(column, row);
        return json_string_write(text.bytes, text.byte_count, bytes, capacity, out_byte_count);
    }
    uint8_t value[SHORT_BYTES_MAX];
    size_t byte_count =
        column_is_null(column, row) ? write_word("null", value) : write_short(column, row, value);
    check(byte_count <= sizeof value);
    if (byte_count > capacity) {
        return STATUS_FULL;
    }
    memcpy(bytes, value, byte_count);
    *out_byte_count = byte_count;
    return STATUS_OK;
}
