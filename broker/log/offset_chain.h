/* Whether the batches of a segment lie where they belong, as a reader goes over them.
 *
 * No checksum covers a batch's base offset: a damaged one would give its records wrong offsets, or
 * hide them. But each batch of a log begins where the one before it ended, and the first one of a
 * segment at the segment's base offset; where a reader begins in the middle, the index says where
 * the batch there ends.
 *
 * Owner: who reads. Loop: any thread. Limits: none. */
#pragma once

#include "broker/log/offset_index.h"
#include "proto/record/batch.h"

struct offset_chain {
    int64_t next_offset; /* The next batch begins there; -1: it is known by its end only. */
    int64_t last_offset; /* That end, then. */
};

/* Before the batch at which a search for `offset` begins, whose position this returns. */
uint32_t offset_chain_begin(struct offset_chain *self, const struct offset_index *index,
                            int64_t offset);
/* CORRUPT: the next batch cannot be this one. */
MUST_USE enum status offset_chain_add(struct offset_chain *self, const struct batch_view *batch);
