#include "raft/quorum_replay.h"

#include "proto/sys/check.h"
#include "raft/quorum_bytes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define FILE_BYTES_MAX ((size_t)1 << 30)
#define NAME_BYTES 24U /* "log-" and 20 digits. */

static void path_of(const struct quorum_replay *self, uint64_t sequence,
                    char out_path[DISK_PATH_BYTES_MAX])
{
    int length = snprintf(out_path, DISK_PATH_BYTES_MAX, "%s/log-%020" PRIu64,
                          self->options.directory, sequence);
    check(length > 0 && (size_t)length < DISK_PATH_BYTES_MAX);
}

/* Says what is wrong, for whoever has to decide what becomes of this voter. */
static enum status damaged(const struct quorum_replay *self, const char *what, uint64_t file)
{
    trace_line(self->options.loop->trace, TRACE_ERROR, "quorum", "log-damaged",
               "what=\"%s\" file=log-%020" PRIu64 " sequence=%" PRIu64 " directory=\"%s\"", what,
               file, self->chain.sequence, self->options.directory);
    return STATUS_CORRUPT;
}

static void read_on_entry(void *context, const char *name, bool is_directory)
{
    struct quorum_replay *self = context;
    uint64_t sequence = 0;
    if (is_directory || strlen(name) != NAME_BYTES ||
        sscanf(name, "log-%20" SCNu64, &sequence) != 1) {
        return;
    }
    if (self->file_count < QUORUM_REPLAY_FILES_MAX) {
        self->files[self->file_count].sequence = sequence;
    }
    self->file_count += 1;
}

static enum status read_files(struct quorum_replay *self)
{
    struct disk *disk = self->options.loop->disk;
    TRY(disk_list(disk, self->options.directory, read_on_entry, self));
    if (self->file_count > QUORUM_REPLAY_FILES_MAX) {
        self->file_count = 0;
        return STATUS_FULL;
    }
    for (uint32_t i = 0; i < self->file_count; i++) {
        char path[DISK_PATH_BYTES_MAX];
        path_of(self, self->files[i].sequence, path);
        TRY(disk_read_file(disk, path, FILE_BYTES_MAX, &self->bytes[i], &self->byte_counts[i]));
    }
    return STATUS_OK;
}

/* It does not count. It stays where it is until what does count is known to be on disk. */
static void pass_over(struct quorum_replay *self, uint32_t file)
{
    self->leftovers[self->leftover_count] = self->files[file].sequence;
    self->leftover_count += 1;
    free(self->bytes[file]);
    self->file_count -= 1;
    for (uint32_t i = file; i < self->file_count; i++) {
        self->files[i] = self->files[i + 1];
        self->bytes[i] = self->bytes[i + 1];
        self->byte_counts[i] = self->byte_counts[i + 1];
    }
    self->bytes[self->file_count] = NULL;
}

/* --- Which files count ------------------------------------------------------------------------ */

static enum status read_head(const struct quorum_replay *self, uint32_t file,
                             struct quorum_record *out_head)
{
    struct quorum_record head;
    TRY(quorum_record_read(self->bytes[file], self->byte_counts[file], &head));
    if (head.kind != QUORUM_RECORD_SEGMENT || head.sequence != self->files[file].sequence ||
        head.payload_bytes != QUORUM_BYTES_ID) {
        return STATUS_NOT_FOUND;
    }
    if (memcmp(head.payload, self->options.directory_id, QUORUM_BYTES_ID) != 0) {
        return damaged(self, "of another directory", self->files[file].sequence);
    }
    *out_head = head;
    return STATUS_OK;
}

/* True when a whole record lies somewhere in the file behind `position` that says that `sequence`
 * had been flushed. Records start at multiples of 8. */
