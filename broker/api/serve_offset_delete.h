/* OffsetDelete (key 47): forgets offsets of a group.
 * Loop: the connection's shard. */
#pragma once

#include "broker/api/request.h"

void serve_offset_delete(struct request *request);
