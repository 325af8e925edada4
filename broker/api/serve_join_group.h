/* JoinGroup (key 11) and SyncGroup (key 14): into the next generation, and what it assigns.
 * Loop: the connection's shard. */
#pragma once

#include "broker/api/request.h"

void serve_join_group(struct request *request);
void serve_join_group_sync(struct request *request);
