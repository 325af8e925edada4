#include "broker/metadata/image_state.h"

#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

static void free_image(struct shared_node *shared)
{
    struct image *self = (struct image *)(void *)shared;
    page_list_unref(self->topics_by_name);
    page_list_unref(self->topics_by_id);
    page_list_unref(self->brokers);
    page_list_unref(self->resources);
    page_list_unref(self->features);
    for (uint32_t i = 0; i < self->chunk_count; i++) {
        shared_node_unref(&self->chunks[i]->shared);
    }
    free(self);
}

struct image *image_state_copy(const struct image *base)
{
    struct image *self = shared_node_memory(1, sizeof *self);
    shared_node_init(&self->shared, free_image);
    if (base == NULL) {
        self->topics_by_name = page_list_new();
        self->topics_by_id = page_list_new();
        self->brokers = page_list_new();
        self->resources = page_list_new();
        self->features = page_list_new();
        return self;
    }
    self->index = base->index;
    self->cluster_id = base->cluster_id;
    self->next_producer_id = base->next_producer_id;
    self->partition_count = base->partition_count;
    self->topics_by_name = page_list_ref(base->topics_by_name);
    self->topics_by_id = page_list_ref(base->topics_by_id);
    self->brokers = page_list_ref(base->brokers);
    self->resources = page_list_ref(base->resources);
    self->features = page_list_ref(base->features);
    self->chunk_count = base->chunk_count;
    for (uint32_t i = 0; i < base->chunk_count; i++) {
        shared_node_ref(&base->chunks[i]->shared);
        self->chunks[i] = base->chunks[i];
    }
    return self;
}

static void free_chunk(struct shared_node *shared)
{
    free(shared);
}

void image_state_add_token(struct image *self, const uint8_t token[IMAGE_TOKEN_BYTES],
                           uint64_t index)
{
    struct image_state_chunk *last =
        self->chunk_count == 0 ? NULL : self->chunks[self->chunk_count - 1];
    struct image_state_chunk *chunk = shared_node_memory(1, sizeof *chunk);
    if (last != NULL && last->count < IMAGE_STATE_CHUNK_TOKENS) {
        memcpy(chunk->tokens, last->tokens, last->count * sizeof last->tokens[0]);
        chunk->count = last->count;
        shared_node_unref(&last->shared);
        self->chunk_count -= 1;
    } else if (self->chunk_count == IMAGE_STATE_CHUNKS_MAX) {
        shared_node_unref(&self->chunks[0]->shared);
        self->chunk_count -= 1;
        memmove(self->chunks, self->chunks + 1, self->chunk_count * sizeof self->chunks[0]);
    }
    shared_node_init(&chunk->shared, free_chunk);
    struct image_state_token *entry = &chunk->tokens[chunk->count];
    memcpy(entry->bytes, token, IMAGE_TOKEN_BYTES);
    entry->index = index;
    chunk->count += 1;
    check(self->chunk_count < IMAGE_STATE_CHUNKS_MAX);
    self->chunks[self->chunk_count] = chunk;
    self->chunk_count += 1;
}

