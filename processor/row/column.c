#include "processor/row/column.h"

#include "proto/sys/check.h"

#include <string.h>

_Static_assert(sizeof(struct interval) == 16, "Arrow's layout of an interval");

size_t column_value_bytes(enum value_type type)
{
    switch (type) {
    case VALUE_BOOL:
    case VALUE_TEXT:
        return 0;
    case VALUE_INT:
        return sizeof(int32_t);
    case VALUE_BIGINT:
    case VALUE_TIMESTAMPTZ:
        return sizeof(int64_t);
    case VALUE_DOUBLE:
        return sizeof(double);
    case VALUE_INTERVAL:
        return sizeof(struct interval);
    }
    check_unreachable("a type that no value has");
}

enum status column_init(struct column *self, enum value_type type, uint32_t row_count,
                        struct arena *arena)
{
    size_t value_bytes = column_value_bytes(type);
    size_t count = row_count;
    if (type == VALUE_BOOL) {
        value_bytes = 1;
        count = row_bits_byte_count(row_count);
    } else if (type == VALUE_TEXT) {
        value_bytes = sizeof(int32_t);
        count = (size_t)row_count + 1;
    }
    uint8_t *values = arena_take_array(arena, count, value_bytes);
    if (values == NULL) {
        return STATUS_NO_MEMORY;
    }
    *self = (struct column){.type = type, .row_count = row_count};
    self->values.bools = values;
    self->text_bytes = type == VALUE_TEXT ? arena_take(arena, 0) : NULL;
    return STATUS_OK;
}

enum status column_need_validity(struct column *self, struct arena *arena)
{
    if (self->validity != NULL) {
        return STATUS_OK;
    }
    size_t byte_count = row_bits_byte_count(self->row_count);
    uint8_t *validity = arena_take(arena, byte_count);
    if (validity == NULL) {
        return STATUS_NO_MEMORY;
    }
    memset(validity, 0xff, byte_count);
    self->validity = validity;
    return STATUS_OK;
}

enum status column_set_null(struct column *self, uint32_t row, struct arena *arena)
{
    check(row < self->row_count);
    TRY(column_need_validity(self, arena));
    row_bits_clear(self->validity, row);
    return STATUS_OK;
}

static void gather_bits(const uint8_t *from, const uint32_t *rows, uint32_t row_count, uint8_t *to)
{
    for (uint32_t i = 0; i < row_count; i++) {
        if (row_bits_get(from, rows[i])) {
            row_bits_set(to, i);
        }
    }
}

static enum status gather_text(const struct column *self, const uint32_t *rows, struct arena *arena,
                               struct column *out)
{
    int64_t byte_count = 0;
    for (uint32_t i = 0; i < out->row_count; i++) {
        byte_count += self->values.text_ends[rows[i] + 1] - self->values.text_ends[rows[i]];
    }
    if (byte_count > INT32_MAX) {
        return STATUS_FULL;
    }
    out->text_bytes = arena_take(arena, (size_t)byte_count);
    if (out->text_bytes == NULL) {
        return STATUS_NO_MEMORY;
    }
    int32_t end = 0;
    for (uint32_t i = 0; i < out->row_count; i++) {
        struct column_text text = column_text(self, rows[i]);
        memcpy(out->text_bytes + end, text.bytes, text.byte_count);
        end += (int32_t)text.byte_count;
        out->values.text_ends[i + 1] = end;
    }
    check(end == byte_count);
    return STATUS_OK;
}

static void gather_fixed(const struct column *self, const uint32_t *rows, struct column *out)
{
    switch (column_value_bytes(self->type)) {
    case 4:
        for (uint32_t i = 0; i < out->row_count; i++) {
            out->values.ints[i] = self->values.ints[rows[i]];
        }
        return;
    case 8:
        for (uint32_t i = 0; i < out->row_count; i++) {
            out->values.bigints[i] = self->values.bigints[rows[i]];
        }
        return;
    default:
        check(column_value_bytes(self->type) == sizeof(struct interval));
        for (uint32_t i = 0; i < out->row_count; i++) {
            out->values.intervals[i] = self->values.intervals[rows[i]];
        }
        return;
    }
}

enum status column_gather(const struct column *self, const uint32_t *rows, uint32_t row_count,
                          struct arena *arena, struct column *out_column)
{
    struct column gathered;
    TRY(column_init(&gathered, self->type, row_count, arena));
    if (self->validity != NULL) {
        gathered.validity = arena_take_array(arena, row_bits_byte_count(row_count), 1);
        if (gathered.validity == NULL) {
            return STATUS_NO_MEMORY;
        }
        gather_bits(self->validity, rows, row_count, gathered.validity);
    }
    if (self->type == VALUE_BOOL) {
        gather_bits(self->values.bools, rows, row_count, gathered.values.bools);
    } else if (self->type == VALUE_TEXT) {
        TRY(gather_text(self, rows, arena, &gathered));
    } else {
        gather_fixed(self, rows, &gathered);
    }
    *out_column = gathered;
    return STATUS_OK;
}
