#include "tests/rig/kafka_talk.h"

#include "proto/kafka/api_key.h"
#include "proto/kafka/create_topics.h"
#include "proto/kafka/delete_topics.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/list_offsets.h"
#include "proto/kafka/metadata.h"
#include "proto/record/batch_builder.h"
#include "proto/record/batch_iterator.h"
#include "proto/sys/check.h"

#include <string.h>

#define CONFIGS_MAX 16
#define BATCH_BYTES_MAX ((size_t)2 << 20)
#define TIMEOUT_MS 30000

static void must(bool is_answered)
{
    check(is_answered);
}

int16_t kafka_talk_create(struct wire_client *client, const char *topic, int32_t partition_count,
                          int16_t replication_factor, const struct kafka_talk_config *configs)
{
    struct kafka_create_topics_request_creatable_topic_config list[CONFIGS_MAX];
    struct kafka_create_topics_request_creatable_topic item;
    kafka_create_topics_request_creatable_topic_defaults(&item);
    item.name = wire_text_of(topic);
    item.num_partitions = partition_count;
    item.replication_factor = replication_factor;
    item.configs = list;
    for (; configs != NULL && configs->key != NULL; configs++) {
        check(item.configs_count < CONFIGS_MAX);
        list[item.configs_count].name = wire_text_of(configs->key);
        list[item.configs_count].value = wire_text_of(configs->value);
        item.configs_count += 1;
    }
    struct kafka_create_topics_request request;
    kafka_create_topics_request_defaults(&request);
    request.topics = &item;
    request.topics_count = 1;
    request.timeout_ms = TIMEOUT_MS;
    struct kafka_create_topics_response answer;
    must(wire_client_call(client, API_KEY_CREATE_TOPICS, 7, &request, &answer));
    check(answer.topics_count == 1);
    broker_world_run_ms(client->owner, 200); /* Until all shards have the image. */
    return answer.topics[0].error_code;
}

int16_t kafka_talk_delete(struct wire_client *client, const char *topic)
{
    struct kafka_delete_topics_request_delete_topic_state item;
    kafka_delete_topics_request_delete_topic_state_defaults(&item);
    item.name = wire_text_of(topic);
    struct kafka_delete_topics_request request;
    kafka_delete_topics_request_defaults(&request);
    request.topics = &item;
    request.topics_count = 1;
    request.timeout_ms = TIMEOUT_MS;
    struct kafka_delete_topics_response answer;
    must(wire_client_call(client, API_KEY_DELETE_TOPICS, 6, &request, &answer));
    check(answer.responses_count == 1);
    return answer.responses[0].error_code;
}

struct wire_uuid kafka_talk_topic_id(struct wire_client *client, const char *topic)
{
    struct kafka_metadata_request_metadata_request_topic named;
    kafka_metadata_request_metadata_request_topic_defaults(&named);
    named.name = wire_text_of(topic);
    struct kafka_metadata_request request = {.topics = &named, .topics_count = 1};
    struct kafka_metadata_response answer;
    must(wire_client_call(client, API_KEY_METADATA, 12, &request, &answer));
    check(answer.topics_count == 1 && answer.topics[0].error_code == ERROR_CODE_NONE);
    return answer.topics[0].topic_id;
}

