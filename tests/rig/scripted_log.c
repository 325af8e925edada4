#include "tests/rig/scripted_log.h"

#include "proto/kafka/api_key.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/init_producer_id.h"
#include "proto/kafka/list_offsets.h"
#include "proto/kafka/metadata.h"
#include "proto/kafka/produce.h"
#include "proto/record/batch_check.h"
#include "proto/record/batch_iterator.h"
#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

#define LOG_BYTES_MAX ((size_t)64 << 20)
#define ARENA_BYTES ((size_t)64 << 20)

struct held_fetch {
    struct list in_log;
    struct timer timer;
    struct scripted_log *log;
    struct scripted_request request;
    size_t byte_count;
    uint8_t body[];
};

static const struct scripted_range ranges[] = {
    {API_KEY_PRODUCE, 3, 11},  {API_KEY_FETCH, 4, 12},       {API_KEY_LIST_OFFSETS, 1, 7},
    {API_KEY_METADATA, 0, 12}, {API_KEY_API_VERSIONS, 0, 3}, {API_KEY_INIT_PRODUCER_ID, 0, 4},
};

static uint32_t index_of(const struct scripted_log *self, const struct scripted_broker *broker)
{
    return (uint32_t)(broker - self->brokers);
}

void scripted_log_answer(const struct scripted_request *request, enum scripted_fault fault,
                         scripted_encode *encode, const void *message)
{
    if (fault == SCRIPTED_BREAK_AFTER) {
        request->connection->is_open = false;
        socket_close(&request->connection->socket);
    } else if (fault == SCRIPTED_GARBAGE) {
        uint8_t bytes[12] = {0, 0, 0, 8};
        uint32_t correlation = __builtin_bswap32((uint32_t)request->header.correlation_id);
        memcpy(bytes + 4, &correlation, sizeof correlation);
        memset(bytes + 8, 0x7f, 4);
        scripted_raw(request->connection, bytes, sizeof bytes);
    } else if (fault == SCRIPTED_WELL) {
        scripted_answer(request, encode, message);
    }
}

static int16_t partition_fault(struct scripted_log *self, uint32_t broker, int16_t api_key,
                               struct wire_text topic, int32_t partition)
{
    if (!self->has_topic || !wire_text_equals(topic, SCRIPTED_LOG_TOPIC) || partition < 0 ||
        partition >= SCRIPTED_LOG_PARTITIONS) {
        return ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION;
    }
    if (self->partitions[partition].leader != (int32_t)broker) {
        return ERROR_CODE_NOT_LEADER_OR_FOLLOWER;
    }
    return self->refuse != NULL ? self->refuse(self, api_key, partition) : ERROR_CODE_NONE;
}

/* ---- metadata ---- */

static void serve_metadata(struct scripted_log *self, struct scripted_request *request,
                           enum scripted_fault fault, struct arena *arena)
{
    struct kafka_metadata_request asked;
    check(kafka_metadata_request_decode(request->body, request->header.request_api_version, arena,
                                        &asked) == STATUS_OK);
    struct kafka_metadata_response said;
    kafka_metadata_response_defaults(&said);
    struct kafka_metadata_response_metadata_response_broker brokers[SCRIPTED_LOG_BROKERS];
    for (uint32_t i = 0; i < SCRIPTED_LOG_BROKERS; i++) {
        if (self->is_down[i]) {
            continue;
        }
        struct kafka_metadata_response_metadata_response_broker *broker =
            &brokers[said.brokers_count++];
        kafka_metadata_response_metadata_response_broker_defaults(broker);
        broker->node_id = (int32_t)i;
        broker->host = wire_text_of("localhost");
        broker->port = SCRIPTED_LOG_PORT + (int32_t)i;
    }
    said.brokers = brokers;
    said.controller_id = 0;
    said.cluster_id = wire_text_of("scripted");
    said.topics_count = asked.topics_count < 0 ? 0 : asked.topics_count;
    said.topics = arena_take_array(arena, (size_t)said.topics_count, sizeof *said.topics);
    struct kafka_metadata_response_metadata_response_partition partitions[SCRIPTED_LOG_PARTITIONS];
    for (int32_t i = 0; i < SCRIPTED_LOG_PARTITIONS; i++) {
        kafka_metadata_response_metadata_response_partition_defaults(&partitions[i]);
        partitions[i].partition_index = i;
        partitions[i].leader_id = self->partitions[i].leader;
        partitions[i].leader_epoch = self->partitions[i].leader_epoch;
        if (partitions[i].leader_id < 0) {
            partitions[i].error_code = ERROR_CODE_LEADER_NOT_AVAILABLE;
        }
    }
    for (int32_t i = 0; i < said.topics_count; i++) {
        kafka_metadata_response_metadata_response_topic_defaults(&said.topics[i]);
        said.topics[i].name = asked.topics[i].name;
        if (self->has_topic && wire_text_equals(asked.topics[i].name, SCRIPTED_LOG_TOPIC)) {
            said.topics[i].topic_id.bytes[0] = 1;
            said.topics[i].topic_id.bytes[1] = self->topic_life;
            said.topics[i].partitions = partitions;
            said.topics[i].partitions_count = SCRIPTED_LOG_PARTITIONS;
        } else {
            said.topics[i].error_code = ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION;
        }
    }
    scripted_log_answer(request, fault, SCRIPTED_ENCODE(kafka_metadata_response_encode), &said);
}

