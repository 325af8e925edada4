#include "broker/api/serve_describe_transactions.h"

#include "broker/api/gather.h"
#include "broker/api/txn_ask.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

struct describe_item {
    struct txn_ask ask;
    struct describe_transactions *all;
};

struct describe_transactions {
    struct request *request;
    struct kafka_describe_transactions_request in;
    struct kafka_describe_transactions_response out;
    struct gather asks;
    struct describe_item *items;
};

static void on_sent(struct request *request)
{
    struct describe_transactions *self = request->state;
    for (int32_t i = 0; i < self->out.transaction_states_count; i++) {
        txn_ask_done(&self->items[i].ask);
    }
    request_done(request);
}

static void answer(struct gather *asks)
{
    struct describe_transactions *self = container_of(asks, struct describe_transactions, asks);
    struct request *request = self->request;
    for (int32_t i = 0; i < self->out.transaction_states_count; i++) {
        if (self->items[i].ask.fault != LEDGER_FAULT_NONE) {
            self->out.transaction_states[i].error_code = txn_ask_code(&self->items[i].ask);
        }
    }
    self->out.throttle_time_ms = access_charge(&request->context, 0);
    request->state = self;
    request->on_sent = on_sent;
    request_begin_answer(request);
    kafka_describe_transactions_response_encode(&self->out, request->context.api_version,
                                                &request->writer);
    request_send(request);
}

static void ask_on_answered(struct txn_ask *ask)
{
    gather_end(&container_of(ask, struct describe_item, ask)->all->asks);
}

static void start(struct describe_transactions *self, int32_t place)
{
    struct describe_item *item = &self->items[place];
    struct wire_text id = self->in.transactional_ids[place];
    struct kafka_describe_transactions_response_transaction_state *out =
        &self->out.transaction_states[place];
    kafka_describe_transactions_response_transaction_state_defaults(out);
    out->transactional_id = id;
    out->transaction_state = wire_text_of("");
    item->all = self;
    txn_ask_init(&item->ask, self->request);
    self->out.transaction_states_count = place + 1;
    if (!access_authorize(&self->request->context, ACCESS_DESCRIBE, ACCESS_TRANSACTIONAL_ID, id)) {
        out->error_code = ERROR_CODE_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
        return;
    }
    item->ask.txn.in.id = id;
    item->ask.txn.out.describe = out;
    gather_add(&self->asks);
    txn_ask_post(&item->ask, id, txn_admin_describe, ask_on_answered);
}

void serve_describe_transactions(struct request *request)
{
    struct describe_transactions *self = arena_take_array(&request->arena, 1, sizeof *self);
    check(self != NULL); /* The first taking of an empty arena. */
    self->request = request;
    if (!request_body_is_whole(request, kafka_describe_transactions_request_decode(
                                            &request->body, request->context.api_version,
                                            &request->arena, &self->in))) {
        return;
    }
    size_t count = (size_t)self->in.transactional_ids_count;
    self->items = arena_take_array(&request->arena, count, sizeof *self->items);
    self->out.transaction_states =
        arena_take_array(&request->arena, count, sizeof *self->out.transaction_states);
    if (self->items == NULL || self->out.transaction_states == NULL) {
        request_close(request, "a DescribeTransactions request is larger than its memory");
        return;
    }
    gather_begin(&self->asks, answer);
    for (int32_t i = 0; i < self->in.transactional_ids_count; i++) {
        start(self, i);
    }
    gather_end(&self->asks);
}
