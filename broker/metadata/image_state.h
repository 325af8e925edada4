/* The inside of an image: counted lists of counted nodes. Only this folder looks at it.
 *
 * Nodes are written while a draft holds the only reference, and never after the image that got them
 * was given out.
 *
 * Owner: the image. Loop: any. Limits: IMAGE_STATE_TOKENS_MAX remembered tokens. */
#pragma once

#include "broker/metadata/image.h"
#include "broker/metadata/page_list.h"

#define IMAGE_STATE_CHUNK_TOKENS 64U
#define IMAGE_STATE_CHUNKS_MAX 16U
#define IMAGE_STATE_TOKENS_MAX (IMAGE_STATE_CHUNK_TOKENS * IMAGE_STATE_CHUNKS_MAX)

_Static_assert(IMAGE_TOKENS_REMEMBERED <= IMAGE_STATE_TOKENS_MAX - IMAGE_STATE_CHUNK_TOKENS,
               "a chunk is dropped as a whole");

/* A sorted set of key and value, both owned. */
struct image_state_configs {
    uint32_t count;
    uint32_t capacity;
    struct image_config_value *values;
};

struct image_state_topic {
    struct shared_node shared;
    struct image_topic view; /* Points into what follows. */
    char *name;
    struct image_partition *partitions;
    uint32_t partition_capacity;
    struct image_state_configs configs;
};

struct image_state_broker {
    struct shared_node shared;
    struct image_broker view; /* Its texts are owned. */
};

struct image_state_resource {
    struct shared_node shared;
    struct image_config_resource view;
    char *name;
    struct image_state_configs configs;
};

struct image_state_feature {
    struct shared_node shared;
    struct image_feature view;
    char *name;
};

struct image_state_token {
    uint8_t bytes[IMAGE_TOKEN_BYTES];
    uint64_t index;
};

struct image_state_chunk {
    struct shared_node shared;
    uint32_t count;
    struct image_state_token tokens[IMAGE_STATE_CHUNK_TOKENS];
};

struct image {
    struct shared_node shared;
    uint64_t index;
    struct wire_uuid cluster_id;
    int64_t next_producer_id;
    uint32_t partition_count;
    struct page_list *topics_by_name;
    struct page_list *topics_by_id;
    struct page_list *brokers;
    struct page_list *resources;
    struct page_list *features;
    uint32_t chunk_count;
    struct image_state_chunk
        *chunks[IMAGE_STATE_CHUNKS_MAX]; /* Oldest first; all but the last full. */
};

/* A copy of `base` that shares everything. */
struct image *image_state_copy(const struct image *base);
void image_state_add_token(struct image *self, const uint8_t token[IMAGE_TOKEN_BYTES],
                           uint64_t index);

struct image_state_topic *image_state_topic_new(const char *name, const struct wire_uuid *id,
                                                bool is_internal);
struct image_state_topic *image_state_topic_clone(const struct image_state_topic *other);
void image_state_topic_append(struct image_state_topic *self,
                              const struct image_partition *partition);
void image_state_topic_set(struct image_state_topic *self, const char *key, const char *value);
void image_state_topic_unset(struct image_state_topic *self, const char *key);

/* Copies the texts of `view`. */
struct image_state_broker *image_state_broker_new(const struct image_broker *view);

struct image_state_resource *image_state_resource_new(enum image_config_kind kind,
                                                      const char *name);
struct image_state_resource *image_state_resource_clone(const struct image_state_resource *other);
void image_state_resource_set(struct image_state_resource *self, const char *key,
                              const char *value);
void image_state_resource_unset(struct image_state_resource *self, const char *key);

struct image_state_feature *image_state_feature_new(const char *name, int32_t level);

/* How the lists are sorted: a key of the kind named against an item. */
int image_state_compare_name(const void *key, const void *item);     /* const char *, topic. */
int image_state_compare_id(const void *key, const void *item);       /* struct wire_uuid, topic. */
int image_state_compare_broker(const void *key, const void *item);   /* int32_t, broker. */
int image_state_compare_resource(const void *key, const void *item); /* image_config_resource. */
int image_state_compare_feature(const void *key, const void *item);  /* const char *, feature. */
