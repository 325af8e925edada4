#include "client/produce_call.h"

#include "proto/kafka/api_key.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/produce.h"
#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

#define PRODUCE_VERSION_MIN 3
#define PRODUCE_VERSION_MAX 12 /* 13 names topics by id. */
/* From here on a transactional write adds its partition to the transaction (KIP-890). */
#define PRODUCE_VERSION_IMPLICIT 12
#define ENTRY_ROOM_FIRST 8U
/* The end of the transaction before takes milliseconds. */
#define CONCURRENT_SHARE 10
/* How much longer we wait for an answer than the broker may wait for its followers. */
#define ANSWER_GRACE_MS 2000

struct produce_call *produce_call_new(struct producer_core *core, int32_t node)
{
    struct produce_call *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return NULL;
    }
    self->core = core;
    self->node = node;
    list_append(&core->calls, &self->in_core);
    return self;
}

bool produce_call_has_room(const struct produce_call *self, size_t byte_count)
{
    return self->entry_count == 0 || (self->entry_count < PRODUCE_CALL_BATCHES_MAX &&
                                      self->byte_count + byte_count <= PRODUCE_CALL_BYTES_MAX);
}

enum status produce_call_add(struct produce_call *self, struct producer_topic *topic,
                             int32_t partition, struct accumulator_batch *batch)
{
    if (self->entry_count == self->entry_room) {
        uint32_t room = self->entry_room == 0 ? ENTRY_ROOM_FIRST : self->entry_room * 2;
        struct produce_call_entry *grown = realloc(self->entries, room * sizeof *grown);
        if (grown == NULL) {
            return STATUS_NO_MEMORY;
        }
        self->entries = grown;
        self->entry_room = room;
    }
    self->entries[self->entry_count++] = (struct produce_call_entry){topic, partition, batch};
    self->byte_count += batch->view.byte_count;
    return STATUS_OK;
}

static void call_free(struct produce_call *self)
{
    list_remove(&self->in_core);
    ask_done(&self->ask);
    free(self->entries);
    free(self);
}

/* ---- asking ---- */

static uint32_t count_topics(const struct produce_call *self)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < self->entry_count; i++) {
        count += i == 0 || self->entries[i].topic != self->entries[i - 1].topic;
    }
    return count;
}

static void produce_encode(struct ask *ask, struct wire_writer *writer)
{
    struct produce_call *self = container_of(ask, struct produce_call, ask);
    struct kafka_produce_request request;
    kafka_produce_request_defaults(&request);
    request.acks = -1;
    request.timeout_ms = (int32_t)self->core->options.request_timeout_ms;
    request.transactional_id = wire_text_of(self->core->options.transactional_id);
    request.topic_data =
        arena_take_array(&ask->arena, count_topics(self), sizeof *request.topic_data);
    struct kafka_produce_request_partition_produce_data *data =
        arena_take_array(&ask->arena, self->entry_count, sizeof *data);
    if (request.topic_data == NULL || data == NULL) {
        wire_writer_fail(writer, STATUS_NO_MEMORY);
        return;
    }
    struct kafka_produce_request_topic_produce_data *topic = NULL;
    for (uint32_t i = 0; i < self->entry_count; i++) {
        const struct produce_call_entry *entry = &self->entries[i];
        if (i == 0 || entry->topic != self->entries[i - 1].topic) {
            topic = &request.topic_data[request.topic_data_count++];
            kafka_produce_request_topic_produce_data_defaults(topic);
            topic->name =
                (struct wire_text){entry->topic->known->name, entry->topic->known->name_bytes};
            topic->partition_data = &data[i];
        }
        check(topic != NULL);
        topic->partition_data_count += 1;
        const struct batch_view *view = &entry->batch->view;
        data[i].index = entry->partition;
        data[i].records = (struct wire_records){.slice_count = 1,
                                                .single = {view->bytes, view->byte_count},
                                                .byte_count = (int32_t)view->byte_count};
    }
    kafka_produce_request_encode(&request, ask->version, writer);
}

/* ---- answers ---- */

static struct accumulator *accumulator_of(const struct produce_call_entry *entry)
{
    return &entry->topic->partitions[entry->partition]->accumulator;
}

