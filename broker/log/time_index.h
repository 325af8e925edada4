/* Sparse map from timestamp to offset inside one segment (`.timeindex`).
 *
 * An entry (timestamp, offset) says: no record up to `offset` is newer than `timestamp`. The index
 * observes every batch and appends the largest timestamp so far where the offset index got an
 * entry, if it is larger than the last one written. A roll, a checkpoint and a clean stop seal it,
 * so that the last entry of a closed segment is the segment's largest timestamp (retention by time
 * and ListOffsets -3 need it). The offset is the last one of the batch that has the timestamp.
 *
 * File: entries of 12 bytes, ascending in both fields, numbers big endian.
 *
 *   offset size field
 *   0      8    int64 timestamp
 *   8      4    int32 relative offset
 *
 * Owner: the segment. Loop: the shard's. Limits: `entry_count_max`; one entry is kept back for
 * sealing. */
#pragma once

#include "proto/sys/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TIME_INDEX_ENTRY_BYTES 12U
#define TIME_INDEX_ENTRIES_MAX ((10U << 20) / TIME_INDEX_ENTRY_BYTES)
#define TIME_INDEX_NONE INT64_C(-1) /* No batch, or none with a timestamp. */

struct time_index_entry {
    int64_t timestamp_ms;
    int64_t offset;
};

struct time_index {
    uint32_t magic;
    uint32_t entry_count;
    uint32_t entry_count_max;
    uint32_t room;
    int64_t base_offset;
    struct time_index_entry largest;  /* So far; TIME_INDEX_NONE before the first batch. */
    struct time_index_entry *entries; /* Owned. Both fields strictly ascend. */
};

/* Allocates nothing yet. */
void time_index_init(struct time_index *self, int64_t base_offset, uint32_t entry_count_max);
/* Accepts a zeroed index. */
void time_index_done(struct time_index *self);

/* Replaces the content by a file's; `largest` is its last entry. `end_offset`: of the segment, all
 * offsets lie below it. CORRUPT (and nothing is changed): cut, out of order, outside the segment.
 * FULL: more than the limit. */
MUST_USE enum status time_index_load(struct time_index *self, const uint8_t *bytes,
                                     size_t byte_count, int64_t end_offset);

/* Of every batch appended, before time_index_append(). */
void time_index_observe(struct time_index *self, int64_t max_timestamp_ms, int64_t last_offset);
bool time_index_has_room(const struct time_index *self);
/* Called where the offset index got an entry; adds nothing when `largest` is no news. FULL asks
 * the caller to roll the segment. */
MUST_USE enum status time_index_append(struct time_index *self);
/* The same before the segment closes; may use the entry kept back. */
MUST_USE enum status time_index_seal(struct time_index *self);

/* The last entry whose timestamp is not above `timestamp_ms`: a search may start after scanning
 * to its offset's batch. (TIME_INDEX_NONE, base offset) when every entry is newer. */
struct time_index_entry time_index_floor(const struct time_index *self, int64_t timestamp_ms);
/* Forgets entries at or beyond `offset`. `largest` becomes the last entry left, which may be too
 * small: the caller observes again the batches behind it. */
void time_index_truncate(struct time_index *self, int64_t offset);

/* As offset_index_encode(). */
void time_index_encode(const struct time_index *self, uint32_t first, uint32_t count,
                       uint8_t *out_bytes);
