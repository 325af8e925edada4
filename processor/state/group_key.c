#include "processor/state/group_key.h"

#include "proto/sys/check.h"
#include "proto/wire/big_endian.h"

#include <string.h>
#include <xxhash.h>

enum { TAG_VALUE = 1, TAG_NULL = 2 };
enum { TEXT_ZERO = 0xff, TEXT_END = 0x01 };

#define INT_SIGN 0x80000000U
#define BIGINT_SIGN 0x8000000000000000U

/* ---- numbers, so that they sort as bytes */

static uint64_t bits_of_double(double value)
{
    value = value == 0 ? 0 : value; /* Without the sign. */
    if (value != value) {
        return UINT64_MAX;
    }
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof bits);
    return (bits & BIGINT_SIGN) != 0 ? ~bits : bits | BIGINT_SIGN;
}

static double double_of_bits(uint64_t bits)
{
    if (bits == UINT64_MAX) {
        return __builtin_nan("");
    }
    bits = (bits & BIGINT_SIGN) != 0 ? bits & ~BIGINT_SIGN : ~bits;
    double value = 0;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* ---- encoding: sizes of all rows, then column after column at each row's cursor */

/* Of a value that is not null and no text. */
static uint32_t fixed_bytes(enum value_type type)
{
    switch (type) {
    case VALUE_BOOL:
        return 1;
    case VALUE_INT:
        return 4;
    case VALUE_BIGINT:
    case VALUE_DOUBLE:
    case VALUE_TIMESTAMPTZ:
        return 8;
    case VALUE_INTERVAL:
        return 16;
    case VALUE_TEXT:
        return 0;
    }
    check_unreachable("a value has a type");
}

static uint32_t text_bytes(const struct column *column, uint32_t row)
{
    return (uint32_t)(column->values.text_ends[row + 1] - column->values.text_ends[row]);
}

static bool text_has_zeros(const struct column *column)
{
    size_t byte_count = (size_t)column->values.text_ends[column->row_count];
    return byte_count > 0 && memchr(column->text_bytes, 0, byte_count) != NULL;
}

static uint32_t zero_count(const uint8_t *bytes, uint32_t byte_count)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < byte_count; i++) {
        count += bytes[i] == 0 ? 1U : 0U;
    }
    return count;
}

static void encode_add_sizes(const struct column *column, uint32_t row_count, uint32_t *sizes)
{
    bool is_text = column->type == VALUE_TEXT;
    bool has_zeros = is_text && text_has_zeros(column);
    uint32_t value_bytes = fixed_bytes(column->type);
    for (uint32_t i = 0; i < row_count; i++) {
        if (column_is_null(column, i)) {
            sizes[i] += 1;
            continue;
        }
        sizes[i] += 1 + value_bytes;
        if (is_text) {
            sizes[i] += text_bytes(column, i) + 2;
        }
        if (has_zeros) {
            sizes[i] +=
                zero_count(column->text_bytes + column->values.text_ends[i], text_bytes(column, i));
        }
    }
}

static void encode_fixed(const struct column *column, uint32_t row, uint8_t *place)
{
    switch (column->type) {
    case VALUE_BOOL:
        place[0] = column_bool(column, row) ? 1 : 0;
        break;
    case VALUE_INT:
        big_endian_put32(place, (uint32_t)column->values.ints[row] ^ INT_SIGN);
        break;
    case VALUE_BIGINT:
    case VALUE_TIMESTAMPTZ:
        big_endian_put64(place, (uint64_t)column->values.bigints[row] ^ BIGINT_SIGN);
        break;
    case VALUE_DOUBLE:
        big_endian_put64(place, bits_of_double(column->values.doubles[row]));
        break;
    case VALUE_INTERVAL:
        big_endian_put32(place, (uint32_t)column->values.intervals[row].months ^ INT_SIGN);
        big_endian_put32(place + 4, (uint32_t)column->values.intervals[row].days ^ INT_SIGN);
        big_endian_put64(place + 8, (uint64_t)column->values.intervals[row].micros ^ BIGINT_SIGN);
        break;
    case VALUE_TEXT:
        check_unreachable("text has no fixed size");
    }
}

static uint8_t *encode_text(const uint8_t *text, uint32_t byte_count, bool has_zeros,
                            uint8_t *place)
{
    if (has_zeros) {
        for (uint32_t i = 0; i < byte_count; i++) {
            *place = text[i];
            place += 1;
            if (text[i] == 0) {
                *place = TEXT_ZERO;
                place += 1;
            }
        }
    } else if (byte_count > 0) {
        memcpy(place, text, byte_count);
        place += byte_count;
    }
    place[0] = 0;
    place[1] = TEXT_END;
    return place + 2;
}

