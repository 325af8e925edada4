#include "broker/log/segment.h"

#include "proto/sys/check.h"
#include "proto/wire/crc32c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEGMENT_MAGIC 0x5e63e474U

enum { SIDE_OFFSETS, SIDE_TIMES, SIDE_TXNS, SIDE_INGESTS };
_Static_assert(LOG_NAME_INDEX + SIDE_INGESTS == LOG_NAME_INGEST, "sides in the order of the names");

struct segment *segment_new(int64_t base_offset, int64_t created_ms)
{
    check(base_offset >= 0);
    struct segment *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return NULL;
    }
    self->magic = SEGMENT_MAGIC;
    self->base_offset = base_offset;
    self->created_ms = created_ms;
    self->max_timestamp_ms = -1;
    self->first_timestamp_ms = -1;
    self->last_ingested_ms = -1;
    self->sound_bytes = UINT32_MAX;
    list_init(&self->index_link);
    return self;
}

struct segment *segment_of_checkpoint(const struct checkpoint_segment *from)
{
    struct segment *self = segment_new(from->base_offset, from->created_ms);
    if (self == NULL) {
        return NULL;
    }
    self->byte_count = from->byte_count;
    self->written_bytes = from->byte_count;
    self->max_timestamp_ms = from->max_timestamp_ms;
    self->last_ingested_ms = from->last_ingested_ms;
    self->has_snapshot = from->has_snapshot;
    self->is_settled = true;
    memcpy(self->sides, from->sides, sizeof self->sides);
    return self;
}

void segment_free(struct segment *self)
{
    if (self == NULL) {
        return;
    }
    check(self->magic == SEGMENT_MAGIC);
    file_cache_forget(&self->handle);
    segment_drop_indexes(self);
    free(self->snapshot);
    *self = (struct segment){0};
    free(self);
}

void segment_to_checkpoint(const struct segment *self, struct checkpoint_segment *out)
{
    *out = (struct checkpoint_segment){
        .base_offset = self->base_offset,
        .max_timestamp_ms = self->max_timestamp_ms,
        .last_ingested_ms = self->last_ingested_ms,
        .created_ms = self->created_ms,
        .byte_count = self->byte_count,
        .has_snapshot = self->has_snapshot,
    };
    memcpy(out->sides, self->sides, sizeof out->sides);
}

enum status segment_start_indexes(struct segment *self, uint32_t interval_bytes)
{
    check(self->magic == SEGMENT_MAGIC);
    check(self->indexes == NULL && self->byte_count == 0);
    self->indexes = calloc(1, sizeof *self->indexes);
    if (self->indexes == NULL) {
        return STATUS_NO_MEMORY;
    }
    index_set_init(self->indexes, self->base_offset, interval_bytes);
    return STATUS_OK;
}

void segment_drop_indexes(struct segment *self)
{
    list_remove(&self->index_link);
    if (self->indexes != NULL) {
        index_set_done(self->indexes);
        free(self->indexes);
        self->indexes = NULL;
    }
}

bool segment_has_room(const struct segment *self, const struct segment_extent *extent)
{
    check(self->indexes != NULL);
    const struct index_set *indexes = self->indexes;
    /* Entries of the sparse indexes lie more than the interval apart. */
    uint64_t entries = (uint64_t)extent->byte_count / (indexes->interval_bytes + 1U) + 2;
    if (entries > extent->batch_count) {
        entries = extent->batch_count;
    }
    uint64_t ingest_bytes =
        (uint64_t)extent->batch_count * 20 +
        (extent->batch_count / INGEST_INDEX_BLOCK_ENTRIES + 2) * INGEST_INDEX_BLOCK_HEADER_BYTES;
    return (uint64_t)self->byte_count + extent->byte_count <= SEGMENT_BYTES_MAX &&
           extent->last_offset - self->base_offset <= INT32_MAX &&
           indexes->offsets.entry_count + entries <= indexes->offsets.entry_count_max &&
           indexes->times.entry_count + entries + 1 <= indexes->times.entry_count_max &&
           indexes->ingests.byte_count + ingest_bytes <= indexes->ingests.byte_count_max;
}

