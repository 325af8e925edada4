/* OffsetCommit (key 8): how far a group has read.
 * Loop: the connection's shard. */
#pragma once

#include "broker/api/request.h"

void serve_offset_commit(struct request *request);
