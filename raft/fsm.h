/* What the quorum replicates: a state machine of somebody else, seen through four calls.
 *
 * All calls come on the quorum's loop. apply() must be deterministic and cannot fail; what can be
 * refused was refused before it was proposed.
 * Commands and snapshots are opaque here; their owner versions them. */
#pragma once

#include "proto/sys/status.h"

#include <stddef.h>
#include <stdint.h>

struct quorum_fsm;

struct quorum_fsm_ops {
    /* Committed for good. `index` rises by at least one from call to call. */
    void (*apply)(struct quorum_fsm *self, uint64_t index, int64_t term, const void *bytes,
                  size_t byte_count);
    /* The state up to the last applied index, in memory that the quorum frees with free(). */
    enum status (*snapshot)(struct quorum_fsm *self, void **out_bytes, size_t *out_byte_count);
    /* Replaces the state; STATUS_CORRUPT or STATUS_UNSUPPORTED stops the node. */
    enum status (*restore)(struct quorum_fsm *self, uint64_t index, const void *bytes,
                           size_t byte_count);
};

struct quorum_fsm {
    const struct quorum_fsm_ops *ops;
};
