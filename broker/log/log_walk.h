/* Synchronous walks over a log, for start-up and for truncation: from memory where it is there,
 * else from the segments' files.
 *
 * Owner: the log. Loop: the shard's; it stops the loop while it reads. */
#pragma once

#include "broker/log/log_store.h"
#include "proto/record/batch.h"

struct log_place {
    int64_t offset;    /* The batch's base. */
    uint32_t position; /* In its segment. */
};

/* Where the batch that contains `offset` begins, in the segment that log_state_find() names; its
 * end when there is none. */
MUST_USE enum status log_walk_find(struct log *log, int64_t offset, struct log_place *out_place);

/* From the batch that contains `offset` to the end. A callback that does not answer OK ends it with
 * its answer. CORRUPT: a batch fails its checksum, or is not where or of when it should be. */
MUST_USE enum status log_walk(struct log *log, int64_t offset,
                              enum status (*on_batch)(void *context, const struct batch_view *batch,
                                                      int64_t ingested_ms),
                              void *context);
