/* ListGroups (key 16): the groups whose coordinator is this broker.
 * Loop: the connection's shard. */
#pragma once

#include "broker/api/request.h"

void serve_list_groups(struct request *request);
