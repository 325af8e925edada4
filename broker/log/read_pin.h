/* What keeps the memory of an answered read: pinned chunks, or a buffer of its own.
 *
 * Owner: the reader, until log_read_release(). Loop: the shard's. It outlives the log, not the
 * store. */
#pragma once

#include "broker/log/log.h"
#include "broker/log/tail.h"

struct read_pin {
    uint32_t magic;
    struct block_pool *pool;
    struct budget *budget;
    void *buffer; /* Owned; from the pool, or NULL. */
    size_t buffer_bytes;
    size_t charged_bytes;       /* Of the arrays behind it. */
    struct tail_chunk **chunks; /* Pinned. */
    uint32_t chunk_count;
};

/* With room for the arrays of the answer, which are set in `read`. NULL: no memory. */
struct read_pin *read_pin_new(struct block_pool *pool, struct log_read *read, uint32_t chunk_room,
                              uint32_t slice_room, uint32_t batch_room);
void read_pin_free(struct read_pin *self);
