#include "tests/sim/cluster_client.h"

#include "proto/kafka/api_key.h"
#include "proto/kafka/create_topics.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/fetch.h"
#include "proto/kafka/init_producer_id.h"
#include "proto/kafka/produce.h"
#include "proto/record/batch_builder.h"
#include "proto/record/batch_iterator.h"
#include "proto/record/control_record.h"
#include "proto/sys/check.h"

#include <stdio.h>
#include <string.h>

#define ARENA_BYTES ((size_t)64 << 20)
#define RECORD_BYTES_MAX 600U
#define CREATE_VERSION 5
#define INIT_VERSION 4
#define PRODUCE_VERSION 9
#define FETCH_VERSION 12
#define CALL_TIMEOUT_MS 4000
#define RETRY_NS_MAX (60 * SIM_MS)
#define FETCH_WAIT_MS 100
#define REPLICA_READS 32U
#define ABORTED_MAX 1024U

static void act(struct cluster_actor *self);

static void act_on_timer(struct timer *timer)
{
    act(container_of(timer, struct cluster_actor, timer));
}

static void act_later(struct cluster_actor *self, int64_t delay_ns_max)
{
    struct prng *prng = &self->client->loop->prng;
    timer_start_after(&self->timer, sim_world_between(prng, 1, delay_ns_max));
}

static void try_another(struct cluster_actor *self)
{
    self->target = (uint32_t)prng_below(&self->client->loop->prng, CLUSTER_CLIENT_BROKERS);
    act_later(self, RETRY_NS_MAX);
}

/* ---- links ---- */

static void link_on_closed(struct link *link, void *context, enum status why)
{
    struct cluster_client *self = context;
    (void)why;
    for (uint32_t i = 0; i < CLUSTER_ACTOR_KINDS * CLUSTER_CLIENT_BROKERS; i++) {
        struct link **known = &self->links[i / CLUSTER_CLIENT_BROKERS][i % CLUSTER_CLIENT_BROKERS];
        *known = *known == link ? NULL : *known;
    }
}

static struct link *link_of(struct cluster_client *self, enum cluster_actor_kind kind,
                            uint32_t target)
{
    struct link **link = &self->links[kind][target];
    if (*link == NULL) {
        struct link_options options = {.loop = self->loop,
                                       .address = {.port = CLUSTER_CLIENT_PORT},
                                       .client_id = "workload",
                                       .on_closed = link_on_closed,
                                       .context = self};
        snprintf(options.address.host, sizeof options.address.host, "node-%u", target + 1);
        if (link_open(&options, link) != STATUS_OK) {
            *link = NULL;
        }
    }
    return *link;
}

static void send(struct cluster_actor *self, int16_t api_key, int16_t version,
                 struct wire_writer *writer,
                 void (*on_done)(struct link_call *call, enum status status))
{
    size_t byte_count = 0;
    const uint8_t *bytes = wire_writer_flatten(writer, &byte_count);
    check(bytes != NULL);
    self->body = (struct wire_slice){bytes, byte_count};
    self->call = (struct link_call){.api_key = api_key,
                                    .api_version = version,
                                    .body = &self->body,
                                    .body_count = 1,
                                    .timeout_ms = CALL_TIMEOUT_MS,
                                    .on_done = on_done};
    struct link *link = link_of(self->client, self->kind, self->target);
    if (link == NULL || link_send(link, &self->call) != STATUS_OK) {
        try_another(self);
        return;
    }
    self->is_asking = true;
}

static struct cluster_actor *actor_of(struct link_call *call)
{
    struct cluster_actor *self = container_of(call, struct cluster_actor, call);
    check(self->is_asking);
    self->is_asking = false;
    return self;
}

static void malformed(struct cluster_actor *self, const char *what)
{
    sim_world_fail(self->client->world, "partition %d: %s cannot be decoded", self->partition,
                   what);
}

/* ---- the topic ---- */

static void create_on_done(struct link_call *call, enum status status)
{
    struct cluster_actor *self = actor_of(call);
    struct kafka_create_topics_response answer;
    int16_t code = -1;
    if (status == STATUS_OK) {
        if (kafka_create_topics_response_decode(&call->reader, CREATE_VERSION, &self->arena,
                                                &answer) != STATUS_OK) {
            malformed(self, "CreateTopics");
            return;
        }
        code = answer.topics[0].error_code;
    }
    link_call_done(call);
    if (code == ERROR_CODE_NONE || code == ERROR_CODE_TOPIC_ALREADY_EXISTS) {
        self->made_count += 1;
        if (self->made_count == (self->client->txn_partition_count > 0 ? 2 : 1)) {
            self->client->has_topic = true;
            return;
        }
    }
    try_another(self);
}

