#include "broker/log/segment_load.h"

#include "proto/wire/big_endian.h"
#include "broker/log/rebuild.h"
#include "proto/sys/check.h"
#include "proto/wire/crc32c.h"

#include <stdlib.h>

enum { SIDE_OFFSETS, SIDE_TIMES, SIDE_TXNS };

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
    if ((status == STATUS_CORRUPT || status == STATUS_UNSUPPORTED) && !self->segment.has_snapshot) {
        return STATUS_OK; /* Torn by the crash that kept it from counting. */
    }
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
        size_t walked = 0;
        TRY(rebuild_walk(rebuild, *buffer, read_count, &walked));
        if (read_count == wanted && walked > 0) {
            continue;
        }
        if (read_count < wanted || wanted < room || room >= REBUILD_BYTES_MAX) {
            return STATUS_CORRUPT; /* The file or its last batch is cut, or none is that long. */
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
    self->is_damaged[SIDE_OFFSETS] = true;
    self->is_damaged[SIDE_TIMES] = true;
    struct rebuild rebuild = {
        .indexes = self->indexes,
        .producers = self->is_damaged[SIDE_TXNS] && !self->has_doubtful_txns ? &producers : NULL,
        .next_offset = self->segment.base_offset};
    struct disk_file *file = NULL;
    uint8_t *buffer = NULL;
    enum status status = rebuild.producers == NULL ? STATUS_OK : load_producers(self, &producers);
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
    if (status == STATUS_OK && rebuild.next_offset != self->end_offset) {
        /* Sound batches, but not those that the checkpoint saw: a replay that was cut short put
         * them there, behind a cut that is still to come. */
        self->sound_bytes = self->segment.byte_count - 1;
        index_set_truncate(self->indexes, self->end_offset);
        status = self->may_be_cut ? STATUS_OK : STATUS_CORRUPT;
    }
    free(buffer);
    disk_file_close(self->disk, file);
    producer_rows_done(&producers);
    return status;
}

/* The entries of the transaction index that are in the file now, as far as they make sense. */
static enum status salvage_txns(struct segment_load *self)
{
    char path[DISK_PATH_BYTES_MAX];
    segment_path(self->directory, self->segment.base_offset, LOG_NAME_TXNINDEX, LOG_NAME_LIVE,
                 path);
    uint8_t *bytes = NULL;
    size_t byte_count = 0;
    enum status status =
        disk_read_file(self->disk, path, (size_t)TXN_INDEX_ENTRIES_MAX * TXN_INDEX_ENTRY_BYTES,
                       &bytes, &byte_count);
    if (status == STATUS_NOT_FOUND) {
        return STATUS_OK;
    }
    TRY(status);
    size_t sound = 0;
    int64_t last_offset = self->segment.base_offset - 1;
    while (sound + TXN_INDEX_ENTRY_BYTES <= byte_count) {
        int64_t offset = (int64_t)big_endian_get64(bytes + sound + 18);
        /* What a crash tore may look like anything. */
        bool is_known = big_endian_get16(bytes + sound) == TXN_INDEX_VERSION;
        if (!is_known || offset <= last_offset || offset >= self->end_offset) {
            break;
        }
        last_offset = offset;
        sound += TXN_INDEX_ENTRY_BYTES;
    }
    status = txn_index_load(&self->indexes->txns, bytes, sound, self->end_offset);
    free(bytes);
    return status == STATUS_CORRUPT ? STATUS_OK : status;
}

/* Damage is noted, not told. */
static enum status try_side(struct segment_load *self, uint32_t side)
{
    enum status status = load_side(self, side);
    if (status != STATUS_CORRUPT && status != STATUS_FULL) {
        return status;
    }
    self->is_damaged[side] = true;
    return STATUS_OK;
}

enum status segment_load_run(struct segment_load *self)
{
    check(self->indexes == NULL);
    self->indexes = calloc(1, sizeof *self->indexes);
    if (self->indexes == NULL) {
        return STATUS_NO_MEMORY;
    }
    index_set_init(self->indexes, self->segment.base_offset, self->interval_bytes);
    self->sound_bytes = self->segment.byte_count;
    for (uint32_t side = 0; side < SEGMENT_SIDES; side++) {
        TRY(try_side(self, side));
    }
    self->is_damaged[SIDE_TXNS] = self->is_damaged[SIDE_TXNS] || self->must_rebuild_txns;
    self->has_doubtful_txns = self->is_damaged[SIDE_TXNS] && self->may_be_cut;
    bool must_rebuild = self->is_damaged[SIDE_OFFSETS] || self->is_damaged[SIDE_TIMES] ||
                        self->is_damaged[SIDE_TXNS];
    if (!must_rebuild) {
        return STATUS_OK;
    }
    TRY(rebuild_all(self));
    /* The walk knows the two sparse ones best; what a file has of transactions is better than what
     * can be had from the segment alone. */
    if (self->has_doubtful_txns) {
        return salvage_txns(self);
    }
    return self->is_damaged[SIDE_TXNS] ? STATUS_OK : load_side(self, SIDE_TXNS);
}

void segment_load_done(struct segment_load *self)
{
    if (self->indexes != NULL) {
        index_set_done(self->indexes);
        free(self->indexes);
        self->indexes = NULL;
    }
}
