/* Reads a journal back after a crash, record by record, in the order they were written.
 *
 * It ends at the first record that is not the successor: zeros, a torn write, an older lap. That is
 * right only if nothing behind it was acknowledged, which journal_reader_check_end() proves from
 * what later sheets say.
 *
 * Owner: the recovery. Loop: any; synchronous. Limits: a sheet in memory at a time. */
#pragma once

#include "broker/log/journal_format.h"
#include "proto/sys/disk.h"

#include <stdbool.h>

struct journal_reader {
    struct disk *disk;
    struct disk_file *file;
    struct journal_file_header header;
    uint64_t ring_bytes;
    uint64_t place;    /* In the ring; of the next sheet. */
    uint64_t sequence; /* Expected next. */
    uint8_t *sheet;    /* Owned, block-aligned. */
    size_t sheet_room;
    uint32_t sheet_bytes;
    uint32_t sheet_next; /* In the sheet; of the next record. */
    uint32_t left_count; /* Records of the sheet to come. */
};

/* NOT_FOUND: no file, or one that was never used. CORRUPT, UNSUPPORTED, IO. Nothing to close then.
 */
MUST_USE enum status journal_reader_open(struct journal_reader *self, struct disk *disk,
                                         const char *path);
void journal_reader_close(struct journal_reader *self); /* Accepts a zeroed one. */
/* From where a checkpoint cut it; DISK_BLOCK_BYTES and 1 without one. CORRUPT: no such place. */
MUST_USE enum status journal_reader_start(struct journal_reader *self, uint64_t position,
                                          uint64_t sequence);
/* Borrowed until the next call. NOT_FOUND: the end. UNSUPPORTED: newer than this program. */
MUST_USE enum status journal_reader_next(struct journal_reader *self,
                                         struct journal_record *out_record);
/* After the end. CORRUPT: records behind it were acknowledged, or `acknowledged_sequence` (of the
 * checkpoint) was not reached. */
MUST_USE enum status journal_reader_check_end(struct journal_reader *self,
                                              uint64_t acknowledged_sequence);
