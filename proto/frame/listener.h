/* One listening address whose connections are dealt out over the shards of a node.
 *
 * The listener lives on one loop and posts each accepted stream to the next shard in turn; there it
 * becomes a connection. At `connection_count_max` new streams are dropped and counted.
 * Owner: the node. Loop: the first shard's for listener_*; connections on their own. */
#pragma once

#include "proto/frame/connection.h"

struct listener;

struct listener_options {
    struct loop *loop; /* Accepts here. */
    struct address address;
    const struct connection_options *shards; /* One per shard; copied. */
    uint32_t shard_count;
    uint32_t connection_count_max;
};

MUST_USE enum status listener_open(const struct listener_options *options,
                                   struct listener **out_listener);
uint16_t listener_port(const struct listener *self);
/* Stops accepting now, closes all connections on their loops, then calls `on_closed` on its own. */
void listener_close(struct listener *self, void (*on_closed)(void *context), void *context);
