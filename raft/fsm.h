/* What the quorum replicates: a state machine of somebody else, seen through three calls.
 *
 * All calls come on the quorum's loop, from inside the quorum: none of its functions but
 * quorum_propose() may be called there. apply() must be deterministic and cannot fail; what can be
 * refused was refused before it was proposed.
 * Commands and snapshots are opaque here; their owner versions them. */
#pragma once

#include "proto/sys/status.h"

#include <stddef.h>
#include <stdint.h>

struct quorum_fsm;

struct quorum_fsm_ops {
    /* Committed for good. Commands are counted from 1: `index` rises by one from call to call, and
     * each node of the cluster sees the same command under the same number. */
    void (*apply)(struct quorum_fsm *self, uint64_t index, int64_t term, const void *bytes,
                  size_t byte_count);
    /* The state up to the last applied index, in memory that the quorum frees with free(). */
    enum status (*snapshot)(struct quorum_fsm *self, void **out_bytes, size_t *out_byte_count);
    /* Replaces the state, whatever it was; `bytes` are borrowed. STATUS_CORRUPT or
     * STATUS_UNSUPPORTED stops the node. */
    enum status (*restore)(struct quorum_fsm *self, uint64_t index, const void *bytes,
                           size_t byte_count);
};

struct quorum_fsm {
    const struct quorum_fsm_ops *ops;
};
