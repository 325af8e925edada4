#include "broker/log/log_state.h"

#include "broker/log/entry_room.h"
#include "proto/record/batch_iterator.h"
#include "proto/sys/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_STATE_MAGIC 0x10657a7eU
#define INTERVAL_BYTES_DEFAULT 4096U
#define SEGMENTS_MAX (1U << 24)

enum status log_state_init(struct log_state *self, const char *root, const char *topic_name,
                           const struct wire_uuid *topic_id, int32_t partition)
{
    check(partition >= 0);
    *self = (struct log_state){.magic = LOG_STATE_MAGIC,
                               .partition = partition,
                               .topic_id = *topic_id,
                               .last_ingested_ms = -1,
                               .interval_bytes = INTERVAL_BYTES_DEFAULT,
                               .snapshot_offset = -1};
    epoch_history_init(&self->epochs);
    char name[LOG_NAME_BYTES_MAX + 1];
    TRY(log_name_of_directory(topic_name, partition, name));
    char path[DISK_PATH_BYTES_MAX];
    int length = snprintf(path, sizeof path, "%s/%s", root, name);
    /* Names of segments come behind it. */
    if (length < 0 || (size_t)length + 64 > sizeof path) {
        return STATUS_INVALID;
    }
    self->topic_name = strdup(topic_name);
    self->directory = strdup(path);
    return self->topic_name == NULL || self->directory == NULL ? STATUS_NO_MEMORY : STATUS_OK;
}

void log_state_done(struct log_state *self)
{
    if (self->magic == 0) {
        return;
    }
    check(self->magic == LOG_STATE_MAGIC);
    for (uint32_t i = 0; i < self->segment_count; i++) {
        segment_free(self->segments[i]);
    }
    free(self->segments);
    epoch_history_done(&self->epochs);
    free(self->topic_name);
    free(self->directory);
    free(self->snapshot);
    *self = (struct log_state){0};
}

enum status log_state_reserve_segment(struct log_state *self)
{
    void *segments = self->segments;
    TRY(entry_room_reserve(&segments, &self->segment_room, self->segment_count + 1, SEGMENTS_MAX,
                           sizeof(struct segment *)));
    self->segments = segments;
    return STATUS_OK;
}

static enum status load_segments(struct log_state *self, const struct checkpoint_entry *entry)
{
    for (uint32_t i = 0; i < entry->segment_count; i++) {
        TRY(log_state_reserve_segment(self));
        struct segment *segment = segment_of_checkpoint(&entry->segments[i]);
        if (segment == NULL) {
            return STATUS_NO_MEMORY;
        }
        segment->is_rolled = i + 1 < entry->segment_count;
        self->segments[self->segment_count] = segment;
        self->segment_count += 1;
        self->byte_count += segment->byte_count;
    }
    return STATUS_OK;
}

enum status log_state_load(struct log_state *self, const struct checkpoint_entry *entry)
{
    check(self->magic == LOG_STATE_MAGIC);
    check(self->segment_count == 0 && self->end == 0);
    self->sequence = entry->sequence;
    self->start = entry->start;
    self->end = entry->end;
    self->last_ingested_ms = entry->last_ingested_ms;
    for (uint32_t i = 0; i < entry->epoch_count; i++) {
        (void)epoch_history_assign(&self->epochs, entry->epochs[i].epoch,
                                   entry->epochs[i].start_offset);
    }
    if (entry->snapshot_byte_count > 0) {
        uint8_t *snapshot = malloc(entry->snapshot_byte_count);
        if (snapshot == NULL) {
            return STATUS_NO_MEMORY;
        }
        memcpy(snapshot, entry->snapshot, entry->snapshot_byte_count);
        log_state_set_snapshot(self, entry->snapshot_offset, snapshot, entry->snapshot_byte_count);
    }
    return load_segments(self, entry);
}

enum status log_state_save(const struct log_state *self, uint8_t **out_bytes,
                           uint32_t *out_byte_count)
{
    check(self->magic == LOG_STATE_MAGIC);
    struct checkpoint_segment *segments = NULL;
    if (self->segment_count > 0) {
        segments = calloc(self->segment_count, sizeof *segments);
        if (segments == NULL) {
            return STATUS_NO_MEMORY;
        }
    }
    for (uint32_t i = 0; i < self->segment_count; i++) {
        segment_to_checkpoint(self->segments[i], &segments[i]);
    }
    struct checkpoint_entry entry = {
        .topic_id = self->topic_id,
        .topic_name = wire_text_of(self->topic_name),
        .partition = self->partition,
        .sequence = self->sequence,
        .start = self->start,
        .end = self->end,
        .last_ingested_ms = self->last_ingested_ms,
        .epochs = epoch_history_entries(&self->epochs),
        .epoch_count = self->epochs.entry_count,
        .segment_count = self->segment_count,
        .segments = segments,
        .snapshot_offset = self->snapshot_offset,
        .snapshot = self->snapshot,
        .snapshot_byte_count = self->snapshot_byte_count,
    };
    enum status status = checkpoint_format_encode_entry(&entry, out_bytes, out_byte_count);
    free(segments);
    return status;
}

