#include "broker/metadata/image_draft.h"

#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

struct draft_topic {
    struct image_state_topic *node; /* Owned; frozen when `is_removed`. */
    bool is_removed;
};

/* Open addressing from a hash to a place in `topics`; 0 is free, else place + 1. */
struct draft_map {
    uint32_t *slots;     /* Owned. */
    uint32_t slot_count; /* A power of two. */
};

struct image_draft {
    const struct image *base; /* Borrowed. */
    struct image *next;       /* Owned; its lists are still those of `base`. */
    struct draft_topic *topics;
    uint32_t topic_count;
    uint32_t topic_capacity;
    struct draft_map by_id;
    struct draft_map by_name;
};

struct image_draft *image_draft_new(const struct image *base)
{
    struct image_draft *self = shared_node_memory(1, sizeof *self);
    self->base = base;
    self->next = image_state_copy(base);
    return self;
}

void image_draft_free(struct image_draft *self)
{
    if (self == NULL) {
        return;
    }
    image_unref(self->next);
    for (uint32_t i = 0; i < self->topic_count; i++) {
        shared_node_unref(&self->topics[i].node->shared);
    }
    free(self->topics);
    free(self->by_id.slots);
    free(self->by_name.slots);
    free(self);
}

struct image *image_draft_head(struct image_draft *self)
{
    return self->next;
}

/* FNV-1a; ids are chosen by the controller and a command is bounded, so no peer gains by clashes.
 */
static uint32_t hash_bytes(const void *bytes, size_t byte_count)
{
    const uint8_t *next = bytes;
    uint32_t hash = 2166136261U;
    for (size_t i = 0; i < byte_count; i++) {
        hash = (hash ^ next[i]) * 16777619U;
    }
    return hash;
}

static uint32_t hash_id(const struct wire_uuid *id)
{
    return hash_bytes(id->bytes, sizeof id->bytes);
}

static uint32_t hash_name(const char *name)
{
    return hash_bytes(name, strlen(name));
}

/* Slot of the topic with this id, or the free slot where it belongs. */
static uint32_t *slot_of_id(const struct image_draft *self, const struct wire_uuid *id)
{
    uint32_t mask = self->by_id.slot_count - 1;
    uint32_t place = hash_id(id) & mask;
    while (self->by_id.slots[place] != 0 &&
           !wire_uuid_equals(&self->topics[self->by_id.slots[place] - 1].node->view.id, id)) {
        place = (place + 1) & mask;
    }
    return &self->by_id.slots[place];
}

static uint32_t *slot_of_name(const struct image_draft *self, const char *name)
{
    uint32_t mask = self->by_name.slot_count - 1;
    uint32_t place = hash_name(name) & mask;
    while (self->by_name.slots[place] != 0 &&
           strcmp(self->topics[self->by_name.slots[place] - 1].node->name, name) != 0) {
        place = (place + 1) & mask;
    }
    return &self->by_name.slots[place];
}

static void map_resize(struct draft_map *map, uint32_t slot_count)
{
    free(map->slots);
    map->slots = shared_node_memory(slot_count, sizeof *map->slots);
    map->slot_count = slot_count;
}

/* At most half of the slots are taken, so that every search meets a free one. */
static void reserve_topic(struct image_draft *self)
{
    if (self->topic_count < self->topic_capacity) {
        return;
    }
    self->topic_capacity = self->topic_capacity == 0 ? 8 : self->topic_capacity * 2;
    self->topics = shared_node_grow(self->topics, self->topic_capacity, sizeof *self->topics);
    map_resize(&self->by_id, self->topic_capacity * 2);
    map_resize(&self->by_name, self->topic_capacity * 2);
    for (uint32_t i = 0; i < self->topic_count; i++) {
        *slot_of_id(self, &self->topics[i].node->view.id) = i + 1;
        uint32_t *by_name = slot_of_name(self, self->topics[i].node->name);
        if (*by_name == 0 || self->topics[*by_name - 1].is_removed) {
            *by_name = i + 1;
        }
    }
}