static void encode_column(const struct column *column, uint32_t row_count, uint8_t *bytes,
                          uint32_t *cursors)
{
    bool is_text = column->type == VALUE_TEXT;
    bool has_zeros = is_text && text_has_zeros(column);
    uint32_t value_bytes = fixed_bytes(column->type);
    for (uint32_t i = 0; i < row_count; i++) {
        uint8_t *place = bytes + cursors[i];
        if (column_is_null(column, i)) {
            *place = TAG_NULL;
            cursors[i] += 1;
            continue;
        }
        *place = TAG_VALUE;
        if (is_text) {
            place = encode_text(column->text_bytes + column->values.text_ends[i],
                                text_bytes(column, i), has_zeros, place + 1);
            cursors[i] = (uint32_t)(place - bytes);
        } else {
            encode_fixed(column, i, place + 1);
            cursors[i] += 1 + value_bytes;
        }
    }
}

enum status group_key_encode(const struct column *columns, uint32_t column_count,
                             uint32_t row_count, struct arena *arena, struct group_keys *out_keys)
{
    uint32_t *ends = arena_take_array(arena, (size_t)row_count + 1, sizeof *ends);
    uint32_t *cursors = arena_take_array(arena, row_count, sizeof *cursors);
    uint64_t *hashes = arena_take_array(arena, row_count, sizeof *hashes);
    if (ends == NULL || cursors == NULL || hashes == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < column_count; i++) {
        check(columns[i].row_count >= row_count);
        encode_add_sizes(&columns[i], row_count, cursors);
    }
    uint64_t total = 0;
    for (uint32_t i = 0; i < row_count; i++) {
        uint32_t size = cursors[i];
        cursors[i] = (uint32_t)total;
        total += size;
        if (total > UINT32_MAX) {
            return STATUS_FULL;
        }
        ends[i + 1] = (uint32_t)total;
    }
    uint8_t *bytes = arena_take(arena, (size_t)total);
    if (bytes == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < column_count; i++) {
        encode_column(&columns[i], row_count, bytes, cursors);
    }
    for (uint32_t i = 0; i < row_count; i++) {
        check(cursors[i] == ends[i + 1]);
        hashes[i] = XXH3_64bits(bytes + ends[i], ends[i + 1] - ends[i]);
    }
    *out_keys = (struct group_keys){.bytes = bytes, .ends = ends, .hashes = hashes};
    return STATUS_OK;
}

uint64_t group_key_hash(struct wire_bytes key)
{
    check(key.byte_count >= 0);
    return XXH3_64bits(key.bytes, (size_t)key.byte_count);
}

int group_key_compare(struct wire_bytes left, struct wire_bytes right)
{
    int32_t shorter = left.byte_count < right.byte_count ? left.byte_count : right.byte_count;
    int order = shorter > 0 ? memcmp(left.bytes, right.bytes, (size_t)shorter) : 0;
    if (order != 0) {
        return order;
    }
    return (left.byte_count > right.byte_count) - (left.byte_count < right.byte_count);
}

/* ---- decoding */

/* Behind one text, whose size without escapes goes to `out_byte_count`; NULL: it has no end. */
static const uint8_t *skip_text(const uint8_t *next, const uint8_t *end, uint32_t *out_byte_count)
{
    uint32_t byte_count = 0;
    while (next < end) {
        if (*next != 0) {
            next += 1;
            byte_count += 1;
            continue;
        }
        if (end - next < 2 || (next[1] != TEXT_ZERO && next[1] != TEXT_END)) {
            return NULL;
        }
        if (next[1] == TEXT_END) {
            *out_byte_count = byte_count;
            return next + 2;
        }
        byte_count += 1;
        next += 2;
    }
    return NULL;
}

/* Behind one value with its tag; NULL: it is none. */
static const uint8_t *check_value(enum value_type type, const uint8_t *next, const uint8_t *end)
{
    if (next == end || (*next != TAG_VALUE && *next != TAG_NULL)) {
        return NULL;
    }
    bool is_null = *next == TAG_NULL;
    next += 1;
    if (is_null) {
        return next;
    }
    if (type == VALUE_TEXT) {
        uint32_t byte_count = 0;
        return skip_text(next, end, &byte_count);
    }
    uint32_t value_bytes = fixed_bytes(type);
    if ((size_t)(end - next) < value_bytes) {
        return NULL;
    }
    if (type == VALUE_BOOL && *next > 1) {
        return NULL;
    }
    return next + value_bytes;
}

