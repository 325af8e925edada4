/* The bytes of a checkpoint file: what every log of a store looks like without its journal; pure.
 *
 * `checkpoint-base` is what the last recovery left, of all shards together; `checkpoint-<shard>`
 * overrides it for the logs that changed on that shard in this run. Records of a log whose sequence
 * is at most its entry's are in the entry already.
 * Numbers are big endian.
 *
 * Header (64 bytes):
 *   0 u32 magic "MRCP" | 4 u32 CRC-32C of all from byte 8 on | 8 u8 version 1
 *   9 u8 kind: 0 base, 1 shard | 10 u8 1: clean stop | 11 zero | 12 u32 shard | 16 u64 run
 *   24 u64 journal position and 32 u64 sequence from which to replay
 *   40 u64 acknowledged sequence: replay must reach it | 48 i64 wall time in ms, as trusted
 *   56 u32 entry count | 60 zero
 * Entry:
 *   0 u32 byte count of the entry | 4 topic id (16) | 20 i32 partition | 24 u64 sequence
 *   32 u8 1: the log was deleted | 33 zero | 34 u16 byte count, topic name
 *   (then nothing for a deleted one)
 *   i64 start | i64 end | i64 newest ingested time
 *   u32 count of leader epochs, each: i32 leader epoch, i64 start offset
 *   u32 count of segments, each 76 bytes: i64 base offset | u32 byte count | u32 flags (1: has a
 *     .snapshot) | i64 greatest timestamp | i64 newest ingested time | i64 made at (ms)
 *     u32 byte count, u32 CRC-32C of .index, .timeindex, .txnindex, .ingest | u32 zero
 *   i64 offset of the producer snapshot, -1 none | u32 byte count, its bytes
 *
 * Owner: none. Loop: any. Limits: CHECKPOINT_FORMAT_BYTES_MAX. */
#pragma once

#include "broker/log/epoch_history.h"
#include "proto/sys/status.h"
#include "proto/wire/reader.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHECKPOINT_FORMAT_VERSION 1U
#define CHECKPOINT_FORMAT_HEADER_BYTES 64U
#define CHECKPOINT_FORMAT_BYTES_MAX (1U << 30)
#define CHECKPOINT_FORMAT_SIDES 4U
#define CHECKPOINT_FORMAT_BASE_NAME "checkpoint-base"
#define CHECKPOINT_FORMAT_SHARD_NAME "checkpoint-"

struct checkpoint_header {
    uint64_t run;
    uint64_t cut_position;
    uint64_t cut_sequence;
    uint64_t acknowledged_sequence;
    int64_t wall_ms;
    uint32_t shard;
    uint32_t entry_count;
    bool is_shard;
    bool is_clean;
};

struct checkpoint_side {
    uint32_t byte_count;
    uint32_t crc;
};

struct checkpoint_segment {
    int64_t base_offset;
    int64_t max_timestamp_ms;
    int64_t last_ingested_ms;
    int64_t created_ms;
    uint32_t byte_count;
    bool has_snapshot;
    struct checkpoint_side sides[CHECKPOINT_FORMAT_SIDES];
};

/* Decoded entries own their arrays; texts and snapshot bytes are borrowed. */
struct checkpoint_entry {
    struct wire_uuid topic_id;
    struct wire_text topic_name;
    int32_t partition;
    bool is_removed;
    uint64_t sequence;
    int64_t start;
    int64_t end;
    int64_t last_ingested_ms;
    const struct epoch_history_entry *epochs;
    uint32_t epoch_count;
    uint32_t segment_count;
    const struct checkpoint_segment *segments; /* Ascending. */
    int64_t snapshot_offset;
    const uint8_t *snapshot;
    uint32_t snapshot_byte_count;
};

/* A piece of a file: pointers into it, nothing decoded yet. */
struct checkpoint_blob {
    const uint8_t *bytes;
    uint32_t byte_count;
    struct wire_uuid topic_id;
    int32_t partition;
    uint64_t sequence;
    bool is_removed;
};

/* Fills in the checksum: `bytes` holds the whole file, its first CHECKPOINT_FORMAT_HEADER_BYTES are
 * written here, the entries are there already. */
void checkpoint_format_seal(const struct checkpoint_header *header, uint8_t *bytes,
                            size_t byte_count);
/* CORRUPT, UNSUPPORTED. */
MUST_USE enum status checkpoint_format_open(const uint8_t *bytes, size_t byte_count,
                                            struct checkpoint_header *out_header);
/* The entry at `*position` (which starts at CHECKPOINT_FORMAT_HEADER_BYTES), and moves it. */
MUST_USE enum status checkpoint_format_next(const uint8_t *bytes, size_t byte_count,
                                            size_t *position, struct checkpoint_blob *out_blob);

/* `out_bytes` is for free(). */
MUST_USE enum status checkpoint_format_encode_entry(const struct checkpoint_entry *entry,
                                                    uint8_t **out_bytes, uint32_t *out_byte_count);
/* `out_entry` is for checkpoint_format_entry_done(); it borrows from `blob`. */
MUST_USE enum status checkpoint_format_decode_entry(const struct checkpoint_blob *blob,
                                                    struct checkpoint_entry *out_entry);
/* Of decoded ones only. Accepts a zeroed one. */
void checkpoint_format_entry_done(struct checkpoint_entry *entry);
