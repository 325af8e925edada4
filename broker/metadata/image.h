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

#define IMAGE_REPLICAS_MAX 10U /* Five, and five that are to replace them. */
#define IMAGE_MOVING_MAX 5U
#define IMAGE_TOKEN_BYTES 16U
#define IMAGE_TOKENS_REMEMBERED 960U /* At least so many of the last commands' tokens. */
#define IMAGE_ENDPOINTS_MAX 4U
#define IMAGE_TOPIC_NAME_BYTES_MAX 249U

struct image_partition {
    int32_t leader; /* -1: none. */
    int32_t leader_epoch;
    int32_t partition_epoch;
    bool is_recovering; /* After an unclean election, until the leader says otherwise. */
    uint8_t replica_count;
    uint8_t isr_count;
    uint8_t elr_count;
    uint8_t last_known_elr_count;
    uint8_t adding_count;
    uint8_t removing_count;
    int32_t replicas[IMAGE_REPLICAS_MAX]; /* The first one is the preferred leader. */
    int32_t isr[IMAGE_REPLICAS_MAX];
    int32_t elr[IMAGE_REPLICAS_MAX]; /* KIP-966: may be elected when the ISR is gone. */
    int32_t last_known_elr[IMAGE_REPLICAS_MAX];
    int32_t adding[IMAGE_MOVING_MAX];
    int32_t removing[IMAGE_MOVING_MAX];
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
    const char *security; /* "PLAINTEXT" and so on. */
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

struct image_feature {
    const char *name;
    int32_t level;
};

enum image_config_kind {
    IMAGE_CONFIG_TOPIC,
    IMAGE_CONFIG_BROKER,
    IMAGE_CONFIG_CLUSTER,
    IMAGE_CONFIG_GROUP,
    IMAGE_CONFIG_CLIENT_METRICS
};

struct image_config_resource {
    enum image_config_kind kind;
    const char *name;
    uint32_t value_count;
    const struct image_config_value *values; /* Sorted by key. */
};

struct image;

struct image *image_ref(struct image *self);
void image_unref(struct image *self); /* Accepts NULL. */
/* Index 0, nothing in it, no cluster id. */
struct image *image_new(void);

uint64_t image_index(const struct image *self);                     /* Of the last command in it. */
const struct wire_uuid *image_cluster_id(const struct image *self); /* Zero: not born yet. */

uint32_t image_topic_count(const struct image *self);
const struct image_topic *image_topic_at(const struct image *self, uint32_t index); /* By name. */
/* NULL when there is none. */
const struct image_topic *image_topic_by_name(const struct image *self, struct wire_text name);
const struct image_topic *image_topic_by_id(const struct image *self, const struct wire_uuid *id);
/* NULL when the topic has no such partition. */
const struct image_partition *image_topic_partition(const struct image_topic *topic, int32_t index);
uint32_t image_partition_count(const struct image *self); /* Of all topics. */
/* Calls `visit` for every topic that is not the same in both, by name: `before` NULL where it is
 * new, `after` NULL where it is gone; a topic made again under its name comes as gone and new.
 * What both share costs nothing. */
void image_topic_differences(const struct image *before, const struct image *after,
                             void (*visit)(void *context, const struct image_topic *before,
                                           const struct image_topic *after),
                             void *context);

uint32_t image_broker_count(const struct image *self);
const struct image_broker *image_broker_at(const struct image *self, uint32_t index); /* By id. */
const struct image_broker *image_broker_by_id(const struct image *self, int32_t id);

/* Values set at one broker, or for all (`broker_id` -1); sorted by key. */
const struct image_config_value *image_broker_configs(const struct image *self, int32_t broker_id,
                                                      uint32_t *out_count);
/* Of any kind but IMAGE_CONFIG_TOPIC; `name` is a broker id in decimal, a group, a subscription. */
const struct image_config_value *image_configs(const struct image *self,
                                               enum image_config_kind kind, struct wire_text name,
                                               uint32_t *out_count);
uint32_t image_config_resource_count(const struct image *self);
/* By kind, then name. */
const struct image_config_resource *image_config_resource_at(const struct image *self,
                                                             uint32_t index);

/* 0 when the feature is not there. */
int32_t image_feature_level(const struct image *self, const char *name);
uint32_t image_feature_count(const struct image *self);
const struct image_feature *image_feature_at(const struct image *self, uint32_t index);

int64_t image_next_producer_id(const struct image *self);
/* True when the command of this token is among the last ones applied; `out_index` is its entry.
 * It is how a proposal of unknown fate is found again. */
bool image_knows_token(const struct image *self, const uint8_t token[IMAGE_TOKEN_BYTES],
                       uint64_t *out_index);
