#include "broker/log/recovered.h"

#include "broker/log/epoch_file.h"
#include "broker/log/log_directory.h"
#include "broker/log/segment_load.h"
#include "proto/record/batch_iterator.h"
#include "proto/sys/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECOVERED_MAGIC 0x4ec07e4eU

struct recovered *recovered_new(const struct wire_uuid *topic_id, int32_t partition)
{
    struct recovered *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return NULL;
    }
    self->magic = RECOVERED_MAGIC;
    self->blob.topic_id = *topic_id;
    self->blob.partition = partition;
    list_init(&self->link);
    return self;
}

static void drop_state(struct recovered *self)
{
    log_state_done(&self->state);
    self->is_touched = false;
    self->is_missing = false;
}

void recovered_free(struct recovered *self, struct recovered_world *world)
{
    (void)world;
    if (self == NULL) {
        return;
    }
    check(self->magic == RECOVERED_MAGIC);
    drop_state(self);
    list_remove(&self->link);
    *self = (struct recovered){0};
    free(self);
}

static void note_damage(struct segment *segment, uint64_t position)
{
    if (position < segment->byte_count && position < segment->sound_bytes) {
        segment->sound_bytes = (uint32_t)position;
    }
}

/* The directory of that name belongs to this log, or the log is a former life of the name. */
static enum status find_directory(struct recovered *self, struct recovered_world *world)
{
    struct wire_uuid owner;
    bool exists = false;
    enum status status = log_directory_owner(world->disk, self->state.directory, &owner, &exists);
    if (status == STATUS_NOT_FOUND) {
        self->is_missing = !exists;
        return exists
                   ? log_directory_make(world->disk, self->state.directory, &self->state.topic_id)
                   : STATUS_OK;
    }
    TRY(status);
    self->is_missing = !wire_uuid_equals(&owner, &self->state.topic_id);
    return STATUS_OK;
}

static enum status touch(struct recovered *self, struct recovered_world *world)
{
    if (self->is_touched) {
        return STATUS_OK;
    }
    if (self->blob.byte_count == 0) {
        return STATUS_CORRUPT; /* A record of a log that was never created. */
    }
    struct checkpoint_entry entry;
    TRY(checkpoint_format_decode_entry(&self->blob, &entry));
    char topic_name[LOG_NAME_TOPIC_BYTES_MAX + 1];
    enum status status = STATUS_CORRUPT;
    if (log_name_is_topic(entry.topic_name.bytes, (size_t)entry.topic_name.byte_count)) {
        memcpy(topic_name, entry.topic_name.bytes, (size_t)entry.topic_name.byte_count);
        topic_name[entry.topic_name.byte_count] = '\0';
        status =
            log_state_init(&self->state, world->root, topic_name, &entry.topic_id, entry.partition);
    }
    if (status == STATUS_OK) {
        status = log_state_load(&self->state, &entry);
    }
    checkpoint_format_entry_done(&entry);
    if (status == STATUS_OK) {
        status = find_directory(self, world);
    }
    if (status != STATUS_OK) {
        drop_state(self);
        return status;
    }
    self->is_touched = true;
    return STATUS_OK;
}

static enum status open_segment(struct recovered *self, struct recovered_world *world,
                                struct segment *segment)
{
    char path[DISK_PATH_BYTES_MAX];
    segment_path(self->state.directory, segment->base_offset, LOG_NAME_LOG, LOG_NAME_LIVE, path);
    return file_cache_open(world->files, path, DISK_OPEN_WRITE | DISK_OPEN_CREATE,
                           &segment->handle);
}

static int64_t end_of(const struct log_state *state, const struct segment *segment)
{
    return log_state_segment_end(state, log_state_find(state, segment->base_offset));
}

/* Indexes in memory, and the file as long as the checkpoint says. */
static enum status load_segment(struct recovered *self, struct recovered_world *world,
                                struct segment *segment)
{
    if (segment == NULL || segment->indexes != NULL) {
        return STATUS_OK;
    }
    uint64_t file_bytes = 0;
    TRY(open_segment(self, world, segment));
    TRY(disk_file_size(world->disk, segment->handle->file, &file_bytes));
    note_damage(segment, file_bytes);
    struct segment_load load = {.disk = world->disk,
                                .directory = self->state.directory,
                                .interval_bytes = self->state.interval_bytes,
                                .end_offset = end_of(&self->state, segment),
                                .may_be_cut = true};
    segment_to_checkpoint(segment, &load.segment);
    enum status status = segment_load_run(&load);
    if (status != STATUS_OK) {
        segment_load_done(&load);
        return status;
    }
    note_damage(segment, load.sound_bytes);
    segment_forget_sides(segment, load.is_damaged);
    segment->has_doubtful_txns = load.has_doubtful_txns;
    segment->indexes = load.indexes;
    return STATUS_OK;
}

