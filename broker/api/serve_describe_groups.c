#include "broker/api/serve_describe_groups.h"

#include "broker/api/coordinator_call.h"
#include "broker/api/gather.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

/* Both questions name groups, and each group may have another partition. */
struct group_items {
    struct request *request;
    struct gather asks;
    struct group_item *items;
    int32_t item_count; /* Those that were begun. */
};

struct group_item {
    struct group_ask ask;
    struct group_items *all;
    bool is_asked;
};

static void on_sent(struct request *request)
{
    struct group_items *self = request->state;
    for (int32_t i = 0; i < self->item_count; i++) {
        group_done_call(&self->items[i].ask.group);
    }
    request_done(request);
}

static bool items_init(struct group_items *self, struct request *request, int32_t count)
{
    self->request = request;
    self->items = arena_take_array(&request->arena, (size_t)count, sizeof *self->items);
    if (self->items == NULL) {
        return false;
    }
    request->state = self;
    request->on_sent = on_sent;
    for (int32_t i = 0; i < count; i++) {
        self->items[i].all = self;
        bool is_ready = coordinator_call_init_ask(&self->items[i].ask, request);
        self->item_count = i + 1;
        if (!is_ready) {
            return false;
        }
    }
    return true;
}

static void item_on_answered(struct coordinator_call *call)
{
    struct group_item *item = container_of(call, struct group_item, ask.call);
    gather_end(&item->all->asks);
}

static void item_start(struct group_item *item,
                       enum ledger_verdict (*decide)(struct ledger_op *op, void *machine))
{
    item->is_asked = true;
    gather_add(&item->all->asks);
    coordinator_call_post_ask(&item->ask, item->ask.group.in.group_id, decide, item_on_answered);
}

/* ---- DescribeGroups ---- */

struct describe_groups {
    struct group_items groups;
    struct kafka_describe_groups_request in;
    struct kafka_describe_groups_response out;
};

static void describe_refuse(struct kafka_describe_groups_response_described_group *out,
                            struct wire_text group_id, int16_t code)
{
    kafka_describe_groups_response_described_group_defaults(out);
    out->error_code = code;
    out->error_message = wire_text_of(NULL);
    out->group_id = group_id;
    out->group_state = wire_text_of("");
    out->protocol_type = wire_text_of("");
    out->protocol_data = wire_text_of("");
}

static void describe_answer(struct gather *asks)
{
    struct describe_groups *self = container_of(asks, struct describe_groups, groups.asks);
    struct request *request = self->groups.request;
    for (int32_t i = 0; i < self->groups.item_count; i++) {
        struct group_item *item = &self->groups.items[i];
        if (item->is_asked && item->ask.call.fault != LEDGER_FAULT_NONE) {
            describe_refuse(&self->out.groups[i], self->in.groups[i],
                            coordinator_call_code(&item->ask.call));
        }
    }
    self->out.throttle_time_ms = access_charge(&request->context, 0);
    request_begin_answer(request);
    kafka_describe_groups_response_encode(&self->out, request->context.api_version,
                                          &request->writer);
    request_send(request);
}

void serve_describe_groups(struct request *request)
{
    struct describe_groups *self = arena_take_array(&request->arena, 1, sizeof *self);
    check(self != NULL); /* The first taking of an empty arena. */
    if (!request_body_is_whole(request, kafka_describe_groups_request_decode(
                                            &request->body, request->context.api_version,
                                            &request->arena, &self->in))) {
        return;
    }
    kafka_describe_groups_response_defaults(&self->out);
    self->out.groups_count = self->in.groups_count;
    self->out.groups =
        arena_take_array(&request->arena, (size_t)self->in.groups_count, sizeof *self->out.groups);
    if (self->out.groups == NULL || !items_init(&self->groups, request, self->in.groups_count)) {
        request_close(request, "a DescribeGroups request is larger than its memory");
        return;
    }
    gather_begin(&self->groups.asks, describe_answer);
    for (int32_t i = 0; i < self->in.groups_count; i++) {
        struct group_item *item = &self->groups.items[i];
        if (!access_authorize(&request->context, ACCESS_DESCRIBE, ACCESS_GROUP,
                              self->in.groups[i])) {
            describe_refuse(&self->out.groups[i], self->in.groups[i],
                            ERROR_CODE_GROUP_AUTHORIZATION_FAILED);
            continue;
        }
        item->ask.group.in.group_id = self->in.groups[i];
        item->ask.group.out.describe = &self->out.groups[i];
        item_start(item, group_admin_describe);
    }
    gather_end(&self->groups.asks);
}

/* ---- DeleteGroups ---- */

struct delete_groups {
    struct group_items groups;
    struct kafka_delete_groups_request in;
    struct kafka_delete_groups_response out;
};

static void delete_answer(struct gather *asks)
{
    struct delete_groups *self = container_of(asks, struct delete_groups, groups.asks);
    struct request *request = self->groups.request;
    for (int32_t i = 0; i < self->groups.item_count; i++) {
        struct group_item *item = &self->groups.items[i];
        if (item->is_asked && item->ask.call.fault != LEDGER_FAULT_NONE) {
            self->out.results[i].error_code = coordinator_call_code(&item->ask.call);
        }
    }
    self->out.throttle_time_ms = access_charge(&request->context, 0);
    request_begin_answer(request);
    kafka_delete_groups_response_encode(&self->out, request->context.api_version, &request->writer);
    request_send(request);
}

void serve_describe_groups_delete(struct request *request)
{
    struct delete_groups *self = arena_take_array(&request->arena, 1, sizeof *self);
    check(self != NULL); /* The first taking of an empty arena. */
    if (!request_body_is_whole(request, kafka_delete_groups_request_decode(
                                            &request->body, request->context.api_version,
                                            &request->arena, &self->in))) {
        return;
    }
    kafka_delete_groups_response_defaults(&self->out);
    self->out.results_count = self->in.groups_names_count;
    self->out.results = arena_take_array(&request->arena, (size_t)self->in.groups_names_count,
                                         sizeof *self->out.results);
    if (self->out.results == NULL ||
        !items_init(&self->groups, request, self->in.groups_names_count)) {
        request_close(request, "a DeleteGroups request is larger than its memory");
        return;
    }
    gather_begin(&self->groups.asks, delete_answer);
    for (int32_t i = 0; i < self->in.groups_names_count; i++) {
        struct group_item *item = &self->groups.items[i];
        self->out.results[i].group_id = self->in.groups_names[i];
        self->out.results[i].error_message = wire_text_of(NULL);
        if (!access_authorize(&request->context, ACCESS_DELETE, ACCESS_GROUP,
                              self->in.groups_names[i])) {
            self->out.results[i].error_code = ERROR_CODE_GROUP_AUTHORIZATION_FAILED;
            continue;
        }
        item->ask.group.in.group_id = self->in.groups_names[i];
        item->ask.group.out.delete_group = &self->out.results[i];
        item_start(item, group_admin_delete);
    }
    gather_end(&self->groups.asks);
}
