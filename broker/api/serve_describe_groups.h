/* DescribeGroups (key 15) and DeleteGroups (key 42).
 * Loop: the connection's shard. */
#pragma once

#include "broker/api/request.h"

void serve_describe_groups(struct request *request);
void serve_describe_groups_delete(struct request *request);
