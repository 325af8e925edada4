/* Replication as seen from the follower: pulls, for one shard, what other brokers lead.
 *
 * One link and one Fetch per leading broker. A Fetch names every partition that follows there, with
 * the written and the flushed end; what comes is appended, and the next Fetch leaves when all of it
 * is flushed, so that it carries the flushed ends at once and no word of its own is needed. Where
 * the leader's history parts from ours, we cut (KIP-101, KIP-595).
 * isr_keeper watches, for the partitions that this shard leads, which followers keep up, and asks
 * the controller for another ISR when that changes.
 *
 * Owner: the broker's shard. Loop: the shard's. Limits: those of leader_feed. */
#pragma once

#include "broker/follower/isr_keeper.h"
#include "broker/partition/partition_map.h"
#include "broker/uplink/uplink.h"

struct follower;

struct follower_options {
    struct loop *loop;
    int32_t broker_id;
    int64_t lag_ms; /* replica.lag.time.max.ms */
    /* Does this image know the present life of this broker? In the name of another one, which may
     * live, nothing is pulled: leaders would take our flushed ends for its. */
    bool (*may_follow)(void *context, const struct image *image);
    /* A partition's storage failed under us: the node must stop. */
    void (*on_failed)(void *context, enum status why);
    void *context;
};

MUST_USE enum status follower_new(const struct follower_options *options,
                                  struct follower **out_self);
/* For partition_map_options; taken before the map is opened. */
struct partition_observer *follower_observer(struct follower *self);
/* The map whose image names the leaders' addresses, and the way to the controller. */
void follower_start(struct follower *self, struct partition_map *map, struct uplink *uplink);
/* A newer image was applied: addresses and this broker's epoch may be new. */
void follower_follow_image(struct follower *self);
/* Stops pulling and asking; then on_closed, and the memory is gone. The map is retired before. */
void follower_close(struct follower *self, void (*on_closed)(void *context), void *context);
