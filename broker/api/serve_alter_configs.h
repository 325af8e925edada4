/* AlterConfigs (key 33, replaces all) and IncrementalAlterConfigs (key 44, changes some).
 * Loop: the connection's shard. */
#pragma once

#include "broker/api/request.h"

void serve_alter_configs(struct request *request);
void serve_alter_configs_incremental(struct request *request);