static void create(struct cluster_actor *self, struct wire_writer *writer)
{
    struct kafka_create_topics_request_creatable_topic_config config = {
        .name = wire_text_of("retention.ms"), .value = wire_text_of("-1")};
    struct kafka_create_topics_request_creatable_topic topic;
    kafka_create_topics_request_creatable_topic_defaults(&topic);
    bool is_first = self->made_count == 0;
    topic.name = wire_text_of(is_first ? CLUSTER_CLIENT_TOPIC : TXN_ACTOR_TOPIC);
    topic.num_partitions =
        is_first ? self->client->partition_count : self->client->txn_partition_count;
    topic.replication_factor = CLUSTER_CLIENT_BROKERS;
    topic.configs = &config;
    topic.configs_count = 1;
    struct kafka_create_topics_request request;
    kafka_create_topics_request_defaults(&request);
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = 2000;
    kafka_create_topics_request_encode(&request, CREATE_VERSION, writer);
    send(self, API_KEY_CREATE_TOPICS, CREATE_VERSION, writer, create_on_done);
}

/* ---- producing ---- */

static void init_on_done(struct link_call *call, enum status status)
{
    struct cluster_actor *self = actor_of(call);
    struct kafka_init_producer_id_response answer = {.error_code = -1};
    if (status == STATUS_OK &&
        kafka_init_producer_id_response_decode(&call->reader, INIT_VERSION, &self->arena,
                                               &answer) != STATUS_OK) {
        malformed(self, "InitProducerId");
        return;
    }
    link_call_done(call);
    if (answer.error_code == ERROR_CODE_NONE) {
        self->producer_id = answer.producer_id;
        self->sequence = 0;
        act_later(self, 1);
    } else {
        try_another(self);
    }
}

static void init(struct cluster_actor *self, struct wire_writer *writer)
{
    struct kafka_init_producer_id_request request;
    kafka_init_producer_id_request_defaults(&request);
    request.transactional_id = wire_text_of(NULL);
    kafka_init_producer_id_request_encode(&request, INIT_VERSION, writer);
    send(self, API_KEY_INIT_PRODUCER_ID, INIT_VERSION, writer, init_on_done);
}

static void take_produced(struct cluster_actor *self,
                          const struct kafka_produce_response_partition_produce_response *answer)
{
    switch (answer->error_code) {
    case ERROR_CODE_NONE:
        sim_checker_end(self->client->checker, self->value, SIM_OUTCOME_OK, answer->base_offset);
        log_match_acknowledge(self->client->match, CLUSTER_CLIENT_TOPIC, self->partition,
                              answer->base_offset + 1);
        self->value = 0;
        self->sequence += 1;
        self->acknowledged_count += 1;
        act_later(self, self->client->pace_ns_max);
        return;
    case ERROR_CODE_NOT_LEADER_OR_FOLLOWER:
    case ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION:
    case ERROR_CODE_KAFKA_STORAGE_ERROR:
        try_another(self);
        return;
    case ERROR_CODE_NOT_ENOUGH_REPLICAS:
    case ERROR_CODE_NOT_ENOUGH_REPLICAS_AFTER_APPEND:
    case ERROR_CODE_REQUEST_TIMED_OUT:
        act_later(self, RETRY_NS_MAX);
        return;
    default:
        sim_world_fail(self->client->world, "partition %d: record %d of producer %lld: code %d",
                       self->partition, self->sequence, (long long)self->producer_id,
                       answer->error_code);
    }
}

static void produce_on_done(struct link_call *call, enum status status)
{
    struct cluster_actor *self = actor_of(call);
    if (status != STATUS_OK) {
        link_call_done(call);
        try_another(self);
        return;
    }
    struct kafka_produce_response answer;
    if (kafka_produce_response_decode(&call->reader, PRODUCE_VERSION, &self->arena, &answer) !=
        STATUS_OK) {
        malformed(self, "Produce");
        return;
    }
    take_produced(self, &answer.responses[0].partition_responses[0]);
    link_call_done(call);
}