static void serve_identity(struct scripted_log *self, struct scripted_request *request,
                           enum scripted_fault fault)
{
    struct kafka_init_producer_id_response said;
    kafka_init_producer_id_response_defaults(&said);
    said.error_code =
        self->refuse != NULL ? self->refuse(self, API_KEY_INIT_PRODUCER_ID, -1) : ERROR_CODE_NONE;
    said.producer_id = said.error_code == ERROR_CODE_NONE ? self->next_producer_id++ : -1;
    scripted_log_answer(request, fault, SCRIPTED_ENCODE(kafka_init_producer_id_response_encode),
                        &said);
}

/* ---- produce ---- */

void scripted_log_append(struct scripted_log *self, int32_t index, const void *batch,
                         size_t byte_count)
{
    struct scripted_partition *partition = &self->partitions[index];
    check(partition->byte_count + byte_count <= LOG_BYTES_MAX);
    partition->bytes = realloc(partition->bytes, partition->byte_count + byte_count);
    check(partition->bytes != NULL);
    uint8_t *place = partition->bytes + partition->byte_count;
    memcpy(place, batch, byte_count);
    batch_stamp_offset(place, partition->end, partition->leader_epoch);
    struct batch_view view;
    check(batch_view_init(&view, place, byte_count) == STATUS_OK);
    partition->byte_count += byte_count;
    partition->batch_count += 1;
    partition->end = batch_next_offset(&view);
}

static struct scripted_producer *producer_find(struct scripted_partition *partition,
                                               int64_t producer_id)
{
    for (uint32_t i = 0; i < partition->producer_count; i++) {
        if (partition->producers[i].producer_id == producer_id) {
            return &partition->producers[i];
        }
    }
    check(partition->producer_count < SCRIPTED_LOG_PRODUCERS);
    struct scripted_producer *fresh = &partition->producers[partition->producer_count++];
    *fresh = (struct scripted_producer){.producer_id = producer_id, .producer_epoch = -1};
    return fresh;
}

static int16_t judge(struct scripted_partition *partition, const struct batch_view *view,
                     int64_t *out_duplicate_offset)
{
    struct scripted_producer *producer = producer_find(partition, batch_producer_id(view));
    int32_t base_sequence = batch_base_sequence(view);
    *out_duplicate_offset = -1;
    if (batch_producer_epoch(view) < producer->producer_epoch) {
        return ERROR_CODE_INVALID_PRODUCER_EPOCH;
    }
    if (batch_producer_epoch(view) > producer->producer_epoch) {
        if (base_sequence != 0) {
            return ERROR_CODE_OUT_OF_ORDER_SEQUENCE_NUMBER;
        }
        producer->producer_epoch = batch_producer_epoch(view);
        producer->next_sequence = 0;
        producer->recent_count = 0;
    }
    for (uint32_t i = 0; i < producer->recent_count; i++) {
        if (producer->recent[i].base_sequence == base_sequence) {
            *out_duplicate_offset = producer->recent[i].base_offset;
            return ERROR_CODE_NONE;
        }
    }
    if (base_sequence != producer->next_sequence) {
        return ERROR_CODE_OUT_OF_ORDER_SEQUENCE_NUMBER;
    }
    memmove(&producer->recent[1], &producer->recent[0], 4 * sizeof producer->recent[0]);
    producer->recent[0].base_sequence = base_sequence;
    producer->recent[0].base_offset = partition->end;
    producer->recent_count += producer->recent_count < 5;
    producer->next_sequence = base_sequence + batch_record_count(view);
    return ERROR_CODE_NONE;
}

