#include "broker/log/segment_load.h"

#include "broker/log/rebuild.h"
#include "proto/sys/check.h"
#include "proto/wire/crc32c.h"

#include <stdlib.h>

#define REBUILD_BYTES (1U << 20)
#define REBUILD_BYTES_MAX (64U << 20) /* A batch is smaller. */

/* What the checkpoint counts of one side file. CORRUPT: it is not what was written. */
static enum status read_side(struct segment_load *self, uint32_t side, uint8_t **out_bytes)
{
    const struct checkpoint_side *saved = &self->segment.sides[side];
    *out_bytes = NULL;
    if (saved->byte_count == 0) {
        return STATUS_OK;
    }
    char path[DISK_PATH_BYTES_MAX];
    segment_path(self->directory, self->segment.base_offset,
                 (enum log_name_file)(LOG_NAME_INDEX + side), LOG_NAME_LIVE, path);
    struct disk_file *file = NULL;
    enum status status = disk_open(self->disk, path, DISK_OPEN_READ, &file);
    if (status != STATUS_OK) {
        return status == STATUS_NOT_FOUND ? STATUS_CORRUPT : status;
    }
    uint64_t file_bytes = 0;
    status = disk_file_size(self->disk, file, &file_bytes);
    uint8_t *bytes = NULL;
    size_t byte_count = 0;
    if (status == STATUS_OK && file_bytes < saved->byte_count) {
        status = STATUS_CORRUPT;
    }
    if (status == STATUS_OK) {
        bytes = malloc(saved->byte_count);
        status = bytes == NULL
                     ? STATUS_NO_MEMORY
                     : disk_file_read(self->disk, file, 0, bytes, saved->byte_count, &byte_count);
    }
    disk_file_close(self->disk, file);
    if (status == STATUS_OK &&
        (byte_count != saved->byte_count || crc32c(0, bytes, byte_count) != saved->crc)) {
        status = STATUS_CORRUPT;
    }
    if (status != STATUS_OK) {
        free(bytes);
        return status;
    }
    *out_bytes = bytes;
    return STATUS_OK;
}

static enum status load_side(struct segment_load *self, uint32_t side)
{
    uint8_t *bytes = NULL;
    TRY(read_side(self, side, &bytes));
    uint32_t byte_count = self->segment.sides[side].byte_count;
    enum status status = STATUS_OK;
    if (byte_count > 0) {
        switch ((enum log_name_file)(LOG_NAME_INDEX + side)) {
        case LOG_NAME_INDEX:
            status = offset_index_load(&self->indexes->offsets, bytes, byte_count,
                                       self->segment.byte_count);
            break;
        case LOG_NAME_TIMEINDEX:
            status = time_index_load(&self->indexes->times, bytes, byte_count, self->end_offset);
            break;
        case LOG_NAME_TXNINDEX:
            status = txn_index_load(&self->indexes->txns, bytes, byte_count, self->end_offset);
            break;
        case LOG_NAME_INGEST:
            status = ingest_index_load(&self->indexes->ingests, bytes, byte_count);
            break;
        case LOG_NAME_LOG:
        case LOG_NAME_SNAPSHOT:
            check_unreachable("no side of a segment");
        }
    }
    free(bytes);
    return status;
}

/* The producers as the segment began, for its transaction index. None known: an empty table. */
static enum status load_producers(struct segment_load *self, struct producer_rows *producers)
{
    char path[DISK_PATH_BYTES_MAX];
    segment_path(self->directory, self->segment.base_offset, LOG_NAME_SNAPSHOT, LOG_NAME_LIVE,
                 path);
    uint8_t *bytes = NULL;
    size_t byte_count = 0;
    enum status status =
        disk_read_file(self->disk, path, SNAPSHOT_FILE_BYTES_MAX, &bytes, &byte_count);
    if (status == STATUS_NOT_FOUND) {
        return STATUS_OK;
    }
    TRY(status);
    struct snapshot_file_row *rows = NULL;
    uint32_t row_count = 0;
    status = snapshot_file_decode(bytes, byte_count, &rows, &row_count);
    free(bytes);
    TRY(status);
    status = producer_rows_load(producers, rows, row_count);
    free(rows);
    return status;
}

static enum status walk_pieces(struct segment_load *self, struct rebuild *rebuild,
                               struct disk_file *file, uint8_t **buffer)
{
    size_t room = REBUILD_BYTES;
    *buffer = malloc(room);
    uint64_t limit = self->segment.byte_count;
    while (*buffer != NULL && rebuild->position < limit) {
        size_t wanted = limit - rebuild->position < room ? limit - rebuild->position : room;
        size_t read_count = 0;
        TRY(disk_file_read(self->disk, file, rebuild->position, *buffer, wanted, &read_count));
        if (read_count < wanted) {
            return STATUS_CORRUPT;
        }
        size_t walked = 0;
        TRY(rebuild_walk(rebuild, *buffer, read_count, &walked));
        if (walked > 0) {
            continue;
        }
        if (wanted < room || room >= REBUILD_BYTES_MAX) {
            return STATUS_CORRUPT; /* The last batch is cut, or none is that long. */
        }
        room *= 4;
        free(*buffer);
        *buffer = malloc(room);
    }
    return *buffer == NULL ? STATUS_NO_MEMORY : STATUS_OK;
}

static enum status rebuild_all(struct segment_load *self)
{
    char path[DISK_PATH_BYTES_MAX];
    segment_path(self->directory, self->segment.base_offset, LOG_NAME_LOG, LOG_NAME_LIVE, path);
    struct producer_rows producers;
    producer_rows_init(&producers);
    struct rebuild rebuild = {.indexes = self->indexes,
                              .producers = &producers,
                              .next_offset = self->segment.base_offset};
    struct disk_file *file = NULL;
    uint8_t *buffer = NULL;
    enum status status = load_producers(self, &producers);
    if (status == STATUS_OK) {
        status = disk_open(self->disk, path, DISK_OPEN_READ, &file);
    }
    if (status == STATUS_OK) {
        rebuild_begin(&rebuild);
        status = walk_pieces(self, &rebuild, file, &buffer);
    }
    if (status == STATUS_CORRUPT && self->may_be_cut) {
        self->sound_bytes = (uint32_t)rebuild.position;
        status = STATUS_OK;
    }
    free(buffer);
    disk_file_close(self->disk, file);
    producer_rows_done(&producers);
    return status;
}

enum status segment_load_run(struct segment_load *self)
{
    check(self->indexes == NULL);
    self->indexes = calloc(1, sizeof *self->indexes);
    if (self->indexes == NULL) {
        return STATUS_NO_MEMORY;
    }
    index_set_init(self->indexes, self->segment.base_offset, self->interval_bytes);
    self->was_damaged = false;
    self->sound_bytes = self->segment.byte_count;
    for (uint32_t side = 0; side < SEGMENT_SIDES; side++) {
        enum status status = load_side(self, side);
        /* The ingested times are nowhere else: they become unknown. */
        bool is_derived = LOG_NAME_INDEX + side != LOG_NAME_INGEST;
        if (status == STATUS_CORRUPT || status == STATUS_FULL) {
            self->was_damaged = self->was_damaged || is_derived;
            status = STATUS_OK;
        }
        TRY(status);
    }
    return self->was_damaged ? rebuild_all(self) : STATUS_OK;
}

void segment_load_done(struct segment_load *self)
{
    if (self->indexes != NULL) {
        index_set_done(self->indexes);
        free(self->indexes);
        self->indexes = NULL;
    }
}
