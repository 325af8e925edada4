/* DescribeQuorum (KIP-595): who leads the metadata quorum, in which term, who votes.
 *
 * Answered by the active controller, wherever it was asked. How far the other voters have come is
 * known to libraft only; their log ends are told as -1.
 *
 * Owner: the request. Loop: the connection's shard. Limits: one topic, one partition. */
#pragma once

#include "broker/api/dispatch.h"

void serve_describe_quorum(struct request *request);
