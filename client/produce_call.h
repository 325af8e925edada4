/* One Produce request: a batch of each of several partitions that one broker leads, and what its
 * answer means for each of them.
 *
 * Owner: producer_core. Loop: its. Limits: PRODUCE_CALL_BYTES_MAX, of which one batch may be more;
 * PRODUCE_CALL_BATCHES_MAX. */
#pragma once

#include "client/producer_topic.h"

#define PRODUCE_CALL_BYTES_MAX ((size_t)8 << 20)
#define PRODUCE_CALL_BATCHES_MAX 1024U

struct produce_call_entry {
    struct producer_topic *topic;
    int32_t partition;
    struct accumulator_batch *batch; /* NULL: answered. */
};

struct produce_call {
    struct list in_core;
    struct producer_core *core;
    struct ask ask;
    int32_t node;
    int64_t sent_ns;
    bool is_sent;
    size_t byte_count;
    struct produce_call_entry *entries; /* Owned. Batches of one topic stand together. */
    uint32_t entry_count;
    uint32_t entry_room;
};

/* In the core's list from then on. NULL: no memory. */
struct produce_call *produce_call_new(struct producer_core *core, int32_t node);
bool produce_call_has_room(const struct produce_call *self, size_t byte_count);
MUST_USE enum status produce_call_add(struct produce_call *self, struct producer_topic *topic,
                                      int32_t partition, struct accumulator_batch *batch);
/* On failure its batches have been given back, and it is gone. Else the answer does that. */
void produce_call_send(struct produce_call *self);
