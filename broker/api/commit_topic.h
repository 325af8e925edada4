/* The topic of an offset commit: named by its name or, in new versions, by its id (KIP-848,
 * KIP-1319). The record of a commit has both.
 *
 * Owner: none. Loop: the connection's shard. Limits: none. */
#pragma once

#include "broker/api/dispatch.h"

struct commit_topic {
    bool is_by_id;             /* Which of the two the client has said; */
    struct wire_text name;     /* the other one is filled. */
    struct wire_uuid topic_id; /* Zero: there is none of this name. */
    uint32_t partition_count;
};

/* Returns what is wrong with it, or 0. A name that is looked up lies in the request's arena, since
 * the image may be another one when the decision comes. */
int16_t commit_topic_find(struct commit_topic *self, struct request *request);
/* The same of one of its partitions, `code` being the topic's. */
int16_t commit_topic_check(const struct commit_topic *self, int16_t code, int32_t index);
