/* What is derived from a segment, made anew from its batches: indexes, producers, epochs.
 *
 * rebuild_walk() goes over bytes that were read back from a segment; each batch is checked before
 * it is believed, and the walk stops at the first one that cannot be. rebuild_add() takes one batch
 * whose ingested time is known, as the journal's replay gives them. The walk leaves the ingest
 * index alone: it cannot be told from the segment, so what its file said stays.
 *
 * Owner: the recovery. Loop: any. Limits: those of what it feeds. */
#pragma once

#include "broker/log/epoch_history.h"
#include "broker/log/index_set.h"
#include "broker/log/producer_rows.h"

struct rebuild {
    struct index_set *indexes; /* Borrowed. */
    struct producer_rows
        *producers;               /* Borrowed; as of `next_offset`. NULL: no transaction index. */
    struct epoch_history *epochs; /* Borrowed. NULL: not wanted. */
    uint64_t position;            /* Of the next batch in the segment. */
    int64_t next_offset;          /* The next batch begins there. */
    bool has_gaps;                /* Or above it, as Kafka's compaction leaves them; ours do not. */
};

/* The caller fills the struct; whatever the indexes say of offsets from `next_offset` on is dropped
 * (for a walk of the whole segment: position 0 and its base offset). */
void rebuild_begin(struct rebuild *self);

/* `byte_count` bytes at `position`. `out_byte_count` (also on failure): how many of them were
 * whole, sound batches; a cut batch at the end is left for the next call and is no failure.
 * CORRUPT: the batch there is damaged, or is none; nothing of it was taken. FULL: the indexes are.
 */
MUST_USE enum status rebuild_walk(struct rebuild *self, const uint8_t *bytes, size_t byte_count,
                                  size_t *out_byte_count);

/* One whole batch at `position`. */
MUST_USE enum status rebuild_add(struct rebuild *self, const uint8_t *bytes, size_t byte_count,
                                 int64_t ingested_ms);
