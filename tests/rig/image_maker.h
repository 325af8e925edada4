/* Images for tests: records written by hand, applied like a committed command.
 *
 * Owner: the test. Loop: none. */
#pragma once

#include "broker/metadata/cluster_writer.h"
#include "broker/metadata/image_delta.h"

/* Applies what `writer` holds as the next command and empties the writer; replaces `*image`. The
 * image in the result is `*image`. */
struct image_delta image_maker_apply(struct image **image, struct cluster_writer *writer);
/* As above; the command must fit. */
void image_maker_apply_fit(struct image **image, struct cluster_writer *writer);

struct wire_uuid image_maker_id(uint32_t number);
/* Brokers 1 to `count`, unfenced, on racks a, b, c in turn when `rack_count` says so. */
struct image *image_maker_cluster(int32_t count, int32_t rack_count);
/* A topic whose partitions have the first `replica_count` brokers of the image, each partition led
 * by another one. */
void image_maker_topic(struct image **image, const char *name, uint32_t partition_count,
                       uint8_t replica_count);
void image_maker_fence(struct image **image, int32_t broker_id, bool is_fenced);
void image_maker_set(struct image **image, const char *topic, const char *key, const char *value);

/* NULL when all invariants hold, else which one does not. */
const char *image_maker_broken_invariant(const struct image *image);
bool image_maker_equal(const struct image *left, const struct image *right);
