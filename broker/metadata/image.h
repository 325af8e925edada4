/* What the cluster agreed on up to one index of the metadata log: topics, brokers, configurations.
 *
 * An image never changes. image_delta builds the next one from a committed command; every shard
 * holds a reference to the newest it has been given and drops it for the next, so that a request
 * sees one consistent state from its begin to its end. Images share the topics that did not change.
 *
 * Owner: shared, counted (atomic). Loop: any. */
#pragma once

#include "proto/sys/status.h"
#include "proto/wire/reader.h"

#include <stdbool.h>
#include <stdint.h>

#define IMAGE_REPLICAS_MAX 16U
#define IMAGE_ENDPOINTS_MAX 4U
#define IMAGE_TOPIC_NAME_BYTES_MAX 249U

struct image_partition {
    int32_t leader; /* -1: none. */
    int32_t leader_epoch;
    int32_t partition_epoch;
    bool is_recovering;
    uint8_t replica_count;
    uint8_t isr_count;
    uint8_t elr_count;
    int32_t replicas[IMAGE_REPLICAS_MAX];
    int32_t isr[IMAGE_REPLICAS_MAX];
    int32_t elr[IMAGE_REPLICAS_MAX];
};

struct image_config_value {
    const char *key;
    const char *value; /* Never NULL: only what was set is listed. */
};

struct image_topic {
    struct wire_uuid id;
    const char *name;
    bool is_internal;
    uint32_t partition_count;
    const struct image_partition *partitions;
    uint32_t config_count;
    const struct image_config_value *configs; /* Sorted by key. */
};

struct image_endpoint {
    const char *listener;
    const char *host;
    uint16_t port;
};

struct image_broker {
    int32_t id;
    int64_t epoch;
    struct wire_uuid incarnation_id;
    struct wire_uuid directory_id;
    const char *rack; /* NULL: none. */
    bool is_fenced;
    bool is_shutting_down;
    bool is_voter;
    uint32_t endpoint_count;
    struct image_endpoint endpoints[IMAGE_ENDPOINTS_MAX];
};

struct image;

struct image *image_ref(struct image *self);
void image_unref(struct image *self); /* Accepts NULL. */

uint64_t image_index(const struct image *self); /* Of the last command in it. */
const struct wire_uuid *image_cluster_id(const struct image *self);

uint32_t image_topic_count(const struct image *self);
const struct image_topic *image_topic_at(const struct image *self, uint32_t index); /* By name. */
/* NULL when there is none. */
const struct image_topic *image_topic_by_name(const struct image *self, struct wire_text name);
const struct image_topic *image_topic_by_id(const struct image *self, const struct wire_uuid *id);

uint32_t image_broker_count(const struct image *self);
const struct image_broker *image_broker_at(const struct image *self, uint32_t index); /* By id. */
const struct image_broker *image_broker_by_id(const struct image *self, int32_t id);

/* Values set at one broker, or for all (`broker_id` -1); sorted by key. */
const struct image_config_value *image_broker_configs(const struct image *self, int32_t broker_id,
                                                      uint32_t *out_count);
/* 0 when the feature is not there. */
int32_t image_feature_level(const struct image *self, const char *name);
int64_t image_next_producer_id(const struct image *self);