static void produce_partition(struct scripted_log *self, const struct scripted_request *request,
                              struct wire_text topic,
                              const struct kafka_produce_request_partition_produce_data *data,
                              struct kafka_produce_response_partition_produce_response *out)
{
    out->index = data->index;
    out->base_offset = -1;
    uint32_t broker = index_of(self, request->connection->broker);
    out->error_code = partition_fault(self, broker, API_KEY_PRODUCE, topic, data->index);
    if (out->error_code != ERROR_CODE_NONE) {
        return;
    }
    struct scripted_partition *partition = &self->partitions[data->index];
    struct batch_rules rules = {.byte_count_max = SCRIPTED_REQUEST_BYTES_MAX,
                                .has_transactional_id = self->admit != NULL,
                                .timestamp_ms_min = INT64_MIN,
                                .timestamp_ms_max = INT64_MAX};
    struct batch_verdict verdict;
    check(data->records.slice_count == 1);
    check(batch_check_produce(data->records.single.base, data->records.single.byte_count, &rules,
                              &verdict) == STATUS_OK);
    int64_t duplicate_offset = -1;
    if (self->admit != NULL) {
        out->error_code =
            self->admit(self, data->index, request->header.request_api_version, &verdict.batch);
    }
    if (out->error_code != ERROR_CODE_NONE) {
        return;
    }
    out->error_code = judge(partition, &verdict.batch, &duplicate_offset);
    if (out->error_code != ERROR_CODE_NONE) {
        return;
    }
    out->base_offset = duplicate_offset >= 0 ? duplicate_offset : partition->end;
    if (duplicate_offset < 0) {
        scripted_log_append(self, data->index, data->records.single.base,
                            data->records.single.byte_count);
    }
}

static void serve_produce(struct scripted_log *self, struct scripted_request *request,
                          enum scripted_fault fault, struct arena *arena)
{
    struct kafka_produce_request asked;
    check(kafka_produce_request_decode(request->body, request->header.request_api_version, arena,
                                       &asked) == STATUS_OK);
    struct kafka_produce_response said;
    kafka_produce_response_defaults(&said);
    said.responses =
        arena_take_array(arena, (size_t)asked.topic_data_count, sizeof *said.responses);
    said.responses_count = asked.topic_data_count;
    for (int32_t i = 0; i < asked.topic_data_count; i++) {
        kafka_produce_response_topic_produce_response_defaults(&said.responses[i]);
        said.responses[i].name = asked.topic_data[i].name;
        int32_t count = asked.topic_data[i].partition_data_count;
        said.responses[i].partition_responses =
            arena_take_array(arena, (size_t)count, sizeof *said.responses[i].partition_responses);
        said.responses[i].partition_responses_count = count;
        for (int32_t j = 0; j < count; j++) {
            kafka_produce_response_partition_produce_response_defaults(
                &said.responses[i].partition_responses[j]);
            produce_partition(self, request, asked.topic_data[i].name,
                              &asked.topic_data[i].partition_data[j],
                              &said.responses[i].partition_responses[j]);
        }
    }
    scripted_log_answer(request, fault, SCRIPTED_ENCODE(kafka_produce_response_encode), &said);
}

/* ---- fetch ---- */

