/* One broker: every part built in the order of the data path, stopped in reverse.
 *
 * The world arrives as loops: one per shard and one for the quorum, so that production and the
 * simulator run the same broker. Start: recover the journals, open the shards' logs, open the
 * listener, join the quorum, register; ready when the cluster's image shows this broker as live and
 * every shard has applied it. A stop leaves logs that need no replay.
 *
 * Owner: main, or a simulated node. Loop: broker_open() and broker_close() on the first shard's;
 * callbacks come there. Limits: those of the configuration. */
#pragma once

#include "broker/broker_config.h"
#include "proto/sys/loop.h"

#define BROKER_SHARDS_MAX 64U

struct broker;

struct broker_options {
    const struct broker_config *config; /* Borrowed for life. */
    struct loop *shard_loops[BROKER_SHARDS_MAX];
    uint32_t shard_count;
    struct loop *quorum_loop;
    /* Clients can produce and consume. `port` is what the listener got. */
    void (*on_ready)(void *context, uint16_t port);
    /* The node must stop without another write: its storage failed, or (FENCED) another process
     * that lives is this broker. */
    void (*on_failed)(void *context, enum status why);
    /* The end of broker_close(); the memory is gone. */
    void (*on_closed)(void *context);
    void *context;
};

/* Recovery runs inside the call. EXISTS: the listener's address is taken; CORRUPT, UNSUPPORTED, IO:
 * the data directory cannot be used; the trace says more. */
MUST_USE enum status broker_open(const struct broker_options *options, struct broker **out_self);
void broker_close(struct broker *self);

/* For tests that look inside: the partitions of a shard; NULL while it opens or closes. */
struct partition_map;
struct partition_map *broker_partitions(struct broker *self, uint32_t shard_index);
