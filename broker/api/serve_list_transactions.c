#include "broker/api/serve_list_transactions.h"

#include "broker/api/gather.h"
#include "broker/api/txn_ask.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

static const char *const states[] = {"Empty",        "Ongoing",          "PrepareCommit",
                                     "PrepareAbort", "CompleteCommit",   "CompleteAbort",
                                     "Dead",         "PrepareEpochFence"};

struct list_item {
    struct txn_ask ask;
    struct list_transactions *all;
    struct kafka_list_transactions_response out;
};

/* One question for each partition of the transactions' topic that this broker leads. */
struct list_transactions {
    struct request *request;
    struct kafka_list_transactions_request in;
    struct kafka_list_transactions_response out;
    struct gather asks;
    struct list_item *items;
    int32_t item_count;
};

static void on_sent(struct request *request)
{
    struct list_transactions *self = request->state;
    for (int32_t i = 0; i < self->item_count; i++) {
        txn_ask_done(&self->items[i].ask);
    }
    request_done(request);
}

static int16_t merge_one(struct list_transactions *self, const struct list_item *item)
{
    if (item->ask.call.fault == LEDGER_FAULT_NOT_HERE) {
        return ERROR_CODE_NONE; /* Its new leader lists it. */
    }
    if (item->ask.call.fault != LEDGER_FAULT_NONE) {
        return coordinator_call_code(&item->ask.call);
    }
    for (int32_t k = 0; k < item->out.transaction_states_count; k++) {
        if (access_authorize(&self->request->context, ACCESS_DESCRIBE, ACCESS_TRANSACTIONAL_ID,
                             item->out.transaction_states[k].transactional_id)) {
            self->out.transaction_states[self->out.transaction_states_count] =
                item->out.transaction_states[k];
            self->out.transaction_states_count += 1;
        }
    }
    return item->out.error_code;
}

static bool merge(struct list_transactions *self)
{
    size_t count = 0;
    for (int32_t i = 0; i < self->item_count; i++) {
        count += (size_t)self->items[i].out.transaction_states_count;
    }
    self->out.transaction_states =
        arena_take_array(&self->request->arena, count, sizeof *self->out.transaction_states);
    if (self->out.transaction_states == NULL) {
        return false;
    }
    for (int32_t i = 0; i < self->item_count; i++) {
        int16_t code = merge_one(self, &self->items[i]);
        self->out.error_code = code != ERROR_CODE_NONE ? code : self->out.error_code;
    }
    return true;
}

static bool is_state(struct wire_text text)
{
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        if (wire_text_equals(text, states[i])) {
            return true;
        }
    }
    return false;
}

/* States that nobody knows are told back; those that are known filter. */
static bool split_filters(struct list_transactions *self)
{
    int32_t count = self->in.state_filters_count;
    self->out.unknown_state_filters = arena_take_array(&self->request->arena, (size_t)count,
                                                       sizeof *self->out.unknown_state_filters);
    if (self->out.unknown_state_filters == NULL) {
        return false;
    }
    for (int32_t i = 0; i < count; i++) {
        if (!is_state(self->in.state_filters[i])) {
            self->out.unknown_state_filters[self->out.unknown_state_filters_count] =
                self->in.state_filters[i];
            self->out.unknown_state_filters_count += 1;
        }
    }
    return true;
}

static void answer(struct gather *asks)
{
    struct list_transactions *self = container_of(asks, struct list_transactions, asks);
    struct request *request = self->request;
    request->state = self;
    request->on_sent = on_sent;
    if (!merge(self) || !split_filters(self)) {
        request_close(request, "a ListTransactions answer is larger than its memory");
        return;
    }
    self->out.throttle_time_ms = access_charge(&request->context, 0);
    request_begin_answer(request);
    kafka_list_transactions_response_encode(&self->out, request->context.api_version,
                                            &request->writer);
    request_send(request);
}

static void call_on_answered(struct coordinator_call *call)
{
    struct list_item *item = container_of(call, struct list_item, ask.call);
    gather_end(&item->all->asks);
}

static void start(struct list_transactions *self, const struct image_topic *topic, int32_t index)
{
    struct list_item *item = &self->items[self->item_count];
    txn_ask_init(&item->ask, self->request);
    self->item_count += 1;
    item->all = self;
    item->ask.txn.in.list = &self->in;
    item->ask.txn.out.list = &item->out;
    item->ask.txn.op.decide = txn_admin_list;
    item->ask.call.op = &item->ask.txn.op;
    item->ask.call.on_answered = call_on_answered;
    gather_add(&self->asks);
    coordinator_call_post_to(&item->ask.call, self->request, topic, index);
}

void serve_list_transactions(struct request *request)
{
    struct list_transactions *self = arena_take_array(&request->arena, 1, sizeof *self);
    check(self != NULL); /* The first taking of an empty arena. */
    self->request = request;
    if (!request_body_is_whole(request, kafka_list_transactions_request_decode(
                                            &request->body, request->context.api_version,
                                            &request->arena, &self->in))) {
        return;
    }
    kafka_list_transactions_response_defaults(&self->out);
    const struct image *image = partition_map_image(request->shard->map);
    const struct image_topic *topic =
        image_topic_by_name(image, wire_text_of(DISPATCH_TRANSACTION_TOPIC));
    uint32_t count = topic == NULL ? 0 : topic->partition_count;
    self->items = arena_take_array(&request->arena, count, sizeof *self->items);
    if (self->items == NULL) {
        request_close(request, "a ListTransactions request is larger than its memory");
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
