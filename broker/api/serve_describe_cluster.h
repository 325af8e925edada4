/* DescribeCluster (key 60): cluster id, controller, brokers.
 * Loop: the connection's shard. */
#pragma once

#include "broker/api/request.h"

void serve_describe_cluster(struct request *request);
