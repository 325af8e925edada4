#include "broker/api/serve_add_offsets.h"

#include "broker/api/txn_ask.h"
#include "broker/api/txn_rows.h"
#include "broker/coordinator/ledger_key.h"
#include "proto/kafka/add_offsets_to_txn.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

#define VERSION_WITH_FENCED 2

/* The group's own partition of __consumer_offsets is what the transaction gets. */
struct add_offsets {
    struct txn_ask ask;
    struct internal_topic_wait wait;
    struct kafka_add_offsets_to_txn_request in;
    struct txn_addition addition;
    txn_topic_in topic;
    int32_t partition;
};

static void answer(struct add_offsets *self, int16_t code)
{
    struct request *request = self->ask.request;
    struct kafka_add_offsets_to_txn_response out;
    kafka_add_offsets_to_txn_response_defaults(&out);
    out.throttle_time_ms = access_charge(&request->context, 0);
    out.error_code = txn_ask_fenced_code(request, code, VERSION_WITH_FENCED);
    request_begin_answer(request);
    kafka_add_offsets_to_txn_response_encode(&out, request->context.api_version, &request->writer);
    txn_ask_send(&self->ask);
}

static void ask_on_answered(struct txn_ask *ask)
{
    struct add_offsets *self = container_of(ask, struct add_offsets, ask);
    answer(self, ask->fault != LEDGER_FAULT_NONE ? txn_ask_code(ask) : ask->txn.code);
}

static void wait_on_end(struct internal_topic_wait *wait)
{
    struct add_offsets *self = container_of(wait, struct add_offsets, wait);
    struct request *request = self->ask.request;
    const struct image_topic *topic = image_topic_by_name(partition_map_image(request->shard->map),
                                                          wire_text_of(DISPATCH_GROUP_TOPIC));
    if (topic == NULL) {
        answer(self, ERROR_CODE_COORDINATOR_NOT_AVAILABLE);
        return;
    }
    self->partition = ledger_key_partition(self->in.group_id, topic->partition_count);
    self->topic = (txn_topic_in){.name = wire_text_of(DISPATCH_GROUP_TOPIC),
                                 .partitions = &self->partition,
                                 .partitions_count = 1};
    self->addition = (struct txn_addition){.id = self->in.transactional_id,
                                           .producer_id = self->in.producer_id,
                                           .producer_epoch = self->in.producer_epoch,
                                           .topics = &self->topic,
                                           .topics_count = 1};
    self->ask.txn.in.addition = &self->addition;
    if (txn_rows_make(&request->arena, &self->topic, 1, &self->ask.txn.out.topics) != STATUS_OK) {
        answer(self, ERROR_CODE_UNKNOWN_SERVER_ERROR);
        return;
    }
    txn_ask_post(&self->ask, self->in.transactional_id, txn_adding_decide, ask_on_answered);
}

void serve_add_offsets(struct request *request)
{
    struct add_offsets *self = arena_take_array(&request->arena, 1, sizeof *self);
    check(self != NULL); /* The first taking of an empty arena. */
    if (!request_body_is_whole(request, kafka_add_offsets_to_txn_request_decode(
                                            &request->body, request->context.api_version,
                                            &request->arena, &self->in))) {
        return;
    }
    txn_ask_init(&self->ask, request);
    if (!access_authorize(&request->context, ACCESS_WRITE, ACCESS_TRANSACTIONAL_ID,
                          self->in.transactional_id)) {
        answer(self, ERROR_CODE_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
        return;
    }
    if (!access_authorize(&request->context, ACCESS_READ, ACCESS_GROUP, self->in.group_id)) {
        answer(self, ERROR_CODE_GROUP_AUTHORIZATION_FAILED);
        return;
    }
    self->wait.on_end = wait_on_end;
    internal_topic_want(&request->shard->group_topic, &self->wait);
}
