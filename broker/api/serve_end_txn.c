#include "broker/api/serve_end_txn.h"

#include "broker/api/txn_ask.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

#define VERSION_WITH_FENCED 2

struct end_txn {
    struct txn_ask ask;
    struct kafka_end_txn_request in;
    struct kafka_end_txn_response out;
};

static void answer(struct txn_ask *ask)
{
    struct end_txn *self = container_of(ask, struct end_txn, ask);
    struct request *request = ask->request;
    if (ask->fault != LEDGER_FAULT_NONE) {
        kafka_end_txn_response_defaults(&self->out);
        self->out.error_code = txn_ask_code(ask);
    }
    self->out.error_code = txn_ask_fenced_code(request, self->out.error_code, VERSION_WITH_FENCED);
    self->out.throttle_time_ms = access_charge(&request->context, 0);
    request_begin_answer(request);
    kafka_end_txn_response_encode(&self->out, request->context.api_version, &request->writer);
    txn_ask_send(ask);
}

void serve_end_txn(struct request *request)
{
    struct end_txn *self = arena_take_array(&request->arena, 1, sizeof *self);
    check(self != NULL); /* The first taking of an empty arena. */
    if (!request_body_is_whole(request, kafka_end_txn_request_decode(&request->body,
                                                                     request->context.api_version,
                                                                     &request->arena, &self->in))) {
        return;
    }
    txn_ask_init(&self->ask, request);
    kafka_end_txn_response_defaults(&self->out);
    if (!access_authorize(&request->context, ACCESS_WRITE, ACCESS_TRANSACTIONAL_ID,
                          self->in.transactional_id)) {
        self->out.error_code = ERROR_CODE_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
        answer(&self->ask);
        return;
    }
    self->ask.txn.in.end = &self->in;
    self->ask.txn.out.end = &self->out;
    txn_ask_post(&self->ask, self->in.transactional_id, txn_end_decide, answer);
}
