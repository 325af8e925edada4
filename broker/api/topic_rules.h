/* What a topic's configuration asks of the batches that clients send to it. */
#pragma once

#include "broker/api/dispatch.h"
#include "broker/metadata/image.h"
#include "proto/record/batch_check.h"

/* All fields but those that depend on the request (zstd, transactional id). */
void topic_rules_of_batches(struct api_shard *shard, const struct image *image,
                            const struct image_topic *topic, struct batch_rules *out_rules);
