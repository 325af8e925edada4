/* Produce (key 0): record batches of clients into partitions, answered when safe as acks asks.
 *
 * Batches are checked on the connection's shard and appended on their partition's. acks=0 has no
 * answer; a failure there closes the connection, which is all such a client can be told.
 * Loop: the connection's shard. */
#pragma once

#include "broker/api/request.h"

void serve_produce(struct request *request);
