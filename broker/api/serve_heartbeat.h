/* Heartbeat (key 12) and LeaveGroup (key 13) of a group's members.
 * Loop: the connection's shard. */
#pragma once

#include "broker/api/request.h"

void serve_heartbeat(struct request *request);
void serve_heartbeat_leave(struct request *request);
