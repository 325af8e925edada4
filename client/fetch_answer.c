/* What an answered Fetch means for each partition of it. */
#include "client/consumer_call.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/fetch.h"
#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

void fetch_answer_unref(struct fetch_memory *memory)
{
    if (atomic_fetch_sub_explicit(&memory->user_count, 1, memory_order_acq_rel) == 1) {
        free(memory->frame);
        arena_done(&memory->arena);
        free(memory);
    }
}

static struct fetch_walk_aborted *
copy_aborted(struct arena *arena, const struct kafka_fetch_response_partition_data *data)
{
    struct fetch_walk_aborted *rows =
        arena_take_array(arena, (size_t)data->aborted_transactions_count, sizeof *rows);
    for (int32_t i = 0; rows != NULL && i < data->aborted_transactions_count; i++) {
        rows[i] =
            (struct fetch_walk_aborted){.producer_id = data->aborted_transactions[i].producer_id,
                                        .first_offset = data->aborted_transactions[i].first_offset};
    }
    return rows;
}

static enum status hand_over(struct consumer_call *self, struct consumer_call_entry *entry,
                             const struct kafka_fetch_response_partition_data *data,
                             struct fetch_memory *memory)
{
    struct consumer_partition *partition = entry->partition;
    const void *bytes = data->records.single.base;
    size_t byte_count = data->records.single.byte_count;
    int64_t next_offset = entry->position;
    int32_t leader_epoch = -1;
    TRY(fetch_walk_measure(bytes, byte_count, entry->position, &next_offset, &leader_epoch));
    if (next_offset == entry->position) {
        return STATUS_MALFORMED; /* Bytes that never become a batch would be asked for forever. */
    }
    bool has_aborted = self->core->options.is_committed && data->aborted_transactions_count > 0;
    struct fetch_walk_aborted *aborted = NULL;
    if (has_aborted) {
        aborted = copy_aborted(&memory->arena, data);
    }
    struct consumer_fetched *fetched =
        calloc(1, sizeof *fetched + (size_t)partition->topic->name_bytes + 1);
    if (fetched == NULL || (has_aborted && aborted == NULL)) {
        free(fetched);
        return STATUS_NO_MEMORY;
    }
    atomic_fetch_add_explicit(&memory->user_count, 1, memory_order_relaxed);
    fetched->memory = memory;
    fetched->partition = partition;
    fetched->generation = partition->generation;
    fetched->source = (struct fetch_walk_source){
        .bytes = bytes,
        .byte_count = byte_count,
        .position = entry->position,
        .is_committed = self->core->options.is_committed,
        .aborted = aborted,
        .aborted_count = has_aborted ? (uint32_t)data->aborted_transactions_count : 0,
        .ingested_ms = data->ingested_times_ms,
        .ingested_count =
            data->ingested_times_ms_count > 0 ? (uint32_t)data->ingested_times_ms_count : 0};
    fetched->next_offset = next_offset;
    fetched->high_watermark = data->high_watermark;
    fetched->stable_end = data->last_stable_offset;
    fetched->log_start = data->log_start_offset;
    fetched->room_bytes = byte_count;
    fetched->index = partition->index;
    fetched->topic_bytes = partition->topic->name_bytes;
    memcpy(fetched->topic, partition->topic->name, (size_t)partition->topic->name_bytes);
    partition->position = next_offset;
    partition->ready_bytes += byte_count;
    self->core->ready_bytes += byte_count;
    self->core->options.on_fetched(self->core->options.context, fetched);
    return STATUS_OK;
}

static void fetch_refused(struct consumer_call *self, struct consumer_call_entry *entry,
                          const struct kafka_fetch_response_partition_data *data)
{
    struct consumer_partition *partition = entry->partition;
    if (data->error_code == ERROR_CODE_OFFSET_OUT_OF_RANGE) {
        consumer_core_reset(partition);
        return;
    }
    int32_t leader = data->current_leader.leader_id;
    if (leader >= 0 && cluster_knows_node(&self->core->cluster, leader)) {
        cluster_learn_leader(&self->core->cluster, partition->topic, partition->index, leader,
                             data->current_leader.leader_epoch);
    }
    consumer_core_again(partition, data->error_code);
}

static void fetch_answered(struct consumer_call *self, struct consumer_call_entry *entry,
                           const struct kafka_fetch_response_partition_data *data,
                           struct fetch_memory *memory)
{
    struct consumer_partition *partition = entry->partition;
    entry->is_answered = true;
    if (partition->generation != entry->generation || partition->state != CONSUMER_FETCHING) {
        return; /* It was moved since. */
    }
    if (data->error_code != ERROR_CODE_NONE) {
        fetch_refused(self, entry, data);
        return;
    }
    retry_reset(&partition->retry);
    partition->high_watermark = data->high_watermark;
    partition->stable_end = data->last_stable_offset;
    partition->log_start = data->log_start_offset;
    enum status status =
        data->records.byte_count > 0 ? hand_over(self, entry, data, memory) : STATUS_OK;
    if (status == STATUS_NO_MEMORY) {
        consumer_core_again(partition, ERROR_CODE_NONE);
    } else if (status != STATUS_OK) {
        consumer_core_fail(partition, status, 0);
    } else if (self->core->options.on_heard != NULL) {
        self->core->options.on_heard(self->core->options.context, partition);
    }
}

enum status fetch_answer_take(struct consumer_call *self)
{
    struct kafka_fetch_response answer;
    TRY(kafka_fetch_response_decode(&self->ask.call.reader, self->ask.version, &self->ask.arena,
                                    &answer));
    if (answer.error_code != ERROR_CODE_NONE) {
        return STATUS_INVALID; /* All are asked again. */
    }
    struct fetch_memory *memory = calloc(1, sizeof *memory);
    if (memory == NULL) {
        return STATUS_NO_MEMORY;
    }
    memory->user_count = 1;
    memory->frame = self->ask.call.answer;
    memory->arena = self->ask.arena;
    self->ask.call.answer = NULL;
    self->ask.arena = (struct arena){0};
    for (int32_t i = 0; i < answer.node_endpoints_count; i++) {
        cluster_learn_node(&self->core->cluster, answer.node_endpoints[i].node_id,
                           answer.node_endpoints[i].host, answer.node_endpoints[i].port);
    }
    for (int32_t i = 0; i < answer.responses_count; i++) {
        for (int32_t j = 0; j < answer.responses[i].partitions_count; j++) {
            const struct kafka_fetch_response_partition_data *data =
                &answer.responses[i].partitions[j];
            struct consumer_call_entry *entry =
                consumer_call_find(self, answer.responses[i].topic, data->partition_index);
            if (entry != NULL) {
                fetch_answered(self, entry, data, memory);
            }
        }
    }
    fetch_answer_unref(memory);
    return STATUS_OK;
}
