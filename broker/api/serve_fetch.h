/* Fetch (key 1): batches out of partitions, to consumers and to followers.
 *
 * Partitions are read in the order of the request until its bytes are used up. When that is less
 * than min_bytes the request parks at all its partitions and reads again when one has more, until
 * max_wait_ms is over. What was read stays pinned in the log's memory until the answer has left.
 * No fetch sessions are made: session id 0 is always allowed.
 * Loop: the connection's shard. */
#pragma once

#include "broker/api/request.h"

void serve_fetch(struct request *request);
