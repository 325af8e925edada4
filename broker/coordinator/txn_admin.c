/* DescribeTransactions and ListTransactions. */
#include "broker/coordinator/txn_book.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

typedef struct kafka_describe_transactions_response_transaction_state described;
typedef struct kafka_describe_transactions_response_topic_data described_topic;
typedef struct kafka_list_transactions_response_transaction_state listed;

static bool copy_text(struct arena *arena, struct wire_text text, struct wire_text *out_text)
{
    out_text->bytes = arena_copy_text(arena, text.bytes, (size_t)text.byte_count);
    out_text->byte_count = text.byte_count;
    return out_text->bytes != NULL;
}

static bool describe_topics(struct txn_call *call, const struct txn *txn)
{
    described *out = call->out.describe;
    out->topics = arena_take_array(&call->arena, txn->topic_count, sizeof *out->topics);
    if (out->topics == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < txn->topic_count; i++) {
        described_topic *topic = &out->topics[i];
        uint32_t count = txn->topics[i].partition_count;
        topic->partitions = arena_take_array(&call->arena, count, sizeof *topic->partitions);
        if (topic->partitions == NULL ||
            !copy_text(&call->arena, txn->topics[i].name, &topic->topic)) {
            return false;
        }
        for (uint32_t k = 0; k < count; k++) {
            topic->partitions[k] = txn->topics[i].partitions[k];
        }
        topic->partitions_count = (int32_t)count;
    }
    out->topics_count = (int32_t)txn->topic_count;
    return true;
}

enum ledger_verdict txn_admin_describe(struct ledger_op *op, void *machine)
{
    struct txn_call *call = container_of(op, struct txn_call, op);
    described *out = call->out.describe;
    const struct txn *txn = txn_book_find(machine, call->in.id);
    if (txn == NULL) {
        out->error_code = ERROR_CODE_TRANSACTIONAL_ID_NOT_FOUND;
        return LEDGER_ANSWER;
    }
    out->transaction_state = wire_text_of(txn_state_name(txn->phase));
    out->transaction_timeout_ms = txn->timeout_ms;
    out->transaction_start_time_ms = txn->phase == TXN_ONGOING ? txn->start_ms : -1;
    out->producer_id = txn->producer_id;
    out->producer_epoch = txn->producer_epoch;
    if (!describe_topics(call, txn)) {
        out->topics_count = 0;
        out->error_code = ERROR_CODE_UNKNOWN_SERVER_ERROR;
    }
    return LEDGER_ANSWER;
}

static bool has_state(const struct kafka_list_transactions_request *in, const struct txn *txn)
{
    for (int32_t i = 0; i < in->state_filters_count; i++) {
        if (wire_text_equals(in->state_filters[i], txn_state_name(txn->phase))) {
            return true;
        }
    }
    return in->state_filters_count <= 0;
}

static bool has_producer(const struct kafka_list_transactions_request *in, const struct txn *txn)
{
    for (int32_t i = 0; i < in->producer_id_filters_count; i++) {
        if (in->producer_id_filters[i] == txn->producer_id) {
            return true;
        }
    }
    return in->producer_id_filters_count <= 0;
}

static bool is_long(const struct kafka_list_transactions_request *in, const struct txn *txn,
                    int64_t now_ms)
{
    return in->duration_filter < 0 || (txn->start_ms >= 0 && !txn_state_is_idle(txn) &&
                                       now_ms - txn->start_ms > in->duration_filter);
}

enum ledger_verdict txn_admin_list(struct ledger_op *op, void *machine)
{
    struct txn_call *call = container_of(op, struct txn_call, op);
    struct txn_book *book = machine;
    struct kafka_list_transactions_response *out = call->out.list;
    int64_t now_ms = txn_book_now_ms(book);
    out->transaction_states_count = 0;
    out->transaction_states =
        arena_take_array(&call->arena, book->txns.entry_count, sizeof *out->transaction_states);
    if (out->transaction_states == NULL) {
        out->error_code = ERROR_CODE_UNKNOWN_SERVER_ERROR;
        return LEDGER_ANSWER;
    }
    text_table_for_each(entry, &book->txns)
    {
        const struct txn *txn = container_of(entry, struct txn, entry);
        if (!has_state(call->in.list, txn) || !has_producer(call->in.list, txn) ||
            !is_long(call->in.list, txn, now_ms)) {
            continue;
        }
        listed *row = &out->transaction_states[out->transaction_states_count];
        if (!copy_text(&call->arena, entry->name, &row->transactional_id)) {
            out->error_code = ERROR_CODE_UNKNOWN_SERVER_ERROR;
            return LEDGER_ANSWER;
        }
        row->producer_id = txn->producer_id;
        row->transaction_state = wire_text_of(txn_state_name(txn->phase));
        out->transaction_states_count += 1;
    }
    return LEDGER_ANSWER;
}
