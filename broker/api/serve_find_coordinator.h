/* FindCoordinator (key 10): which broker coordinates a group or a transactional id.
 *
 * No coordinator runs yet, so every key is answered COORDINATOR_NOT_AVAILABLE. The call is served
 * all the same: old librdkafka compresses with lz4 only where it sees it.
 * Loop: the connection's shard. */
#pragma once

#include "broker/api/request.h"

void serve_find_coordinator(struct request *request);
