#include "broker/api/serve_offset_fetch.h"

#include "broker/api/coordinator_call.h"
#include "broker/api/gather.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

#define VERSION_WITH_TOP_LEVEL_ERROR 2
#define VERSION_WITH_MANY_GROUPS 8
#define VERSION_WITH_TOPIC_IDS 10

typedef struct kafka_offset_fetch_request_offset_fetch_request_group group_in;
typedef struct kafka_offset_fetch_request_offset_fetch_request_topics topic_in;
typedef struct kafka_offset_fetch_response_offset_fetch_response_group group_out;
typedef struct kafka_offset_fetch_response_offset_fetch_response_topics topic_out;

struct fetch_item {
    struct group_ask ask;
    struct offset_fetch *all;
    group_in in; /* As the newest versions have it, with names filled in. */
    group_out *out;
};

struct offset_fetch {
    struct request *request;
    struct kafka_offset_fetch_request in;
    struct kafka_offset_fetch_response out;
    struct gather asks;
    struct fetch_item *items;
    int32_t item_count; /* Those that were begun. */
};

static void on_sent(struct request *request)
{
    struct offset_fetch *self = request->state;
    for (int32_t i = 0; i < self->item_count; i++) {
        group_done_call(&self->items[i].ask.group);
    }
    request_done(request);
}

/* ---- the answer ---- */

/* Up to version 7 there is one group, and its rows have types of their own. */
static bool flatten(struct offset_fetch *self)
{
    struct arena *arena = &self->request->arena;
    const group_out *group = &self->out.groups[0];
    struct kafka_offset_fetch_response *out = &self->out;
    out->error_code = group->error_code;
    out->topics = arena_take_array(arena, (size_t)group->topics_count, sizeof *out->topics);
    if (out->topics == NULL) {
        return false;
    }
    for (int32_t i = 0; i < group->topics_count; i++) {
        const topic_out *topic = &group->topics[i];
        out->topics[i].name = topic->name;
        out->topics[i].partitions_count = topic->partitions_count;
        out->topics[i].partitions = arena_take_array(arena, (size_t)topic->partitions_count,
                                                     sizeof *out->topics[i].partitions);
        if (out->topics[i].partitions == NULL) {
            return false;
        }
        for (int32_t k = 0; k < topic->partitions_count; k++) {
            out->topics[i].partitions[k] =
                (struct kafka_offset_fetch_response_offset_fetch_response_partition){
                    .partition_index = topic->partitions[k].partition_index,
                    .committed_offset = topic->partitions[k].committed_offset,
                    .committed_leader_epoch = topic->partitions[k].committed_leader_epoch,
                    .metadata = topic->partitions[k].metadata,
                    .error_code = topic->partitions[k].error_code};
        }
    }
    out->topics_count = group->topics_count;
    out->groups_count = 0;
    return true;
}

/* What a whole group cannot be told stands once for it, and in old versions at every partition. */
static void spread_error(struct fetch_item *item, int16_t version)
{
    int16_t code = item->out->error_code;
    if (code == ERROR_CODE_NONE) {
        return;
    }
    if (version >= VERSION_WITH_TOP_LEVEL_ERROR) {
        item->out->topics_count = 0;
        return;
    }
    for (int32_t i = 0; i < item->out->topics_count; i++) {
        for (int32_t k = 0; k < item->out->topics[i].partitions_count; k++) {
            item->out->topics[i].partitions[k].committed_offset = -1;
            item->out->topics[i].partitions[k].metadata = wire_text_of("");
            item->out->topics[i].partitions[k].error_code = code;
        }
    }
    item->out->error_code = ERROR_CODE_NONE;
}

/* Offsets end with their topic, as they do in Kafka, although the group's log keeps them for a
 * while: tools ask for the ends of all that a group has committed. */
static bool is_there(const struct offset_fetch *self, topic_out *topic)
{
    const struct image *image = partition_map_image(self->request->shard->map);
    const struct image_topic *known = image_topic_by_name(image, topic->name);
    if (known == NULL ||
        (!wire_uuid_is_zero(&topic->topic_id) && !wire_uuid_equals(&topic->topic_id, &known->id))) {
        return false;
    }
    topic->topic_id = known->id;
    return true;
}

