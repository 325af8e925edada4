#include "broker/api/txn_gate.h"

#include "broker/api/coordinator_call.h"
#include "broker/api/txn_rows.h"
#include "broker/coordinator/broker_links.h"
#include "broker/coordinator/ledger_key.h"
#include "broker/coordinator/txn.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

#include <stdlib.h>

#define ADD_VERSION 5
#define CALL_TIMEOUT_MS 8000
#define ARENA_BYTES ((size_t)4 << 20)
#define ENTRIES_MAX 1000U
#define PRODUCE_VERSION_WITH_ABORTABLE 11
#define PRODUCE_VERSION_WITH_CONCURRENT 12
#define COMMIT_VERSION_WITH_ABORTABLE 4

/* One AddPartitionsToTxn for one transaction. */
struct txn_gate_question {
    struct list link;
    struct txn_gate *gate;
    struct list entries;
    uint32_t entry_count;
    struct arena arena;
    struct txn_addition addition;
    txn_topic_out *rows; /* One per entry, in order. */
    struct txn_call txn; /* Where the coordinator is here, */
    struct coordinator_call call;
    struct link_call remote; /* and where it is elsewhere. */
    struct wire_slice body;
};

void txn_gate_init(struct txn_gate *self, struct api_shard *shard)
{
    *self = (struct txn_gate){.shard = shard};
    list_init(&self->collecting);
}

/* ---- answers ---- */

static void end_question(struct txn_gate_question *question)
{
    struct list entries;
    list_init(&entries);
    struct list *link;
    int32_t place = 0;
    while ((link = list_take_first(&question->entries)) != NULL) {
        struct txn_gate_entry *entry = container_of(link, struct txn_gate_entry, link);
        entry->code = question->rows[place].results_by_partition[0].partition_error_code;
        entry->pass.is_asking = false;
        list_append(&entries, &entry->link);
        place += 1;
    }
    link_call_done(&question->remote);
    txn_done_call(&question->txn);
    arena_done(&question->arena);
    free(question);
    while ((link = list_take_first(&entries)) != NULL) {
        struct txn_gate_entry *entry = container_of(link, struct txn_gate_entry, link);
        int16_t code = entry->code;
        struct list followers;
        list_init(&followers);
        while ((link = list_take_first(&entry->followers)) != NULL) {
            list_append(&followers, link);
        }
        entry->on_answered(entry, code);
        while ((link = list_take_first(&followers)) != NULL) {
            struct txn_gate_entry *follower = container_of(link, struct txn_gate_entry, link);
            follower->on_answered(follower, code);
        }
    }
}

static void fail_question(struct txn_gate_question *question, int16_t code)
{
    txn_rows_fill(question->rows, question->addition.topics_count, code);
    end_question(question);
}

static void call_on_answered(struct coordinator_call *call)
{
    struct txn_gate_question *question = container_of(call, struct txn_gate_question, call);
    if (call->fault != LEDGER_FAULT_NONE) {
        fail_question(question, group_code_of_fault(call->fault));
        return;
    }
    end_question(question);
}

typedef struct kafka_add_partitions_to_txn_response add_response;

/* Rows that the answer leaves out keep their error. */
static void take_rows(struct txn_gate_question *question, const add_response *answer)
{
    txn_rows_fill(question->rows, question->addition.topics_count, ERROR_CODE_NETWORK_EXCEPTION);
    for (int32_t t = 0; t < answer->results_by_transaction_count; t++) {
        const txn_topic_out *topics = answer->results_by_transaction[t].topic_results;
        for (int32_t i = 0; i < answer->results_by_transaction[t].topic_results_count; i++) {
            if (i < question->addition.topics_count && topics[i].results_by_partition_count == 1 &&
                wire_text_same(topics[i].name, question->rows[i].name)) {
                question->rows[i].results_by_partition[0].partition_error_code =
                    topics[i].results_by_partition[0].partition_error_code;
            }
        }
    }
}

static void remote_on_done(struct link_call *call, enum status status)
{
    struct txn_gate_question *question = container_of(call, struct txn_gate_question, remote);
    add_response answer;
    if (status == STATUS_OK) {
        status = kafka_add_partitions_to_txn_response_decode(&call->reader, ADD_VERSION,
                                                             &question->arena, &answer);
    }
    if (status != STATUS_OK || answer.error_code != ERROR_CODE_NONE) {
        fail_question(question,
                      status != STATUS_OK ? ERROR_CODE_NETWORK_EXCEPTION : answer.error_code);
        return;
    }
    take_rows(question, &answer);
    end_question(question);
}

