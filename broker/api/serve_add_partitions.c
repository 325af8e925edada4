#include "broker/api/serve_add_partitions.h"

#include "broker/api/gather.h"
#include "broker/api/partition_ask.h"
#include "broker/api/txn_ask.h"
#include "broker/api/txn_rows.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

#define VERSION_OF_LEADERS 4
#define VERSION_WITH_FENCED 2

typedef struct kafka_add_partitions_to_txn_request_add_partitions_to_txn_transaction transaction_in;
typedef struct kafka_add_partitions_to_txn_response_add_partitions_to_txn_result transaction_out;

struct addition {
    struct txn_ask ask;
    struct add_partitions *all;
    struct txn_addition in;
};

struct add_partitions {
    struct request *request;
    struct kafka_add_partitions_to_txn_request in;
    struct kafka_add_partitions_to_txn_response out;
    struct gather asks;
    struct addition *additions;
    int32_t addition_count;
};

static void on_sent(struct request *request)
{
    struct add_partitions *self = request->state;
    for (int32_t i = 0; i < self->addition_count; i++) {
        txn_ask_done(&self->additions[i].ask);
    }
    request_done(request);
}

static void answer(struct gather *asks)
{
    struct add_partitions *self = container_of(asks, struct add_partitions, asks);
    struct request *request = self->request;
    int16_t version = request->context.api_version;
    self->out.throttle_time_ms = access_charge(&request->context, 0);
    for (int32_t i = 0; i < self->addition_count; i++) {
        const struct addition *addition = &self->additions[i];
        txn_topic_out *rows = addition->ask.txn.out.topics;
        if (version < VERSION_WITH_FENCED) {
            txn_rows_replace(rows, addition->in.topics_count, ERROR_CODE_PRODUCER_FENCED,
                             ERROR_CODE_INVALID_PRODUCER_EPOCH);
        }
        if (version < VERSION_OF_LEADERS) {
            self->out.results_by_topic_v3_and_below = rows;
            self->out.results_by_topic_v3_and_below_count = addition->in.topics_count;
        } else {
            self->out.results_by_transaction[i] =
                (transaction_out){.transactional_id = addition->in.id,
                                  .topic_results = rows,
                                  .topic_results_count = addition->in.topics_count};
        }
    }
    request->state = self;
    request->on_sent = on_sent;
    request_begin_answer(request);
    kafka_add_partitions_to_txn_response_encode(&self->out, version, &request->writer);
    request_send(request);
}

static void ask_on_answered(struct txn_ask *ask)
{
    struct addition *addition = container_of(ask, struct addition, ask);
    if (ask->fault != LEDGER_FAULT_NONE) {
        txn_rows_replace(ask->txn.out.topics, addition->in.topics_count, ERROR_CODE_NONE,
                         txn_ask_code(ask));
    }
    gather_end(&addition->all->asks);
}

/* What a client may not add: one such row, and nothing is added. */
static void check_rows(struct add_partitions *self, struct addition *addition)
{
    const struct image *image = partition_map_image(self->request->shard->map);
    for (int32_t i = 0; i < addition->in.topics_count; i++) {
        txn_topic_out *row = &addition->ask.txn.out.topics[i];
        const struct image_topic *topic = image_topic_by_name(image, row->name);
        for (int32_t k = 0; k < row->results_by_partition_count; k++) {
            int32_t index = row->results_by_partition[k].partition_index;
            row->results_by_partition[k].partition_error_code =
                partition_ask_check(self->request, ACCESS_WRITE, row->name, topic, index);
        }
    }
}

static void start(struct add_partitions *self, const transaction_in *in)
{
    struct request *request = self->request;
    struct addition *addition = &self->additions[self->addition_count];
    addition->all = self;
    addition->in =
        (struct txn_addition){.id = in->transactional_id,
                              .producer_id = in->producer_id,
                              .producer_epoch = in->producer_epoch,
                              .is_verify_only = in->verify_only,
                              .is_by_leader = request->context.api_version >= VERSION_OF_LEADERS,
                              .topics = in->topics,
                              .topics_count = in->topics_count};
    txn_ask_init(&addition->ask, request);
    self->addition_count += 1;
    addition->ask.txn.in.addition = &addition->in;
    if (txn_rows_make(&request->arena, in->topics, in->topics_count,
                      &addition->ask.txn.out.topics) != STATUS_OK) {
        addition->in.topics_count = 0; /* An answer that names no partition: the client retries. */
        return;
    }
    if (!in->verify_only) {
        check_rows(self, addition);
    }
    if (!access_authorize(&request->context, ACCESS_WRITE, ACCESS_TRANSACTIONAL_ID,
                          addition->in.id)) {
        txn_rows_fill(addition->ask.txn.out.topics, in->topics_count,
                      ERROR_CODE_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
        return;
    }
    gather_add(&self->asks);
    txn_ask_post(&addition->ask, addition->in.id, txn_adding_decide, ask_on_answered);
}

static bool prepare(struct add_partitions *self)
{
    struct request *request = self->request;
    kafka_add_partitions_to_txn_response_defaults(&self->out);
    bool is_leader = request->context.api_version >= VERSION_OF_LEADERS;
    size_t count = is_leader ? (size_t)self->in.transactions_count : 1;
    self->additions = arena_take_array(&request->arena, count, sizeof *self->additions);
    self->out.results_by_transaction =
        arena_take_array(&request->arena, count, sizeof *self->out.results_by_transaction);
    self->out.results_by_transaction_count = is_leader ? (int32_t)count : 0;
    return self->additions != NULL && self->out.results_by_transaction != NULL;
}

void serve_add_partitions(struct request *request)
{
    struct add_partitions *self = arena_take_array(&request->arena, 1, sizeof *self);
    check(self != NULL); /* The first taking of an empty arena. */
    self->request = request;
    if (!request_body_is_whole(request, kafka_add_partitions_to_txn_request_decode(
                                            &request->body, request->context.api_version,
                                            &request->arena, &self->in))) {
        return;
    }
    if (!prepare(self)) {
        request_close(request, "an AddPartitionsToTxn request is larger than its memory");
        return;
    }
    gather_begin(&self->asks, answer);
    if (request->context.api_version < VERSION_OF_LEADERS) {
        start(self, &(transaction_in){.transactional_id = self->in.v3_and_below_transactional_id,
                                      .producer_id = self->in.v3_and_below_producer_id,
                                      .producer_epoch = self->in.v3_and_below_producer_epoch,
                                      .topics = self->in.v3_and_below_topics,
                                      .topics_count = self->in.v3_and_below_topics_count});
    }
    for (int32_t i = 0; i < self->out.results_by_transaction_count; i++) {
        start(self, &self->in.transactions[i]);
    }
    gather_end(&self->asks);
}