/* Index of `key`, or of the place where it belongs. */
static uint32_t configs_floor(const struct image_state_configs *self, const char *key)
{
    uint32_t low = 0;
    uint32_t high = self->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (strcmp(self->values[middle].key, key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* What the public view shows as const belongs to us. */
static void free_text(const char *text)
{
    union {
        const char *read_only;
        char *own;
    } view = {.read_only = text};
    free(view.own);
}

static char *copy_text(const char *text)
{
    return shared_node_text(text, strlen(text));
}

static void configs_set(struct image_state_configs *self, const char *key, const char *value)
{
    uint32_t place = configs_floor(self, key);
    if (place < self->count && strcmp(self->values[place].key, key) == 0) {
        char *copy = copy_text(value);
        free_text(self->values[place].value);
        self->values[place].value = copy;
        return;
    }
    if (self->count == self->capacity) {
        self->capacity = self->capacity == 0 ? 4 : self->capacity * 2;
        self->values = shared_node_grow(self->values, self->capacity, sizeof *self->values);
    }
    memmove(self->values + place + 1, self->values + place,
            (self->count - place) * sizeof *self->values);
    self->values[place] =
        (struct image_config_value){.key = copy_text(key), .value = copy_text(value)};
    self->count += 1;
}

static void configs_unset(struct image_state_configs *self, const char *key)
{
    uint32_t place = configs_floor(self, key);
    if (place == self->count || strcmp(self->values[place].key, key) != 0) {
        return;
    }
    free_text(self->values[place].key);
    free_text(self->values[place].value);
    self->count -= 1;
    memmove(self->values + place, self->values + place + 1,
            (self->count - place) * sizeof *self->values);
}

static void configs_copy(struct image_state_configs *self, const struct image_state_configs *other)
{
    for (uint32_t i = 0; i < other->count; i++) {
        configs_set(self, other->values[i].key, other->values[i].value);
    }
}

static void configs_done(struct image_state_configs *self)
{
    for (uint32_t i = 0; i < self->count; i++) {
        free_text(self->values[i].key);
        free_text(self->values[i].value);
    }
    free(self->values);
    *self = (struct image_state_configs){0};
}

static void free_topic(struct shared_node *shared)
{
    struct image_state_topic *self = (struct image_state_topic *)(void *)shared;
    free(self->name);
    free(self->partitions);
    configs_done(&self->configs);
    free(self);
}

static void topic_refresh(struct image_state_topic *self)
{
    self->view.name = self->name;
    self->view.partitions = self->partitions;
    self->view.config_count = self->configs.count;
    self->view.configs = self->configs.values;
}

struct image_state_topic *image_state_topic_new(const char *name, const struct wire_uuid *id,
                                                bool is_internal)
{
    struct image_state_topic *self = shared_node_memory(1, sizeof *self);
    shared_node_init(&self->shared, free_topic);
    self->view.id = *id;
    self->view.is_internal = is_internal;
    self->name = copy_text(name);
    topic_refresh(self);
    return self;
}

struct image_state_topic *image_state_topic_clone(const struct image_state_topic *other)
{
    struct image_state_topic *self =
        image_state_topic_new(other->name, &other->view.id, other->view.is_internal);
    self->partition_capacity = other->view.partition_count;
    self->partitions = shared_node_memory(self->partition_capacity, sizeof *self->partitions);
    if (other->view.partition_count > 0) {
        memcpy(self->partitions, other->partitions,
               other->view.partition_count * sizeof *self->partitions);
    }
    self->view.partition_count = other->view.partition_count;
    configs_copy(&self->configs, &other->configs);
    topic_refresh(self);
    return self;
}

void image_state_topic_append(struct image_state_topic *self,
                              const struct image_partition *partition)
{
    if (self->view.partition_count == self->partition_capacity) {
        self->partition_capacity = self->partition_capacity == 0 ? 1 : self->partition_capacity * 2;
        self->partitions =
            shared_node_grow(self->partitions, self->partition_capacity, sizeof *self->partitions);
    }
    self->partitions[self->view.partition_count] = *partition;
    self->view.partition_count += 1;
    topic_refresh(self);
}

void image_state_topic_set(struct image_state_topic *self, const char *key, const char *value)
{
    configs_set(&self->configs, key, value);
    topic_refresh(self);
}

void image_state_topic_unset(struct image_state_topic *self, const char *key)
{
    configs_unset(&self->configs, key);
    topic_refresh(self);
}

static void free_broker(struct shared_node *shared)
{
    struct image_state_broker *self = (struct image_state_broker *)(void *)shared;
    free_text(self->view.rack);
    for (uint32_t i = 0; i < self->view.endpoint_count; i++) {
        free_text(self->view.endpoints[i].listener);
        free_text(self->view.endpoints[i].host);
        free_text(self->view.endpoints[i].security);
    }
    free(self);
}

struct image_state_broker *image_state_broker_new(const struct image_broker *view)
{
    check(view->endpoint_count <= IMAGE_ENDPOINTS_MAX);
    struct image_state_broker *self = shared_node_memory(1, sizeof *self);
    shared_node_init(&self->shared, free_broker);
    self->view = *view;
    self->view.rack = view->rack == NULL ? NULL : copy_text(view->rack);
    for (uint32_t i = 0; i < view->endpoint_count; i++) {
        struct image_endpoint *endpoint = &self->view.endpoints[i];
        endpoint->listener = copy_text(view->endpoints[i].listener);
        endpoint->host = copy_text(view->endpoints[i].host);
        endpoint->security = copy_text(view->endpoints[i].security);
    }
    return self;
}

static void free_resource(struct shared_node *shared)
{
    struct image_state_resource *self = (struct image_state_resource *)(void *)shared;
    free(self->name);
    configs_done(&self->configs);
    free(self);
}

static void resource_refresh(struct image_state_resource *self)
{
    self->view.name = self->name;
    self->view.value_count = self->configs.count;
    self->view.values = self->configs.values;
}

struct image_state_resource *image_state_resource_new(enum image_config_kind kind, const char *name)
{
    struct image_state_resource *self = shared_node_memory(1, sizeof *self);
    shared_node_init(&self->shared, free_resource);
    self->view.kind = kind;
    self->name = copy_text(name);
    resource_refresh(self);
    return self;
}

struct image_state_resource *image_state_resource_clone(const struct image_state_resource *other)
{
    struct image_state_resource *self = image_state_resource_new(other->view.kind, other->name);
    configs_copy(&self->configs, &other->configs);
    resource_refresh(self);
    return self;
}

void image_state_resource_set(struct image_state_resource *self, const char *key, const char *value)
{
    configs_set(&self->configs, key, value);
    resource_refresh(self);
}

void image_state_resource_unset(struct image_state_resource *self, const char *key)
{
    configs_unset(&self->configs, key);
    resource_refresh(self);
}

static void free_feature(struct shared_node *shared)
{
    struct image_state_feature *self = (struct image_state_feature *)(void *)shared;
    free(self->name);
    free(self);
}

struct image_state_feature *image_state_feature_new(const char *name, int32_t level)
{
    struct image_state_feature *self = shared_node_memory(1, sizeof *self);
    shared_node_init(&self->shared, free_feature);
    self->name = copy_text(name);
    self->view = (struct image_feature){.name = self->name, .level = level};
    return self;
}

int image_state_compare_name(const void *key, const void *item)
{
    const struct image_state_topic *topic = item;
    return strcmp(key, topic->name);
}

int image_state_compare_id(const void *key, const void *item)
{
    const struct wire_uuid *id = key;
    const struct image_state_topic *topic = item;
    return memcmp(id->bytes, topic->view.id.bytes, sizeof id->bytes);
}

int image_state_compare_broker(const void *key, const void *item)
{
    const int32_t *id = key;
    const struct image_state_broker *broker = item;
    return (*id > broker->view.id) - (*id < broker->view.id);
}

int image_state_compare_resource(const void *key, const void *item)
{
    const struct image_config_resource *wanted = key;
    const struct image_state_resource *resource = item;
    if (wanted->kind != resource->view.kind) {
        return wanted->kind < resource->view.kind ? -1 : 1;
    }
    return strcmp(wanted->name, resource->name);
}

int image_state_compare_feature(const void *key, const void *item)
{
    const struct image_state_feature *feature = item;
    return strcmp(key, feature->name);
}