/* ---- questions ---- */

static enum status fill(struct txn_gate_question *question)
{
    txn_topic_in *topics =
        arena_take_array(&question->arena, question->entry_count, sizeof *topics);
    if (topics == NULL) {
        return STATUS_FULL;
    }
    int32_t count = 0;
    list_for_each(link, &question->entries)
    {
        struct txn_gate_entry *entry = container_of(link, struct txn_gate_entry, link);
        topics[count] = (txn_topic_in){
            .name = entry->topic, .partitions = &entry->index, .partitions_count = 1};
        count += 1;
    }
    question->addition.topics = topics;
    question->addition.topics_count = count;
    return txn_rows_make(&question->arena, topics, count, &question->rows);
}

static enum status encode(struct txn_gate_question *question)
{
    const struct txn_addition *addition = &question->addition;
    struct kafka_add_partitions_to_txn_request request;
    struct kafka_add_partitions_to_txn_request_add_partitions_to_txn_transaction transaction = {
        .transactional_id = addition->id,
        .producer_id = addition->producer_id,
        .producer_epoch = addition->producer_epoch,
        .verify_only = addition->is_verify_only,
        .topics_count = addition->topics_count};
    transaction.topics = arena_take_array(&question->arena, (size_t)addition->topics_count,
                                          sizeof *transaction.topics);
    if (transaction.topics == NULL) {
        return STATUS_FULL;
    }
    for (int32_t i = 0; i < addition->topics_count; i++) {
        transaction.topics[i] = addition->topics[i];
    }
    kafka_add_partitions_to_txn_request_defaults(&request);
    request.transactions = &transaction;
    request.transactions_count = 1;
    struct wire_writer writer;
    wire_writer_init(&writer, &question->arena);
    kafka_add_partitions_to_txn_request_encode(&request, ADD_VERSION, &writer);
    question->body.base = wire_writer_flatten(&writer, &question->body.byte_count);
    return question->body.base == NULL ? STATUS_FULL : STATUS_OK;
}

static void send_away(struct txn_gate_question *question, int32_t leader)
{
    enum status status = encode(question);
    question->remote = (struct link_call){.api_key = API_KEY_ADD_PARTITIONS_TO_TXN,
                                          .api_version = ADD_VERSION,
                                          .body = &question->body,
                                          .body_count = 1,
                                          .timeout_ms = CALL_TIMEOUT_MS,
                                          .on_done = remote_on_done};
    if (status == STATUS_OK) {
        status = broker_links_send(question->gate->shard->links, leader, &question->remote);
    }
    if (status != STATUS_OK) {
        fail_question(question, ERROR_CODE_NETWORK_EXCEPTION);
    }
}

static void send_question(struct txn_gate_question *question)
{
    struct api_shard *shard = question->gate->shard;
    const struct image *image = partition_map_image(shard->map);
    const struct image_topic *topic = image_topic_by_name(image, wire_text_of(TXN_TOPIC_NAME));
    if (topic == NULL) {
        fail_question(question, ERROR_CODE_INVALID_PRODUCER_ID_MAPPING); /* No id is known. */
        return;
    }
    int32_t index = ledger_key_partition(question->addition.id, topic->partition_count);
    int32_t leader = topic->partitions[index].leader;
    if (leader < 0) {
        fail_question(question, ERROR_CODE_COORDINATOR_NOT_AVAILABLE);
    } else if (leader != shard->node->broker_id) {
        send_away(question, leader);
    } else {
        question->txn.version = ADD_VERSION;
        question->txn.in.addition = &question->addition;
        question->txn.out.topics = question->rows;
        question->txn.op.decide = txn_adding_decide;
        question->call.op = &question->txn.op;
        question->call.on_answered = call_on_answered;
        coordinator_call_post_from(&question->call, shard, topic, index);
    }
}

static void flush_deliver(struct mail *mail)
{
    struct txn_gate *self = container_of(mail, struct txn_gate, flush);
    self->is_flush_posted = false;
    struct list questions;
    list_init(&questions);
    struct list *link;
    while ((link = list_take_first(&self->collecting)) != NULL) {
        list_append(&questions, link);
    }
    while ((link = list_take_first(&questions)) != NULL) {
        struct txn_gate_question *question = container_of(link, struct txn_gate_question, link);
        enum status status = fill(question);
        check(status == STATUS_OK); /* ENTRIES_MAX. */
        send_question(question);
    }
}

