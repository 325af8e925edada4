/* What one shard pulls from one leading broker: a link, and one Fetch at a time for all partitions.
 *
 * A round: Fetch with every partition's written and flushed end → append what came → wait until it
 * is flushed → next round. Errors put a single partition aside for a moment, a broken link all.
 *
 * Owner: the follower. Loop: the shard's. */
#pragma once

#include "broker/metadata/image.h"
#include "broker/partition/partition_map.h"
#include "client/link.h"
#include "proto/kafka/fetch.h"
#include "proto/sys/arena.h"

struct leader_feed;

struct leader_feed_options {
    struct loop *loop;
    int32_t broker_id;
    int32_t leader_id;
    void (*on_closed)(struct leader_feed *self);
    void (*on_failed)(struct leader_feed *self, enum status why);
    void *context;
};

struct leader_feed {
    uint32_t magic;
    struct list in_follower;
    struct leader_feed_options options;
    int32_t leader_id;
    void *context;
    struct partition_map *map; /* Borrowed; set by the first update. */
    int64_t broker_epoch;      /* Ours; -1: not registered. */
    bool has_address;
    struct address address;
    struct link *link; /* Owned; NULL: not open. */
    bool is_link_open;
    bool is_fetching;
    bool is_closing;
    uint32_t flushing_count; /* Partitions of the last round that are not flushed yet. */
    struct list entries;     /* struct feed_entry. */
    uint32_t entry_count;
    struct timer retry;
    struct arena arena; /* Of the round. */
    struct wire_slice body;
    struct link_call call;
};

void leader_feed_init(struct leader_feed *self, const struct leader_feed_options *options);
/* The partition is fed by `wanted` from now on; NULL: by nobody. */
void leader_feed_move(struct partition *partition, struct leader_feed *wanted);
void leader_feed_flushed(struct partition *partition, int64_t flushed_end);
/* `leader` NULL: not in the image. */
void leader_feed_update(struct leader_feed *self, struct partition_map *map,
                        const struct image_broker *leader, int64_t broker_epoch);
/* on_closed comes, perhaps from inside, when the link is gone. */
void leader_feed_close(struct leader_feed *self);
