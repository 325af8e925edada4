/* CreateTopics (key 19): new topics, decided by the controller, one verdict each.
 * Loop: the connection's shard. */
#pragma once

#include "broker/api/request.h"

void serve_create_topics(struct request *request);
