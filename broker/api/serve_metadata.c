#include "broker/api/serve_metadata.h"

#include "broker/api/admin_call.h"
#include "broker/api/cluster_view.h"
#include "broker/api/seen_set.h"
#include "broker/metadata/topic_config.h"
#include "broker/metadata/topic_name.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/metadata.h"
#include "proto/sys/check.h"

#define METADATA_VERSION_NULL_NAMES 12
#define METADATA_VERSION_LISTENER_ERRORS 6

/* A client waits for its first answer for so long at most. */
#define AUTO_CREATE_TIMEOUT_MS 10000

struct metadata {
    struct request *request;
    struct admin_call call;
    struct topic_decisions_create_request command; /* Topics that are made by the way. */
    const struct image *image;
    struct kafka_metadata_request in;
    struct kafka_metadata_response out;
    char cluster_id[CLUSTER_VIEW_ID_BYTES];
};

static int32_t *copy_ids(struct metadata *self, const int32_t *ids, uint8_t count)
{
    int32_t *copy = arena_take_array(&self->request->arena, count, sizeof *copy);
    for (uint8_t i = 0; copy != NULL && i < count; i++) {
        copy[i] = ids[i];
    }
    return copy;
}

static bool add_partition(struct metadata *self, const struct image_partition *partition,
                          int32_t index,
                          struct kafka_metadata_response_metadata_response_partition *out)
{
    kafka_metadata_response_metadata_response_partition_defaults(out);
    out->partition_index = index;
    out->leader_id = partition->leader;
    out->leader_epoch = partition->leader_epoch;
    out->replica_nodes = copy_ids(self, partition->replicas, partition->replica_count);
    out->replica_nodes_count = partition->replica_count;
    out->isr_nodes = copy_ids(self, partition->isr, partition->isr_count);
    out->isr_nodes_count = partition->isr_count;
    out->offline_replicas =
        arena_take_array(&self->request->arena, partition->replica_count, sizeof(int32_t));
    if (out->replica_nodes == NULL || out->isr_nodes == NULL || out->offline_replicas == NULL) {
        return false;
    }
    for (uint8_t i = 0; i < partition->replica_count; i++) {
        if (!cluster_view_is_live(self->image, partition->replicas[i])) {
            out->offline_replicas[out->offline_replicas_count] = partition->replicas[i];
            out->offline_replicas_count += 1;
        }
    }
    bool has_leader =
        partition->leader >= 0 && cluster_view_is_live(self->image, partition->leader);
    if (!has_leader) {
        out->error_code = ERROR_CODE_LEADER_NOT_AVAILABLE;
        out->leader_id = -1;
    }
    return true;
}

static bool add_topic(struct metadata *self, const struct image_topic *topic)
{
    struct kafka_metadata_response_metadata_response_topic *out =
        &self->out.topics[self->out.topics_count];
    kafka_metadata_response_metadata_response_topic_defaults(out);
    out->name = wire_text_of(topic->name);
    out->topic_id = topic->id;
    out->is_internal = topic->is_internal;
    out->partitions_count = (int32_t)topic->partition_count;
    out->partitions =
        arena_take_array(&self->request->arena, topic->partition_count, sizeof *out->partitions);
    if (out->partitions == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        if (!add_partition(self, &topic->partitions[i], (int32_t)i, &out->partitions[i])) {
            return false;
        }
    }
    self->out.topics_count += 1;
    return true;
}

static void add_missing(struct metadata *self,
                        const struct kafka_metadata_request_metadata_request_topic *in,
                        int16_t code)
{
    struct kafka_metadata_response_metadata_response_topic *out =
        &self->out.topics[self->out.topics_count];
    kafka_metadata_response_metadata_response_topic_defaults(out);
    out->name = in->name;
    out->topic_id = in->topic_id;
    out->error_code = code;
    if (in->name.byte_count < 0 &&
        self->request->context.api_version < METADATA_VERSION_NULL_NAMES) {
        out->name = wire_text_of("");
    }
    self->out.topics_count += 1;
}

static bool add_named(struct metadata *self,
                      const struct kafka_metadata_request_metadata_request_topic *in)
{
    bool is_by_id = !wire_uuid_is_zero(&in->topic_id);
    if (is_by_id && self->request->context.api_version < METADATA_VERSION_NULL_NAMES) {
        add_missing(self, in, ERROR_CODE_INVALID_REQUEST);
        return true;
    }
    const struct image_topic *topic = is_by_id ? image_topic_by_id(self->image, &in->topic_id)
                                               : image_topic_by_name(self->image, in->name);
    if (topic != NULL && !access_authorize(&self->request->context, ACCESS_DESCRIBE, ACCESS_TOPIC,
                                           wire_text_of(topic->name))) {
        add_missing(self, in, ERROR_CODE_TOPIC_AUTHORIZATION_FAILED);
        return true;
    }
    if (topic != NULL) {
        return add_topic(self, topic);
    }
    add_missing(self, in,
                is_by_id                         ? ERROR_CODE_UNKNOWN_TOPIC_ID
                : !topic_name_is_valid(in->name) ? ERROR_CODE_INVALID_TOPIC_EXCEPTION
                                                 : ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION);
    return true;
}

