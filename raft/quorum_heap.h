/* The memory of one libraft core: every block belongs to the quorum that is entered.
 *
 * libraft allocates through hooks that know no instance, so whoever calls into a core enters its
 * heap first. A core ends by dropping its heap: raft_close() of 0.15 crashes when appends are under
 * way, and nothing in a core needs an orderly end. Blocks are cleared, since libraft writes the
 * eight bytes of a barrier to disk and wire without ever setting them.
 *
 * Owner: the quorum. Loop: one thread per heap at a time (the hooks look at a thread-local).
 * Limits: none of its own; running out aborts, since libraft's own handling loses entries. */
#pragma once

#include "proto/sys/list.h"

#include <stddef.h>

struct quorum_heap {
    struct list blocks;
    size_t byte_count;
};

void quorum_heap_init(struct quorum_heap *self); /* Installs the hooks, once per process. */
/* Frees every block. Accepts a zeroed heap. */
void quorum_heap_drop(struct quorum_heap *self);
/* Makes it the current one; returns the one before, to be entered again afterwards. */
struct quorum_heap *quorum_heap_enter(struct quorum_heap *self);
