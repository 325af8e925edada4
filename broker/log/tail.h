/* The newest bytes of the logs of a store, in memory: appends are copied here once, reads and the
 * writes to the segments are served from here.
 *
 * A log's tail is a row of chunks. A chunk holds whole batches of one segment, contiguous, and
 * begins at a block border of the segment's file, so that it can be written without another copy;
 * for that it may begin with a copy of the last few bytes of its predecessor. Chunks grow with the
 * log's traffic. What the segment's file has may be evicted, oldest first; a tail is always the
 * end of its log without a hole.
 * Pinned chunks outlive eviction, truncation and the log.
 *
 * Owner: the store. Loop: the shard's. Limits: the budget, through the block pool; `byte_count_max`
 * is what it may keep of what is written, also between two ticks of the store: a new chunk takes
 * the memory of the oldest. */
#pragma once

#include "broker/log/block_pool.h"
#include "proto/sys/list.h"
#include "proto/sys/status.h"

#include <stdbool.h>
#include <stdint.h>

#define TAIL_CHUNK_BYTES_MAX (1U << 20) /* Of a chunk of several batches. */

struct segment;
struct tail_chunk;

struct tail_cache {
    uint32_t magic;
    struct block_pool *pool; /* Borrowed for life. */
    struct list recent;      /* Chunks of all tails, oldest first. */
    size_t byte_count;       /* Of the chunks of all tails; pinned ones that were evicted not. */
    size_t byte_count_max;
};

struct tail {
    struct tail_cache *cache;
    struct list chunks; /* Oldest first. */
};

struct tail_batch {
    int64_t base_offset;
    int64_t next_offset;
    int64_t ingested_ms;
    uint32_t start; /* In the chunk's bytes. */
    uint32_t byte_count;
};

struct tail_chunk {
    uint32_t magic;
    uint32_t reference_count; /* The tail's and one per pin. */
    struct tail_cache *cache;
    struct tail *tail;       /* NULL: out of the tail, only pinned. */
    struct segment *segment; /* Valid while in the tail. */
    struct list link;
    struct list recent_link;
    uint8_t *bytes;
    uint32_t position; /* Of bytes[0] in the segment. */
    uint32_t used;     /* Bytes, the copied head included. */
    uint32_t room;
    uint32_t batch_count;
    uint32_t batch_room;
    bool is_sealed; /* Cut while pinned: its room is not used again under the pin. */
    struct tail_batch *batches;
};

void tail_cache_init(struct tail_cache *self, struct block_pool *pool, size_t byte_count_max);
void tail_cache_done(struct tail_cache *self); /* All tails are done. Accepts a zeroed one. */
/* Evicts what is written, oldest first, until at most `byte_count` bytes are kept or nothing more
 * can go. */
void tail_cache_shrink(struct tail_cache *self, size_t byte_count);

void tail_init(struct tail *self, struct tail_cache *cache);
void tail_done(struct tail *self); /* Drops all. Accepts a zeroed tail. */
/* NULL: empty. */
struct tail_chunk *tail_last(const struct tail *self);

/* Where the next batches will lie. */
struct tail_want {
    struct segment *segment;
    uint32_t position;
    uint32_t byte_count;
    uint32_t batch_count;
    /* The bytes from the last block border up to `position`, when tail_has_head() says that they
     * are not here. */
    const uint8_t *head;
};
bool tail_has_head(const struct tail *self, const struct tail_want *want);
/* Makes room in the last chunk, or in a new one. BUSY: the budget refuses. */
MUST_USE enum status tail_reserve(struct tail *self, const struct tail_want *want);
/* Into the room reserved just before. `batches` have their `start` relative to `bytes`. */
void tail_put(struct tail *self, const uint8_t *bytes, uint32_t byte_count,
              const struct tail_batch *batches, uint32_t batch_count);

/* The chunk and batch that contain `offset`, or the first beyond it. False: it is below the tail,
 * or at or beyond its end. */
bool tail_find(const struct tail *self, int64_t offset, struct tail_chunk **out_chunk,
               uint32_t *out_batch);
/* Drops batches at or beyond `end`, all whole. */
void tail_truncate(struct tail *self, int64_t end);
/* The segment is going: its chunks are dropped. Only the oldest or all may go so. */
void tail_drop_segment(struct tail *self, const struct segment *segment);

struct tail_chunk *tail_chunk_ref(struct tail_chunk *chunk);
void tail_chunk_unref(struct tail_chunk *chunk);