static bool proves_flushed(const struct quorum_replay *self, uint32_t file, size_t position,
                           uint64_t sequence)
{
    const uint8_t *bytes = self->bytes[file];
    size_t byte_count = self->byte_counts[file];
    for (size_t at = position; at + QUORUM_RECORD_HEADER_BYTES <= byte_count; at += 8) {
        /* Cheap looks first: most of what lies behind the end is zeros. */
        if (quorum_bytes_get32(bytes + at) == 0 || quorum_bytes_get64(bytes + at + 24) < sequence ||
            quorum_bytes_get64(bytes + at + 16) <= quorum_bytes_get64(bytes + at + 24)) {
            continue;
        }
        struct quorum_record record;
        if (quorum_record_read(bytes + at, byte_count - at, &record) == STATUS_OK &&
            (self->chain.generation == 0 || record.generation == self->chain.generation)) {
            return true;
        }
    }
    return false;
}

/* Leaves the files of the newest generation. A last file without a first record was being made
 * when the power went, or was harmed after it had been used. */
static enum status choose_files(struct quorum_replay *self)
{
    struct quorum_record head;
    if (self->file_count > 0) {
        enum status status = read_head(self, self->file_count - 1, &head);
        if (status == STATUS_NOT_FOUND) {
            if (proves_flushed(self, self->file_count - 1, 0,
                               self->files[self->file_count - 1].sequence)) {
                return damaged(self, "first record", self->files[self->file_count - 1].sequence);
            }
            pass_over(self, self->file_count - 1);
            status = self->file_count == 0 ? STATUS_NOT_FOUND
                                           : read_head(self, self->file_count - 1, &head);
        }
        if (status != STATUS_OK) {
            /* Every born voter has a log. */
            return status == STATUS_NOT_FOUND ? damaged(self, "no first record", 0) : status;
        }
    }
    if (self->file_count == 0) {
        return damaged(self, "no file", 0);
    }

    uint32_t generation = head.generation;
    for (uint32_t file = self->file_count - 1; file > 0; file--) {
        enum status status = read_head(self, file - 1, &head);
        if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
            return status;
        }
        if (status == STATUS_OK && head.generation > generation) {
            return damaged(self, "older generation behind", self->files[file].sequence);
        }
        if (status == STATUS_OK && head.generation < generation) {
            while (file > 0) {
                file -= 1;
                pass_over(self, file);
            }
            break;
        }
    }
    return STATUS_OK;
}

/* --- Replay ----------------------------------------------------------------------------------- */

static void cut_entries(struct quorum_replay *self, uint64_t index)
{
    if (index <= self->start_index) {
        self->entry_count = 0;
        self->start_index = index;
    } else if (index < self->start_index + self->entry_count) {
        self->entry_count = (size_t)(index - self->start_index);
    }
}

static enum status take_entry(struct quorum_replay *self, const struct quorum_record *record)
{
    if (record->index != self->start_index + self->entry_count || record->term == 0) {
        return STATUS_CORRUPT;
    }
    if (self->entry_count == self->entry_count_max) {
        size_t count_max = self->entry_count_max == 0 ? 256 : self->entry_count_max * 2;
        struct quorum_record *entries = realloc(self->entries, count_max * sizeof *entries);
        if (entries == NULL) {
            return STATUS_NO_MEMORY;
        }
        self->entries = entries;
        self->entry_count_max = count_max;
    }
    self->entries[self->entry_count] = *record;
    self->entry_count += 1;
    return STATUS_OK;
}

static enum status take_record(struct quorum_replay *self, const struct quorum_record *record)
{
    self->chain = (struct quorum_chain){
        .generation = record->generation, .crc = record->crc, .sequence = record->sequence};
    self->last_kind = record->kind;
    switch (record->kind) {
    case QUORUM_RECORD_COMMAND:
    case QUORUM_RECORD_BARRIER:
    case QUORUM_RECORD_CHANGE:
        return take_entry(self, record);
    case QUORUM_RECORD_TRUNCATE:
        if (record->index == 0) {
            return STATUS_CORRUPT;
        }
        cut_entries(self, record->index);
        return STATUS_OK;
    case QUORUM_RECORD_SEGMENT:
        return record->index + 1 == self->start_index + self->entry_count ? STATUS_OK
                                                                          : STATUS_CORRUPT;
    case QUORUM_RECORD_MARK:
        return STATUS_OK;
    }
    return STATUS_UNSUPPORTED;
}