static void fetch_records(const struct scripted_partition *partition,
                          const struct kafka_fetch_request_fetch_partition *asked, bool wants_times,
                          struct kafka_fetch_response_partition_data *out, struct arena *arena)
{
    struct batch_iterator iterator;
    batch_iterator_init(&iterator, partition->bytes, partition->byte_count);
    const uint8_t *first = NULL;
    size_t byte_count = 0;
    struct batch_view view;
    int64_t stable = partition->stable_end >= 0 ? partition->stable_end : partition->end;
    out->ingested_times_ms = arena_take_array(arena, partition->batch_count + 1, sizeof(int64_t));
    while (batch_iterator_next(&iterator, &view) == STATUS_OK) {
        if (batch_last_offset(&view) < asked->fetch_offset || batch_base_offset(&view) >= stable ||
            (first != NULL && byte_count + view.byte_count > (size_t)asked->partition_max_bytes)) {
            continue;
        }
        first = first == NULL ? view.bytes : first;
        byte_count += view.byte_count;
        if (wants_times) {
            out->ingested_times_ms[out->ingested_times_ms_count++] =
                1000000 + batch_base_offset(&view);
        }
    }
    out->records = (struct wire_records){.slice_count = first != NULL,
                                         .single = {first, byte_count},
                                         .byte_count = (int32_t)byte_count};
}

static int64_t fetch_partition(struct scripted_log *self, uint32_t broker, struct wire_text topic,
                               const struct kafka_fetch_request_fetch_partition *asked,
                               struct kafka_fetch_response_partition_data *out)
{
    out->partition_index = asked->partition;
    out->records = (struct wire_records){0};
    out->error_code = partition_fault(self, broker, API_KEY_FETCH, topic, asked->partition);
    if (out->error_code != ERROR_CODE_NONE) {
        return 1;
    }
    struct scripted_partition *partition = &self->partitions[asked->partition];
    out->high_watermark = partition->end;
    out->last_stable_offset = partition->stable_end >= 0 ? partition->stable_end : partition->end;
    out->log_start_offset = partition->start;
    out->aborted_transactions = partition->aborted;
    out->aborted_transactions_count = partition->aborted_count;
    if (asked->fetch_offset < partition->start || asked->fetch_offset > partition->end) {
        out->error_code = ERROR_CODE_OFFSET_OUT_OF_RANGE;
        return 1;
    }
    return asked->fetch_offset < out->last_stable_offset;
}

/* False: nothing to say yet. */
static bool fetch(struct scripted_log *self, struct scripted_request *request,
                  struct wire_reader body, enum scripted_fault fault, bool is_last_call)
{
    struct arena arena;
    arena_init(&arena, ARENA_BYTES);
    struct kafka_fetch_request asked;
    check(kafka_fetch_request_decode(&body, request->header.request_api_version, &arena, &asked) ==
          STATUS_OK);
    struct kafka_fetch_response said;
    kafka_fetch_response_defaults(&said);
    said.responses = arena_take_array(&arena, (size_t)asked.topics_count, sizeof *said.responses);
    said.responses_count = asked.topics_count;
    int64_t news = 0;
    uint32_t broker = index_of(self, request->connection->broker);
    for (int32_t i = 0; i < asked.topics_count; i++) {
        struct kafka_fetch_response_fetchable_topic_response *topic = &said.responses[i];
        kafka_fetch_response_fetchable_topic_response_defaults(topic);
        topic->topic = asked.topics[i].topic;
        topic->partitions_count = asked.topics[i].partitions_count;
        topic->partitions =
            arena_take_array(&arena, (size_t)topic->partitions_count, sizeof *topic->partitions);
        for (int32_t j = 0; j < topic->partitions_count; j++) {
            kafka_fetch_response_partition_data_defaults(&topic->partitions[j]);
            news += fetch_partition(self, broker, topic->topic, &asked.topics[i].partitions[j],
                                    &topic->partitions[j]);
            if (topic->partitions[j].error_code == ERROR_CODE_NONE) {
                fetch_records(&self->partitions[asked.topics[i].partitions[j].partition],
                              &asked.topics[i].partitions[j], asked.wants_ingested_times,
                              &topic->partitions[j], &arena);
            }
        }
    }
    if (news > 0 || is_last_call || asked.max_wait_ms == 0) {
        scripted_log_answer(request, fault, SCRIPTED_ENCODE(kafka_fetch_response_encode), &said);
        news = 1;
    }
    arena_done(&arena);
    return news > 0;
}

static void held_free(struct held_fetch *held)
{
    timer_done(&held->timer);
    list_remove(&held->in_log);
    free(held);
}

