/* The bytes of a journal file: its header, the sheets of its ring, the records in a sheet; pure.
 *
 * A journal is block 0 with the file header, then a ring of sheets. A sheet is what one flush
 * writes: a header, records back to back, zeros up to the next block. The next sheet begins where
 * one ends, or at the ring's start when the writer found too little room behind it.
 * Checksums begin with the file's identity (generation, then salt), so that a record of an earlier
 * life of the file, or bytes that a client sent to look like one, are never taken for ours.
 * Numbers are big endian; `crc` is CRC-32C of the identity (16 bytes), then of all from byte 8 on.
 *
 * File header (the rest of block 0 is zero; its crc is without identity, over bytes 8 to 64):
 *   0 u32 magic "MRJF" | 4 u32 crc | 8 u8 version 1 | 9 zero | 12 u32 shard | 16 u64 generation
 *   24 u64 salt | 32 u64 byte count of the file | 40 zero
 * Sheet header (48 bytes):
 *   0 u32 magic "MRJS" | 4 u32 crc (header alone) | 8 u8 version 1 | 9 zero
 *   12 u32 byte count with header, without padding | 16 u64 generation | 24 u64 first sequence
 *   32 u64 acknowledged sequence: all records below it were flushed before this was written
 *   40 u32 record count | 44 zero
 * Record header (44 bytes), then by kind:
 *   0 u32 magic "MRJR" | 4 u32 crc | 8 u8 version 1 | 9 u8 kind | 10 zero | 12 u32 byte count
 *   16 u64 sequence | 24 topic id (16) | 40 i32 partition
 *   BATCHES        44 i64 base offset | 52 i64 next offset | 60 i64 segment base offset
 *                  68 u32 segment position | 72 i32 leader epoch of the first batch
 *                  76 u32 batch count | 80 u32 ingested count: 1 (same for all) or batch count
 *                  84 i64 ingested times | batches as in the segment
 *   LOG_CREATED    44 i64 start offset | 52 u16 byte count, topic name
 *   LOG_DELETED    (nothing)
 *   TRUNCATED      44 i64 new end | 52 i64 segment base offset | 60 u32 segment position
 *   START_MOVED    44 i64 start
 *   RESET          44 i64 new start and end
 *   EPOCH_ASSIGNED 44 i64 start offset | 52 i32 leader epoch
 *   TXN_ABORTED    44 i64 producer id | 52 i64 first | 60 i64 last | 68 i64 last stable offset
 *   BATCHES_IN_SEGMENT  as BATCHES up to the ingested times | u32 byte count, u32 CRC-32C of the
 *                  bytes that lie in the segment; reserved, nobody writes it yet
 *
 * Owner: none. Loop: any. Limits: JOURNAL_FORMAT_RECORD_BYTES_MAX. */
#pragma once

#include "proto/sys/status.h"
#include "proto/wire/reader.h"

#include <stddef.h>
#include <stdint.h>

#define JOURNAL_FORMAT_VERSION 1U
#define JOURNAL_FORMAT_BLOCK_BYTES 4096U
#define JOURNAL_FORMAT_FILE_HEADER_BYTES 64U
#define JOURNAL_FORMAT_SHEET_HEADER_BYTES 48U
#define JOURNAL_FORMAT_RECORD_HEADER_BYTES 44U
#define JOURNAL_FORMAT_HEAD_BYTES_MAX 320U /* A record without ingested times and batches. */
#define JOURNAL_FORMAT_RECORD_BYTES_MAX (20U << 20)
#define JOURNAL_FORMAT_TOPIC_BYTES_MAX 249U

struct journal_identity {
    uint64_t generation;
    uint64_t salt;
};

struct journal_file_header {
    struct journal_identity identity;
    uint64_t byte_count;
    uint32_t shard;
};

struct journal_sheet_header {
    uint64_t first_sequence;
    uint64_t acknowledged_sequence;
    uint32_t byte_count;
    uint32_t record_count;
};

enum journal_record_kind {
    JOURNAL_BATCHES = 1,
    JOURNAL_LOG_CREATED = 2,
    JOURNAL_LOG_DELETED = 3,
    JOURNAL_TRUNCATED = 4,
    JOURNAL_START_MOVED = 5,
    JOURNAL_RESET = 6,
    JOURNAL_EPOCH_ASSIGNED = 7,
    JOURNAL_TXN_ABORTED = 8,
    JOURNAL_BATCHES_IN_SEGMENT = 9,
};

/* One record, all kinds in one; fields that a kind has not are zero. Pointers are borrowed. */
struct journal_record {
    enum journal_record_kind kind;
    uint64_t sequence;
    struct wire_uuid topic_id;
    int32_t partition;
    int64_t offset;      /* Base, start, new end, new start, or first offset by the kind. */
    int64_t next_offset; /* BATCHES: end; TXN_ABORTED: last offset. */
    int64_t last_stable_offset;
    int64_t producer_id;
    int64_t segment_base;
    uint32_t segment_position;
    int32_t leader_epoch;
    uint32_t batch_count;
    uint32_t ingested_count;
    const uint8_t *ingested; /* `ingested_count` int64, big endian. */
    const uint8_t *bytes;    /* The batches, or the topic name. */
    uint32_t byte_count;
};

void journal_format_encode_file_header(const struct journal_file_header *header,
                                       uint8_t out_bytes[JOURNAL_FORMAT_FILE_HEADER_BYTES]);
/* NOT_FOUND: all zero, never used. CORRUPT, UNSUPPORTED: as everywhere. */
MUST_USE enum status journal_format_decode_file_header(const uint8_t *bytes, size_t byte_count,
                                                       struct journal_file_header *out_header);

void journal_format_encode_sheet_header(const struct journal_sheet_header *header,
                                        const struct journal_identity *identity,
                                        uint8_t out_bytes[JOURNAL_FORMAT_SHEET_HEADER_BYTES]);
/* NOT_FOUND: no sheet of this identity begins here. UNSUPPORTED: one of a newer version. */
MUST_USE enum status journal_format_decode_sheet_header(const uint8_t *bytes, size_t byte_count,
                                                        const struct journal_identity *identity,
                                                        struct journal_sheet_header *out_header);

/* Of the whole record, ingested times and bytes included. */
size_t journal_format_record_bytes(const struct journal_record *record);
/* Writes all but the ingested times and the batches, which follow it in this order and are counted
 * in the checksum already. The checksums in large batches are believed: they were verified before.
 * Returns how many bytes that were. */
size_t journal_format_encode_head(const struct journal_record *record,
                                  const struct journal_identity *identity,
                                  uint8_t out_bytes[JOURNAL_FORMAT_HEAD_BYTES_MAX]);
/* The record at the start of `bytes`. NOT_FOUND: no whole, undamaged record of this identity with
 * this sequence. UNSUPPORTED: it is one, of a newer version or of a kind not known here. CORRUPT:
 * its checksum is right and its content cannot be. */
MUST_USE enum status journal_format_decode_record(const uint8_t *bytes, size_t byte_count,
                                                  const struct journal_identity *identity,
                                                  uint64_t sequence,
                                                  struct journal_record *out_record,
                                                  uint32_t *out_byte_count);
int64_t journal_format_ingested_ms(const struct journal_record *record, uint32_t batch);
