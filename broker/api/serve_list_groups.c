#include "broker/api/serve_list_groups.h"

#include "broker/api/coordinator_call.h"
#include "broker/api/gather.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

struct list_item {
    struct group_ask ask;
    struct list_groups *all;
    struct kafka_list_groups_response out;
};

/* One question for each partition of the group topic that this broker leads. */
struct list_groups {
    struct request *request;
    struct kafka_list_groups_request in;
    struct kafka_list_groups_response out;
    struct gather asks;
    struct list_item *items;
    int32_t item_count;
};

static void on_sent(struct request *request)
{
    struct list_groups *self = request->state;
    for (int32_t i = 0; i < self->item_count; i++) {
        group_done_call(&self->items[i].ask.group);
    }
    request_done(request);
}

static int16_t merge_one(struct list_groups *self, const struct list_item *item)
{
    if (item->ask.call.fault == LEDGER_FAULT_NOT_HERE) {
        return ERROR_CODE_NONE; /* Its new leader lists it. */
    }
    if (item->ask.call.fault != LEDGER_FAULT_NONE) {
        return coordinator_call_code(&item->ask.call);
    }
    for (int32_t k = 0; k < item->out.groups_count; k++) {
        if (access_authorize(&self->request->context, ACCESS_DESCRIBE, ACCESS_GROUP,
                             item->out.groups[k].group_id)) {
            self->out.groups[self->out.groups_count] = item->out.groups[k];
            self->out.groups_count += 1;
        }
    }
    return item->out.error_code;
}

static bool merge(struct list_groups *self)
{
    size_t count = 0;
    for (int32_t i = 0; i < self->item_count; i++) {
        count += (size_t)self->items[i].out.groups_count;
    }
    self->out.groups = arena_take_array(&self->request->arena, count, sizeof *self->out.groups);
    if (self->out.groups == NULL) {
        return false;
    }
    for (int32_t i = 0; i < self->item_count; i++) {
        int16_t code = merge_one(self, &self->items[i]);
        self->out.error_code = code != ERROR_CODE_NONE ? code : self->out.error_code;
    }
    return true;
}

static void answer(struct gather *asks)
{
    struct list_groups *self = container_of(asks, struct list_groups, asks);
    struct request *request = self->request;
    request->state = self;
    request->on_sent = on_sent;
    if (!merge(self)) {
        request_close(request, "a ListGroups answer is larger than its memory");
        return;
    }
    self->out.throttle_time_ms = access_charge(&request->context, 0);
    request_begin_answer(request);
    kafka_list_groups_response_encode(&self->out, request->context.api_version, &request->writer);
    request_send(request);
}

static void item_on_answered(struct coordinator_call *call)
{
    struct list_item *item = container_of(call, struct list_item, ask.call);
    gather_end(&item->all->asks);
}

static void start(struct list_groups *self, const struct image_topic *topic, int32_t index)
{
    struct list_item *item = &self->items[self->item_count];
    if (!coordinator_call_init_ask(&item->ask, self->request)) {
        self->out.error_code = ERROR_CODE_UNKNOWN_SERVER_ERROR;
        return;
    }
    self->item_count += 1;
    item->all = self;
    item->ask.group.in.list = &self->in;
    item->ask.group.out.list = &item->out;
    item->ask.group.op.decide = group_admin_list;
    item->ask.call.op = &item->ask.group.op;
    item->ask.call.on_answered = item_on_answered;
    gather_add(&self->asks);
    coordinator_call_post_to(&item->ask.call, self->request, topic, index);
}

void serve_list_groups(struct request *request)
{
    struct list_groups *self = arena_take_array(&request->arena, 1, sizeof *self);
    check(self != NULL); /* The first taking of an empty arena. */
    self->request = request;
    if (!request_body_is_whole(
            request, kafka_list_groups_request_decode(&request->body, request->context.api_version,
                                                      &request->arena, &self->in))) {
        return;
    }
    kafka_list_groups_response_defaults(&self->out);
    const struct image *image = partition_map_image(request->shard->map);
    const struct image_topic *topic =
        image_topic_by_name(image, wire_text_of(DISPATCH_GROUP_TOPIC));
    uint32_t count = topic == NULL ? 0 : topic->partition_count;
    self->items = arena_take_array(&request->arena, count, sizeof *self->items);
    if (self->items == NULL) {
        request_close(request, "a ListGroups request is larger than its memory");
        return;
    }
    gather_begin(&self->asks, answer);
    for (uint32_t i = 0; i < count; i++) {
        if (topic->partitions[i].leader == request->shard->node->broker_id) {
            start(self, topic, (int32_t)i);
        }
    }
    gather_end(&self->asks);
}