void segment_add(struct segment *self, const struct index_set_batch *batch, uint32_t batch_bytes)
{
    check(self->magic == SEGMENT_MAGIC);
    check(self->indexes != NULL && !self->is_rolled);
    check(batch->position == self->byte_count);
    check(batch_bytes <= SEGMENT_BYTES_MAX - self->byte_count);
    status_ignore(index_set_add(self->indexes, batch),
                  "without memory an entry is missing, readers scan further");
    if (self->first_timestamp_ms < 0) {
        self->first_timestamp_ms = batch->max_timestamp_ms;
    }
    if (batch->max_timestamp_ms > self->max_timestamp_ms) {
        self->max_timestamp_ms = batch->max_timestamp_ms;
    }
    if (batch->ingested_ms > self->last_ingested_ms) {
        self->last_ingested_ms = batch->ingested_ms;
    }
    self->byte_count += batch_bytes;
    self->is_settled = false;
}

void segment_truncate(struct segment *self, int64_t offset, uint32_t position)
{
    check(self->magic == SEGMENT_MAGIC);
    check(self->indexes != NULL);
    check(position <= self->byte_count);
    index_set_truncate(self->indexes, offset);
    offset_index_cut(&self->indexes->offsets, position);
    self->byte_count = position;
    if (self->written_bytes > position) {
        self->written_bytes = position;
    }
    self->max_timestamp_ms = self->indexes->times.largest.timestamp_ms;
    self->is_rolled = false;
    self->is_settled = false;
    /* The files may hold entries that are gone; the ingest blocks are never rewritten. */
    for (uint32_t side = 0; side < SIDE_INGESTS; side++) {
        self->sides[side] = (struct checkpoint_side){0};
    }
}

void segment_observe(struct segment *self, int64_t max_timestamp_ms, int64_t last_offset)
{
    check(self->indexes != NULL);
    if (last_offset < self->indexes->times.largest.offset) {
        return; /* The index has seen it. */
    }
    time_index_observe(&self->indexes->times, max_timestamp_ms, last_offset);
    if (max_timestamp_ms > self->max_timestamp_ms) {
        self->max_timestamp_ms = max_timestamp_ms;
    }
}

static enum status collect_side(struct segment *self, uint32_t side, uint32_t byte_count,
                                uint32_t entry_bytes, struct segment_side_bytes *out)
{
    struct checkpoint_side *saved = &self->sides[side];
    check(saved->byte_count <= byte_count);
    uint32_t new_bytes = byte_count - saved->byte_count;
    out->position = saved->byte_count;
    if (new_bytes == 0) {
        return STATUS_OK;
    }
    out->bytes = malloc(new_bytes);
    if (out->bytes == NULL) {
        return STATUS_NO_MEMORY;
    }
    out->byte_count = new_bytes;
    const struct index_set *indexes = self->indexes;
    uint32_t first = saved->byte_count / entry_bytes;
    uint32_t count = new_bytes / entry_bytes;
    switch (side) {
    case SIDE_OFFSETS:
        offset_index_encode(&indexes->offsets, first, count, out->bytes);
        break;
    case SIDE_TIMES:
        time_index_encode(&indexes->times, first, count, out->bytes);
        break;
    case SIDE_TXNS:
        txn_index_encode(&indexes->txns, first, count, out->bytes);
        break;
    default:
        memcpy(out->bytes, indexes->ingests.bytes + first, new_bytes);
        break;
    }
    saved->crc = crc32c(saved->crc, out->bytes, new_bytes);
    saved->byte_count = byte_count;
    return STATUS_OK;
}

enum status segment_collect_sides(struct segment *self, struct segment_sides *out_sides)
{
    check(self->magic == SEGMENT_MAGIC);
    check(self->indexes != NULL);
    *out_sides =
        (struct segment_sides){.base_offset = self->base_offset, .is_rolled = self->is_rolled};
    status_ignore(index_set_seal(self->indexes), "the time index is a hint");
    const struct index_set *indexes = self->indexes;
    const struct {
        uint32_t byte_count;
        uint32_t entry_bytes;
    } sides[SEGMENT_SIDES] = {
        {indexes->offsets.entry_count * OFFSET_INDEX_ENTRY_BYTES, OFFSET_INDEX_ENTRY_BYTES},
        {indexes->times.entry_count * TIME_INDEX_ENTRY_BYTES, TIME_INDEX_ENTRY_BYTES},
        {indexes->txns.entry_count * TXN_INDEX_ENTRY_BYTES, TXN_INDEX_ENTRY_BYTES},
        {indexes->ingests.sealed_byte_count, 1},
    };
    for (uint32_t side = 0; side < SEGMENT_SIDES; side++) {
        enum status status = collect_side(self, side, sides[side].byte_count,
                                          sides[side].entry_bytes, &out_sides->sides[side]);
        if (status != STATUS_OK) {
            segment_give_back_sides(self, out_sides);
            segment_sides_done(out_sides);
            return status;
        }
    }
    return STATUS_OK;
}

