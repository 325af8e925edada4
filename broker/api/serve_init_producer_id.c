#include "broker/api/serve_init_producer_id.h"

#include "broker/api/producer_ids.h"
#include "broker/api/txn_ask.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/init_producer_id.h"
#include "proto/sys/check.h"

#define VERSION_WITH_FENCED 4

struct init_producer_id {
    struct txn_ask ask;
    struct producer_ids_wait wait;
    struct kafka_init_producer_id_request in;
    struct kafka_init_producer_id_response out;
};

static void send(struct init_producer_id *self)
{
    struct request *request = self->ask.request;
    struct kafka_init_producer_id_response *out = &self->out;
    out->throttle_time_ms = access_charge(&request->context, 0);
    out->error_code = txn_ask_fenced_code(request, out->error_code, VERSION_WITH_FENCED);
    if (out->error_code != ERROR_CODE_NONE) {
        out->producer_id = -1;
        out->producer_epoch = -1;
    }
    request_begin_answer(request);
    kafka_init_producer_id_response_encode(out, request->context.api_version, &request->writer);
    txn_ask_send(&self->ask);
}

static void refuse(struct init_producer_id *self, int16_t code)
{
    self->out.error_code = code;
    send(self);
}

static void wait_on_taken(struct producer_ids_wait *wait, enum status status, int64_t producer_id)
{
    struct init_producer_id *self = container_of(wait, struct init_producer_id, wait);
    if (status != STATUS_OK) {
        /* Retriable, and the one that makes every client try here again. */
        refuse(self, ERROR_CODE_COORDINATOR_LOAD_IN_PROGRESS);
        return;
    }
    self->out.producer_id = producer_id;
    self->out.producer_epoch = 0;
    send(self);
}

static void ask_on_answered(struct txn_ask *ask)
{
    struct init_producer_id *self = container_of(ask, struct init_producer_id, ask);
    if (ask->fault != LEDGER_FAULT_NONE) {
        self->out.error_code = txn_ask_code(ask);
    }
    send(self);
}

static void start_transactional(struct init_producer_id *self)
{
    if (!access_authorize(&self->ask.request->context, ACCESS_WRITE, ACCESS_TRANSACTIONAL_ID,
                          self->in.transactional_id)) {
        refuse(self, ERROR_CODE_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
        return;
    }
    self->ask.txn.in.init = &self->in;
    self->ask.txn.out.init = &self->out;
    txn_ask_post(&self->ask, self->in.transactional_id, txn_begin_producer, ask_on_answered);
}

void serve_init_producer_id(struct request *request)
{
    struct init_producer_id *self = arena_take_array(&request->arena, 1, sizeof *self);
    check(self != NULL); /* The first taking of an empty arena. */
    if (!request_body_is_whole(request, kafka_init_producer_id_request_decode(
                                            &request->body, request->context.api_version,
                                            &request->arena, &self->in))) {
        return;
    }
    txn_ask_init(&self->ask, request);
    kafka_init_producer_id_response_defaults(&self->out);
    struct wire_text id = self->in.transactional_id;
    if (id.byte_count == 0) {
        refuse(self, ERROR_CODE_INVALID_REQUEST);
        return;
    }
    if (id.byte_count > 0) {
        start_transactional(self);
        return;
    }
    if (!access_authorize(&request->context, ACCESS_IDEMPOTENT_WRITE, ACCESS_CLUSTER,
                          wire_text_of("kafka-cluster"))) {
        refuse(self, ERROR_CODE_CLUSTER_AUTHORIZATION_FAILED);
        return;
    }
    self->wait.on_taken = wait_on_taken;
    producer_ids_take(&request->shard->producer_ids, &self->wait);
}
