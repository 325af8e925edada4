/* InitProducerId with a transactional id: who is the one producer of it from now on. */
#include "broker/coordinator/txn_book.h"
#include "broker/coordinator/txn_settle.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

struct beginning {
    struct txn_book *book;
    struct txn_call *call;
    const struct kafka_init_producer_id_request *in;
    struct txn *txn; /* NULL: the id is new. */
};

static enum ledger_verdict refuse(struct beginning *self, int16_t code)
{
    self->call->out.init->error_code = code;
    return LEDGER_ANSWER;
}

static enum ledger_verdict answer(struct beginning *self, int64_t producer_id, int16_t epoch)
{
    self->call->out.init->error_code = ERROR_CODE_NONE;
    self->call->out.init->producer_id = producer_id;
    self->call->out.init->producer_epoch = epoch;
    return LEDGER_ANSWER;
}

static bool has_claim(const struct beginning *self)
{
    return self->in->producer_id >= 0;
}

/* KIP-360: does it say who it was before, and is that the present producer? */
static bool is_present(const struct beginning *self)
{
    return self->in->producer_id == self->txn->producer_id &&
           self->in->producer_epoch == self->txn->producer_epoch;
}

/* Is the present producer what this claim has led to? Either the same question has been answered
 * before and the answer was lost, or its transaction was aborted for it or because its time was
 * over, which raised the epoch. */
static bool is_heir(const struct beginning *self)
{
    const struct txn_grant *grant = &self->txn->grant;
    return has_claim(self) && grant->from_id == self->in->producer_id &&
           grant->from_epoch == self->in->producer_epoch &&
           grant->to_id == self->txn->producer_id && grant->to_epoch == self->txn->producer_epoch;
}

/* The next record; the present one's partitions are gone, since nothing is open. */
static enum ledger_verdict store(struct beginning *self, int64_t producer_id, int16_t epoch)
{
    struct kafka_transaction_log_value value;
    kafka_transaction_log_value_defaults(&value);
    value.producer_id = producer_id;
    value.producer_epoch = epoch;
    value.transaction_timeout_ms = self->in->transaction_timeout_ms;
    value.transaction_status = TXN_EMPTY;
    value.transaction_partitions_count = -1;
    value.transaction_last_update_timestamp_ms = txn_book_now_ms(self->book);
    value.transaction_start_timestamp_ms = -1;
    struct txn *txn = self->txn;
    if (txn != NULL) {
        txn->grant = (struct txn_grant){.from_id = -1};
        if (has_claim(self)) {
            txn->grant = (struct txn_grant){.from_id = self->in->producer_id,
                                            .from_epoch = self->in->producer_epoch,
                                            .to_id = producer_id,
                                            .to_epoch = epoch};
        }
        bool is_another = producer_id != txn->producer_id;
        value.previous_producer_id = is_another && has_claim(self) ? txn->producer_id : -1;
        value.client_transaction_version = txn->client_version;
    }
    txn_book_store(&self->call->op, self->in->transactional_id, &value);
    return answer(self, producer_id, epoch);
}

/* With a producer id that nobody has. */
static enum ledger_verdict store_fresh(struct beginning *self)
{
    if (self->call->fresh_producer_id < 0) {
        self->call->needs_producer_id = true;
        return LEDGER_ANSWER_AT_ONCE;
    }
    return store(self, self->call->fresh_producer_id, 0);
}

static enum ledger_verdict wait(struct beginning *self)
{
    return self->call->is_patience_over
               ? refuse(self, ERROR_CODE_CONCURRENT_TRANSACTIONS)
               : txn_book_keep(self->book, self->txn, self->call, TXN_BOOK_PATIENCE_MS);
}

static enum ledger_verdict take_over(struct beginning *self)
{
    struct txn *txn = self->txn;
    if (is_heir(self) && txn->phase == TXN_EMPTY) {
        return answer(self, txn->producer_id, txn->producer_epoch);
    }
    if (has_claim(self) && !is_present(self) && !is_heir(self)) {
        return refuse(self, ERROR_CODE_PRODUCER_FENCED);
    }
    if (txn_state_is_ending(txn)) {
        return wait(self);
    }
    if (txn->phase == TXN_ONGOING) {
        txn_settle_abort(self->book, txn);
        return wait(self);
    }
    if (is_heir(self) && txn->producer_epoch <= TXN_STATE_EPOCH_LAST) {
        return store(self, txn->producer_id, txn->producer_epoch);
    }
    return txn->producer_epoch >= TXN_STATE_EPOCH_LAST
               ? store_fresh(self)
               : store(self, txn->producer_id, (int16_t)(txn->producer_epoch + 1));
}

static int16_t check_request(const struct beginning *self)
{
    const struct kafka_init_producer_id_request *in = self->in;
    if (in->transaction_timeout_ms <= 0 ||
        in->transaction_timeout_ms > self->book->context->limits->timeout_ms_max) {
        return ERROR_CODE_INVALID_TRANSACTION_TIMEOUT;
    }
    bool is_whole_claim = (in->producer_id < 0) == (in->producer_epoch < 0);
    return is_whole_claim ? ERROR_CODE_NONE : ERROR_CODE_INVALID_REQUEST;
}

enum ledger_verdict txn_begin_producer(struct ledger_op *op, void *machine)
{
    struct txn_call *call = container_of(op, struct txn_call, op);
    struct beginning self = {.book = machine, .call = call, .in = call->in.init};
    call->needs_producer_id = false;
    int16_t code = check_request(&self);
    if (code != ERROR_CODE_NONE) {
        return refuse(&self, code);
    }
    self.txn = txn_book_find(self.book, self.in->transactional_id);
    if (self.txn != NULL) {
        return take_over(&self);
    }
    if (self.book->txns.entry_count >= TXN_BOOK_IDS_MAX) {
        return refuse(&self, ERROR_CODE_POLICY_VIOLATION);
    }
    return store_fresh(&self);
}
