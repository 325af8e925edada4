#include "broker/coordinator/txn_state.h"

#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

struct txn *txn_state_new(struct wire_text id)
{
    struct txn *self = calloc(1, sizeof *self);
    check(self != NULL); /* What is applied cannot be refused. */
    self->entry.name = text_table_copy(id);
    self->producer_id = -1;
    self->previous_producer_id = -1;
    self->next_producer_id = -1;
    self->producer_epoch = -1;
    self->start_ms = -1;
    self->grant.from_id = -1;
    list_init(&self->in_phase);
    list_init(&self->waiters);
    return self;
}

static void drop_topics(struct txn *self)
{
    for (uint32_t i = 0; i < self->topic_count; i++) {
        text_table_drop(&self->topics[i].name);
        free(self->topics[i].partitions);
    }
    free(self->topics);
    self->topics = NULL;
    self->topic_count = 0;
    self->partition_count = 0;
}

void txn_state_free(struct txn *self)
{
    check(list_is_empty(&self->waiters));
    check(self->settle == NULL);
    drop_topics(self);
    list_remove(&self->in_phase);
    text_table_drop(&self->entry.name);
    free(self);
}

const char *txn_state_name(enum txn_phase phase)
{
    switch (phase) {
    case TXN_EMPTY:
        return "Empty";
    case TXN_ONGOING:
        return "Ongoing";
    case TXN_PREPARE_COMMIT:
        return "PrepareCommit";
    case TXN_PREPARE_ABORT:
        return "PrepareAbort";
    case TXN_COMPLETE_COMMIT:
        return "CompleteCommit";
    case TXN_COMPLETE_ABORT:
        return "CompleteAbort";
    case TXN_DEAD:
        return "Dead";
    case TXN_PREPARE_FENCE:
        return "PrepareEpochFence";
    }
    check_unreachable("a phase of a transaction");
}

bool txn_state_is_ending(const struct txn *self)
{
    return self->phase == TXN_PREPARE_COMMIT || self->phase == TXN_PREPARE_ABORT;
}

bool txn_state_is_idle(const struct txn *self)
{
    return self->phase != TXN_ONGOING && !txn_state_is_ending(self);
}

int16_t txn_state_check_producer(const struct txn *self, int64_t producer_id, int16_t epoch)
{
    if (self == NULL || producer_id < 0 || epoch < 0 || self->producer_id != producer_id) {
        return ERROR_CODE_INVALID_PRODUCER_ID_MAPPING;
    }
    return self->producer_epoch == epoch && epoch <= TXN_STATE_EPOCH_LAST
               ? ERROR_CODE_NONE
               : ERROR_CODE_PRODUCER_FENCED;
}

bool txn_state_has(const struct txn *self, struct wire_text topic, int32_t partition)
{
    for (uint32_t i = 0; i < self->topic_count; i++) {
        if (!wire_text_same(self->topics[i].name, topic)) {
            continue;
        }
        for (uint32_t k = 0; k < self->topics[i].partition_count; k++) {
            if (self->topics[i].partitions[k] == partition) {
                return true;
            }
        }
    }
    return false;
}

typedef struct kafka_transaction_log_value_partitions_schema value_topic;

enum status txn_state_value(const struct txn *self, struct arena *arena,
                            struct kafka_transaction_log_value *out_value)
{
    struct kafka_transaction_log_value value;
    kafka_transaction_log_value_defaults(&value);
    value.producer_id = self->producer_id;
    value.previous_producer_id = self->previous_producer_id;
    value.next_producer_id = self->next_producer_id;
    value.producer_epoch = self->producer_epoch;
    value.transaction_timeout_ms = self->timeout_ms;
    value.transaction_status = (int8_t)self->phase;
    value.transaction_last_update_timestamp_ms = self->update_ms;
    value.transaction_start_timestamp_ms = self->start_ms;
    value.client_transaction_version = self->client_version;
    value.transaction_partitions = NULL;
    value.transaction_partitions_count = self->phase == TXN_EMPTY ? -1 : 0; /* -1: null. */
    if (self->topic_count > 0) {
        value_topic *topics = arena_take_array(arena, self->topic_count, sizeof *topics);
        if (topics == NULL) {
            return STATUS_FULL;
        }
        for (uint32_t i = 0; i < self->topic_count; i++) {
            topics[i].topic = self->topics[i].name;
            topics[i].partition_ids = self->topics[i].partitions;
            topics[i].partition_ids_count = (int32_t)self->topics[i].partition_count;
        }
        value.transaction_partitions = topics;
        value.transaction_partitions_count = (int32_t)self->topic_count;
    }
    *out_value = value;
    return STATUS_OK;
}

static void take_topics(struct txn *self, const struct kafka_transaction_log_value *value)
{
    drop_topics(self);
    if (value->transaction_partitions_count <= 0) {
        return;
    }
    uint32_t count = (uint32_t)value->transaction_partitions_count;
    self->topics = calloc(count, sizeof *self->topics);
    check(self->topics != NULL);
    self->topic_count = count;
    for (uint32_t i = 0; i < count; i++) {
        const value_topic *in = &value->transaction_partitions[i];
        struct txn_topic *topic = &self->topics[i];
        size_t partition_count = (size_t)in->partition_ids_count;
        topic->name = text_table_copy(in->topic);
        topic->partitions = calloc(partition_count + 1, sizeof *topic->partitions);
        check(topic->partitions != NULL);
        if (partition_count > 0) {
            memcpy(topic->partitions, in->partition_ids, partition_count * sizeof(int32_t));
        }
        topic->partition_count = (uint32_t)partition_count;
        self->partition_count += topic->partition_count;
    }
}

void txn_state_apply(struct txn *self, const struct kafka_transaction_log_value *value,
                     int64_t record_offset)
{
    self->phase = (enum txn_phase)value->transaction_status;
    self->producer_id = value->producer_id;
    self->previous_producer_id = value->previous_producer_id;
    self->next_producer_id = value->next_producer_id;
    self->producer_epoch = value->producer_epoch;
    self->client_version = value->client_transaction_version;
    self->timeout_ms = value->transaction_timeout_ms;
    self->start_ms = value->transaction_start_timestamp_ms;
    self->update_ms = value->transaction_last_update_timestamp_ms;
    self->record_offset = record_offset;
    take_topics(self, value);
}