void segment_forget_sides(struct segment *self, const bool is_forgotten[SEGMENT_SIDES])
{
    for (uint32_t side = 0; side < SEGMENT_SIDES; side++) {
        if (is_forgotten[side]) {
            self->sides[side] = (struct checkpoint_side){0};
            self->is_settled = false;
        }
    }
}

void segment_give_back_sides(struct segment *self, const struct segment_sides *sides)
{
    for (uint32_t side = 0; side < SEGMENT_SIDES; side++) {
        /* A truncation meanwhile may have put it back further. */
        if (self->sides[side].byte_count > sides->former[side].byte_count) {
            self->sides[side] = sides->former[side];
        }
    }
    self->is_settled = false;
}

void segment_sides_done(struct segment_sides *sides)
{
    for (uint32_t side = 0; side < SEGMENT_SIDES; side++) {
        free(sides->sides[side].bytes);
        sides->sides[side] = (struct segment_side_bytes){0};
    }
}

void segment_path(const char *directory, int64_t offset, enum log_name_file file,
                  enum log_name_state state, char out_path[DISK_PATH_BYTES_MAX])
{
    char name[LOG_NAME_BYTES_MAX + 1];
    log_name_of_file(offset, file, state, name);
    int length = snprintf(out_path, DISK_PATH_BYTES_MAX, "%s/%s", directory, name);
    check(length > 0 && (size_t)length < DISK_PATH_BYTES_MAX);
}

static enum status write_side(struct disk *disk, const char *path,
                              const struct segment_side_bytes *side, bool must_last)
{
    struct disk_file *file = NULL;
    TRY(disk_open(disk, path, DISK_OPEN_WRITE | DISK_OPEN_CREATE, &file));
    enum status status = STATUS_OK;
    if (side->byte_count > 0) {
        status = disk_file_write(disk, file, side->position, side->bytes, side->byte_count);
    }
    if (status == STATUS_OK && side->position == 0) {
        /* An earlier, longer content; not before, since the same bytes may be counted on. */
        status = disk_file_truncate(disk, file, side->byte_count);
    }
    if (status == STATUS_OK && must_last) {
        status = disk_file_sync(disk, file);
    }
    disk_file_close(disk, file);
    return status;
}

enum status segment_write_sides(struct disk *disk, const char *directory,
                                const struct segment_sides *sides, bool is_flushed)
{
    for (uint32_t side = 0; side < SEGMENT_SIDES; side++) {
        const struct segment_side_bytes *bytes = &sides->sides[side];
        /* Kafka wants the two sparse indexes beside each segment, empty or not. */
        bool is_wanted = sides->is_rolled && side < SIDE_TXNS && bytes->position == 0;
        if (bytes->byte_count == 0 && !is_wanted) {
            continue;
        }
        char path[DISK_PATH_BYTES_MAX];
        segment_path(directory, sides->base_offset, (enum log_name_file)(LOG_NAME_INDEX + side),
                     LOG_NAME_LIVE, path);
        if (side == SIDE_TXNS && bytes->position == 0) {
            /* Whole or not at all: what it had before a truncation may be wanted again. */
            char name[LOG_NAME_BYTES_MAX + 1];
            log_name_of_file(sides->base_offset, LOG_NAME_TXNINDEX, LOG_NAME_LIVE, name);
            TRY(disk_replace_file(disk, directory, name, bytes->bytes, bytes->byte_count));
            continue;
        }
        /* The others can be had again from the segment. */
        bool must_last = side == SIDE_TXNS || side == SIDE_INGESTS || sides->is_rolled;
        TRY(write_side(disk, path, bytes, must_last && is_flushed));
    }
    return STATUS_OK;
}
