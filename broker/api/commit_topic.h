/* The topic of an offset commit: named by its name or, in new versions, by its id (KIP-848,
 * KIP-1319). The record of a commit has both.
 *
 * Owner: none. Loop: the connection's shard. Limits: none. */
#pragma once

#include "broker/api/dispatch.h"

struct commit_topic {
    struct wire_text name;           /* What the client has said of these two; */
    struct wire_uuid topic_id;       /* the other one is filled. Zero: there is none. */
    const struct image_topic *topic; /* Borrowed until the loop's next turn; NULL: none. */
    int16_t code;                    /* What is wrong with it; or 0. */
};

/* A name that is looked up lies in the request's arena, since the image may be another one when the
 * decision comes. */
void commit_topic_find(struct commit_topic *self, struct request *request, bool is_by_id);
/* What is wrong with a commit for one of its partitions; or 0. */
int16_t commit_topic_check(const struct commit_topic *self, const struct request *request,
                           int32_t index);
