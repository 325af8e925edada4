/* AddPartitionsToTxn, in all its forms: partitions of an open transaction, added or looked for. */
#include "broker/coordinator/txn_book.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

#include <string.h>

#define VERSION_WITH_ABORTABLE 5 /* Of AddPartitionsToTxn. */

typedef struct kafka_transaction_log_value_partitions_schema value_topic;

struct adding {
    struct txn_book *book;
    struct txn_call *call;
    const struct txn_addition *in;
    struct txn *txn;
};

static void fill(struct txn_call *call, int16_t code)
{
    call->code = code;
    for (int32_t i = 0; i < call->in.addition->topics_count; i++) {
        txn_topic_out *topic = &call->out.topics[i];
        for (int32_t k = 0; k < topic->results_by_partition_count; k++) {
            if (topic->results_by_partition[k].partition_error_code == ERROR_CODE_NONE) {
                topic->results_by_partition[k].partition_error_code = code;
            }
        }
    }
}

static enum ledger_verdict refuse(struct adding *self, int16_t code)
{
    fill(self->call, code);
    return LEDGER_ANSWER;
}

static bool has_errors(const struct txn_call *call)
{
    for (int32_t i = 0; i < call->in.addition->topics_count; i++) {
        const txn_topic_out *topic = &call->out.topics[i];
        for (int32_t k = 0; k < topic->results_by_partition_count; k++) {
            if (topic->results_by_partition[k].partition_error_code != ERROR_CODE_NONE) {
                return true;
            }
        }
    }
    return false;
}

static enum ledger_verdict verify(struct adding *self)
{
    int16_t missing = self->call->version >= VERSION_WITH_ABORTABLE
                          ? ERROR_CODE_TRANSACTION_ABORTABLE
                          : ERROR_CODE_INVALID_TXN_STATE;
    self->call->code = ERROR_CODE_NONE;
    for (int32_t i = 0; i < self->in->topics_count; i++) {
        txn_topic_out *topic = &self->call->out.topics[i];
        for (int32_t k = 0; k < topic->results_by_partition_count; k++) {
            bool is_in = self->txn->phase == TXN_ONGOING &&
                         txn_state_has(self->txn, self->in->topics[i].name,
                                       self->in->topics[i].partitions[k]);
            topic->results_by_partition[k].partition_error_code = is_in ? ERROR_CODE_NONE : missing;
        }
    }
    return LEDGER_ANSWER;
}

/* Those of `in` that the transaction does not have, put into `out` behind what it has of the same
 * topic. FULL: no memory. */
static enum status merge_topic(const struct adding *self, const txn_topic_in *in,
                               value_topic *topic, uint32_t *out_added_count)
{
    bool is_open = self->txn->phase == TXN_ONGOING;
    size_t old_count = (size_t)topic->partition_ids_count;
    size_t count = old_count + (size_t)in->partitions_count;
    int32_t *partitions = arena_take_array(&self->call->arena, count, sizeof *partitions);
    if (partitions == NULL) {
        return STATUS_FULL;
    }
    if (old_count > 0) {
        memcpy(partitions, topic->partition_ids, old_count * sizeof *partitions);
    }
    for (int32_t k = 0; k < in->partitions_count; k++) {
        bool is_there = is_open && txn_state_has(self->txn, in->name, in->partitions[k]);
        for (size_t i = old_count; !is_there && i < (size_t)topic->partition_ids_count; i++) {
            is_there = partitions[i] == in->partitions[k];
        }
        if (!is_there) {
            partitions[topic->partition_ids_count] = in->partitions[k];
            topic->partition_ids_count += 1;
            *out_added_count += 1;
        }
    }
    topic->partition_ids = partitions;
    return STATUS_OK;
}

static enum status merge(const struct adding *self, struct kafka_transaction_log_value *value,
                         uint32_t *out_added_count)
{
    size_t old_count =
        self->txn->phase == TXN_ONGOING ? (size_t)value->transaction_partitions_count : 0;
    value_topic *topics = arena_take_array(
        &self->call->arena, old_count + (size_t)self->in->topics_count, sizeof *topics);
    if (topics == NULL) {
        return STATUS_FULL;
    }
    if (old_count > 0) {
        memcpy(topics, value->transaction_partitions, old_count * sizeof *topics);
    }
    size_t count = old_count;
    for (int32_t i = 0; i < self->in->topics_count; i++) {
        size_t place = 0;
        while (place < count && !wire_text_same(topics[place].topic, self->in->topics[i].name)) {
            place += 1;
        }
        if (place == count) {
            topics[place] = (value_topic){.topic = self->in->topics[i].name};
            count += 1;
        }
        TRY(merge_topic(self, &self->in->topics[i], &topics[place], out_added_count));
    }
    value->transaction_partitions = topics;
    value->transaction_partitions_count = (int32_t)count;
    return STATUS_OK;
}

static enum ledger_verdict add(struct adding *self)
{
    struct txn *txn = self->txn;
    struct kafka_transaction_log_value value;
    uint32_t added_count = 0;
    if (txn_state_value(txn, &self->call->arena, &value) != STATUS_OK ||
        merge(self, &value, &added_count) != STATUS_OK) {
        return refuse(self, ERROR_CODE_UNKNOWN_SERVER_ERROR);
    }
    fill(self->call, ERROR_CODE_NONE);
    if (txn->phase == TXN_ONGOING && added_count == 0) {
        return LEDGER_ANSWER;
    }
    uint32_t old_count = txn->phase == TXN_ONGOING ? txn->partition_count : 0;
    if (old_count + added_count > TXN_STATE_PARTITIONS_MAX) {
        return refuse(self, ERROR_CODE_POLICY_VIOLATION);
    }
    int64_t now_ms = txn_book_now_ms(self->book);
    value.transaction_start_timestamp_ms = txn->phase == TXN_ONGOING ? txn->start_ms : now_ms;
    value.transaction_last_update_timestamp_ms = now_ms;
    value.transaction_status = TXN_ONGOING;
    value.next_producer_id = -1;
    value.client_transaction_version = self->in->is_by_leader ? 2 : 0;
    txn_book_store(&self->call->op, txn->entry.name, &value);
    return LEDGER_ANSWER;
}

enum ledger_verdict txn_adding_decide(struct ledger_op *op, void *machine)
{
    struct txn_call *call = container_of(op, struct txn_call, op);
    struct adding self = {.book = machine, .call = call, .in = call->in.addition};
    self.txn = txn_book_find(self.book, self.in->id);
    int16_t code =
        txn_state_check_producer(self.txn, self.in->producer_id, self.in->producer_epoch);
    if (code != ERROR_CODE_NONE) {
        return refuse(&self, code);
    }
    if (txn_state_is_ending(self.txn)) {
        return call->is_patience_over
                   ? refuse(&self, ERROR_CODE_CONCURRENT_TRANSACTIONS)
                   : txn_book_keep(self.book, self.txn, call,
                                   self.in->is_by_leader ? TXN_BOOK_LEADER_PATIENCE_MS
                                                         : TXN_BOOK_PATIENCE_MS);
    }
    if (self.in->is_verify_only) {
        return verify(&self);
    }
    if (has_errors(call)) {
        return refuse(&self, ERROR_CODE_OPERATION_NOT_ATTEMPTED);
    }
    return add(&self);
}
