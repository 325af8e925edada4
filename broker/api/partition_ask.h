/* What a request asks of one partition: may its client, and the way to the shard that owns it.
 *
 * Owner: none; the call is its handler's. Loop: the connection's shard. Limits: none. */
#pragma once

#include "broker/api/dispatch.h"

/* NONE, or why this client cannot: it may not, or there is none. `topic` is what the image has for
 * `name`; NULL: nothing. */
int16_t partition_ask_check(const struct request *request, enum access_operation operation,
                            struct wire_text name, const struct image_topic *topic, int32_t index);
/* `run` and `on_returned` of the call are filled; it comes back to this shard. */
void partition_ask_post(struct partition_call *call, struct api_shard *shard,
                        const struct image_topic *topic, int32_t index);
