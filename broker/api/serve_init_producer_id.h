/* InitProducerId (key 22): an identity for an idempotent producer.
 * Loop: the connection's shard. */
#pragma once

#include "broker/api/request.h"

void serve_init_producer_id(struct request *request);
