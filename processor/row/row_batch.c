#include "processor/row/row_batch.h"

#include "proto/sys/check.h"

#include <string.h>

/* Values of one array of an origin or of times, `value_bytes` each; a missing array stays so. */
static enum status gather_array(const void *from, size_t value_bytes, const uint32_t *rows,
                                uint32_t row_count, struct arena *arena, void **out_array)
{
    if (from == NULL) {
        *out_array = NULL;
        return STATUS_OK;
    }
    uint8_t *to = arena_take(arena, (size_t)row_count * value_bytes);
    if (to == NULL) {
        return STATUS_NO_MEMORY;
    }
    const uint8_t *bytes = from;
    for (uint32_t i = 0; i < row_count; i++) {
        memcpy(to + (size_t)i * value_bytes, bytes + (size_t)rows[i] * value_bytes, value_bytes);
    }
    *out_array = to;
    return STATUS_OK;
}

#define GATHER(field)                                                                              \
    do {                                                                                           \
        void *array_ = NULL;                                                                       \
        TRY(gather_array(self->field, sizeof *self->field, rows, row_count, arena, &array_));      \
        out->field = array_;                                                                       \
    } while (0)

static enum status gather_origin(const struct row_origin *self, const uint32_t *rows,
                                 uint32_t row_count, struct arena *arena,
                                 struct row_origin **out_origin)
{
    struct row_origin *out = arena_take_array(arena, 1, sizeof *out);
    if (out == NULL) {
        return STATUS_NO_MEMORY;
    }
    out->partition = self->partition;
    GATHER(offsets);
    GATHER(created_ms);
    GATHER(ingested_ms);
    GATHER(keys);
    GATHER(values);
    GATHER(headers);
    GATHER(headers_ends);
    GATHER(header_counts);
    *out_origin = out;
    return STATUS_OK;
}

static enum status gather_columns(const struct column *from, uint32_t column_count,
                                  const uint32_t *rows, uint32_t row_count, struct arena *arena,
                                  struct column **out_columns)
{
    if (from == NULL) {
        *out_columns = NULL;
        return STATUS_OK;
    }
    struct column *columns = arena_take_array(arena, column_count, sizeof *columns);
    if (columns == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < column_count; i++) {
        TRY(column_gather(&from[i], rows, row_count, arena, &columns[i]));
    }
    *out_columns = columns;
    return STATUS_OK;
}

enum status row_batch_gather(const struct row_batch *self, const uint32_t *rows, uint32_t row_count,
                             struct arena *arena, struct row_batch *out_batch)
{
    check(row_count <= ROW_BATCH_ROWS_MAX);
    struct row_batch gathered = {.arena = arena,
                                 .row_count = row_count,
                                 .column_count = self->column_count,
                                 .key_column_count = self->key_column_count};
    struct row_batch *out = &gathered;
    TRY(gather_columns(self->columns, self->column_count, rows, row_count, arena, &out->columns));
    TRY(gather_columns(self->key_columns, self->key_column_count, rows, row_count, arena,
                       &out->key_columns));
    if (self->origin != NULL) {
        TRY(gather_origin(self->origin, rows, row_count, arena, &out->origin));
    }
    GATHER(kinds);
    GATHER(created_max_ms);
    GATHER(ingested_max_ms);
    GATHER(record_time_ms);
    *out_batch = gathered;
    return STATUS_OK;
}

/* Numbers of the rows whose bit is set. `rows` has a place for each row. */
static uint32_t select_list(const uint8_t *keep, uint32_t row_count, uint32_t *rows)
{
    uint32_t count = 0;
    for (size_t i = 0; i < row_bits_byte_count(row_count); i++) {
        uint32_t bits = keep[i] & row_bits_mask(row_count, i);
        while (bits != 0) {
            rows[count++] = (uint32_t)(i * 8) + (uint32_t)__builtin_ctz(bits);
            bits &= bits - 1;
        }
    }
    return count;
}

enum status row_batch_select(const struct row_batch *self, const uint8_t *keep, struct arena *arena,
                             struct row_batch *out_batch)
{
    check(self->row_count <= ROW_BATCH_ROWS_MAX);
    uint32_t *rows = arena_take(arena, (size_t)self->row_count * sizeof *rows);
    if (rows == NULL) {
        return STATUS_NO_MEMORY;
    }
    uint32_t row_count = select_list(keep, self->row_count, rows);
    if (row_count == self->row_count) {
        *out_batch = *self; /* Nothing leaves: the arrays are shared. */
        return STATUS_OK;
    }
    return row_batch_gather(self, rows, row_count, arena, out_batch);
}

/* Together three quarters of what a task has for a batch. */
#define ROOM_VALUE_BYTES ((size_t)64 << 20)
#define ROOM_TEXT_BYTES ((size_t)128 << 20)
/* Of a row in one column: the value, its bit, and room for what comes and goes. */
#define VALUE_BYTES 32U

struct row_batch_room row_batch_room_of(uint64_t column_count, struct row_batch_room most)
{
    check(most.row_count > 0);
    column_count = column_count == 0 ? 1 : column_count;
    uint64_t row_count = ROOM_VALUE_BYTES / VALUE_BYTES / column_count;
    uint64_t byte_count = ROOM_TEXT_BYTES / column_count;
    row_count = row_count > most.row_count ? most.row_count : row_count;
    byte_count = byte_count > most.byte_count ? most.byte_count : byte_count;
    return (struct row_batch_room){.row_count = row_count == 0 ? 1 : (uint32_t)row_count,
                                   .byte_count = byte_count == 0 ? 1 : (size_t)byte_count};
}