static enum status apply_batches(struct recovered *self, struct recovered_world *world,
                                 const struct journal_record *record)
{
    TRY(load_segment(self, world, log_state_active(&self->state)));
    TRY(log_state_apply_batches(&self->state, record));
    struct segment *active = log_state_active(&self->state);
    TRY(open_segment(self, world, active));
    TRY(disk_file_write(world->disk, active->handle->file, record->segment_position, record->bytes,
                        record->byte_count));
    active->written_bytes = active->byte_count;
    return STATUS_OK;
}

static void free_dropped(struct log_state_dropped *dropped)
{
    for (uint32_t i = 0; i < dropped->count; i++) {
        segment_free(dropped->segments[i]);
    }
    log_state_dropped_done(dropped);
}

/* What the time index may have forgotten of the last batches before the cut. */
static enum status observe_again(struct recovered *self, struct recovered_world *world,
                                 struct segment *segment)
{
    uint32_t position = offset_index_floor(&segment->indexes->offsets, self->state.end);
    uint32_t byte_count = segment->byte_count - position;
    if (byte_count == 0) {
        return STATUS_OK;
    }
    uint8_t *bytes = malloc(byte_count);
    if (bytes == NULL) {
        return STATUS_NO_MEMORY;
    }
    size_t read_count = 0;
    enum status status = open_segment(self, world, segment);
    if (status == STATUS_OK) {
        status = disk_file_read(world->disk, segment->handle->file, position, bytes, byte_count,
                                &read_count);
    }
    struct batch_iterator batches;
    struct batch_view batch;
    batch_iterator_init(&batches, bytes, read_count);
    while (status == STATUS_OK && batch_iterator_next(&batches, &batch) == STATUS_OK) {
        /* Others are of a replay that was cut short; a cut that is yet to come takes them away. */
        if (batch_base_offset(&batch) >= segment->base_offset &&
            batch_last_offset(&batch) >= batch_base_offset(&batch) &&
            batch_last_offset(&batch) < self->state.end) {
            segment_observe(segment, batch_max_timestamp(&batch), batch_last_offset(&batch));
        }
    }
    free(bytes);
    return status;
}

static enum status apply_truncated(struct recovered *self, struct recovered_world *world,
                                   const struct journal_record *record)
{
    struct segment *cut = NULL;
    for (uint32_t i = 0; i < self->state.segment_count; i++) {
        if (self->state.segments[i]->base_offset == record->segment_base) {
            cut = self->state.segments[i];
        }
    }
    TRY(load_segment(self, world, cut));
    struct log_state_dropped dropped;
    TRY(log_state_apply_truncated(&self->state, record, &dropped));
    free_dropped(&dropped);
    if (cut == NULL) {
        return STATUS_OK;
    }
    cut->has_doubtful_txns = false;
    if (record->segment_position <= cut->sound_bytes) {
        cut->sound_bytes = UINT32_MAX;
    }
    return cut->sound_bytes == UINT32_MAX ? observe_again(self, world, cut) : STATUS_OK;
}

static enum status apply_created(struct recovered *self, struct recovered_world *world,
                                 const struct journal_record *record)
{
    bool is_alive = self->is_touched || (self->blob.byte_count > 0 && !self->is_removed);
    if (is_alive || !log_name_is_topic((const char *)record->bytes, record->byte_count)) {
        return STATUS_CORRUPT;
    }
    char topic_name[LOG_NAME_TOPIC_BYTES_MAX + 1];
    memcpy(topic_name, record->bytes, record->byte_count);
    topic_name[record->byte_count] = '\0';
    drop_state(self);
    TRY(log_state_init(&self->state, world->root, topic_name, &record->topic_id,
                       record->partition));
    self->is_removed = false;
    self->is_touched = true;
    self->state.start = record->offset;
    self->state.end = record->offset;
    struct wire_uuid owner;
    bool exists = false;
    enum status status = log_directory_owner(world->disk, self->state.directory, &owner, &exists);
    if (status != STATUS_NOT_FOUND) {
        TRY(status);
        if (wire_uuid_equals(&owner, &self->state.topic_id)) {
            return STATUS_OK;
        }
        char away[DISK_PATH_BYTES_MAX];
        TRY(log_directory_put_away(world->disk, world->root, self->state.directory, &owner, away));
    }
    return log_directory_make(world->disk, self->state.directory, &self->state.topic_id);
}

static enum status apply_deleted(struct recovered *self, struct recovered_world *world)
{
    if (!self->is_missing) {
        /* Its name may be given to another topic by one of the next records. */
        char away[DISK_PATH_BYTES_MAX];
        TRY(log_directory_put_away(world->disk, world->root, self->state.directory,
                                   &self->state.topic_id, away));
    }
    drop_state(self);
    self->is_removed = true;
    return STATUS_OK;
}

