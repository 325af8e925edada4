/* OffsetForLeaderEpoch (key 23): where a leader epoch ended, so that clients and followers find the
 * place where histories part (KIP-101, KIP-320).
 * Loop: the connection's shard; each partition answers on its own. */
#pragma once

#include "broker/api/request.h"

void serve_epoch_end(struct request *request);
