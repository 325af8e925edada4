/* DeleteRecords (key 21): moves the start of partitions up; offset -1 is the high watermark.
 * Loop: the connection's shard; each partition moves on its own. */
#pragma once

#include "broker/api/request.h"

void serve_delete_records(struct request *request);