static enum status apply_bounds(struct recovered *self, const struct journal_record *record)
{
    struct log_state_dropped dropped = {0};
    if (record->kind == JOURNAL_RESET) {
        log_state_apply_reset(&self->state, record, &dropped);
    } else {
        if (record->offset < self->state.start || record->offset > self->state.end) {
            return STATUS_CORRUPT;
        }
        log_state_apply_start(&self->state, record, &dropped);
    }
    free_dropped(&dropped);
    return STATUS_OK;
}

static enum status apply_present(struct recovered *self, struct recovered_world *world,
                                 const struct journal_record *record)
{
    switch (record->kind) {
    case JOURNAL_BATCHES:
        return apply_batches(self, world, record);
    case JOURNAL_TRUNCATED:
        return apply_truncated(self, world, record);
    case JOURNAL_START_MOVED:
    case JOURNAL_RESET:
        return apply_bounds(self, record);
    case JOURNAL_EPOCH_ASSIGNED:
        log_state_apply_epoch(&self->state, record);
        return STATUS_OK;
    case JOURNAL_TXN_ABORTED:
        TRY(load_segment(self, world, log_state_active(&self->state)));
        return log_state_apply_aborted(&self->state, record);
    case JOURNAL_LOG_CREATED:
    case JOURNAL_LOG_DELETED:
    case JOURNAL_BATCHES_IN_SEGMENT:
        break;
    }
    check_unreachable("handled by the caller, or refused by the decoder");
}

enum status recovered_apply(struct recovered *self, struct recovered_world *world,
                            const struct journal_record *record)
{
    check(self->magic == RECOVERED_MAGIC);
    if (record->sequence <= self->sequence) {
        return STATUS_OK;
    }
    if (record->kind == JOURNAL_LOG_CREATED) {
        return apply_created(self, world, record);
    }
    if (self->is_removed) {
        return STATUS_CORRUPT; /* Its deletion was the last that there may be. */
    }
    TRY(touch(self, world));
    if (record->kind == JOURNAL_LOG_DELETED) {
        return apply_deleted(self, world);
    }
    return self->is_missing ? STATUS_OK : apply_present(self, world, record);
}

/* No cut came that would explain it: the file is damaged. */
static enum status rebuild_txns(struct recovered *self, struct recovered_world *world,
                                struct segment *segment)
{
    struct segment_load load = {.disk = world->disk,
                                .directory = self->state.directory,
                                .interval_bytes = self->state.interval_bytes,
                                .end_offset = end_of(&self->state, segment),
                                .must_rebuild_txns = true};
    segment_to_checkpoint(segment, &load.segment);
    enum status status = segment_load_run(&load);
    if (status == STATUS_OK) {
        struct txn_index damaged = segment->indexes->txns;
        segment->indexes->txns = load.indexes->txns;
        load.indexes->txns = damaged;
        segment->has_doubtful_txns = false;
    }
    segment_load_done(&load);
    return status;
}

static enum status finish_segment(struct recovered *self, struct recovered_world *world,
                                  struct segment *segment)
{
    TRY(load_segment(self, world, segment));
    TRY(open_segment(self, world, segment));
    if (segment != log_state_active(&self->state)) {
        TRY(disk_file_truncate(world->disk, segment->handle->file, segment->byte_count));
    } /* Else what was allocated ahead is for the next appends. */
    if (segment->has_doubtful_txns) {
        TRY(rebuild_txns(self, world, segment));
    }
    struct segment_sides sides;
    TRY(segment_collect_sides(segment, &sides));
    enum status status = segment_write_sides(world->disk, self->state.directory, &sides, false);
    segment_sides_done(&sides);
    TRY(status);
    segment->is_settled = true;
    return STATUS_OK;
}

/* For others to read: our own truth is the checkpoint's entry. */
static enum status write_epoch_file(struct recovered *self, struct recovered_world *world)
{
    char path[DISK_PATH_BYTES_MAX];
    int length = snprintf(path, sizeof path, "%s/%s", self->state.directory, EPOCH_FILE_NAME);
    check(length > 0 && (size_t)length < sizeof path);
    uint8_t *bytes = NULL;
    size_t byte_count = 0;
    TRY(epoch_file_encode(&self->state.epochs, &bytes, &byte_count));
    enum status status = disk_write_file(world->disk, path, bytes, byte_count);
    free(bytes);
    return status;
}

enum status recovered_finish(struct recovered *self, struct recovered_world *world)
{
    check(self->magic == RECOVERED_MAGIC);
    if (!self->is_touched) {
        return STATUS_OK;
    }
    if (self->is_missing) {
        return STATUS_CORRUPT; /* No record deletes it, and yet it is gone. */
    }
    for (uint32_t i = 0; i < self->state.segment_count; i++) {
        if (self->state.segments[i]->sound_bytes != UINT32_MAX) {
            return STATUS_CORRUPT;
        }
        if (!self->state.segments[i]->is_settled) {
            TRY(finish_segment(self, world, self->state.segments[i]));
        }
    }
    return write_epoch_file(self, world);
}
