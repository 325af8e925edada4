/* `ledger.snapshot`: what a ledger's records came to, up to an offset, so that a load reads a tail.
 *
 * It holds the records that still count, in the log's own formats, as a compacted log would: a load
 * applies them and then what the log has from `next_offset` on. Only what was below the high
 * watermark gets in. Safe to lose. Numbers big endian:
 *
 *   offset size field
 *   0      4    uint32 magic "MLSN"
 *   4      2    int16 version, 1
 *   6      4    uint32 CRC-32C of bytes 10 up to the end
 *   10     16   topic id
 *   26     4    int32 partition
 *   30     4    int32 leader epoch of the term that wrote it
 *   34     8    int64 next offset: everything below it is in here
 *   42     8    int64 number of records
 *   50          records:
 *   +0     8    int64 offset
 *   +8     8    int64 producer id; -1: none, else an open transaction's
 *   +16    2    int16 producer epoch
 *   +18    4    int32 key bytes, +22 int32 value bytes, then both
 *
 * Owner: none. Loop: any. Limits: LEDGER_SNAPSHOT_BYTES_MAX. */
#pragma once

#include "proto/wire/reader.h"

#define LEDGER_SNAPSHOT_NAME "ledger.snapshot"
#define LEDGER_SNAPSHOT_VERSION 1
#define LEDGER_SNAPSHOT_BYTES_MAX ((size_t)1 << 30)

/* One record of a ledger, from its log or from its snapshot. */
struct ledger_record {
    struct wire_bytes key;
    struct wire_bytes value; /* Null: what the key named is gone. */
    int64_t offset;
    int64_t producer_id; /* -1 unless it is part of a transaction. */
    int16_t producer_epoch;
};

struct ledger_snapshot_head {
    struct wire_uuid topic_id;
    int32_t partition;
    int32_t leader_epoch;
    int64_t next_offset;
    int64_t record_count;
};

struct ledger_snapshot_writer {
    uint8_t *bytes; /* Owned until taken. */
    size_t byte_count;
    size_t capacity_bytes;
    int64_t record_count;
    bool has_failed;
};

void ledger_snapshot_begin(struct ledger_snapshot_writer *self);
/* Keeps going after a failure, which ledger_snapshot_finish() tells. */
void ledger_snapshot_add(struct ledger_snapshot_writer *self, const struct ledger_record *record);
/* `out_bytes` is for free(). NO_MEMORY, FULL. The writer is empty afterwards. */
MUST_USE enum status ledger_snapshot_finish(struct ledger_snapshot_writer *self,
                                            const struct ledger_snapshot_head *head,
                                            uint8_t **out_bytes, size_t *out_byte_count);

/* CORRUPT: damaged; UNSUPPORTED: another version. The reader then stands at the first record. */
MUST_USE enum status ledger_snapshot_open(const uint8_t *bytes, size_t byte_count,
                                          struct ledger_snapshot_head *out_head,
                                          struct wire_reader *out_reader);
/* NOT_FOUND at the end; CORRUPT: a record does not fit. */
MUST_USE enum status ledger_snapshot_next(struct wire_reader *reader,
                                          struct ledger_record *out_record);
