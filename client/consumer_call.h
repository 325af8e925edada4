/* One request of a consumer: Fetch, or ListOffsets for partitions that look for their start.
 *
 * Owner: consumer_core. Loop: its. Limits: CONSUMER_CALL_ENTRIES_MAX partitions. */
#pragma once

#include "client/consumer_core.h"

#define CONSUMER_CALL_ENTRIES_MAX 10000U

struct consumer_call_entry {
    struct consumer_partition *partition;
    uint32_t generation; /* As of the question. */
    int64_t position;
    bool is_answered;
};

struct consumer_call {
    struct list in_core;
    struct consumer_core *core;
    struct ask ask;
    int32_t node;
    bool is_fetch;
    bool is_hasty; /* Others wait for room, so the broker shall not wait long. */
    struct consumer_call_entry *entries; /* Owned. */
    uint32_t entry_count;
    uint32_t entry_room;
};

/* In the core's list from then on. NULL: no memory. */
struct consumer_call *consumer_call_new(struct consumer_core *core, int32_t node, bool is_fetch);
MUST_USE enum status consumer_call_add(struct consumer_call *self,
                                       struct consumer_partition *partition);
void consumer_call_send(struct consumer_call *self);

/* In fetch_answer.c: what an answered Fetch means. MALFORMED: nothing of it was used. */
MUST_USE enum status fetch_answer_take(struct consumer_call *self);
struct consumer_call_entry *consumer_call_find(struct consumer_call *self, struct wire_text topic,
                                               int32_t partition);
