/* The groups of one aggregation: by partition of the route, by window, by key.
 *
 * A window's groups are one table, so that closing it is walking that table. Groups that changed
 * since the last end of an epoch are remembered, each once.
 *
 * Owner: the merging operator. Loop: its. Limits: `byte_count_max` of all memory. */
#pragma once

#include "processor/state/state_codec.h"

struct store_window {
    int64_t start;
    size_t byte_count; /* As counted. */
    struct group_table table;
};

struct store_partition {
    struct store_window **windows; /* Owned; starts ascend. */
    uint32_t window_count;
    uint32_t window_capacity;
};

struct store {
    uint32_t magic;
    const struct state_codec *codec;    /* Borrowed for life. */
    struct store_partition *partitions; /* Owned. */
    uint32_t partition_count;
    struct group **touched; /* Owned. */
    size_t touched_count;
    size_t touched_capacity;
    size_t byte_count;
    size_t byte_count_max;
    uint64_t group_count;
    int64_t input_count; /* Rows in the groups that are kept. */
};

/* On failure `self` may still be passed to store_done(). */
MUST_USE enum status store_init(struct store *self, const struct state_codec *codec,
                                uint32_t partition_count, size_t byte_count_max);
void store_done(struct store *self);

/* Adds what `from` holds to its group, which is touched then. FULL: the limit, `self` is of no use
 * any more but for store_done(). */
MUST_USE enum status store_merge(struct store *self, const struct group *from);
/* As the changelog says: the group is this, or is gone; touches nothing. FULL. */
MUST_USE enum status store_restore(struct store *self, const struct group *is);
void store_remove(struct store *self, const struct group *gone);

/* How many windows of the partition, the oldest first, end at or before `watermark_us`. */
uint32_t store_closed_count(const struct store *self, uint32_t partition, int64_t size_us,
                            int64_t watermark_us);
/* Forgets the partition's oldest windows with all their groups; none of them may be touched. */
void store_drop_windows(struct store *self, uint32_t partition, uint32_t window_count);
/* The epoch is over: no group is touched. Before windows are dropped. */
void store_forget_touched(struct store *self);