static bool is_successor(const struct quorum_chain *chain, const struct quorum_record *record)
{
    return record->generation == chain->generation && record->sequence == chain->sequence + 1 &&
           record->previous_crc == chain->crc && record->flushed_sequence <= chain->sequence;
}

/* Takes the file's first record, from which on the log may begin anew: files before it that are
 * missing hold nothing that the snapshot does not hold. */
static enum status replay_head(struct quorum_replay *self, uint32_t file)
{
    struct quorum_record head;
    enum status status = read_head(self, file, &head);
    if (status != STATUS_OK) {
        return status == STATUS_NOT_FOUND
                   ? damaged(self, "first record", self->files[file].sequence)
                   : status;
    }
    self->files[file].base_index = head.index;
    if (file > 0 && is_successor(&self->chain, &head)) {
        return take_record(self, &head);
    }
    if (head.index > self->options.snapshot_index) {
        return damaged(self, "hole before", self->files[file].sequence);
    }
    self->start_index = head.index + 1;
    self->entry_count = 0;
    return take_record(self, &head);
}

static enum status replay_file(struct quorum_replay *self, uint32_t file)
{
    TRY(replay_head(self, file));
    size_t position = quorum_record_bytes(QUORUM_BYTES_ID);
    for (;;) {
        struct quorum_record record;
        enum status status = quorum_record_read(self->bytes[file] + position,
                                                self->byte_counts[file] - position, &record);
        if (status == STATUS_NOT_FOUND ||
            (status == STATUS_OK && !is_successor(&self->chain, &record))) {
            break;
        }
        TRY(status);
        TRY(take_record(self, &record));
        position += quorum_record_bytes(record.payload_bytes);
    }
    self->tail_position = position;
    return STATUS_OK;
}

static enum status check_against_snapshot(struct quorum_replay *self)
{
    const struct quorum_replay_options *options = &self->options;
    uint64_t last_index = self->start_index + self->entry_count - 1;
    if (options->snapshot_generation == self->chain.generation &&
        options->snapshot_flushed_sequence > self->chain.sequence) {
        return damaged(self, "ends before the snapshot's", 0);
    }
    if (self->start_index > options->snapshot_index + 1) {
        return damaged(self, "starts behind the snapshot", 0);
    }
    if (options->snapshot_index == 0 || self->start_index == options->snapshot_index + 1) {
        return STATUS_OK;
    }
    if (last_index >= options->snapshot_index &&
        self->entries[options->snapshot_index - self->start_index].term == options->snapshot_term) {
        return STATUS_OK;
    }
    self->is_dropped = true;
    self->entry_count = 0;
    self->start_index = options->snapshot_index + 1;
    return STATUS_OK;
}

enum status quorum_replay_read(struct quorum_replay *self,
                               const struct quorum_replay_options *options)
{
    *self = (struct quorum_replay){.options = *options};
    TRY(read_files(self));
    TRY(choose_files(self));
    for (uint32_t file = 0; file < self->file_count; file++) {
        TRY(replay_file(self, file));
    }
    if (proves_flushed(self, self->file_count - 1, self->tail_position, self->chain.sequence + 1)) {
        return damaged(self, "flushed record", self->files[self->file_count - 1].sequence);
    }
    return check_against_snapshot(self);
}

void quorum_replay_done(struct quorum_replay *self)
{
    for (uint32_t i = 0; i < QUORUM_REPLAY_FILES_MAX; i++) {
        free(self->bytes[i]);
    }
    free(self->entries);
    *self = (struct quorum_replay){0};
}