static void entry_again(struct produce_call *self, struct produce_call_entry *entry,
                        bool is_doubtful, bool is_rested)
{
    struct accumulator *accumulator = accumulator_of(entry);
    struct loop *loop = self->core->options.loop;
    accumulator_give_back(accumulator, entry->batch, is_doubtful);
    accumulator->not_before_ns =
        is_rested ? 0 : loop_now_ns(loop) + retry_next_ns(&accumulator->retry, &loop->prng);
    entry->batch = NULL;
}

static void entry_fail(struct produce_call *self, struct produce_call_entry *entry,
                       enum status status, int16_t error_code)
{
    struct accumulator_batch *batch = entry->batch;
    accumulator_fail(accumulator_of(entry), batch);
    entry->batch = NULL;
    struct producer_delivery outcome = {.status = status,
                                        .error_code = error_code,
                                        .partition = entry->partition,
                                        .offset = -1,
                                        .timestamp_ms = -1};
    producer_topic_report_batch(self->core, batch, &outcome);
}

static void entry_succeed(struct produce_call *self, struct produce_call_entry *entry,
                          int64_t base_offset, int64_t append_time_ms)
{
    struct accumulator *accumulator = accumulator_of(entry);
    struct accumulator_batch *batch = entry->batch;
    accumulator_remove(accumulator, batch);
    retry_reset(&accumulator->retry);
    entry->batch = NULL;
    struct producer_delivery outcome = {
        .partition = entry->partition, .offset = base_offset, .timestamp_ms = append_time_ms};
    producer_topic_report_batch(self->core, batch, &outcome);
}

/* The broker does not find our batch next in line. While older ones are still on their way that is
 * only their absence; for the oldest it means that the broker has lost what it knew of us. A batch
 * that may be in the log is not sent under new sequences then: it could be there twice. */
static void entry_out_of_order(struct produce_call *self, struct produce_call_entry *entry,
                               int16_t error_code)
{
    struct accumulator *accumulator = accumulator_of(entry);
    bool is_oldest = accumulator_is_oldest(accumulator, entry->batch);
    if (is_oldest && (accumulator->options.is_transactional || entry->batch->is_doubtful)) {
        entry_fail(self, entry, STATUS_UNKNOWN, error_code);
        return;
    }
    if (is_oldest) {
        accumulator_renew(accumulator);
    }
    entry_again(self, entry, false, false);
}

static void learn_leader(struct produce_call *self, const struct produce_call_entry *entry,
                         const struct kafka_produce_response_leader_id_and_epoch *leader)
{
    if (leader->leader_id >= 0 && cluster_knows_node(&self->core->cluster, leader->leader_id)) {
        cluster_learn_leader(&self->core->cluster, entry->topic->known, entry->partition,
                             leader->leader_id, leader->leader_epoch);
    }
}

static void entry_answered(struct produce_call *self, struct produce_call_entry *entry,
                           const struct kafka_produce_response_partition_produce_response *answer)
{
    int16_t code = answer->error_code;
    if (code == ERROR_CODE_NONE || code == ERROR_CODE_DUPLICATE_SEQUENCE_NUMBER) {
        bool is_told = code == ERROR_CODE_NONE;
        entry_succeed(self, entry, is_told ? answer->base_offset : -1,
                      is_told ? answer->log_append_time_ms : -1);
        return;
    }
    if (code == ERROR_CODE_OUT_OF_ORDER_SEQUENCE_NUMBER || code == ERROR_CODE_UNKNOWN_PRODUCER_ID) {
        entry_out_of_order(self, entry, code);
        return;
    }
    if (code == ERROR_CODE_INVALID_PRODUCER_EPOCH || code == ERROR_CODE_PRODUCER_FENCED) {
        /* With a gate, a newer epoch may be ours: its owner asks the coordinator. */
        if (code == ERROR_CODE_PRODUCER_FENCED || self->core->options.gate == NULL) {
            self->core->fatal_status = STATUS_FENCED;
            self->core->fatal_code = code;
        }
        entry_fail(self, entry, STATUS_FENCED, code);
        return;
    }
    if (!error_code_is_retriable(code)) {
        entry_fail(self, entry, STATUS_INVALID, code);
        return;
    }
    int32_t leader = entry->topic->known->partitions[entry->partition].leader;
    if (error_code_reaction(code) == ERROR_CODE_REACTION_METADATA) {
        learn_leader(self, entry, &answer->current_leader);
        cluster_refresh(&self->core->cluster);
    }
    bool is_doubtful = code == ERROR_CODE_REQUEST_TIMED_OUT ||
                       code == ERROR_CODE_NOT_ENOUGH_REPLICAS_AFTER_APPEND ||
                       code == ERROR_CODE_NETWORK_EXCEPTION ||
                       /* Also said of a batch that was written and waited for its replicas. */
                       code == ERROR_CODE_NOT_LEADER_OR_FOLLOWER ||
                       code == ERROR_CODE_KAFKA_STORAGE_ERROR;
    bool has_moved = entry->topic->known->partitions[entry->partition].leader != leader;
    struct accumulator *accumulator = accumulator_of(entry);
    entry_again(self, entry, is_doubtful, has_moved);
    if (code == ERROR_CODE_CONCURRENT_TRANSACTIONS) {
        int64_t now_ns = loop_now_ns(self->core->options.loop);
        accumulator->not_before_ns =
            now_ns + (accumulator->not_before_ns - now_ns) / CONCURRENT_SHARE;
    }
}