static bool add_topics(struct metadata *self)
{
    /* In version 0 an empty list means all; later null does, and empty means none. */
    bool is_all = self->in.topics_count < 0 ||
                  (self->request->context.api_version == 0 && self->in.topics_count == 0);
    size_t count = is_all ? image_topic_count(self->image) : (size_t)self->in.topics_count;
    self->out.topics = arena_take_array(&self->request->arena, count, sizeof *self->out.topics);
    if (self->out.topics == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        bool is_added = is_all ? add_topic(self, image_topic_at(self->image, (uint32_t)i))
                               : add_named(self, &self->in.topics[i]);
        if (!is_added) {
            return false;
        }
    }
    return true;
}

static bool add_brokers(struct metadata *self)
{
    uint32_t count = image_broker_count(self->image);
    self->out.brokers = arena_take_array(&self->request->arena, count, sizeof *self->out.brokers);
    if (self->out.brokers == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct image_broker *broker = image_broker_at(self->image, i);
        if (!cluster_view_is_live(self->image, broker->id)) {
            continue;
        }
        const struct image_endpoint *endpoint = cluster_view_endpoint(broker);
        self->out.brokers[self->out.brokers_count] =
            (struct kafka_metadata_response_metadata_response_broker){
                .node_id = broker->id,
                .host = wire_text_of(endpoint->host),
                .port = endpoint->port,
                .rack = wire_text_of(broker->rack)};
        self->out.brokers_count += 1;
    }
    return true;
}

static void answer(struct metadata *self)
{
    struct request *request = self->request;
    self->image = partition_map_image(request->shard->map);
    kafka_metadata_response_defaults(&self->out);
    self->out.throttle_time_ms = access_charge(&request->context, 0);
    cluster_view_id_text(image_cluster_id(self->image), self->cluster_id);
    self->out.cluster_id = wire_text_of(self->cluster_id);
    self->out.controller_id = cluster_view_controller(request->shard->node, self->image);
    if (!add_brokers(self) || !add_topics(self)) {
        request_close(request, "the answer is larger than its memory");
        return;
    }
    request_begin_answer(request);
    kafka_metadata_response_encode(&self->out, request->context.api_version, &request->writer);
    request_send(request);
}

static void create_on_answered(struct admin_call *call, enum status status)
{
    (void)status; /* What was not made is answered as missing, and the client asks again. */
    answer(container_of(call, struct metadata, call));
}

/* NO_MEMORY: the names do not fit the request's memory. */
static enum status collect_missing(struct metadata *self)
{
    struct arena *arena = &self->request->arena;
    size_t count = (size_t)self->in.topics_count;
    struct seen_set seen;
    self->command.items = arena_take_array(arena, count, sizeof *self->command.items);
    if (self->command.items == NULL || seen_set_init(&seen, arena, (uint32_t)count) != STATUS_OK) {
        return STATUS_NO_MEMORY;
    }
    const struct image *image = partition_map_image(self->request->shard->map);
    for (size_t i = 0; i < count; i++) {
        struct wire_text name = self->in.topics[i].name;
        if (!topic_name_is_valid(name) || topic_config_is_internal(name) ||
            image_topic_by_name(image, name) != NULL ||
            seen_set_add_text(&seen, name) != STATUS_OK ||
            !access_authorize(&self->request->context, ACCESS_CREATE, ACCESS_TOPIC, name)) {
            continue;
        }
        self->command.items[self->command.item_count] = (struct topic_decisions_create){
            .name = name, .partition_count = -1, .replication_factor = -1};
        self->command.item_count += 1;
    }
    return STATUS_OK;
}

void serve_metadata(struct request *request)
{
    struct metadata *self = arena_take_array(&request->arena, 1, sizeof *self);
    check(self != NULL); /* The first taking of an empty arena. */
    self->request = request;
    if (!request_body_is_whole(
            request, kafka_metadata_request_decode(&request->body, request->context.api_version,
                                                   &request->arena, &self->in))) {
        return;
    }
    /* Versions 0 to 3 have no word for it; their clients expect it. */
    bool may_create = request->context.api_version < 4 || self->in.allow_auto_topic_creation;
    if (!may_create || !request->shard->node->is_auto_create || self->in.topics_count <= 0) {
        answer(self);
        return;
    }
    if (collect_missing(self) != STATUS_OK) {
        request_close(request, "a Metadata request is larger than its memory");
        return;
    }
    if (self->command.item_count == 0) {
        answer(self);
        return;
    }
    self->call.up.request.kind = CONTROLLER_CREATE_TOPICS;
    self->call.up.request.command.create_topics = &self->command;
    admin_call_post(&self->call, request, AUTO_CREATE_TIMEOUT_MS, create_on_answered);
}