static size_t build_batch(struct cluster_actor *self, uint8_t *bytes, size_t room)
{
    uint8_t value[RECORD_BYTES_MAX] = {0};
    memcpy(value, &self->value, sizeof self->value);
    struct batch_builder builder;
    batch_builder_init_over(&builder, bytes, room);
    /* Equal content at every try: the length comes from the value. */
    int32_t byte_count = (int32_t)(8 + self->value * 7919 % (RECORD_BYTES_MAX - 8));
    struct batch_builder_record record = {.timestamp_ms = 1000000000000,
                                          .key = {.byte_count = -1},
                                          .value = {.bytes = value, .byte_count = byte_count}};
    check(batch_builder_append(&builder, &record) == STATUS_OK);
    struct batch_builder_finish finish = BATCH_BUILDER_FINISH_PLAIN;
    finish.producer_id = self->producer_id;
    finish.producer_epoch = 0;
    finish.base_sequence = self->sequence;
    struct batch_view batch;
    check(batch_builder_finish(&builder, &finish, NULL, &batch) == STATUS_OK);
    return batch.byte_count;
}

static void produce(struct cluster_actor *self, struct wire_writer *writer)
{
    if (self->producer_id < 0) {
        init(self, writer);
        return;
    }
    if (self->value == 0) {
        if (self->client->is_resting) {
            return;
        }
        self->value = sim_checker_begin(self->client->checker, (uint32_t)self->partition,
                                        (uint32_t)self->partition);
    }
    uint8_t *bytes = arena_take(&self->arena, 2 * RECORD_BYTES_MAX);
    check(bytes != NULL);
    size_t byte_count = build_batch(self, bytes, 2 * (size_t)RECORD_BYTES_MAX);
    struct kafka_produce_request_partition_produce_data data = {
        .index = self->partition,
        .records = {
            .slice_count = 1, .single = {bytes, byte_count}, .byte_count = (int32_t)byte_count}};
    struct kafka_produce_request_topic_produce_data topic = {.name =
                                                                 wire_text_of(CLUSTER_CLIENT_TOPIC),
                                                             .partition_data = &data,
                                                             .partition_data_count = 1};
    struct kafka_produce_request request;
    kafka_produce_request_defaults(&request);
    request.transactional_id = wire_text_of(NULL);
    request.acks = -1;
    request.timeout_ms = 1500;
    request.topic_data = &topic;
    request.topic_data_count = 1;
    kafka_produce_request_encode(&request, PRODUCE_VERSION, writer);
    send(self, API_KEY_PRODUCE, PRODUCE_VERSION, writer, produce_on_done);
}

/* ---- consuming ---- */

static void see_batch(struct cluster_actor *self, const struct batch_view *batch)
{
    struct record_iterator records;
    struct record record;
    if (!batch_has_right_checksum(batch) ||
        record_iterator_init(&records, batch, NULL, NULL) != STATUS_OK) {
        sim_world_fail(self->client->world, "partition %d: a damaged batch was served",
                       self->partition);
        return;
    }
    while (record_iterator_next(&records, &record) == STATUS_OK) {
        uint64_t value = 0;
        check(record.value.byte_count >= (int32_t)sizeof value);
        memcpy(&value, record.value.bytes, sizeof value);
        if (record.offset >= self->offset) {
            if (record.offset != self->offset) {
                sim_world_fail(self->client->world, "partition %d: offset %lld came after %lld",
                               self->partition, (long long)record.offset,
                               (long long)self->offset - 1);
                return;
            }
            sim_checker_see(self->client->checker, (uint32_t)self->partition, record.offset, value);
            self->offset = record.offset + 1;
        }
    }
    self->end_seen = self->offset > self->end_seen ? self->offset : self->end_seen;
}

/* Producers whose transaction was aborted from this offset on, up to its marker. */
struct aborted {
    const struct kafka_fetch_response_aborted_transaction *rows;
    bool is_over[ABORTED_MAX];
    int32_t count;
};

static bool is_aborted(struct aborted *self, const struct batch_view *batch)
{
    for (int32_t i = 0; i < self->count; i++) {
        if (!self->is_over[i] && self->rows[i].producer_id == batch_producer_id(batch) &&
            self->rows[i].first_offset <= batch_base_offset(batch)) {
            return true;
        }
    }
    return false;
}

