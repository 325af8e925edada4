#include "broker/log/index_set.h"

#include "proto/sys/check.h"

void index_set_init(struct index_set *self, int64_t base_offset, uint32_t interval_bytes)
{
    offset_index_init(&self->offsets, base_offset, OFFSET_INDEX_ENTRIES_MAX);
    time_index_init(&self->times, base_offset, TIME_INDEX_ENTRIES_MAX);
    txn_index_init(&self->txns, base_offset);
    ingest_index_init(&self->ingests, base_offset, INGEST_INDEX_BYTES_MAX);
    self->interval_bytes = interval_bytes;
}

void index_set_done(struct index_set *self)
{
    offset_index_done(&self->offsets);
    time_index_done(&self->times);
    txn_index_done(&self->txns);
    ingest_index_done(&self->ingests);
}

bool index_set_has_room(const struct index_set *self, const struct index_set_batch *batch)
{
    return offset_index_has_room(&self->offsets, batch->last_offset, batch->position) &&
           time_index_has_room(&self->times) && ingest_index_has_room(&self->ingests);
}

enum status index_set_add_again(struct index_set *self, const struct index_set_batch *batch)
{
    check(batch->last_offset >= batch->base_offset);
    time_index_observe(&self->times, batch->max_timestamp_ms, batch->last_offset);
    if (!offset_index_is_due(&self->offsets, batch->position, self->interval_bytes)) {
        return STATUS_OK;
    }
    TRY(offset_index_append(&self->offsets, batch->last_offset, batch->position));
    return time_index_append(&self->times);
}

enum status index_set_add(struct index_set *self, const struct index_set_batch *batch)
{
    TRY(ingest_index_append(&self->ingests, batch->base_offset, batch->ingested_ms));
    return index_set_add_again(self, batch);
}

enum status index_set_seal(struct index_set *self)
{
    ingest_index_seal(&self->ingests);
    return time_index_seal(&self->times);
}

void index_set_truncate(struct index_set *self, int64_t offset)
{
    offset_index_truncate(&self->offsets, offset);
    time_index_truncate(&self->times, offset);
    txn_index_truncate(&self->txns, offset);
    ingest_index_truncate(&self->ingests, offset);
}
