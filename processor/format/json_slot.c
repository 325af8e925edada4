#include "processor/format/json_slot.h"

#include "processor/format/json_scan.h"
#include "processor/format/json_string.h"
#include "processor/format/json_time.h"
#include "processor/row/decimal_text.h"
#include "processor/text/time_text.h"
#include "proto/sys/check.h"

#include <string.h>

#define TEXT_BYTES_FIRST 8U /* A guess per row. */

enum status json_slot_begin(struct json_slot *self, enum value_type type, uint32_t row_count,
                            struct arena *arena)
{
    struct json_slot slot = {.arena = arena};
    TRY(column_init(&slot.column, type, row_count, arena));
    if (type == VALUE_TEXT) {
        slot.text_capacity = (size_t)row_count * TEXT_BYTES_FIRST;
        slot.column.text_bytes = arena_take(arena, slot.text_capacity);
        if (slot.column.text_bytes == NULL) {
            return STATUS_NO_MEMORY;
        }
    }
    *self = slot;
    return STATUS_OK;
}

enum status json_slot_set_null(struct json_slot *self, uint32_t row)
{
    TRY(column_set_null(&self->column, row, self->arena));
    self->has_null = true;
    if (self->column.type == VALUE_TEXT) {
        self->column.values.text_ends[row + 1] = self->column.values.text_ends[row];
    }
    return STATUS_OK;
}

static const uint8_t *fail(struct json_slot *self, enum json_slot_fault fault)
{
    self->fault = fault;
    return NULL;
}

/* The value is JSON but not of the slot's type; or it is no JSON, which is said first. */
static const uint8_t *fail_type(struct json_slot *self, const uint8_t *next, const uint8_t *end)
{
    return fail(self, json_scan_value(next, end, 1) == NULL ? JSON_SLOT_BROKEN : JSON_SLOT_TYPE);
}

static bool ends_number(uint8_t byte)
{
    return byte == ',' || byte == '}' || byte == ' ' || byte == '\n' || byte == '\r' ||
           byte == '\t';
}

/* The usual way: up to 18 digits and nothing else. NULL: look closer. */
static const uint8_t *read_digits(const uint8_t *next, const uint8_t *end, int64_t *value)
{
    bool is_negative = *next == '-';
    next += is_negative;
    const uint8_t *first = next;
    const uint8_t *limit = end - next > 18 ? next + 18 : end;
    int64_t magnitude = 0;
    while (next < limit && (unsigned)(*next - '0') <= 9) {
        magnitude = magnitude * 10 + (*next - '0');
        next++;
    }
    bool is_plain = next > first && (*first != '0' || next == first + 1) && next < end;
    if (!is_plain || !ends_number(*next)) {
        return NULL;
    }
    *value = is_negative ? -magnitude : magnitude;
    return next;
}

static const uint8_t *read_whole(struct json_slot *self, const uint8_t *next, const uint8_t *end,
                                 int64_t *value)
{
    const uint8_t *after = read_digits(next, end, value);
    if (after != NULL) {
        return after;
    }
    struct decimal_text decimal;
    after = decimal_text_scan(next, end, &decimal);
    if (after == NULL) {
        return fail_type(self, next, end);
    }
    enum status status = decimal_text_to_int64(&decimal, value);
    if (status != STATUS_OK) {
        return fail(self, status == STATUS_INVALID ? JSON_SLOT_FRACTION : JSON_SLOT_RANGE);
    }
    return after;
}

static const uint8_t *read_int(struct json_slot *self, uint32_t row, const uint8_t *next,
                               const uint8_t *end)
{
    int64_t value = 0;
    next = read_whole(self, next, end, &value);
    if (next == NULL) {
        return NULL;
    }
    if (value < INT32_MIN || value > INT32_MAX) {
        return fail(self, JSON_SLOT_RANGE);
    }
    self->column.values.ints[row] = (int32_t)value;
    return next;
}

static const uint8_t *read_double(struct json_slot *self, uint32_t row, const uint8_t *next,
                                  const uint8_t *end)
{
    struct decimal_text decimal;
    const uint8_t *after = decimal_text_scan(next, end, &decimal);
    if (after == NULL) {
        return fail_type(self, next, end);
    }
    if (decimal_text_to_double(&decimal, &self->column.values.doubles[row]) != STATUS_OK) {
        return fail(self, JSON_SLOT_RANGE);
    }
    return after;
}

static const uint8_t *read_bool(struct json_slot *self, uint32_t row, const uint8_t *next,
                                const uint8_t *end)
{
    if (end - next >= 4 && memcmp(next, "true", 4) == 0) {
        row_bits_set(self->column.values.bools, row);
        return next + 4;
    }
    if (end - next >= 5 && memcmp(next, "false", 5) == 0) {
        row_bits_clear(self->column.values.bools, row);
        return next + 5;
    }
    return fail_type(self, next, end);
}

/* More room for text behind what the rows in front of `row` hold. */
static enum status grow_text(struct json_slot *self, uint32_t row, size_t byte_count)
{
    size_t used = (size_t)self->column.values.text_ends[row];
    size_t needed = used + byte_count;
    if (needed > INT32_MAX) {
        return STATUS_NO_MEMORY;
    }
    size_t capacity = 2 * self->text_capacity > needed ? 2 * self->text_capacity : needed;
    uint8_t *bytes = arena_take(self->arena, capacity);
    if (bytes == NULL) {
        return STATUS_NO_MEMORY;
    }
    memcpy(bytes, self->column.text_bytes, used);
    self->column.text_bytes = bytes;
    self->text_capacity = capacity;
    return STATUS_OK;
}

