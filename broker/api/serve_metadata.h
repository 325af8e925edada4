/* Metadata (key 3): which brokers there are, who leads what; creates a topic where that is allowed.
 *
 * Topics that are to be made by the way are made first and then answered with their partitions, so
 * that no client has to ask twice.
 * Loop: the connection's shard. */
#pragma once

#include "broker/api/request.h"

void serve_metadata(struct request *request);
