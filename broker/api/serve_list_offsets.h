/* ListOffsets (key 2): the offset that a time or a name ("latest", "earliest" …) stands for.
 * Loop: the connection's shard; each partition answers on its own. */
#pragma once

#include "broker/api/request.h"

void serve_list_offsets(struct request *request);