static void pass_marker(struct aborted *self, const struct batch_view *batch)
{
    struct control_record control;
    if (control_record_of_batch(batch, &control) != STATUS_OK ||
        control.type != CONTROL_RECORD_ABORT) {
        return;
    }
    for (int32_t i = 0; i < self->count; i++) {
        if (self->rows[i].producer_id == batch_producer_id(batch) &&
            self->rows[i].first_offset <= batch_base_offset(batch)) {
            self->is_over[i] = true;
        }
    }
}

static void read_batch(struct cluster_actor *self, const struct batch_view *batch)
{
    struct record_iterator records;
    struct record record;
    if (!batch_has_right_checksum(batch) ||
        record_iterator_init(&records, batch, NULL, NULL) != STATUS_OK) {
        sim_world_fail(self->client->world, "reader %d: a damaged batch was served",
                       self->partition);
        return;
    }
    while (record_iterator_next(&records, &record) == STATUS_OK) {
        uint64_t value = 0;
        check(record.value.byte_count >= (int32_t)sizeof value);
        memcpy(&value, record.value.bytes, sizeof value);
        if (record.offset >= self->offset) {
            txn_history_see(self->client->history, self->partition, record.offset, value);
        }
    }
}

/* Any replica may answer a consumer; leaving each now and then lets all of them. */
static void read_on(struct cluster_actor *self)
{
    struct prng *prng = &self->client->loop->prng;
    if (prng_below(prng, REPLICA_READS) == 0) {
        self->target = (uint32_t)prng_below(prng, CLUSTER_CLIENT_BROKERS);
    }
    act_later(self, self->client->pace_ns_max);
}

static void take_committed(struct cluster_actor *self,
                           const struct kafka_fetch_response_partition_data *answer)
{
    struct aborted aborted = {.rows = answer->aborted_transactions,
                              .count = answer->aborted_transactions_count};
    check(aborted.count <= (int32_t)ABORTED_MAX);
    struct batch_iterator batches;
    struct batch_view batch;
    size_t byte_count = answer->records.byte_count > 0 ? (size_t)answer->records.byte_count : 0;
    batch_iterator_init(&batches, answer->records.single.base, byte_count);
    while (byte_count > 0 && batch_iterator_next(&batches, &batch) == STATUS_OK) {
        log_match_read(self->client->match, TXN_ACTOR_TOPIC, self->partition, &batch);
        if (batch_next_offset(&batch) > answer->last_stable_offset) {
            sim_world_fail(self->client->world, "reader %d: got %lld above the stable offset %lld",
                           self->partition, (long long)batch_base_offset(&batch),
                           (long long)answer->last_stable_offset);
            return;
        }
        if (batch_is_control(&batch)) {
            pass_marker(&aborted, &batch);
        } else if (!is_aborted(&aborted, &batch)) {
            read_batch(self, &batch);
        }
        self->offset = batch_next_offset(&batch);
    }
    self->high_watermark = answer->high_watermark;
    self->stable_offset = answer->last_stable_offset;
    read_on(self);
}

static void take_fetched(struct cluster_actor *self,
                         const struct kafka_fetch_response_partition_data *answer)
{
    if (answer->error_code != ERROR_CODE_NONE) {
        /* Out of range is a leader that has less than was read, or an old one that says so: the
         * first cannot be, the second ends when the cluster is whole. */
        try_another(self);
        return;
    }
    if (self->asked_offset != self->offset) {
        act_later(self, 1); /* Told to begin again meanwhile. */
        return;
    }
    if (self->kind == CLUSTER_ACTOR_READER) {
        take_committed(self, answer);
        return;
    }
    struct batch_iterator batches;
    struct batch_view batch;
    size_t byte_count = answer->records.byte_count > 0 ? (size_t)answer->records.byte_count : 0;
    batch_iterator_init(&batches, answer->records.single.base, byte_count);
    while (byte_count > 0 && batch_iterator_next(&batches, &batch) == STATUS_OK) {
        log_match_read(self->client->match, CLUSTER_CLIENT_TOPIC, self->partition, &batch);
        see_batch(self, &batch);
    }
    if (self->offset > answer->high_watermark && byte_count > 0) {
        sim_world_fail(self->client->world, "partition %d: read to %lld above the mark %lld",
                       self->partition, (long long)self->offset, (long long)answer->high_watermark);
    }
    read_on(self);
}

