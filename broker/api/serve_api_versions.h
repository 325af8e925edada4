/* ApiVersions (key 18): what this broker serves, from the dispatch table itself.
 *
 * A version above ours is answered in version 0 with UNSUPPORTED_VERSION, so that the client can
 * pick another (KIP-511). Loop: the connection's shard. */
#pragma once

#include "broker/api/request.h"

void serve_api_versions(struct request *request);