enum status group_key_check(const enum value_type *types, uint32_t column_count,
                            struct wire_bytes key)
{
    if (key.byte_count < 0) {
        return STATUS_MALFORMED;
    }
    const uint8_t *next = key.bytes;
    const uint8_t *end = next == NULL ? NULL : next + key.byte_count;
    for (uint32_t i = 0; i < column_count; i++) {
        next = check_value(types[i], next, end);
        if (next == NULL) {
            return STATUS_MALFORMED;
        }
    }
    return next == end ? STATUS_OK : STATUS_MALFORMED;
}

static void decode_fixed(struct column *column, uint32_t row, const uint8_t *place)
{
    switch (column->type) {
    case VALUE_BOOL:
        if (place[0] != 0) {
            row_bits_set(column->values.bools, row);
        }
        break;
    case VALUE_INT:
        column->values.ints[row] = (int32_t)(big_endian_get32(place) ^ INT_SIGN);
        break;
    case VALUE_BIGINT:
    case VALUE_TIMESTAMPTZ:
        column->values.bigints[row] = (int64_t)(big_endian_get64(place) ^ BIGINT_SIGN);
        break;
    case VALUE_DOUBLE:
        column->values.doubles[row] = double_of_bits(big_endian_get64(place));
        break;
    case VALUE_INTERVAL:
        column->values.intervals[row] =
            (struct interval){.months = (int32_t)(big_endian_get32(place) ^ INT_SIGN),
                              .days = (int32_t)(big_endian_get32(place + 4) ^ INT_SIGN),
                              .micros = (int64_t)(big_endian_get64(place + 8) ^ BIGINT_SIGN)};
        break;
    case VALUE_TEXT:
        check_unreachable("text has no fixed size");
    }
}

/* Appends the text to the column's bytes; returns what follows it. */
static const uint8_t *decode_text(struct column *column, uint32_t row, const uint8_t *place,
                                  const uint8_t *end)
{
    uint32_t byte_count = 0;
    const uint8_t *behind = skip_text(place, end, &byte_count);
    check(behind != NULL);
    int32_t start = column->values.text_ends[row];
    for (uint32_t i = 0; i < byte_count; i++) {
        column->text_bytes[(uint32_t)start + i] = *place;
        place += *place == 0 ? 2 : 1;
    }
    column->values.text_ends[row + 1] = start + (int32_t)byte_count;
    return behind;
}

/* All rows of one column; `cursors` move behind it. */
static enum status decode_column(struct column *column, const struct wire_bytes *keys,
                                 uint32_t row_count, struct arena *arena, uint32_t *cursors)
{
    for (uint32_t i = 0; i < row_count; i++) {
        const uint8_t *place = keys[i].bytes + cursors[i];
        const uint8_t *end = keys[i].bytes + keys[i].byte_count;
        check(place < end);
        if (*place == TAG_NULL) {
            TRY(column_set_null(column, i, arena));
            if (column->type == VALUE_TEXT) {
                column->values.text_ends[i + 1] = column->values.text_ends[i];
            }
            cursors[i] += 1;
        } else if (column->type == VALUE_TEXT) {
            place = decode_text(column, i, place + 1, end);
            cursors[i] = (uint32_t)(place - keys[i].bytes);
        } else {
            decode_fixed(column, i, place + 1);
            cursors[i] += 1 + fixed_bytes(column->type);
        }
    }
    return STATUS_OK;
}

enum status group_key_decode(const enum value_type *types, uint32_t column_count,
                             const struct wire_bytes *keys, uint32_t row_count, struct arena *arena,
                             struct column *out_columns)
{
    uint32_t *cursors = arena_take_array(arena, row_count, sizeof *cursors);
    if (cursors == NULL) {
        return STATUS_NO_MEMORY;
    }
    size_t byte_count = 0; /* No text is longer than the keys together. */
    for (uint32_t i = 0; i < row_count; i++) {
        byte_count += (size_t)keys[i].byte_count;
    }
    if (byte_count > INT32_MAX) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < column_count; i++) {
        TRY(column_init(&out_columns[i], types[i], row_count, arena));
        if (types[i] == VALUE_TEXT) {
            out_columns[i].text_bytes = arena_take(arena, byte_count);
            if (out_columns[i].text_bytes == NULL) {
                return STATUS_NO_MEMORY;
            }
        }
        TRY(decode_column(&out_columns[i], keys, row_count, arena, cursors));
    }
    return STATUS_OK;
}