static struct txn_gate_question *find_or_make(struct txn_gate *self,
                                              const struct txn_gate_entry *entry)
{
    list_for_each(link, &self->collecting)
    {
        struct txn_gate_question *question = container_of(link, struct txn_gate_question, link);
        if (question->addition.producer_id == entry->pass.producer_id &&
            question->addition.producer_epoch == entry->pass.producer_epoch &&
            question->addition.is_verify_only != entry->is_adding &&
            question->entry_count < ENTRIES_MAX &&
            wire_text_same(question->addition.id, entry->transactional_id)) {
            return question;
        }
    }
    struct txn_gate_question *question = calloc(1, sizeof *question);
    check(question != NULL); /* One per request at most. */
    question->gate = self;
    question->addition = (struct txn_addition){.id = entry->transactional_id,
                                               .producer_id = entry->pass.producer_id,
                                               .producer_epoch = entry->pass.producer_epoch,
                                               .is_verify_only = !entry->is_adding,
                                               .is_by_leader = true};
    list_init(&question->entries);
    arena_init(&question->arena, ARENA_BYTES);
    txn_init_call(&question->txn, ARENA_BYTES);
    list_append(&self->collecting, &question->link);
    return question;
}

void txn_gate_ask(struct txn_gate *self, struct partition *partition, struct txn_gate_entry *entry)
{
    list_init(&entry->link);
    list_init(&entry->followers);
    struct txn_pass *first =
        partition_txn_find_asking(partition, entry->pass.producer_id, entry->pass.producer_epoch);
    entry->pass.is_asking = first == NULL;
    partition_txn_begin_pass(partition, &entry->pass);
    if (first != NULL) {
        struct txn_gate_entry *leading = container_of(first, struct txn_gate_entry, pass);
        list_append(&leading->followers, &entry->link);
        return;
    }
    struct txn_gate_question *question = find_or_make(self, entry);
    list_append(&question->entries, &entry->link);
    question->entry_count += 1;
    if (!self->is_flush_posted) {
        self->is_flush_posted = true;
        self->flush.deliver = flush_deliver;
        loop_defer(self->shard->loop, &self->flush);
    }
}

int16_t txn_gate_produce_code(int16_t code, int16_t version)
{
    switch (code) {
    case ERROR_CODE_PRODUCER_FENCED: /* What Produce has always called it. */
        return ERROR_CODE_INVALID_PRODUCER_EPOCH;
    case ERROR_CODE_TRANSACTION_ABORTABLE:
        return version >= PRODUCE_VERSION_WITH_ABORTABLE ? ERROR_CODE_TRANSACTION_ABORTABLE
                                                         : ERROR_CODE_INVALID_TXN_STATE;
    case ERROR_CODE_CONCURRENT_TRANSACTIONS:
        return version >= PRODUCE_VERSION_WITH_CONCURRENT ? ERROR_CODE_CONCURRENT_TRANSACTIONS
                                                          : ERROR_CODE_NOT_ENOUGH_REPLICAS;
    case ERROR_CODE_COORDINATOR_LOAD_IN_PROGRESS:
    case ERROR_CODE_COORDINATOR_NOT_AVAILABLE:
    case ERROR_CODE_NOT_COORDINATOR:
    case ERROR_CODE_NETWORK_EXCEPTION: /* Retriable, and nothing was written. */
        return ERROR_CODE_NOT_ENOUGH_REPLICAS;
    default:
        return code;
    }
}

int16_t txn_gate_commit_code(int16_t code, int16_t version)
{
    switch (code) {
    case ERROR_CODE_PRODUCER_FENCED:
        return ERROR_CODE_INVALID_PRODUCER_EPOCH;
    case ERROR_CODE_TRANSACTION_ABORTABLE:
        return version >= COMMIT_VERSION_WITH_ABORTABLE ? ERROR_CODE_TRANSACTION_ABORTABLE
                                                        : ERROR_CODE_INVALID_TXN_STATE;
    case ERROR_CODE_CONCURRENT_TRANSACTIONS:
    case ERROR_CODE_COORDINATOR_NOT_AVAILABLE:
    case ERROR_CODE_NOT_COORDINATOR: /* The transaction's, not the group's. */
    case ERROR_CODE_NETWORK_EXCEPTION:
        return ERROR_CODE_COORDINATOR_LOAD_IN_PROGRESS;
    default:
        return code;
    }
}