static void fetch_on_done(struct link_call *call, enum status status)
{
    struct cluster_actor *self = actor_of(call);
    struct kafka_fetch_response answer;
    if (status != STATUS_OK) {
        link_call_done(call);
        try_another(self);
        return;
    }
    if (kafka_fetch_response_decode(&call->reader, FETCH_VERSION, &self->arena, &answer) !=
        STATUS_OK) {
        malformed(self, "Fetch");
        return;
    }
    if (answer.error_code != ERROR_CODE_NONE) {
        try_another(self);
    } else {
        take_fetched(self, &answer.responses[0].partitions[0]);
    }
    link_call_done(call);
}

static void consume(struct cluster_actor *self, struct wire_writer *writer)
{
    struct kafka_fetch_request_fetch_partition partition;
    kafka_fetch_request_fetch_partition_defaults(&partition);
    partition.partition = self->partition;
    partition.fetch_offset = self->offset;
    self->asked_offset = self->offset;
    partition.partition_max_bytes = 16 << 10;
    bool is_reader = self->kind == CLUSTER_ACTOR_READER;
    struct kafka_fetch_request_fetch_topic topic = {
        .topic = wire_text_of(is_reader ? TXN_ACTOR_TOPIC : CLUSTER_CLIENT_TOPIC),
        .partitions = &partition,
        .partitions_count = 1};
    struct kafka_fetch_request request;
    kafka_fetch_request_defaults(&request);
    request.isolation_level = is_reader ? 1 : 0;
    request.max_wait_ms = FETCH_WAIT_MS;
    request.min_bytes = 1;
    request.topics = &topic;
    request.topics_count = 1;
    kafka_fetch_request_encode(&request, FETCH_VERSION, writer);
    send(self, API_KEY_FETCH, FETCH_VERSION, writer, fetch_on_done);
}

/* ---- actors ---- */

static void act(struct cluster_actor *self)
{
    check(!self->is_asking);
    arena_reset(&self->arena);
    struct wire_writer writer;
    wire_writer_init(&writer, &self->arena);
    if (self->kind == CLUSTER_ACTOR_MAKER) {
        create(self, &writer);
    } else if (!self->client->has_topic) {
        act_later(self, RETRY_NS_MAX);
    } else if (self->kind == CLUSTER_ACTOR_PRODUCER) {
        produce(self, &writer);
    } else {
        consume(self, &writer);
    }
}

static void start(struct cluster_client *client, struct cluster_actor *self,
                  enum cluster_actor_kind kind, int32_t partition)
{
    *self = (struct cluster_actor){
        .client = client, .kind = kind, .partition = partition, .producer_id = -1};
    arena_init(&self->arena, ARENA_BYTES);
    timer_init(&self->timer, &client->loop->timers, act_on_timer);
    try_another(self);
}

void cluster_client_start(struct cluster_client *self, struct loop *loop)
{
    self->loop = loop;
    start(self, &self->maker, CLUSTER_ACTOR_MAKER, -1);
    for (int32_t i = 0; i < self->partition_count; i++) {
        start(self, &self->producers[i], CLUSTER_ACTOR_PRODUCER, i);
        start(self, &self->consumers[i], CLUSTER_ACTOR_CONSUMER, i);
    }
    for (int32_t i = 0; i < self->txn_partition_count; i++) {
        start(self, &self->readers[i], CLUSTER_ACTOR_READER, i);
    }
}

bool cluster_client_is_settled(const struct cluster_client *self)
{
    for (int32_t i = 0; i < self->partition_count; i++) {
        if (self->producers[i].value != 0 || self->producers[i].is_asking) {
            return false;
        }
    }
    return self->is_resting && self->has_topic;
}

void cluster_client_read_again(struct cluster_client *self)
{
    for (int32_t i = 0; i < self->partition_count; i++) {
        self->consumers[i].offset = 0;
    }
    for (int32_t i = 0; i < self->txn_partition_count; i++) {
        self->readers[i].offset = 0;
        self->readers[i].high_watermark = -1;
        txn_history_begin_read(self->history, i);
    }
}

bool cluster_client_has_read_all(const struct cluster_client *self)
{
    for (int32_t i = 0; i < self->partition_count; i++) {
        const struct cluster_actor *consumer = &self->consumers[i];
        if (consumer->offset < consumer->end_seen ||
            consumer->offset < self->producers[i].acknowledged_count) {
            return false;
        }
    }
    for (int32_t i = 0; i < self->txn_partition_count; i++) {
        const struct cluster_actor *reader = &self->readers[i];
        if (reader->offset != reader->high_watermark || reader->offset < self->history->ends[i]) {
            return false;
        }
    }
    return true;
}