/* Contents of a string, decoded into `out`, which has room for them as they are. */
static bool copy_text(const uint8_t *bytes, size_t byte_count, uint32_t flags, uint8_t *out,
                      size_t *out_byte_count)
{
    if ((flags & JSON_SCAN_ESCAPE) != 0) {
        return json_string_decode(bytes, byte_count, out, out_byte_count);
    }
    if ((flags & JSON_SCAN_HIGH) != 0 && !json_string_is_utf8(bytes, byte_count)) {
        return false;
    }
    memcpy(out, bytes, byte_count);
    *out_byte_count = byte_count;
    return true;
}

static const uint8_t *read_text(struct json_slot *self, uint32_t row, const uint8_t *next,
                                const uint8_t *end)
{
    if (*next != '"') {
        return fail_type(self, next, end);
    }
    uint32_t flags = 0;
    const uint8_t *quote = json_scan_string(next + 1, end, &flags);
    if (quote == NULL) {
        return fail(self, JSON_SLOT_BROKEN);
    }
    size_t byte_count = (size_t)(quote - next) - 1;
    int32_t *ends = self->column.values.text_ends;
    if (byte_count > self->text_capacity - (size_t)ends[row] &&
        grow_text(self, row, byte_count) != STATUS_OK) {
        return fail(self, JSON_SLOT_NO_MEMORY);
    }
    size_t written = 0;
    if (!copy_text(next + 1, byte_count, flags, self->column.text_bytes + ends[row], &written)) {
        return fail(self, JSON_SLOT_CHARACTER);
    }
    ends[row + 1] = ends[row] + (int32_t)written;
    return quote + 1;
}

/* A string for a type that is written as one; escapes in it are rare but allowed. */
struct short_text {
    const uint8_t *bytes;
    size_t byte_count;
    uint8_t decoded[128];
};

/* The string at `next`. Returns what is behind it, or NULL with `fault` set. */
static const uint8_t *read_short(struct json_slot *self, const uint8_t *next, const uint8_t *end,
                                 struct short_text *out)
{
    if (*next != '"') {
        return fail_type(self, next, end);
    }
    uint32_t flags = 0;
    const uint8_t *quote = json_scan_string(next + 1, end, &flags);
    if (quote == NULL) {
        return fail(self, JSON_SLOT_BROKEN);
    }
    out->bytes = next + 1;
    out->byte_count = (size_t)(quote - next) - 1;
    if ((flags & JSON_SCAN_ESCAPE) != 0) {
        size_t byte_count = out->byte_count;
        if (byte_count > sizeof out->decoded ||
            !json_string_decode(out->bytes, byte_count, out->decoded, &out->byte_count)) {
            out->byte_count = 0; /* Longer than any of ours: no time, no interval. */
        }
        out->bytes = out->decoded;
    }
    return quote + 1;
}

static const uint8_t *read_time(struct json_slot *self, uint32_t row, const uint8_t *next,
                                const uint8_t *end)
{
    int64_t *us = &self->column.values.bigints[row];
    /* What nearly all bring: `"2001-01-01T00:00:00Z"`. */
    if (end - next >= 22 && next[0] == '"' && next[21] == '"' && next[20] == 'Z' &&
        json_time_read(next + 1, 20, us) == STATUS_OK) {
        return next + 22;
    }
    struct short_text text;
    const uint8_t *after = read_short(self, next, end, &text);
    if (after == NULL) {
        return NULL;
    }
    enum status status = json_time_read(text.bytes, text.byte_count, us);
    if (status != STATUS_OK) {
        return fail(self, status == STATUS_OUT_OF_RANGE ? JSON_SLOT_RANGE : JSON_SLOT_TIME);
    }
    return after;
}

static const uint8_t *read_interval(struct json_slot *self, uint32_t row, const uint8_t *next,
                                    const uint8_t *end)
{
    struct short_text text;
    const uint8_t *after = read_short(self, next, end, &text);
    if (after == NULL) {
        return NULL;
    }
    enum status status = time_text_parse_interval((const char *)text.bytes, text.byte_count,
                                                  &self->column.values.intervals[row]);
    if (status != STATUS_OK) {
        return fail(self, status == STATUS_OUT_OF_RANGE ? JSON_SLOT_RANGE : JSON_SLOT_INTERVAL);
    }
    return after;
}

static const uint8_t *read_typed(struct json_slot *self, uint32_t row, const uint8_t *next,
                                 const uint8_t *end)
{
    switch (self->column.type) {
    case VALUE_BOOL:
        return read_bool(self, row, next, end);
    case VALUE_INT:
        return read_int(self, row, next, end);
    case VALUE_BIGINT:
        return read_whole(self, next, end, &self->column.values.bigints[row]);
    case VALUE_DOUBLE:
        return read_double(self, row, next, end);
    case VALUE_TEXT:
        return read_text(self, row, next, end);
    case VALUE_TIMESTAMPTZ:
        return read_time(self, row, next, end);
    case VALUE_INTERVAL:
        return read_interval(self, row, next, end);
    }
    check_unreachable("a type that no value has");
}

const uint8_t *json_slot_read(struct json_slot *self, uint32_t row, const uint8_t *next,
                              const uint8_t *end)
{
    if (next == end) {
        return fail(self, JSON_SLOT_BROKEN);
    }
    if (*next == 'n') {
        if (end - next < 4 || memcmp(next, "null", 4) != 0) {
            return fail(self, JSON_SLOT_BROKEN);
        }
        if (json_slot_set_null(self, row) != STATUS_OK) {
            return fail(self, JSON_SLOT_NO_MEMORY);
        }
        return next + 4;
    }
    if (self->has_null) {
        row_bits_set(self->column.validity, row);
    }
    return read_typed(self, row, next, end);
}