uint8_t *kafka_talk_batch(struct wire_client *client, const struct kafka_talk_batch *options,
                          size_t *out_byte_count)
{
    const char *value = options->value == NULL ? "value" : options->value;
    int32_t count = options->record_count == 0 ? 1 : options->record_count;
    /* Records of long ago would be deleted by retention. */
    const struct sim_world *world = client->owner->world;
    int64_t now_ms = world->wall_start_ms + world->now_ns / SIM_MS;
    int64_t timestamp_ms = options->timestamp_ms == 0 ? now_ms : options->timestamp_ms;
    struct batch_builder builder;
    batch_builder_init(&builder, NULL, BATCH_BYTES_MAX);
    for (int32_t i = 0; i < count; i++) {
        struct batch_builder_record record = {
            .timestamp_ms = timestamp_ms,
            .key = {.byte_count = -1},
            .value = {.bytes = (const uint8_t *)value, .byte_count = (int32_t)strlen(value)}};
        enum status appended = batch_builder_append(&builder, &record);
        check(appended == STATUS_OK);
    }
    struct batch_builder_finish finish = BATCH_BUILDER_FINISH_PLAIN;
    finish.codec = options->codec;
    finish.is_transactional = options->is_transactional;
    if (options->producer_id > 0 || options->is_transactional) {
        finish.producer_id = options->producer_id;
        finish.producer_epoch = options->producer_epoch;
        finish.base_sequence = options->base_sequence;
    }
    struct compressor compressor;
    compressor_init(&compressor);
    struct batch_view batch;
    enum status status = batch_builder_finish(&builder, &finish, &compressor, &batch);
    check(status == STATUS_OK);
    uint8_t *copy = arena_take(&client->arena, batch.byte_count);
    check(copy != NULL);
    memcpy(copy, batch.bytes, batch.byte_count);
    *out_byte_count = batch.byte_count;
    compressor_done(&compressor);
    batch_builder_done(&builder);
    return copy;
}

static int16_t version_of(const struct kafka_talk_produce *produce)
{
    return produce->version == 0 ? KAFKA_TALK_PRODUCE_VERSION : produce->version;
}

void kafka_talk_ask_produce(struct wire_client *client, const struct kafka_talk_produce *produce)
{
    struct kafka_produce_request_partition_produce_data data = {
        .index = produce->partition,
        .records = {.slice_count = 1,
                    .single = {produce->bytes, produce->byte_count},
                    .byte_count = (int32_t)produce->byte_count}};
    if (produce->has_null_records) {
        data.records = (struct wire_records){.byte_count = -1};
    }
    struct kafka_produce_request_topic_produce_data topic = {
        .name = wire_text_of(produce->topic), .partition_data = &data, .partition_data_count = 1};
    struct kafka_produce_request request;
    kafka_produce_request_defaults(&request);
    request.transactional_id = wire_text_of(produce->transactional_id);
    request.acks = produce->acks;
    request.timeout_ms = produce->timeout_ms == 0 ? TIMEOUT_MS : produce->timeout_ms;
    request.topic_data = &topic;
    request.topic_data_count = 1;
    wire_client_ask(client, API_KEY_PRODUCE, version_of(produce), &request);
}

struct kafka_produce_response_partition_produce_response
kafka_talk_produce(struct wire_client *client, const struct kafka_talk_produce *produce)
{
    kafka_talk_ask_produce(client, produce);
    struct kafka_produce_response answer;
    must(wire_client_answer(client, API_KEY_PRODUCE, version_of(produce), client->correlation_id,
                            &answer));
    check(answer.responses_count == 1);
    check(answer.responses[0].partition_responses_count == 1);
    return answer.responses[0].partition_responses[0];
}

int64_t kafka_talk_put(struct wire_client *client, const char *topic, int32_t partition,
                       const char *value)
{
    struct kafka_talk_produce produce = {.topic = topic, .partition = partition, .acks = -1};
    struct kafka_talk_batch batch = {.value = value};
    produce.bytes = kafka_talk_batch(client, &batch, &produce.byte_count);
    struct kafka_produce_response_partition_produce_response answer =
        kafka_talk_produce(client, &produce);
    return answer.error_code == 0 ? answer.base_offset : -answer.error_code;
}