static void held_on_fire(struct timer *timer)
{
    struct held_fetch *held = container_of(timer, struct held_fetch, timer);
    struct wire_reader body;
    wire_reader_init(&body, held->body, held->byte_count);
    (void)fetch(held->log, &held->request, body, SCRIPTED_WELL, true);
    held_free(held);
}

static void look_at_held(struct scripted_log *self)
{
    list_for_each_removable(link, &self->held)
    {
        struct held_fetch *held = container_of(link, struct held_fetch, in_log);
        struct wire_reader body;
        wire_reader_init(&body, held->body, held->byte_count);
        if (fetch(self, &held->request, body, SCRIPTED_WELL, false)) {
            held_free(held);
        }
    }
}

static void serve_fetch(struct scripted_log *self, struct scripted_request *request,
                        enum scripted_fault fault)
{
    if (fetch(self, request, *request->body, fault, fault != SCRIPTED_WELL)) {
        return;
    }
    size_t byte_count = wire_reader_left(request->body);
    struct held_fetch *held = calloc(1, sizeof *held + byte_count);
    check(held != NULL);
    held->log = self;
    held->request = *request;
    held->byte_count = byte_count;
    memcpy(held->body, request->body->next, byte_count);
    timer_init(&held->timer, &self->loop->timers, held_on_fire);
    timer_start_after(&held->timer, 500 * CLOCK_NS_PER_MS);
    list_append(&self->held, &held->in_log);
}

/* ---- offsets ---- */

static void offset_of(const struct scripted_partition *partition, bool is_committed,
                      int64_t timestamp,
                      struct kafka_list_offsets_response_list_offsets_partition_response *out)
{
    int64_t stable = partition->stable_end >= 0 ? partition->stable_end : partition->end;
    out->leader_epoch = partition->leader_epoch;
    if (timestamp == -2) {
        out->offset = partition->start;
    } else if (timestamp == -1) {
        out->offset = is_committed ? stable : partition->end;
    } else {
        struct batch_iterator iterator;
        batch_iterator_init(&iterator, partition->bytes, partition->byte_count);
        struct batch_view view;
        while (batch_iterator_next(&iterator, &view) == STATUS_OK) {
            if (batch_max_timestamp(&view) >= timestamp) {
                out->offset = batch_base_offset(&view);
                out->timestamp = batch_base_timestamp(&view);
                return;
            }
        }
    }
}

static void serve_list_offsets(struct scripted_log *self, uint32_t broker,
                               struct scripted_request *request, enum scripted_fault fault,
                               struct arena *arena)
{
    struct kafka_list_offsets_request asked;
    check(kafka_list_offsets_request_decode(request->body, request->header.request_api_version,
                                            arena, &asked) == STATUS_OK);
    struct kafka_list_offsets_response said;
    kafka_list_offsets_response_defaults(&said);
    said.topics = arena_take_array(arena, (size_t)asked.topics_count, sizeof *said.topics);
    said.topics_count = asked.topics_count;
    for (int32_t i = 0; i < asked.topics_count; i++) {
        struct kafka_list_offsets_response_list_offsets_topic_response *topic = &said.topics[i];
        kafka_list_offsets_response_list_offsets_topic_response_defaults(topic);
        topic->name = asked.topics[i].name;
        topic->partitions_count = asked.topics[i].partitions_count;
        topic->partitions =
            arena_take_array(arena, (size_t)topic->partitions_count, sizeof *topic->partitions);
        for (int32_t j = 0; j < topic->partitions_count; j++) {
            int32_t index = asked.topics[i].partitions[j].partition_index;
            kafka_list_offsets_response_list_offsets_partition_response_defaults(
                &topic->partitions[j]);
            topic->partitions[j].partition_index = index;
            topic->partitions[j].error_code =
                partition_fault(self, broker, API_KEY_LIST_OFFSETS, topic->name, index);
            if (topic->partitions[j].error_code == ERROR_CODE_NONE) {
                offset_of(&self->partitions[index], asked.isolation_level == 1,
                          asked.topics[i].partitions[j].timestamp, &topic->partitions[j]);
            }
        }
    }
    scripted_log_answer(request, fault, SCRIPTED_ENCODE(kafka_list_offsets_response_encode), &said);
}