static struct draft_topic *track(struct image_draft *self, struct image_state_topic *node)
{
    reserve_topic(self);
    struct draft_topic *topic = &self->topics[self->topic_count];
    *topic = (struct draft_topic){.node = node};
    self->topic_count += 1;
    *slot_of_id(self, &node->view.id) = self->topic_count;
    *slot_of_name(self, node->name) = self->topic_count; /* Over a removed one of the name. */
    return topic;
}

static struct draft_topic *find_tracked(const struct image_draft *self, const struct wire_uuid *id)
{
    if (self->topic_count == 0) {
        return NULL;
    }
    uint32_t slot = *slot_of_id(self, id);
    return slot == 0 ? NULL : &self->topics[slot - 1];
}

struct image_state_topic *image_draft_topic(struct image_draft *self, const struct wire_uuid *id)
{
    struct draft_topic *tracked = find_tracked(self, id);
    if (tracked != NULL) {
        return tracked->is_removed ? NULL : tracked->node;
    }
    const struct image_state_topic *old =
        (const void *)page_list_find(self->base->topics_by_id, id, image_state_compare_id);
    if (old == NULL) {
        return NULL;
    }
    return track(self, image_state_topic_clone(old))->node;
}

struct image_state_topic *image_draft_topic_by_name(struct image_draft *self, const char *name)
{
    uint32_t slot = self->topic_count == 0 ? 0 : *slot_of_name(self, name);
    if (slot != 0) {
        struct draft_topic *tracked = &self->topics[slot - 1];
        return tracked->is_removed ? NULL : tracked->node;
    }
    const struct image_state_topic *old =
        (const void *)page_list_find(self->base->topics_by_name, name, image_state_compare_name);
    return old == NULL ? NULL : image_draft_topic(self, &old->view.id);
}

void image_draft_add_topic(struct image_draft *self, const char *name, const struct wire_uuid *id,
                           bool is_internal)
{
    check(find_tracked(self, id) == NULL);
    track(self, image_state_topic_new(name, id, is_internal));
}

bool image_draft_was_removed(const struct image_draft *self, const struct wire_uuid *id)
{
    const struct draft_topic *tracked = find_tracked(self, id);
    return tracked != NULL && tracked->is_removed;
}

void image_draft_remove_topic(struct image_draft *self, const struct wire_uuid *id)
{
    check(image_draft_topic(self, id) != NULL);
    struct draft_topic *tracked = find_tracked(self, id);
    check(tracked != NULL);
    tracked->is_removed = true;
}

static void edit_one(struct page_list **list, const void *key, struct shared_node *item,
                     page_list_compare *compare)
{
    struct page_list_edit edit = {.key = key, .item = item};
    struct page_list *next = page_list_edited(*list, &edit, 1, compare);
    page_list_unref(*list);
    *list = next;
}

const struct image_broker *image_draft_broker(const struct image_draft *self, int32_t id)
{
    return image_broker_by_id(self->next, id);
}

void image_draft_put_broker(struct image_draft *self, const struct image_broker *broker)
{
    struct image_state_broker *node = image_state_broker_new(broker);
    edit_one(&self->next->brokers, &node->view.id, &node->shared, image_state_compare_broker);
    shared_node_unref(&node->shared);
}

void image_draft_remove_broker(struct image_draft *self, int32_t id)
{
    edit_one(&self->next->brokers, &id, NULL, image_state_compare_broker);
}

/* Resources are edited one record at a time: a node that only this draft's list holds is written
 * in place, so a command of many keys for one resource copies it once. */
struct image_state_resource *image_draft_resource(struct image_draft *self,
                                                  enum image_config_kind kind, const char *name)
{
    struct image_config_resource key = {.kind = kind, .name = name};
    struct shared_node *found =
        page_list_find(self->next->resources, &key, image_state_compare_resource);
    struct shared_node *old =
        page_list_find(self->base->resources, &key, image_state_compare_resource);
    if (found != NULL && found != old) {
        return (struct image_state_resource *)(void *)found;
    }
    struct image_state_resource *node =
        found == NULL ? image_state_resource_new(kind, name)
                      : image_state_resource_clone((struct image_state_resource *)(void *)found);
    edit_one(&self->next->resources, &node->view, &node->shared, image_state_compare_resource);
    shared_node_unref(&node->shared);
    return node;
}

