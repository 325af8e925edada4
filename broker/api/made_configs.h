/* What CreateTopics tells of a new topic's settings: every key, the value that rules, its source.
 *
 * Made from the request, since the image of this node may not hold the topic yet. Java's admin
 * client takes a topic's creation for failed when the list is null.
 *
 * Owner: the request; all is in its arena. Loop: the connection's shard. */
#pragma once

#include "broker/api/dispatch.h"
#include "broker/controller/topic_decisions.h"
#include "proto/kafka/create_topics.h"

/* Where memory ends the list stays null and `out` says why: the topic is made all the same. */
void made_configs_fill(struct request *request, const struct topic_decisions_create *item,
                       struct kafka_create_topics_response_creatable_topic_result *out);
