#include "processor/state/state_codec.h"

#include "processor/state/group_key.h"
#include "proto/sys/check.h"

#include <stdlib.h>

enum status state_codec_init(struct state_codec *self, uint32_t aggregate_count, uint32_t key_count)
{
    *self = (struct state_codec){0};
    if (aggregate_count > STATE_CODEC_COLUMNS_MAX || key_count > STATE_CODEC_COLUMNS_MAX) {
        return STATUS_INVALID;
    }
    self->aggregates = calloc((size_t)aggregate_count + 1, sizeof *self->aggregates);
    self->key_types = calloc((size_t)key_count + 1, sizeof *self->key_types);
    self->scratch =
        calloc(1, sizeof *self->scratch + aggregate_count * sizeof(struct aggregate_state));
    if (self->aggregates == NULL || self->key_types == NULL || self->scratch == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->aggregate_count = aggregate_count;
    self->key_count = key_count;
    return STATUS_OK;
}

void state_codec_done(struct state_codec *self)
{
    free(self->aggregates);
    free(self->key_types);
    free(self->scratch);
    *self = (struct state_codec){0};
}

void state_codec_put(const struct state_codec *self, const struct group *group,
                     struct grow_buffer *buffer)
{
    check(group->input_count >= 0);
    grow_buffer_put_int64(buffer, group->created_max_ms);
    grow_buffer_put_int64(buffer, group->ingested_max_ms);
    grow_buffer_put_uvarint(buffer, (uint64_t)group->input_count);
    for (uint32_t i = 0; i < self->aggregate_count; i++) {
        aggregate_encode(&self->aggregates[i], &group->states[i], buffer);
    }
}

struct group *state_codec_read(struct state_codec *self, int64_t window_start,
                               struct wire_bytes key, struct wire_reader *reader)
{
    struct group *group = self->scratch;
    group->created_max_ms = wire_read_int64(reader);
    group->ingested_max_ms = wire_read_int64(reader);
    uint64_t input_count = wire_read_uvarint64(reader);
    for (uint32_t i = 0; i < self->aggregate_count; i++) {
        aggregate_decode(&self->aggregates[i], reader, &group->states[i]);
    }
    if (input_count > AGGREGATE_COUNT_MAX || group->created_max_ms < -1 ||
        group->ingested_max_ms < -1 ||
        group_key_check(self->key_types, self->key_count, key) != STATUS_OK) {
        wire_reader_fail(reader, STATUS_MALFORMED);
    }
    if (wire_reader_status(reader) != STATUS_OK) {
        return NULL;
    }
    group->input_count = (int64_t)input_count;
    group->window_start = window_start;
    group->key = key.bytes;
    group->key_byte_count = (uint32_t)key.byte_count;
    group->hash = group_key_hash(key);
    group->flags = 0;
    return group;
}
