#include "processor/operator/emission.h"

#include "processor/state/group_key.h"
#include "proto/sys/check.h"

/* Of keys and texts of a batch; what is computed of them takes a multiple of it. */
#define BATCH_TEXT_BYTES ((size_t)2 << 20)

struct row_batch_room emission_room(const struct aggregation *aggregation, uint64_t column_count)
{
    return row_batch_room_of(column_count + aggregation_column_count(aggregation),
                             (struct row_batch_room){EMISSION_ROWS_MAX, BATCH_TEXT_BYTES});
}

static size_t text_bytes(const struct aggregation *aggregation, const struct group *group)
{
    const struct state_codec *codec = &aggregation->codec;
    size_t byte_count = group->key_byte_count;
    for (uint32_t i = 0; i < codec->aggregate_count; i++) {
        bool is_text = aggregate_result_type(&codec->aggregates[i]) == VALUE_TEXT;
        if (is_text && group->states[i].count > 0) {
            byte_count += group->states[i].value.text.byte_count;
        }
    }
    return byte_count;
}

uint32_t emission_count(const struct aggregation *aggregation, struct group *const *groups,
                        size_t group_count, struct row_batch_room room)
{
    uint32_t count = 0;
    size_t byte_count = 0;
    while (count < group_count && count < room.row_count && byte_count < room.byte_count) {
        byte_count += text_bytes(aggregation, groups[count]);
        count += 1;
    }
    return count;
}

static enum status make_windows(const struct aggregation *aggregation, struct group *const *groups,
                                struct row_batch *rows)
{
    TRY(column_init(&rows->columns[0], VALUE_TIMESTAMPTZ, rows->row_count, rows->arena));
    TRY(column_init(&rows->columns[1], VALUE_TIMESTAMPTZ, rows->row_count, rows->arena));
    for (uint32_t i = 0; i < rows->row_count; i++) {
        if (aggregation->has_window) {
            rows->columns[0].values.bigints[i] = groups[i]->window_start;
            rows->columns[1].values.bigints[i] = groups[i]->window_start + aggregation->size_us;
        } else {
            TRY(column_set_null(&rows->columns[0], i, rows->arena));
            TRY(column_set_null(&rows->columns[1], i, rows->arena));
        }
    }
    return STATUS_OK;
}

static enum status make_keys(const struct aggregation *aggregation, struct group *const *groups,
                             struct row_batch *rows)
{
    struct wire_bytes *keys = arena_take_array(rows->arena, rows->row_count, sizeof *keys);
    if (keys == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < rows->row_count; i++) {
        keys[i] = group_table_key(groups[i]);
    }
    rows->key_columns = rows->columns + 2;
    rows->key_column_count = aggregation->codec.key_count;
    return group_key_decode(aggregation->codec.key_types, aggregation->codec.key_count, keys,
                            rows->row_count, rows->arena, rows->key_columns);
}

static enum status make_results(const struct aggregation *aggregation, struct group *const *groups,
                                struct row_batch *rows, struct emission_fault *out_fault)
{
    const struct state_codec *codec = &aggregation->codec;
    uint8_t *misfits = arena_take_array(rows->arena, row_bits_byte_count(rows->row_count), 1);
    if (misfits == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < codec->aggregate_count; i++) {
        struct aggregate_rows states = {.groups = groups, .row_count = rows->row_count, .index = i};
        TRY(aggregate_result(&codec->aggregates[i], &states, rows->arena, misfits,
                             &rows->columns[2 + codec->key_count + i]));
        for (uint32_t row = 0; row < rows->row_count; row++) {
            if (row_bits_get(misfits, row)) {
                *out_fault = (struct emission_fault){.row = row, .call = i};
                return STATUS_INVALID;
            }
        }
    }
    return STATUS_OK;
}

static enum status make_times(const struct aggregation *aggregation, struct group *const *groups,
                              struct row_batch *rows)
{
    size_t byte_count = rows->row_count * sizeof(int64_t);
    rows->created_max_ms = arena_take(rows->arena, byte_count);
    rows->ingested_max_ms = arena_take(rows->arena, byte_count);
    rows->record_time_ms = arena_take(rows->arena, byte_count);
    rows->kinds = aggregation->is_update ? arena_take(rows->arena, rows->row_count) : NULL;
    if (rows->created_max_ms == NULL || rows->ingested_max_ms == NULL ||
        rows->record_time_ms == NULL || (aggregation->is_update && rows->kinds == NULL)) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < rows->row_count; i++) {
        const struct group *group = groups[i];
        rows->created_max_ms[i] = group->created_max_ms;
        rows->ingested_max_ms[i] = group->ingested_max_ms;
        rows->record_time_ms[i] = group->created_max_ms;
        if (aggregation->has_window) {
            int64_t end_us = group->window_start + aggregation->size_us;
            int64_t rest_us = end_us % 1000;
            rows->record_time_ms[i] = end_us / 1000 - (rest_us < 0 ? 1 : 0);
        }
        if (rows->kinds != NULL) {
            bool is_known = (group->flags & GROUP_IS_EMITTED) != 0;
            rows->kinds[i] = is_known ? ROW_UPDATE_AFTER : ROW_INSERT;
        }
    }
    return STATUS_OK;
}

enum status emission_make_rows(const struct aggregation *aggregation, struct group *const *groups,
                               uint32_t group_count, struct arena *arena,
                               struct row_batch *out_rows, struct emission_fault *out_fault)
{
    check(group_count <= EMISSION_ROWS_MAX);
    struct row_batch rows = {.arena = arena,
                             .row_count = group_count,
                             .column_count = aggregation_column_count(aggregation)};
    rows.columns = arena_take_array(arena, rows.column_count, sizeof *rows.columns);
    if (rows.columns == NULL) {
        return STATUS_NO_MEMORY;
    }
    TRY(make_windows(aggregation, groups, &rows));
    TRY(make_keys(aggregation, groups, &rows));
    TRY(make_results(aggregation, groups, &rows, out_fault));
    TRY(make_times(aggregation, groups, &rows));
    *out_rows = rows;
    return STATUS_OK;
}