void image_draft_put_feature(struct image_draft *self, const char *name, int32_t level)
{
    if (level == 0) {
        edit_one(&self->next->features, name, NULL, image_state_compare_feature);
        return;
    }
    struct image_state_feature *node = image_state_feature_new(name, level);
    edit_one(&self->next->features, node->name, &node->shared, image_state_compare_feature);
    shared_node_unref(&node->shared);
}

static int compare_edits_by_name(const void *left, const void *right)
{
    const struct page_list_edit *a = left;
    const struct page_list_edit *b = right;
    int order = strcmp(a->key, b->key);
    return order != 0 ? order : (a->item == NULL) - (b->item == NULL); /* The living first. */
}

static int compare_edits_by_id(const void *left, const void *right)
{
    const struct page_list_edit *a = left;
    const struct page_list_edit *b = right;
    return memcmp(a->key, b->key, sizeof(struct wire_uuid));
}

static void finish_topics(struct image_draft *self)
{
    struct page_list_edit *edits = shared_node_memory(self->topic_count, sizeof *edits);
    for (uint32_t i = 0; i < self->topic_count; i++) {
        const struct draft_topic *topic = &self->topics[i];
        edits[i].key = &topic->node->view.id;
        edits[i].item = topic->is_removed ? NULL : &topic->node->shared;
    }
    qsort(edits, self->topic_count, sizeof *edits, compare_edits_by_id);
    struct page_list *by_id = page_list_edited(self->base->topics_by_id, edits, self->topic_count,
                                               image_state_compare_id);
    page_list_unref(self->next->topics_by_id);
    self->next->topics_by_id = by_id;

    for (uint32_t i = 0; i < self->topic_count; i++) {
        const struct draft_topic *topic = &self->topics[i];
        edits[i].key = topic->node->name;
        edits[i].item = topic->is_removed ? NULL : &topic->node->shared;
    }
    qsort(edits, self->topic_count, sizeof *edits, compare_edits_by_name);
    uint32_t edit_count = 0;
    for (uint32_t i = 0; i < self->topic_count; i++) {
        if (edit_count == 0 || strcmp(edits[edit_count - 1].key, edits[i].key) != 0) {
            edits[edit_count++] = edits[i];
        } else {
            check(edits[i].item == NULL); /* Two living topics of one name. */
        }
    }
    struct page_list *by_name =
        page_list_edited(self->base->topics_by_name, edits, edit_count, image_state_compare_name);
    page_list_unref(self->next->topics_by_name);
    self->next->topics_by_name = by_name;
    free(edits);
}

static void count_partitions(struct image_draft *self)
{
    int64_t count = self->base->partition_count;
    for (uint32_t i = 0; i < self->topic_count; i++) {
        const struct draft_topic *topic = &self->topics[i];
        const struct image_topic *old = image_topic_by_id(self->base, &topic->node->view.id);
        count -= old == NULL ? 0 : old->partition_count;
        count += topic->is_removed ? 0 : topic->node->view.partition_count;
    }
    check(count >= 0);
    check(count <= UINT32_MAX);
    self->next->partition_count = (uint32_t)count;
}

/* An empty resource says nothing; keeping it would let deleted names pile up. */
static void drop_empty_resources(struct image_draft *self)
{
    if (self->next->resources == self->base->resources) {
        return;
    }
    uint32_t i = 0;
    while (i < page_list_count(self->next->resources)) {
        struct image_state_resource *resource =
            (struct image_state_resource *)(void *)page_list_at(self->next->resources, i);
        if (resource->view.value_count > 0) {
            i += 1;
            continue;
        }
        shared_node_ref(&resource->shared);
        edit_one(&self->next->resources, &resource->view, NULL, image_state_compare_resource);
        shared_node_unref(&resource->shared);
    }
}

struct image *image_draft_finish(struct image_draft *self, uint64_t index)
{
    if (self->topic_count > 0) {
        finish_topics(self);
        count_partitions(self);
    }
    drop_empty_resources(self);
    struct image *next = self->next;
    next->index = index;
    self->next = NULL;
    image_draft_free(self);
    return next;
}
