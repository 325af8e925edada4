/* A broker outside the quorum pulls the image (private key METADATA_PULL_KEY, broker/uplink).
 * Answered from this shard's newest image, as soon as it is newer than what the asker knows.
 * Loop: the connection's shard. */
#pragma once

#include "broker/api/request.h"

void serve_metadata_pull(struct request *request);