struct segment *log_state_active(const struct log_state *self)
{
    return self->segment_count == 0 ? NULL : self->segments[self->segment_count - 1];
}

uint32_t log_state_find(const struct log_state *self, int64_t offset)
{
    check(self->segment_count > 0);
    uint32_t low = 0;
    uint32_t high = self->segment_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (self->segments[middle]->base_offset <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == 0 ? 0 : low - 1;
}

int64_t log_state_segment_end(const struct log_state *self, uint32_t which)
{
    check(which < self->segment_count);
    return which + 1 < self->segment_count ? self->segments[which + 1]->base_offset : self->end;
}

/* Moves segments [first, first + count) into `dropped`, which has room for them. */
static void drop_segments(struct log_state *self, uint32_t first, uint32_t count,
                          struct log_state_dropped *dropped)
{
    check(first + count <= self->segment_count);
    if (count == 0) {
        return; /* There may be no array yet. */
    }
    for (uint32_t i = 0; i < count; i++) {
        struct segment *segment = self->segments[first + i];
        self->byte_count -= segment->byte_count;
        dropped->segments[dropped->count] = segment;
        dropped->count += 1;
    }
    memmove(self->segments + first, self->segments + first + count,
            (self->segment_count - first - count) * sizeof(struct segment *));
    self->segment_count -= count;
}

/* The array is of pointers only; without memory for it nothing can be said to anybody. */
static void dropped_init(struct log_state_dropped *dropped, uint32_t room)
{
    *dropped = (struct log_state_dropped){0};
    if (room > 0) {
        dropped->segments = calloc(room, sizeof *dropped->segments);
        check(dropped->segments != NULL);
    }
}

void log_state_dropped_done(struct log_state_dropped *dropped)
{
    free(dropped->segments);
    *dropped = (struct log_state_dropped){0};
}

enum status log_state_roll(struct log_state *self, int64_t base_offset, int64_t created_ms)
{
    check(self->magic == LOG_STATE_MAGIC);
    check(base_offset == self->end);
    struct segment *old = log_state_active(self);
    check(old == NULL || old->base_offset < base_offset);
    TRY(log_state_reserve_segment(self));
    struct segment *segment = segment_new(base_offset, created_ms);
    if (segment == NULL) {
        return STATUS_NO_MEMORY;
    }
    enum status status = segment_start_indexes(segment, self->interval_bytes);
    if (status != STATUS_OK) {
        segment_free(segment);
        return status;
    }
    if (old != NULL) {
        old->is_rolled = true;
        old->is_settled = false; /* To be cut to its data. */
    }
    self->segments[self->segment_count] = segment;
    self->segment_count += 1;
    return STATUS_OK;
}

static void add_batch(struct log_state *self, const struct batch_view *batch, int64_t ingested_ms)
{
    struct segment *active = log_state_active(self);
    const struct index_set_batch placed = {
        .base_offset = batch_base_offset(batch),
        .last_offset = batch_last_offset(batch),
        .max_timestamp_ms = batch_max_timestamp(batch),
        .ingested_ms = ingested_ms,
        .position = active->byte_count,
    };
    segment_add(active, &placed, batch->byte_count);
    /* A term that was led here without a write is known to nobody else: it ends unseen. */
    (void)epoch_history_truncate_end(&self->epochs, placed.base_offset);
    if (batch_leader_epoch(batch) > epoch_history_latest(&self->epochs)) {
        (void)epoch_history_assign(&self->epochs, batch_leader_epoch(batch), placed.base_offset);
    }
    if (ingested_ms > self->last_ingested_ms) {
        self->last_ingested_ms = ingested_ms;
    }
    self->byte_count += batch->byte_count;
    self->end = placed.last_offset + 1;
}

enum status log_state_apply_batches(struct log_state *self, const struct journal_record *record)
{
    check(self->magic == LOG_STATE_MAGIC);
    struct segment *active = log_state_active(self);
    if (active == NULL || active->base_offset != record->segment_base) {
        if (record->segment_base != self->end || record->segment_position != 0) {
            return STATUS_CORRUPT;
        }
        TRY(log_state_roll(self, self->end, journal_format_ingested_ms(record, 0)));
        active = log_state_active(self);
    }
    if (record->offset != self->end || record->segment_position != active->byte_count ||
        active->indexes == NULL) {
        return STATUS_CORRUPT;
    }
    struct batch_iterator batches;
    batch_iterator_init(&batches, record->bytes, record->byte_count);
    for (uint32_t i = 0; i < record->batch_count; i++) {
        struct batch_view batch;
        if (batch_iterator_next(&batches, &batch) != STATUS_OK ||
            batch_base_offset(&batch) != self->end || batch_last_offset_delta(&batch) < 0 ||
            batch_last_offset(&batch) - active->base_offset > INT32_MAX) {
            return STATUS_CORRUPT;
        }
        add_batch(self, &batch, journal_format_ingested_ms(record, i));
    }
    self->sequence = record->sequence;
    bool is_sound = batch_iterator_left(&batches) == 0 && self->end == record->next_offset;
    return is_sound ? STATUS_OK : STATUS_CORRUPT;
}

enum status log_state_apply_truncated(struct log_state *self, const struct journal_record *record,
                                      struct log_state_dropped *out_dropped)
{
    check(self->magic == LOG_STATE_MAGIC);
    int64_t end = record->offset;
    if (end < self->start || end > self->end) {
        return STATUS_CORRUPT;
    }
    uint32_t kept = self->segment_count;
    while (kept > 0 && self->segments[kept - 1]->base_offset > record->segment_base) {
        kept -= 1;
    }
    struct segment *cut = kept > 0 ? self->segments[kept - 1] : NULL;
    bool is_named = cut != NULL && cut->base_offset == record->segment_base;
    /* A segment that was still empty is in no record; the cut is at its start then. */
    if (!is_named && (record->segment_position != 0 || record->segment_base != end)) {
        return STATUS_CORRUPT;
    }
    if (is_named && (record->segment_position > cut->byte_count || cut->indexes == NULL)) {
        return STATUS_CORRUPT;
    }
    dropped_init(out_dropped, self->segment_count - kept);
    drop_segments(self, kept, self->segment_count - kept, out_dropped);
    if (is_named) {
        self->byte_count -= cut->byte_count - record->segment_position;
        segment_truncate(cut, end, record->segment_position);
    }
    (void)epoch_history_truncate_end(&self->epochs, end);
    self->end = end;
    self->sequence = record->sequence;
    if (self->snapshot_offset > end) {
        log_state_set_snapshot(self, -1, NULL, 0);
    }
    return STATUS_OK;
}

void log_state_apply_start(struct log_state *self, const struct journal_record *record,
                           struct log_state_dropped *out_dropped)
{
    check(self->magic == LOG_STATE_MAGIC);
    int64_t start = record->offset;
    check(start >= self->start && start <= self->end);
    uint32_t below = 0;
    while (below < self->segment_count && self->segments[below]->base_offset < start &&
           log_state_segment_end(self, below) <= start) {
        below += 1;
    }
    dropped_init(out_dropped, below);
    drop_segments(self, 0, below, out_dropped);
    (void)epoch_history_truncate_start(&self->epochs, start);
    self->start = start;
    self->sequence = record->sequence;
}

void log_state_apply_reset(struct log_state *self, const struct journal_record *record,
                           struct log_state_dropped *out_dropped)
{
    check(self->magic == LOG_STATE_MAGIC);
    dropped_init(out_dropped, self->segment_count);
    drop_segments(self, 0, self->segment_count, out_dropped);
    (void)epoch_history_clear(&self->epochs);
    log_state_set_snapshot(self, -1, NULL, 0);
    self->start = record->offset;
    self->end = record->offset;
    self->sequence = record->sequence;
    check(self->byte_count == 0);
}

void log_state_apply_epoch(struct log_state *self, const struct journal_record *record)
{
    (void)epoch_history_assign(&self->epochs, record->leader_epoch, record->offset);
    self->sequence = record->sequence;
}

enum status log_state_apply_aborted(struct log_state *self, const struct journal_record *record)
{
    struct segment *active = log_state_active(self);
    if (active == NULL || active->indexes == NULL || record->next_offset < active->base_offset ||
        record->next_offset >= self->end) {
        return STATUS_CORRUPT;
    }
    const struct log_aborted_txn aborted = {.producer_id = record->producer_id,
                                            .first_offset = record->offset,
                                            .last_offset = record->next_offset,
                                            .last_stable_offset = record->last_stable_offset};
    if (!txn_index_may_append(&active->indexes->txns, &aborted)) {
        return STATUS_CORRUPT;
    }
    TRY(txn_index_append(&active->indexes->txns, &aborted));
    active->is_settled = false;
    self->sequence = record->sequence;
    return STATUS_OK;
}

void log_state_set_snapshot(struct log_state *self, int64_t offset, uint8_t *bytes,
                            size_t byte_count)
{
    check(byte_count <= UINT32_MAX);
    free(self->snapshot);
    self->snapshot = bytes;
    self->snapshot_offset = bytes == NULL ? -1 : offset;
    self->snapshot_byte_count = bytes == NULL ? 0 : (uint32_t)byte_count;
}
