#include "broker/log/journal_reader.h"

#include "proto/sys/check.h"

#include <stdlib.h>

#define SCAN_BYTES (1U << 20)
#define BLOCK JOURNAL_FORMAT_BLOCK_BYTES

static enum status reserve_sheet(struct journal_reader *self, size_t byte_count)
{
    if (byte_count <= self->sheet_room) {
        return STATUS_OK;
    }
    size_t rounded = (byte_count + SCAN_BYTES - 1) / SCAN_BYTES * SCAN_BYTES;
    free(self->sheet);
    self->sheet_room = 0;
    self->sheet = aligned_alloc(BLOCK, rounded);
    if (self->sheet == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->sheet_room = rounded;
    return STATUS_OK;
}

static enum status open_header(struct journal_reader *self, const char *path)
{
    TRY(disk_open(self->disk, path, DISK_OPEN_READ | DISK_OPEN_DIRECT, &self->file));
    /* What a killed process had under way can be seen without being durable; what is replayed must
     * not vanish with the power while it is replayed. */
    TRY(disk_file_sync(self->disk, self->file));
    uint64_t file_bytes = 0;
    TRY(disk_file_size(self->disk, self->file, &file_bytes));
    TRY(reserve_sheet(self, BLOCK));
    size_t read_count = 0;
    TRY(disk_file_read(self->disk, self->file, 0, self->sheet, BLOCK, &read_count));
    if (read_count < BLOCK) {
        return STATUS_NOT_FOUND; /* Its header was never written whole. */
    }
    TRY(journal_format_decode_file_header(self->sheet, read_count, &self->header));
    if (self->header.byte_count % BLOCK != 0 || self->header.byte_count < 2 * (uint64_t)BLOCK ||
        self->header.byte_count > file_bytes) {
        return STATUS_CORRUPT;
    }
    self->ring_bytes = self->header.byte_count - BLOCK;
    return STATUS_OK;
}

enum status journal_reader_open(struct journal_reader *self, struct disk *disk, const char *path)
{
    *self = (struct journal_reader){.disk = disk};
    enum status status = open_header(self, path);
    if (status != STATUS_OK) {
        journal_reader_close(self);
    }
    return status;
}

void journal_reader_close(struct journal_reader *self)
{
    if (self->disk != NULL) {
        disk_file_close(self->disk, self->file);
    }
    free(self->sheet);
    *self = (struct journal_reader){0};
}

enum status journal_reader_start(struct journal_reader *self, uint64_t position, uint64_t sequence)
{
    if (position < BLOCK || position % BLOCK != 0 || position > BLOCK + self->ring_bytes) {
        return STATUS_CORRUPT;
    }
    self->place = (position - BLOCK) % self->ring_bytes;
    self->sequence = sequence;
    self->left_count = 0;
    return STATUS_OK;
}

/* The sheet at `place` if it is the expected one. */
static enum status load_sheet(struct journal_reader *self, uint64_t place)
{
    size_t read_count = 0;
    TRY(disk_file_read(self->disk, self->file, BLOCK + place, self->sheet, BLOCK, &read_count));
    struct journal_sheet_header header;
    TRY(journal_format_decode_sheet_header(self->sheet, read_count, &self->header.identity,
                                           &header));
    uint64_t rounded = ((uint64_t)header.byte_count + BLOCK - 1) / BLOCK * BLOCK;
    if (header.first_sequence != self->sequence || header.record_count == 0 ||
        header.byte_count < JOURNAL_FORMAT_SHEET_HEADER_BYTES ||
        rounded > self->ring_bytes - place) {
        return STATUS_NOT_FOUND;
    }
    TRY(reserve_sheet(self, rounded));
    TRY(disk_file_read(self->disk, self->file, BLOCK + place, self->sheet, rounded, &read_count));
    if (read_count < header.byte_count) {
        return STATUS_NOT_FOUND;
    }
    self->place = place + rounded;
    self->sheet_bytes = header.byte_count;
    self->sheet_next = JOURNAL_FORMAT_SHEET_HEADER_BYTES;
    self->left_count = header.record_count;
    return STATUS_OK;
}

static enum status next_sheet(struct journal_reader *self)
{
    enum status status = STATUS_NOT_FOUND;
    if (self->place < self->ring_bytes) {
        status = load_sheet(self, self->place);
    }
    /* The writer goes back to the start when the rest is too short. */
    return status == STATUS_NOT_FOUND ? load_sheet(self, 0) : status;
}

enum status journal_reader_next(struct journal_reader *self, struct journal_record *out_record)
{
    check(self->disk != NULL);
    while (self->left_count == 0) {
        TRY(next_sheet(self));
    }
    uint32_t record_bytes = 0;
    TRY(journal_format_decode_record(self->sheet + self->sheet_next,
                                     self->sheet_bytes - self->sheet_next, &self->header.identity,
                                     self->sequence, out_record, &record_bytes));
    self->sheet_next += record_bytes;
    self->left_count -= 1;
    self->sequence += 1;
    return STATUS_OK;
}

enum status journal_reader_check_end(struct journal_reader *self, uint64_t acknowledged_sequence)
{
    if (self->sequence < acknowledged_sequence) {
        return STATUS_CORRUPT;
    }
    TRY(reserve_sheet(self, SCAN_BYTES));
    for (uint64_t place = 0; place < self->ring_bytes; place += SCAN_BYTES) {
        size_t wanted =
            self->ring_bytes - place < SCAN_BYTES ? self->ring_bytes - place : SCAN_BYTES;
        size_t read_count = 0;
        TRY(disk_file_read(self->disk, self->file, BLOCK + place, self->sheet, wanted,
                           &read_count));
        for (size_t start = 0; start + BLOCK <= read_count; start += BLOCK) {
            struct journal_sheet_header header;
            enum status status = journal_format_decode_sheet_header(
                self->sheet + start, BLOCK, &self->header.identity, &header);
            if (status == STATUS_NOT_FOUND) {
                continue;
            }
            TRY(status);
            if (header.acknowledged_sequence > self->sequence) {
                return STATUS_CORRUPT;
            }
        }
    }
    return STATUS_OK;
}
