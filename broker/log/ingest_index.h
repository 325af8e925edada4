/* The time at which the leader took in each batch of one segment (`.ingest`, ours alone).
 *
 * Exact for every batch and still small: an entry is kept only where the value changes, so a
 * batch's time is that of the last entry at or before its base offset. Entries are packed into
 * blocks; the bytes in memory are the file's. Blocks are only ever added at the end: a sealed block
 * is never rewritten, so a file cut back to a checkpointed size is whole. After a truncation, the
 * next block begins at or before entries of earlier blocks and overrides them from there on.
 *
 * The file is the only place beside the journal that has these times; the segment cannot tell
 * them. When it is damaged or missing (a directory that Kafka wrote), they are
 * INGEST_INDEX_UNKNOWN.
 *
 * File: blocks, back to back. Numbers big endian; varints as in proto/wire.
 *
 *   offset size field
 *   0      2    uint16 magic, 0x4d49 ("MI")
 *   2      2    uint16 version, 1
 *   4      4    uint32 CRC-32C of everything behind it up to the end of the block
 *   8      4    uint32 bytes of the block, this header included
 *   12     4    uint32 entries in the block, at least 1
 *   16     4    int32 relative offset of the first entry (base offset of its batch - segment's)
 *   20     8    int64 ingested time of the first entry, in ms since 1970; -1 unknown
 *   28     -    per further entry: uvarint offset delta (>= 1), zigzag varint time delta
 *
 * Owner: the segment. Loop: the shard's. Limits: `byte_count_max`; INGEST_INDEX_BLOCK_ENTRIES. */
#pragma once

#include "proto/sys/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INGEST_INDEX_UNKNOWN INT64_C(-1)
#define INGEST_INDEX_BYTES_MAX (64U << 20)
#define INGEST_INDEX_BLOCK_ENTRIES 128U
#define INGEST_INDEX_BLOCK_HEADER_BYTES 28U

struct ingest_index_block {
    uint32_t relative_offset; /* Of its first entry. Strictly ascends over blocks in force. */
    uint32_t position;        /* In `bytes`. */
};

struct ingest_index {
    uint32_t magic;
    uint8_t *bytes;      /* Owned. The file's, sealed blocks first, then the open one. */
    uint32_t byte_count; /* With the open block. */
    uint32_t room;
    uint32_t byte_count_max;
    uint32_t sealed_byte_count;        /* Blocks before it are final and may be written. */
    struct ingest_index_block *blocks; /* Owned. In force, the open one included. */
    uint32_t block_count;
    uint32_t block_room;
    uint32_t open_entry_count;     /* 0: no open block; the next append begins one. */
    uint32_t last_relative_offset; /* Of the open block's last entry. */
    int64_t last_ingested_ms;
    int64_t base_offset;
};

/* Allocates nothing yet. */
void ingest_index_init(struct ingest_index *self, int64_t base_offset, uint32_t byte_count_max);
/* Accepts a zeroed index. */
void ingest_index_done(struct ingest_index *self);

/* Replaces the content by a file's, all of it sealed. CORRUPT (and nothing is changed): cut or
 * damaged anywhere; the caller goes on with an empty index and writes the file anew from byte 0.
 * UNSUPPORTED: a newer version. FULL: more than the limit. */
MUST_USE enum status ingest_index_load(struct ingest_index *self, const uint8_t *bytes,
                                       size_t byte_count);

/* An append may still succeed. False: roll. */
bool ingest_index_has_room(const struct ingest_index *self);
/* The batch that begins at `batch_offset` (above all before it) was taken in at `ingested_ms`.
 * FULL: roll the segment; nothing was added. */
MUST_USE enum status ingest_index_append(struct ingest_index *self, int64_t batch_offset,
                                         int64_t ingested_ms);
/* Of the batch that begins at (or contains) `offset`. */
int64_t ingest_index_find(const struct ingest_index *self, int64_t offset);
/* Forgets batches that begin at or beyond `offset`. The file needs no cutting. */
void ingest_index_truncate(struct ingest_index *self, int64_t offset);

/* Closes the open block. Then bytes [what was written so far, sealed_byte_count) of `bytes` are due
 * for the file at the same position; they stay put until the next append, so copy them. */
void ingest_index_seal(struct ingest_index *self);
