/* Keeps the ISRs of the partitions that a shard leads true: looks at them now and then, and asks
 * the controller for what should change, one AlterPartition at a time.
 *
 * Owner: the follower. Loop: the shard's. Limits: ISR_KEEPER_ITEMS_MAX partitions a question. */
#pragma once

#include "broker/partition/partition_map.h"
#include "broker/uplink/uplink.h"

#define ISR_KEEPER_ITEMS_MAX 512U

struct isr_keeper_item {
    struct wire_uuid topic_id;
    int32_t index;
    struct isr_decisions_member members[REPLICA_SET_MAX];
};

struct isr_keeper {
    struct loop *loop;
    struct partition_map *map;
    struct uplink *uplink;
    int32_t broker_id;
    int64_t lag_ns;
    struct timer timer;
    bool is_asking;
    bool is_stopping;
    struct uplink_call call;
    struct isr_decisions_request request;
    struct isr_decisions_item *items;        /* Owned. */
    struct isr_keeper_item *item_partitions; /* Owned; same order. */
    void (*on_stopped)(struct isr_keeper *self);
};

MUST_USE enum status isr_keeper_init(struct isr_keeper *self, struct loop *loop, int32_t broker_id,
                                     int64_t lag_ms);
void isr_keeper_done(struct isr_keeper *self);
void isr_keeper_start(struct isr_keeper *self, struct partition_map *map, struct uplink *uplink);
/* on_stopped comes, perhaps from inside, when no question is under way. */
void isr_keeper_stop(struct isr_keeper *self, void (*on_stopped)(struct isr_keeper *self));