static struct produce_call_entry *entry_find(struct produce_call *self, struct wire_text name,
                                             int32_t partition)
{
    for (uint32_t i = 0; i < self->entry_count; i++) {
        struct produce_call_entry *entry = &self->entries[i];
        if (entry->partition == partition && entry->topic->known->name_bytes == name.byte_count &&
            memcmp(entry->topic->known->name, name.bytes, (size_t)name.byte_count) == 0) {
            return entry->batch != NULL ? entry : NULL;
        }
    }
    return NULL;
}

static enum status take_answer(struct produce_call *self)
{
    struct kafka_produce_response answer;
    TRY(kafka_produce_response_decode(&self->ask.call.reader, self->ask.version, &self->ask.arena,
                                      &answer));
    for (int32_t i = 0; i < answer.node_endpoints_count; i++) {
        cluster_learn_node(&self->core->cluster, answer.node_endpoints[i].node_id,
                           answer.node_endpoints[i].host, answer.node_endpoints[i].port);
    }
    for (int32_t i = 0; i < answer.responses_count; i++) {
        for (int32_t j = 0; j < answer.responses[i].partition_responses_count; j++) {
            struct produce_call_entry *entry = entry_find(
                self, answer.responses[i].name, answer.responses[i].partition_responses[j].index);
            if (entry != NULL) {
                entry_answered(self, entry, &answer.responses[i].partition_responses[j]);
            }
        }
    }
    return STATUS_OK;
}

static void produce_on_done(struct ask *ask, enum status status)
{
    struct produce_call *self = container_of(ask, struct produce_call, ask);
    struct producer_core *core = self->core;
    if (status == STATUS_OK) {
        status = take_answer(self);
        status = status == STATUS_OK ? STATUS_UNKNOWN : status; /* For whom it does not name. */
    } else {
        cluster_refresh(&core->cluster);
    }
    bool is_sent = status != STATUS_UNREACHABLE && status != STATUS_CANCELED;
    for (uint32_t i = 0; i < self->entry_count; i++) {
        if (self->entries[i].batch == NULL) {
            continue;
        }
        if (status == STATUS_UNSUPPORTED) {
            entry_fail(self, &self->entries[i], status, 0);
        } else {
            entry_again(self, &self->entries[i], is_sent, false);
        }
    }
    call_free(self);
    producer_core_pump(core);
}

void produce_call_send(struct produce_call *self)
{
    if (self->entry_count == 0) {
        call_free(self); /* There was no memory for what it should have carried. */
        return;
    }
    int64_t timeout_ms = self->core->options.request_timeout_ms + ANSWER_GRACE_MS;
    const struct producer_gate *gate = self->core->options.gate;
    bool is_implicit = gate != NULL && gate->is_implicit;
    bool is_explicit = gate != NULL && !gate->is_implicit;
    self->ask = (struct ask){
        .api_key = API_KEY_PRODUCE,
        .version_min = is_implicit ? PRODUCE_VERSION_IMPLICIT : PRODUCE_VERSION_MIN,
        .version_max = is_explicit ? PRODUCE_VERSION_IMPLICIT - 1 : PRODUCE_VERSION_MAX,
        .timeout_ms = timeout_ms,
        .encode = produce_encode,
        .on_done = produce_on_done};
    self->sent_ns = loop_now_ns(self->core->options.loop);
    enum status status =
        cluster_ask(&self->core->cluster, self->node, CLUSTER_LANE_LONG, &self->ask);
    if (status != STATUS_OK) {
        produce_on_done(&self->ask, status == STATUS_UNSUPPORTED ? status : STATUS_UNREACHABLE);
    }
}