static void serve(struct scripted_broker *broker, struct scripted_request *request)
{
    struct scripted_log *self = broker->context;
    uint32_t index = index_of(self, broker);
    int16_t api_key = request->header.request_api_key;
    self->request_counts[api_key] += 1;
    enum scripted_fault fault =
        self->spoil != NULL ? self->spoil(self, index, api_key) : SCRIPTED_WELL;
    if (fault == SCRIPTED_BREAK_BEFORE) {
        request->connection->is_open = false;
        socket_close(&request->connection->socket);
        return;
    }
    struct arena arena;
    arena_init(&arena, ARENA_BYTES);
    if (self->serve_more != NULL && self->serve_more(self, index, request, fault, &arena)) {
        arena_done(&arena);
        return;
    }
    if (api_key == API_KEY_METADATA) {
        serve_metadata(self, request, fault, &arena);
    } else if (api_key == API_KEY_INIT_PRODUCER_ID) {
        serve_identity(self, request, fault);
    } else if (api_key == API_KEY_PRODUCE) {
        serve_produce(self, request, fault, &arena);
        look_at_held(self);
    } else if (api_key == API_KEY_LIST_OFFSETS) {
        serve_list_offsets(self, index, request, fault, &arena);
    } else {
        check(api_key == API_KEY_FETCH);
        serve_fetch(self, request, fault);
    }
    arena_done(&arena);
}

/* ---- life ---- */

void scripted_log_start(struct scripted_log *self, struct loop *loop)
{
    *self = (struct scripted_log){.loop = loop,
                                  .has_topic = true,
                                  .next_producer_id = 4000,
                                  .ranges = ranges,
                                  .range_count = sizeof ranges / sizeof *ranges};
    list_init(&self->held);
    for (int32_t i = 0; i < SCRIPTED_LOG_PARTITIONS; i++) {
        self->partitions[i].leader = i % (int32_t)SCRIPTED_LOG_BROKERS;
        self->partitions[i].stable_end = -1;
    }
    for (uint32_t i = 0; i < SCRIPTED_LOG_BROKERS; i++) {
        self->is_down[i] = true;
        scripted_log_revive(self, i);
    }
}

void scripted_log_stop(struct scripted_log *self)
{
    for (uint32_t i = 0; i < SCRIPTED_LOG_BROKERS; i++) {
        if (!self->is_down[i]) {
            scripted_broker_stop(&self->brokers[i]);
        }
    }
    while (!list_is_empty(&self->held)) {
        held_free(container_of(self->held.next, struct held_fetch, in_log));
    }
    for (int32_t i = 0; i < SCRIPTED_LOG_PARTITIONS; i++) {
        free(self->partitions[i].bytes);
        self->partitions[i].bytes = NULL;
    }
}

void scripted_log_kill(struct scripted_log *self, uint32_t broker)
{
    self->is_down[broker] = true;
    scripted_broker_stop(&self->brokers[broker]);
    for (int32_t i = 0; i < SCRIPTED_LOG_PARTITIONS; i++) {
        struct scripted_partition *partition = &self->partitions[i];
        for (uint32_t j = 1; partition->leader == (int32_t)broker && j < SCRIPTED_LOG_BROKERS;
             j++) {
            uint32_t next = (broker + j) % SCRIPTED_LOG_BROKERS;
            if (!self->is_down[next]) {
                partition->leader = (int32_t)next;
                partition->leader_epoch += 1;
            }
        }
    }
}

void scripted_log_revive(struct scripted_log *self, uint32_t broker)
{
    check(self->is_down[broker]);
    self->is_down[broker] = false;
    uint32_t accepted_count = self->brokers[broker].connection_count;
    check(accepted_count == 0 || self->brokers[broker].listener == NULL);
    self->brokers[broker].ranges = self->ranges;
    self->brokers[broker].range_count = self->range_count;
    self->brokers[broker].txn_level = self->txn_level;
    self->brokers[broker].is_millrace = true;
    self->brokers[broker].handler = serve;
    self->brokers[broker].context = self;
    scripted_broker_start(&self->brokers[broker], self->loop,
                          (uint16_t)(SCRIPTED_LOG_PORT + broker));
}