/* Only of "all": this shard's image may be behind that of whoever committed, and a consumer that
 * named a topic and heard of nothing would begin anew. Nobody can read a topic that is gone. */
static void leave_out_gone(struct offset_fetch *self, struct fetch_item *item)
{
    int32_t kept_count = 0;
    for (int32_t i = 0; i < item->out->topics_count; i++) {
        topic_out topic = item->out->topics[i];
        if (is_there(self, &topic)) {
            item->out->topics[kept_count] = topic;
            kept_count += 1;
        }
    }
    item->out->topics_count = kept_count;
}

/* From version 10 on the client wants ids. */
static void name_by_id(group_out *out)
{
    for (int32_t i = 0; i < out->topics_count; i++) {
        out->topics[i].name = wire_text_of("");
    }
}

static void answer(struct gather *asks)
{
    struct offset_fetch *self = container_of(asks, struct offset_fetch, asks);
    struct request *request = self->request;
    int16_t version = request->context.api_version;
    for (int32_t i = 0; i < self->item_count; i++) {
        struct fetch_item *item = &self->items[i];
        if (item->in.topics_count < 0) {
            leave_out_gone(self, item);
        }
        spread_error(item, version);
        if (version >= VERSION_WITH_TOPIC_IDS) {
            name_by_id(item->out);
        }
    }
    self->out.throttle_time_ms = access_charge(&request->context, 0);
    request->state = self;
    request->on_sent = on_sent;
    if (version < VERSION_WITH_MANY_GROUPS && !flatten(self)) {
        request_close(request, "an OffsetFetch answer is larger than its memory");
        return;
    }
    for (int32_t i = 0; version < VERSION_WITH_TOPIC_IDS && i < self->out.groups_count; i++) {
        for (int32_t k = 0; k < self->out.groups[i].topics_count; k++) {
            self->out.groups[i].topics[k].topic_id = (struct wire_uuid){{0}};
        }
    }
    request_begin_answer(request);
    kafka_offset_fetch_response_encode(&self->out, version, &request->writer);
    request_send(request);
}

/* ---- the question ---- */

/* A row for each partition that was asked for; those that must not be looked at carry why. */
static bool prepare_topic(struct fetch_item *item, topic_in *in, topic_out *out)
{
    struct request *request = item->all->request;
    const struct image *image = partition_map_image(request->shard->map);
    int16_t code = ERROR_CODE_NONE;
    if (request->context.api_version < VERSION_WITH_TOPIC_IDS) {
        const struct image_topic *topic = image_topic_by_name(image, in->name);
        in->topic_id = topic == NULL ? (struct wire_uuid){{0}} : topic->id;
    } else {
        const struct image_topic *topic = image_topic_by_id(image, &in->topic_id);
        code = topic == NULL ? ERROR_CODE_UNKNOWN_TOPIC_ID : ERROR_CODE_NONE;
        const char *name = topic == NULL ? "" : topic->name;
        in->name.bytes = arena_copy_text(&request->arena, name, strlen(name));
        in->name.byte_count = (int32_t)strlen(name);
    }
    if (code == ERROR_CODE_NONE && in->name.bytes != NULL &&
        !access_authorize(&request->context, ACCESS_DESCRIBE, ACCESS_TOPIC, in->name)) {
        code = ERROR_CODE_TOPIC_AUTHORIZATION_FAILED;
    }
    out->name = in->name;
    out->topic_id = in->topic_id;
    out->partitions_count = in->partition_indexes_count;
    out->partitions = arena_take_array(&request->arena, (size_t)in->partition_indexes_count,
                                       sizeof *out->partitions);
    if (out->partitions == NULL || in->name.bytes == NULL) {
        return false;
    }
    for (int32_t k = 0; k < in->partition_indexes_count; k++) {
        out->partitions[k].partition_index = in->partition_indexes[k];
        out->partitions[k].committed_offset = -1;
        out->partitions[k].committed_leader_epoch = -1;
        out->partitions[k].metadata = wire_text_of("");
        out->partitions[k].error_code = code;
    }
    return true;
}

