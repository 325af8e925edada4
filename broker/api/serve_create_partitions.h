/* CreatePartitions (key 37): more partitions for a topic that exists; the count is the new total.
 * Loop: the connection's shard. */
#pragma once

#include "broker/api/request.h"

void serve_create_partitions(struct request *request);
