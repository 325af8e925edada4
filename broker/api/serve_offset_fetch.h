/* OffsetFetch (key 9): how far groups have read.
 * Loop: the connection's shard. */
#pragma once

#include "broker/api/request.h"

void serve_offset_fetch(struct request *request);
