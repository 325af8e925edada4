/* Files and directories that wait for their end: renamed already, removed off the loop when the
 * delay of file.delete.delay.ms is over, one at a time.
 *
 * What is lost by a crash is found and removed at the next start. A failed removal is told and
 * forgotten: it costs space, not safety.
 *
 * Owner: the store. Loop: the shard's. */
#pragma once

#include "proto/sys/loop.h"

struct removal {
    struct loop *loop; /* Borrowed for life. */
    const char *root;  /* Borrowed for life; the data directory. */
    struct list items; /* By no order; there are few. */
    struct removal_item *under_way;
    bool is_hurried; /* Delays do not count any more. */
    /* After each one; may be NULL. */
    void (*on_removed)(struct removal *self);
};

void removal_init(struct removal *self, struct loop *loop, const char *root,
                  void (*on_removed)(struct removal *self));
/* Forgets what waits; nothing is under way. Accepts a zeroed one. */
void removal_done(struct removal *self);
/* NO_MEMORY: it stays until the next start. */
MUST_USE enum status removal_add(struct removal *self, const char *path, bool is_directory,
                                 int64_t delay_ms);
/* Begins the next one that is due, unless one is under way. */
void removal_tick(struct removal *self, struct disk_lane *lane);
bool removal_is_idle(const struct removal *self); /* Nothing waits or is under way. */
