/* DescribeConfigs (key 32): every setting of a topic or broker, its value and where it comes from.
 * Answered from this broker's image. Loop: the connection's shard. */
#pragma once

#include "broker/api/request.h"

void serve_describe_configs(struct request *request);
