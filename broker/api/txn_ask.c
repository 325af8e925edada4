#include "broker/api/txn_ask.h"

#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

static void call_on_answered(struct coordinator_call *call);

void txn_ask_init(struct txn_ask *self, struct request *request)
{
    txn_init_call(&self->txn, TXN_ASK_BYTES_MAX);
    self->request = request;
    self->fault = LEDGER_FAULT_NONE;
    self->txn.version = request->context.api_version;
}

void txn_ask_done(struct txn_ask *self)
{
    txn_done_call(&self->txn);
}

static void post(struct txn_ask *self)
{
    self->call.op = &self->txn.op;
    self->call.on_answered = call_on_answered;
    coordinator_call_post(&self->call, self->request, TXN_TOPIC_NAME, self->id);
}

static void wait_on_taken(struct producer_ids_wait *wait, enum status status, int64_t producer_id)
{
    struct txn_ask *self = container_of(wait, struct txn_ask, wait);
    if (status != STATUS_OK) {
        self->fault = LEDGER_FAULT_UNAVAILABLE;
        self->on_answered(self);
        return;
    }
    self->txn.fresh_producer_id = producer_id;
    post(self);
}

static void call_on_answered(struct coordinator_call *call)
{
    struct txn_ask *self = container_of(call, struct txn_ask, call);
    if (call->fault == LEDGER_FAULT_NONE && self->txn.needs_producer_id) {
        self->wait.on_taken = wait_on_taken;
        producer_ids_take(&self->request->shard->producer_ids, &self->wait);
        return;
    }
    self->fault = call->fault;
    self->on_answered(self);
}

void txn_ask_post(struct txn_ask *self, struct wire_text id,
                  enum ledger_verdict (*decide)(struct ledger_op *op, void *machine),
                  void (*on_answered)(struct txn_ask *self))
{
    self->id = id;
    self->txn.op.decide = decide;
    self->on_answered = on_answered;
    post(self);
}

static void on_sent(struct request *request)
{
    struct txn_ask *self = request->state;
    txn_ask_done(self);
    request_done(request);
}

void txn_ask_send(struct txn_ask *self)
{
    self->request->state = self;
    self->request->on_sent = on_sent;
    request_send(self->request);
}

int16_t txn_ask_code(const struct txn_ask *self)
{
    return group_code_of_fault(self->fault);
}

int16_t txn_ask_fenced_code(const struct request *request, int16_t code, int16_t version_that_knows)
{
    bool is_known = request->context.api_version >= version_that_knows;
    return code == ERROR_CODE_PRODUCER_FENCED && !is_known ? ERROR_CODE_INVALID_PRODUCER_EPOCH
                                                           : code;
}
