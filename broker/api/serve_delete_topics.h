/* DeleteTopics (key 20): by name, or from version 6 on by id.
 * Loop: the connection's shard. */
#pragma once

#include "broker/api/request.h"

void serve_delete_topics(struct request *request);
