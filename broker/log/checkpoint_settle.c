#include "broker/log/checkpoint_settle.h"

#include "broker/log/epoch_file.h"
#include "broker/log/partition_metadata.h"
#include "proto/sys/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum status take_segment(struct checkpoint_settle *self, struct segment *segment,
                                bool is_final)
{
    struct checkpoint_settle_file *file = &self->files[self->file_count];
    if (segment->indexes != NULL) {
        TRY(segment_collect_sides(segment, &file->sides));
    } else {
        file->sides.base_offset = segment->base_offset;
        memcpy(file->sides.former, segment->sides, sizeof segment->sides);
    }
    self->file_count += 1;
    for (uint32_t side = 0; side < SEGMENT_SIDES; side++) {
        const struct segment_side_bytes *bytes = &file->sides.sides[side];
        self->has_new_names =
            self->has_new_names || (bytes->position == 0 && bytes->byte_count > 0);
    }
    file->byte_count = segment->byte_count;
    file->must_cut = segment->is_rolled || is_final;
    file->snapshot = segment->snapshot;
    file->snapshot_byte_count = segment->snapshot_byte_count;
    segment->snapshot = NULL;
    segment->has_snapshot = segment->has_snapshot || file->snapshot != NULL;
    segment->is_settled = true;
    segment->is_settling = true;
    if (is_final) {
        segment->allocated_bytes = 0;
    }
    return STATUS_OK;
}

enum status checkpoint_settle_new(struct log *log, bool is_final,
                                  struct checkpoint_settle **out_self)
{
    struct checkpoint_settle *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->log = log;
    self->disk = log->store->disk;
    self->has_new_names = log->has_new_names;
    self->topic_id = log->state.topic_id;
    self->directory = strdup(log->state.directory);
    enum status status = self->directory == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    if (status == STATUS_OK && log->has_new_epochs) {
        status = epoch_file_encode(&log->state.epochs, &self->epochs, &self->epochs_byte_count);
    }
    uint32_t count = log->state.segment_count;
    if (status == STATUS_OK && count > 0) {
        self->files = calloc(count, sizeof *self->files);
        status = self->files == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    }
    for (uint32_t i = 0; i < count && status == STATUS_OK; i++) {
        struct segment *segment = log->state.segments[i];
        bool is_due = !segment->is_settled || (is_final && segment->allocated_bytes > 0);
        if (is_due) {
            status = take_segment(self, segment, is_final);
        }
    }
    if (status != STATUS_OK) {
        checkpoint_settle_undo(self);
        checkpoint_settle_free(self);
        return status;
    }
    log->has_new_names = false;
    log->has_new_epochs = false;
    *out_self = self;
    return STATUS_OK;
}

static struct segment *segment_of(const struct checkpoint_settle *self, uint32_t which)
{
    const struct log_state *state = &self->log->state;
    for (uint32_t i = 0; i < state->segment_count; i++) {
        if (state->segments[i]->base_offset == self->files[which].sides.base_offset) {
            return state->segments[i];
        }
    }
    return NULL; /* Deleted since. */
}

void checkpoint_settle_undo(struct checkpoint_settle *self)
{
    for (uint32_t i = 0; i < self->file_count; i++) {
        struct segment *segment = segment_of(self, i);
        if (segment == NULL) {
            continue;
        }
        segment->is_settled = false;
        if (segment->indexes != NULL) {
            segment_give_back_sides(segment, &self->files[i].sides);
        }
        if (self->files[i].snapshot != NULL && segment->snapshot == NULL) {
            segment->snapshot = self->files[i].snapshot;
            segment->snapshot_byte_count = self->files[i].snapshot_byte_count;
            self->files[i].snapshot = NULL;
        }
    }
    self->log->has_new_names = self->log->has_new_names || self->has_new_names;
    self->log->has_new_epochs = self->log->has_new_epochs || self->epochs != NULL;
}

enum status checkpoint_settle_open(struct checkpoint_settle *self)
{
    for (uint32_t i = 0; i < self->file_count; i++) {
        struct checkpoint_settle_file *file = &self->files[i];
        struct segment *segment = segment_of(self, i);
        bool has_bytes = file->byte_count > 0 || (segment != NULL && segment->handle != NULL);
        if (segment == NULL || !has_bytes || file->handle != NULL) {
            continue;
        }
        TRY(log_open_segment(self->log, segment));
        file->handle = file_cache_ref(segment->handle);
    }
    return STATUS_OK;
}

static enum status write_small(const struct checkpoint_settle *self, const char *name,
                               const void *bytes, size_t byte_count)
{
    if (self->is_flushed) {
        return disk_replace_file(self->disk, self->directory, name, bytes, byte_count);
    }
    char path[DISK_PATH_BYTES_MAX];
    int length = snprintf(path, sizeof path, "%s/%s", self->directory, name);
    check(length > 0 && (size_t)length < sizeof path);
    return disk_write_file(self->disk, path, bytes, byte_count);
}

static enum status write_snapshot(const struct checkpoint_settle *self,
                                  const struct checkpoint_settle_file *file)
{
    char name[LOG_NAME_BYTES_MAX + 1];
    log_name_of_file(file->sides.base_offset, LOG_NAME_SNAPSHOT, LOG_NAME_LIVE, name);
    return write_small(self, name, file->snapshot, file->snapshot_byte_count);
}

enum status checkpoint_settle_run(struct checkpoint_settle *self)
{
    for (uint32_t i = 0; i < self->file_count; i++) {
        struct checkpoint_settle_file *file = &self->files[i];
        if (file->handle != NULL) {
            if (file->must_cut) {
                TRY(disk_file_truncate(self->disk, file->handle->file, file->byte_count));
            }
            if (self->is_flushed) {
                TRY(disk_file_sync(self->disk, file->handle->file));
            }
        }
        TRY(segment_write_sides(self->disk, self->directory, &file->sides, self->is_flushed));
        if (file->snapshot != NULL) {
            TRY(write_snapshot(self, file));
        }
    }
    if (self->epochs != NULL) {
        TRY(write_small(self, EPOCH_FILE_NAME, self->epochs, self->epochs_byte_count));
    }
    if (!self->has_new_names) {
        return STATUS_OK;
    }
    uint8_t owner[PARTITION_METADATA_BYTES];
    partition_metadata_encode(&self->topic_id, owner);
    return write_small(self, PARTITION_METADATA_NAME, owner, sizeof owner);
}

void checkpoint_settle_free(struct checkpoint_settle *self)
{
    if (self == NULL) {
        return;
    }
    for (uint32_t i = 0; i < self->file_count; i++) {
        struct segment *segment = segment_of(self, i);
        if (segment != NULL) {
            segment->is_settling = false;
        }
        segment_sides_done(&self->files[i].sides);
        free(self->files[i].snapshot);
        if (self->files[i].handle != NULL) {
            file_cache_unref(self->files[i].handle);
        }
    }
    free(self->files);
    free(self->epochs);
    free(self->directory);
    free(self);
}
