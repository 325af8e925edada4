#include "processor/operator/system_columns.h"

#include "proto/sys/check.h"

#include <string.h>

enum status system_columns_type(uint32_t number, enum value_type *out_type)
{
    static const enum value_type types[] = {
        [MILLRACE__PLAN__SYSTEM_COLUMN__SYSTEM_CREATED_AT] = VALUE_TIMESTAMPTZ,
        [MILLRACE__PLAN__SYSTEM_COLUMN__SYSTEM_INGESTED_AT] = VALUE_TIMESTAMPTZ,
        [MILLRACE__PLAN__SYSTEM_COLUMN__SYSTEM_PROCESSED_AT] = VALUE_TIMESTAMPTZ,
        [MILLRACE__PLAN__SYSTEM_COLUMN__SYSTEM_TOPIC] = VALUE_TEXT,
        [MILLRACE__PLAN__SYSTEM_COLUMN__SYSTEM_PARTITION] = VALUE_INT,
        [MILLRACE__PLAN__SYSTEM_COLUMN__SYSTEM_OFFSET] = VALUE_BIGINT,
        [MILLRACE__PLAN__SYSTEM_COLUMN__SYSTEM_KEY] = VALUE_TEXT};
    if (number >= sizeof types / sizeof types[0]) {
        return STATUS_INVALID;
    }
    *out_type = types[number];
    return STATUS_OK;
}

/* Microseconds of a time in ms; null where it is not known or cannot be said. */
static enum status make_times(const int64_t *times_ms, struct arena *arena, struct column *column)
{
    for (uint32_t i = 0; i < column->row_count; i++) {
        bool is_known = times_ms[i] >= 0 && times_ms[i] <= INT64_MAX / 1000;
        column->values.bigints[i] = is_known ? times_ms[i] * 1000 : 0;
        if (!is_known) {
            TRY(column_set_null(column, i, arena));
        }
    }
    return STATUS_OK;
}

static enum status make_text(const struct wire_bytes *texts, struct arena *arena,
                             struct column *column)
{
    uint64_t byte_count = 0;
    for (uint32_t i = 0; i < column->row_count; i++) {
        byte_count += texts[i].byte_count > 0 ? (uint64_t)texts[i].byte_count : 0;
    }
    if (byte_count > INT32_MAX) {
        return STATUS_FULL;
    }
    column->text_bytes = arena_take(arena, (size_t)byte_count);
    if (column->text_bytes == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < column->row_count; i++) {
        int32_t start = column->values.text_ends[i];
        int32_t count = texts[i].byte_count > 0 ? texts[i].byte_count : 0;
        if (count > 0) {
            memcpy(column->text_bytes + start, texts[i].bytes, (size_t)count);
        }
        column->values.text_ends[i + 1] = start + count;
        if (texts[i].byte_count < 0) {
            TRY(column_set_null(column, i, arena));
        }
    }
    return STATUS_OK;
}

static enum status make_topic(const char *topic, struct arena *arena, struct column *column)
{
    struct wire_bytes *texts = arena_take_array(arena, column->row_count, sizeof *texts);
    if (texts == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < column->row_count; i++) {
        texts[i] = (struct wire_bytes){.bytes = (const uint8_t *)topic,
                                       .byte_count = (int32_t)strlen(topic)};
    }
    return make_text(texts, arena, column);
}

enum status system_columns_make(uint32_t number, const struct row_batch *rows,
                                const struct system_columns_of *of, struct arena *arena,
                                struct column *out_column)
{
    const struct row_origin *origin = rows->origin;
    check(origin != NULL);
    enum value_type type = VALUE_BOOL;
    TRY(system_columns_type(number, &type));
    TRY(column_init(out_column, type, rows->row_count, arena));
    switch ((Millrace__Plan__SystemColumn)number) {
    case MILLRACE__PLAN__SYSTEM_COLUMN__SYSTEM_CREATED_AT:
        return make_times(origin->created_ms, arena, out_column);
    case MILLRACE__PLAN__SYSTEM_COLUMN__SYSTEM_INGESTED_AT:
        return make_times(origin->ingested_ms, arena, out_column);
    case MILLRACE__PLAN__SYSTEM_COLUMN__SYSTEM_PROCESSED_AT:
        for (uint32_t i = 0; i < rows->row_count; i++) {
            out_column->values.bigints[i] = of->processed_ms * 1000;
        }
        return STATUS_OK;
    case MILLRACE__PLAN__SYSTEM_COLUMN__SYSTEM_TOPIC:
        return make_topic(of->topic, arena, out_column);
    case MILLRACE__PLAN__SYSTEM_COLUMN__SYSTEM_PARTITION:
        for (uint32_t i = 0; i < rows->row_count; i++) {
            out_column->values.ints[i] = origin->partition;
        }
        return STATUS_OK;
    case MILLRACE__PLAN__SYSTEM_COLUMN__SYSTEM_OFFSET:
        memcpy(out_column->values.bigints, origin->offsets, rows->row_count * sizeof(int64_t));
        return STATUS_OK;
    case MILLRACE__PLAN__SYSTEM_COLUMN__SYSTEM_KEY:
        return make_text(origin->keys, arena, out_column);
    case _MILLRACE__PLAN__SYSTEM_COLUMN_IS_INT_SIZE:
        break;
    }
    check_unreachable("its type was known");
}