static bool prepare_group(struct fetch_item *item)
{
    item->out->group_id = item->in.group_id;
    item->out->topics = NULL;
    item->out->topics_count = 0;
    if (item->in.topics_count < 0) {
        return true;
    }
    item->out->topics = arena_take_array(&item->all->request->arena, (size_t)item->in.topics_count,
                                         sizeof *item->out->topics);
    if (item->out->topics == NULL) {
        return false;
    }
    item->out->topics_count = item->in.topics_count;
    for (int32_t i = 0; i < item->in.topics_count; i++) {
        if (!prepare_topic(item, &item->in.topics[i], &item->out->topics[i])) {
            return false;
        }
    }
    return true;
}

static void item_on_answered(struct coordinator_call *call)
{
    struct fetch_item *item = container_of(call, struct fetch_item, ask.call);
    if (call->fault != LEDGER_FAULT_NONE) {
        item->out->error_code = coordinator_call_code(call);
    }
    gather_end(&item->all->asks);
}

static void start(struct fetch_item *item)
{
    struct request *request = item->all->request;
    if (!access_authorize(&request->context, ACCESS_DESCRIBE, ACCESS_GROUP, item->in.group_id)) {
        item->out->error_code = ERROR_CODE_GROUP_AUTHORIZATION_FAILED;
        return;
    }
    item->ask.group.in.fetch = &item->in;
    item->ask.group.out.fetch = item->out;
    item->ask.group.is_stable_required = item->all->in.require_stable;
    gather_add(&item->all->asks);
    coordinator_call_post_ask(&item->ask, item->in.group_id, group_commit_fetch, item_on_answered);
}

/* The one group of versions up to 7, in the form of the later ones. */
static bool widen(struct offset_fetch *self, group_in *out)
{
    kafka_offset_fetch_request_offset_fetch_request_group_defaults(out);
    out->group_id = self->in.group_id;
    out->topics_count = self->in.topics_count;
    if (self->in.topics_count < 0) {
        return true;
    }
    out->topics =
        arena_take_array(&self->request->arena, (size_t)self->in.topics_count, sizeof *out->topics);
    for (int32_t i = 0; out->topics != NULL && i < self->in.topics_count; i++) {
        out->topics[i].name = self->in.topics[i].name;
        out->topics[i].partition_indexes = self->in.topics[i].partition_indexes;
        out->topics[i].partition_indexes_count = self->in.topics[i].partition_indexes_count;
    }
    return out->topics != NULL;
}

static bool prepare(struct offset_fetch *self)
{
    struct arena *arena = &self->request->arena;
    bool has_many = self->request->context.api_version >= VERSION_WITH_MANY_GROUPS;
    int32_t count = has_many ? self->in.groups_count : 1;
    kafka_offset_fetch_response_defaults(&self->out);
    self->items = arena_take_array(arena, (size_t)count, sizeof *self->items);
    self->out.groups = arena_take_array(arena, (size_t)count, sizeof *self->out.groups);
    if (self->items == NULL || self->out.groups == NULL) {
        return false;
    }
    self->out.groups_count = count;
    for (int32_t i = 0; i < count; i++) {
        struct fetch_item *item = &self->items[i];
        item->all = self;
        item->out = &self->out.groups[i];
        bool is_ready = coordinator_call_init_ask(&item->ask, self->request);
        self->item_count = i + 1;
        if (has_many) {
            item->in = self->in.groups[i];
        } else {
            is_ready = is_ready && widen(self, &item->in);
        }
        if (!is_ready || !prepare_group(item)) {
            return false;
        }
    }
    return true;
}

void serve_offset_fetch(struct request *request)
{
    struct offset_fetch *self = arena_take_array(&request->arena, 1, sizeof *self);
    check(self != NULL); /* The first taking of an empty arena. */
    self->request = request;
    if (!request_body_is_whole(
            request, kafka_offset_fetch_request_decode(&request->body, request->context.api_version,
                                                       &request->arena, &self->in))) {
        return;
    }
    if (!prepare(self)) {
        request_close(request, "an OffsetFetch request is larger than its memory");
        return;
    }
    gather_begin(&self->asks, answer);
    for (int32_t i = 0; i < self->item_count; i++) {
        start(&self->items[i]);
    }
    gather_end(&self->asks);
}
