/* One image and everything that a decision is given, for tests of decisions.
 *
 * Owner: the test. Loop: none. */
#pragma once

#include "broker/controller/decision.h"
#include "tests/rig/image_maker.h"

struct decider {
    struct image *image;
    struct cluster_writer writer;
    struct arena arena;
    struct prng prng;
    struct decision decision;
};

/* Brokers 1 to `broker_count`, unfenced. */
void decider_init(struct decider *self, int32_t broker_count, int32_t rack_count);
void decider_done(struct decider *self);
/* An empty writer and the image as it is now. */
struct decision *decider_begin(struct decider *self);
/* Applies what was decided since decider_begin(); it must fit and leave all invariants whole.
 * Returns the number of records. */
uint32_t decider_apply(struct decider *self);

const struct image_topic *decider_topic(const struct decider *self, const char *name);
const struct image_partition *decider_partition(const struct decider *self, const char *name,
                                                int32_t index);
/* Creates a topic through the decision; false when it is refused. */
bool decider_create(struct decider *self, const char *name, int32_t partition_count,
                    int32_t replication_factor);
int64_t decider_epoch(const struct decider *self, int32_t broker_id);
/* "1,2,3"; into a static buffer of its own per call, eight in turn. */
const char *decider_nodes(const int32_t *nodes, uint8_t count);