void kafka_talk_ask_fetch(struct wire_client *client, const struct kafka_talk_fetch *fetches,
                          int32_t count)
{
    struct kafka_fetch_request request;
    kafka_fetch_request_defaults(&request);
    struct kafka_fetch_request_fetch_topic *topics =
        arena_take_array(&client->arena, (size_t)count, sizeof *topics);
    struct kafka_fetch_request_fetch_partition *partitions =
        arena_take_array(&client->arena, (size_t)count, sizeof *partitions);
    check(topics != NULL && partitions != NULL);
    for (int32_t i = 0; i < count; i++) {
        const struct kafka_talk_fetch *fetch = &fetches[i];
        kafka_fetch_request_fetch_partition_defaults(&partitions[i]);
        partitions[i].partition = fetch->partition;
        partitions[i].fetch_offset = fetch->offset;
        partitions[i].current_leader_epoch = fetch->leader_epoch == 0 ? -1 : fetch->leader_epoch;
        partitions[i].partition_max_bytes =
            fetch->partition_bytes == 0 ? 1 << 20 : fetch->partition_bytes;
        topics[i].topic = wire_text_of(fetch->topic);
        topics[i].partitions = &partitions[i];
        topics[i].partitions_count = 1;
    }
    request.max_wait_ms = fetches[0].max_wait_ms;
    request.min_bytes = fetches[0].min_bytes;
    request.max_bytes = fetches[0].max_bytes == 0 ? 50 << 20 : fetches[0].max_bytes;
    request.isolation_level = fetches[0].isolation;
    request.topics = topics;
    request.topics_count = count;
    wire_client_ask(client, API_KEY_FETCH, KAFKA_TALK_FETCH_VERSION, &request);
}

const struct kafka_fetch_response_partition_data *
kafka_talk_fetched(const struct kafka_fetch_response *answer, int32_t index)
{
    check(index < answer->responses_count);
    check(answer->responses[index].partitions_count == 1);
    return &answer->responses[index].partitions[0];
}

struct kafka_fetch_response kafka_talk_fetch(struct wire_client *client,
                                             const struct kafka_talk_fetch *fetch)
{
    kafka_talk_ask_fetch(client, fetch, 1);
    struct kafka_fetch_response answer;
    must(wire_client_answer(client, API_KEY_FETCH, KAFKA_TALK_FETCH_VERSION, client->correlation_id,
                            &answer));
    return answer;
}

int32_t kafka_talk_count(const struct kafka_fetch_response_partition_data *data, char out_last[64])
{
    int32_t count = 0;
    out_last[0] = '\0';
    if (data->records.byte_count <= 0) {
        return 0;
    }
    struct batch_iterator batches;
    batch_iterator_init(&batches, data->records.single.base, data->records.single.byte_count);
    struct batch_view batch;
    while (batch_iterator_next(&batches, &batch) == STATUS_OK) {
        check(batch_has_right_checksum(&batch));
        count += batch_record_count(&batch);
        struct record_iterator records;
        if (batch_codec(&batch) != COMPRESSION_NONE) {
            continue;
        }
        enum status status = record_iterator_init(&records, &batch, NULL, NULL);
        check(status == STATUS_OK);
        struct record record;
        while (record_iterator_next(&records, &record) == STATUS_OK) {
            snprintf(out_last, 64, "%.*s", record.value.byte_count,
                     (const char *)record.value.bytes);
        }
    }
    return count;
}

int64_t kafka_talk_offset(struct wire_client *client, const char *topic, int32_t partition,
                          int64_t timestamp_ms)
{
    struct kafka_list_offsets_request_list_offsets_partition item;
    kafka_list_offsets_request_list_offsets_partition_defaults(&item);
    item.partition_index = partition;
    item.timestamp = timestamp_ms;
    struct kafka_list_offsets_request_list_offsets_topic named = {
        .name = wire_text_of(topic), .partitions = &item, .partitions_count = 1};
    struct kafka_list_offsets_request request;
    kafka_list_offsets_request_defaults(&request);
    request.replica_id = -1;
    request.topics = &named;
    request.topics_count = 1;
    struct kafka_list_offsets_response answer;
    must(wire_client_call(client, API_KEY_LIST_OFFSETS, 7, &request, &answer));
    const struct kafka_list_offsets_response_list_offsets_partition_response *out =
        &answer.topics[0].partitions[0];
    return out->error_code == 0 ? out->offset : -out->error_code;
}
