/* EndTxn: the producer's own word about its transaction.
 *
 * With version 5 (KIP-890) the epoch rises with every end, and the answer tells the producer who it
 * is from now on; a repeat of a question whose answer was lost is one epoch behind and gets the
 * same answer. So does the abort of a transaction that the coordinator has aborted: its producer
 * goes on with the next epoch; its commit has come too late (INVALID_TXN_STATE). Before, the epoch
 * stays, a repeat looks like its original, and whose transaction was aborted is fenced. */
#include "broker/coordinator/txn_book.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

#define VERSION_WITH_RAISED_EPOCH 5

struct ending {
    struct txn_book *book;
    struct txn_call *call;
    const struct kafka_end_txn_request *in;
    struct txn *txn;
    bool is_raising;
};

static enum ledger_verdict answer(struct ending *self, int16_t code)
{
    self->call->out.end->error_code = code;
    return LEDGER_ANSWER;
}

/* Who the producer is behind the transaction that `txn` has ended or is ending. */
static enum ledger_verdict answer_done(struct ending *self, int64_t producer_id, int16_t epoch,
                                       int64_t next_producer_id)
{
    if (self->is_raising) {
        bool is_next = next_producer_id >= 0;
        self->call->out.end->producer_id = is_next ? next_producer_id : producer_id;
        self->call->out.end->producer_epoch = is_next ? 0 : epoch;
    }
    return answer(self, ERROR_CODE_NONE);
}

static enum ledger_verdict answer_again(struct ending *self)
{
    const struct txn *txn = self->txn;
    return answer_done(self, txn->producer_id, txn->producer_epoch, txn->next_producer_id);
}

static enum ledger_verdict prepare(struct ending *self)
{
    const struct txn *txn = self->txn;
    bool is_used_up = self->is_raising && txn->producer_epoch >= TXN_STATE_EPOCH_LAST;
    if (is_used_up && self->call->fresh_producer_id < 0) {
        self->call->needs_producer_id = true;
        return LEDGER_ANSWER_AT_ONCE;
    }
    struct kafka_transaction_log_value value;
    if (txn_state_value(txn, &self->call->arena, &value) != STATUS_OK) {
        return answer(self, ERROR_CODE_UNKNOWN_SERVER_ERROR);
    }
    if (txn->phase != TXN_ONGOING) { /* An abort of nothing: only the epoch rises. */
        value.transaction_partitions = NULL;
        value.transaction_partitions_count = 0;
        value.transaction_start_timestamp_ms = -1;
    }
    value.transaction_status =
        (int8_t)(self->in->committed ? TXN_PREPARE_COMMIT : TXN_PREPARE_ABORT);
    value.transaction_last_update_timestamp_ms = txn_book_now_ms(self->book);
    value.client_transaction_version = self->is_raising ? 2 : 0;
    value.next_producer_id = is_used_up ? self->call->fresh_producer_id : -1;
    if (self->is_raising) {
        value.producer_epoch = (int16_t)(txn->producer_epoch + 1);
    }
    txn_book_store(&self->call->op, txn->entry.name, &value);
    return answer_done(self, value.producer_id, value.producer_epoch, value.next_producer_id);
}

/* One epoch behind: the end that it asks for was decided already, by its own request. */
static bool is_repeat(const struct ending *self)
{
    const struct txn *txn = self->txn;
    bool is_before = txn->producer_id == self->in->producer_id &&
                     txn->producer_epoch == self->in->producer_epoch + 1;
    bool is_used_up = txn->previous_producer_id == self->in->producer_id &&
                      txn->producer_epoch == 0 && self->in->producer_epoch == TXN_STATE_EPOCH_LAST;
    return self->is_raising && txn->client_version >= 2 && (is_before || is_used_up);
}

static bool has_ended_so(const struct ending *self)
{
    return self->txn->phase == (self->in->committed ? TXN_COMPLETE_COMMIT : TXN_COMPLETE_ABORT);
}

static bool is_ending_so(const struct ending *self)
{
    return self->txn->phase == (self->in->committed ? TXN_PREPARE_COMMIT : TXN_PREPARE_ABORT);
}

static enum ledger_verdict wait(struct ending *self)
{
    return self->call->is_patience_over
               ? answer(self, ERROR_CODE_CONCURRENT_TRANSACTIONS)
               : txn_book_keep(self->book, self->txn, self->call, TXN_BOOK_PATIENCE_MS);
}

static enum ledger_verdict decide_repeat(struct ending *self)
{
    if (txn_state_is_ending(self->txn)) {
        return wait(self); /* Whoever takes over behind it was here before, and fences this one. */
    }
    if (has_ended_so(self)) {
        return answer_again(self);
    }
    return answer(self, txn_state_is_idle(self->txn) && self->txn->phase != TXN_EMPTY
                            ? ERROR_CODE_INVALID_TXN_STATE
                            : ERROR_CODE_PRODUCER_FENCED);
}

static enum ledger_verdict decide_present(struct ending *self)
{
    if (self->txn->phase == TXN_ONGOING) {
        return prepare(self);
    }
    if (txn_state_is_ending(self->txn)) {
        /* With raised epochs it is the next one's end already, which has nothing in it. */
        return is_ending_so(self) || self->is_raising ? wait(self)
                                                      : answer(self, ERROR_CODE_INVALID_TXN_STATE);
    }
    if (self->is_raising) {
        return self->in->committed ? answer(self, ERROR_CODE_INVALID_TXN_STATE) : prepare(self);
    }
    return has_ended_so(self) ? answer_again(self) : answer(self, ERROR_CODE_INVALID_TXN_STATE);
}

enum ledger_verdict txn_end_decide(struct ledger_op *op, void *machine)
{
    struct txn_call *call = container_of(op, struct txn_call, op);
    struct ending self = {.book = machine,
                          .call = call,
                          .in = call->in.end,
                          .is_raising = call->version >= VERSION_WITH_RAISED_EPOCH};
    call->needs_producer_id = false;
    self.txn = txn_book_find(self.book, self.in->transactional_id);
    if (self.txn != NULL && is_repeat(&self)) {
        return decide_repeat(&self);
    }
    int16_t code =
        txn_state_check_producer(self.txn, self.in->producer_id, self.in->producer_epoch);
    return code == ERROR_CODE_NONE ? decide_present(&self) : answer(&self, code);
}
