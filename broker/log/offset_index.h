/* Sparse map from record offset to byte position inside one segment file (`.index`).
 *
 * A reader takes the last entry at or before its offset and scans the segment forward from there.
 * An entry is due when more than index.interval.bytes lie between the last entry's batch and this
 * one; it names the LAST offset of the batch that begins at `position`, as Kafka does. The index
 * is only a hint: recovery rebuilds it from the segment, so it has no checksum; loading checks its
 * order and its borders.
 *
 * File: entries of 8 bytes, ascending in both fields, numbers big endian.
 *
 *   offset size field
 *   0      4    int32 relative offset: last offset of the batch - base offset of the segment
 *   4      4    int32 position of the batch in the segment
 *
 * Owner: the segment. Loop: the shard's. Limits: `entry_count_max` (memory grows up to it). */
#pragma once

#include "proto/sys/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OFFSET_INDEX_ENTRY_BYTES 8U
#define OFFSET_INDEX_ENTRIES_MAX                                                                   \
    ((10U << 20) / OFFSET_INDEX_ENTRY_BYTES) /* segment.index.bytes                                \
                                              */

struct offset_index_entry {
    uint32_t relative_offset; /* At most INT32_MAX, as is `position`. */
    uint32_t position;
};

struct offset_index {
    uint32_t magic;
    uint32_t entry_count;
    uint32_t entry_count_max;
    uint32_t room; /* Entries that `entries` can hold now. */
    int64_t base_offset;
    struct offset_index_entry *entries; /* Owned. Both fields strictly ascend. */
};

/* Allocates nothing yet. */
void offset_index_init(struct offset_index *self, int64_t base_offset, uint32_t entry_count_max);
/* Accepts a zeroed index. */
void offset_index_done(struct offset_index *self);

/* Replaces the content by a file's. `segment_bytes`: every position lies before it. CORRUPT (and
 * nothing is changed): cut, out of order, or outside the segment. FULL: more than the limit. */
MUST_USE enum status offset_index_load(struct offset_index *self, const uint8_t *bytes,
                                       size_t byte_count, uint64_t segment_bytes);

/* Whether a batch at `position` gets an entry. */
bool offset_index_is_due(const struct offset_index *self, uint64_t position,
                         uint32_t interval_bytes);
/* Room for one more, and `last_offset` and `position` can be told in 31 bits. False: roll. */
bool offset_index_has_room(const struct offset_index *self, int64_t last_offset, uint64_t position);
/* FULL asks the caller to roll the segment. Both values above those of the last entry. */
MUST_USE enum status offset_index_append(struct offset_index *self, int64_t last_offset,
                                         uint64_t position);
/* Position to start scanning for `offset`; 0 when every entry lies after it. */
uint32_t offset_index_floor(const struct offset_index *self, int64_t offset);
/* The same, and the last offset of the batch that begins there; -1: no entry says it. */
uint32_t offset_index_floor_batch(const struct offset_index *self, int64_t offset,
                                  int64_t *out_last_offset);
/* Forgets batches that contain `offset` or lie beyond it. */
void offset_index_truncate(struct offset_index *self, int64_t offset);
/* Forgets batches that begin at `position` or behind it. */
void offset_index_cut(struct offset_index *self, uint32_t position);

/* The file's bytes of `count` entries from `first` on; `out_bytes` has room for them. The file
 * position of an entry is its number * OFFSET_INDEX_ENTRY_BYTES. */
void offset_index_encode(const struct offset_index *self, uint32_t first, uint32_t count,
                         uint8_t *out_bytes);
