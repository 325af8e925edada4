#include "broker/metadata/image.h"

#include "broker/metadata/image_state.h"
#include "proto/sys/check.h"

#include <stdio.h>
#include <string.h>

struct image *image_new(void)
{
    return image_state_copy(NULL);
}

struct image *image_ref(struct image *self)
{
    shared_node_ref(&self->shared);
    return self;
}

void image_unref(struct image *self)
{
    shared_node_unref(self == NULL ? NULL : &self->shared);
}

uint64_t image_index(const struct image *self)
{
    return self->index;
}

const struct wire_uuid *image_cluster_id(const struct image *self)
{
    return &self->cluster_id;
}

/* Nodes begin with their counter. */
static const struct image_topic *topic_view(const struct shared_node *node)
{
    const struct image_state_topic *topic = (const void *)node;
    return topic == NULL ? NULL : &topic->view;
}

uint32_t image_topic_count(const struct image *self)
{
    return page_list_count(self->topics_by_name);
}

const struct image_topic *image_topic_at(const struct image *self, uint32_t index)
{
    return topic_view(page_list_at(self->topics_by_name, index));
}

/* Orders a text without its NUL like strcmp() orders the whole. */
static int compare_text(struct wire_text text, const char *other)
{
    size_t other_bytes = strlen(other);
    size_t text_bytes = text.byte_count < 0 ? 0 : (size_t)text.byte_count;
    size_t common = text_bytes < other_bytes ? text_bytes : other_bytes;
    int order = common == 0 ? 0 : memcmp(text.bytes, other, common);
    if (order != 0) {
        return order;
    }
    return (text_bytes > other_bytes) - (text_bytes < other_bytes);
}

static int compare_topic_text(const void *key, const void *item)
{
    const struct image_state_topic *topic = item;
    return compare_text(*(const struct wire_text *)key, topic->name);
}

const struct image_topic *image_topic_by_name(const struct image *self, struct wire_text name)
{
    return topic_view(page_list_find(self->topics_by_name, &name, compare_topic_text));
}

const struct image_topic *image_topic_by_id(const struct image *self, const struct wire_uuid *id)
{
    return topic_view(page_list_find(self->topics_by_id, id, image_state_compare_id));
}

const struct image_partition *image_topic_partition(const struct image_topic *topic, int32_t index)
{
    return index < 0 || (uint32_t)index >= topic->partition_count ? NULL
                                                                  : &topic->partitions[index];
}

uint32_t image_partition_count(const struct image *self)
{
    return self->partition_count;
}

struct difference {
    void (*visit)(void *context, const struct image_topic *before, const struct image_topic *after);
    void *context;
};

static void difference_on_topic(void *context, struct shared_node *before,
                                struct shared_node *after)
{
    const struct difference *self = context;
    const struct image_topic *old = topic_view(before);
    const struct image_topic *new = topic_view(after);
    if (old != NULL && new != NULL && !wire_uuid_equals(&old->id, &new->id)) {
        self->visit(self->context, old, NULL);
        self->visit(self->context, NULL, new);
        return;
    }
    self->visit(self->context, old, new);
}

static int compare_topics(const void *left, const void *right)
{
    const struct image_state_topic *topic = left;
    return image_state_compare_name(topic->name, right);
}

void image_topic_differences(const struct image *before, const struct image *after,
                             void (*visit)(void *context, const struct image_topic *before,
                                           const struct image_topic *after),
                             void *context)
{
    struct difference difference = {.visit = visit, .context = context};
    page_list_differences(before->topics_by_name, after->topics_by_name, compare_topics,
                          difference_on_topic, &difference);
}

uint32_t image_broker_count(const struct image *self)
{
    return page_list_count(self->brokers);
}

const struct image_broker *image_broker_at(const struct image *self, uint32_t index)
{
    const struct image_state_broker *broker = (const void *)page_list_at(self->brokers, index);
    return &broker->view;
}

const struct image_broker *image_broker_by_id(const struct image *self, int32_t id)
{
    const struct image_state_broker *broker =
        (const void *)page_list_find(self->brokers, &id, image_state_compare_broker);
    return broker == NULL ? NULL : &broker->view;
}

struct resource_key {
    enum image_config_kind kind;
    struct wire_text name;
};

static int compare_resource_text(const void *key, const void *item)
{
    const struct resource_key *wanted = key;
    const struct image_state_resource *resource = item;
    if (wanted->kind != resource->view.kind) {
        return wanted->kind < resource->view.kind ? -1 : 1;
    }
    return compare_text(wanted->name, resource->name);
}

const struct image_config_value *image_configs(const struct image *self,
                                               enum image_config_kind kind, struct wire_text name,
                                               uint32_t *out_count)
{
    check(kind != IMAGE_CONFIG_TOPIC);
    struct resource_key key = {.kind = kind, .name = name};
    const struct image_state_resource *resource =
        (const void *)page_list_find(self->resources, &key, compare_resource_text);
    *out_count = resource == NULL ? 0 : resource->view.value_count;
    return resource == NULL ? NULL : resource->view.values;
}

const struct image_config_value *image_broker_configs(const struct image *self, int32_t broker_id,
                                                      uint32_t *out_count)
{
    if (broker_id == -1) {
        return image_configs(self, IMAGE_CONFIG_CLUSTER, wire_text_of(""), out_count);
    }
    char name[16];
    int byte_count = snprintf(name, sizeof name, "%d", broker_id);
    check(byte_count > 0);
    return image_configs(self, IMAGE_CONFIG_BROKER, wire_text_of(name), out_count);
}

uint32_t image_config_resource_count(const struct image *self)
{
    return page_list_count(self->resources);
}

const struct image_config_resource *image_config_resource_at(const struct image *self,
                                                             uint32_t index)
{
    const struct image_state_resource *resource =
        (const void *)page_list_at(self->resources, index);
    return &resource->view;
}

int32_t image_feature_level(const struct image *self, const char *name)
{
    const struct image_state_feature *feature =
        (const void *)page_list_find(self->features, name, image_state_compare_feature);
    return feature == NULL ? 0 : feature->view.level;
}

uint32_t image_feature_count(const struct image *self)
{
    return page_list_count(self->features);
}

const struct image_feature *image_feature_at(const struct image *self, uint32_t index)
{
    const struct image_state_feature *feature = (const void *)page_list_at(self->features, index);
    return &feature->view;
}

int64_t image_next_producer_id(const struct image *self)
{
    return self->next_producer_id;
}

bool image_knows_token(const struct image *self, const uint8_t token[IMAGE_TOKEN_BYTES],
                       uint64_t *out_index)
{
    for (uint32_t i = self->chunk_count; i > 0; i--) {
        const struct image_state_chunk *chunk = self->chunks[i - 1];
        for (uint32_t k = chunk->count; k > 0; k--) {
            if (memcmp(chunk->tokens[k - 1].bytes, token, IMAGE_TOKEN_BYTES) == 0) {
                *out_index = chunk->tokens[k - 1].index;
                return true;
            }
        }
    }
    return false;
}
