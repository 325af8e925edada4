#include "client/topic_calls.h"

#include "proto/kafka/api_key.h"
#include "proto/kafka/create_topics.h"
#include "proto/kafka/delete_records.h"
#include "proto/kafka/delete_topics.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/list_offsets.h"

#define CREATE_TIMEOUT_MS 15000
#define CUT_TIMEOUT_MS 5000
#define DELETE_VERSION_STATES 6

/* ---- CreateTopics ---- */

static void create_encode(struct admin_op *op, struct wire_writer *writer)
{
    const struct topic_calls_wanted *wanted = op->subject;
    struct kafka_create_topics_request request;
    kafka_create_topics_request_defaults(&request);
    struct kafka_create_topics_request_creatable_topic topic;
    kafka_create_topics_request_creatable_topic_defaults(&topic);
    topic.name = op->topic;
    topic.num_partitions = wanted->partition_count > 0 ? wanted->partition_count : -1;
    topic.replication_factor =
        wanted->replication_factor > 0 ? (int16_t)wanted->replication_factor : -1;
    topic.configs = arena_take_array(&op->ask.arena, wanted->setting_count, sizeof *topic.configs);
    if (topic.configs == NULL) {
        wire_writer_fail(writer, STATUS_NO_MEMORY);
        return;
    }
    for (uint32_t i = 0; i < wanted->setting_count; i++) {
        topic.configs[i].name = wanted->settings[i].name;
        topic.configs[i].value = wanted->settings[i].value;
    }
    topic.configs_count = (int32_t)wanted->setting_count;
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = CREATE_TIMEOUT_MS;
    request.validate_only = wanted->is_dry_run;
    kafka_create_topics_request_encode(&request, op->ask.version, writer);
}

static enum status create_take(struct admin_op *op)
{
    const struct topic_calls_wanted *wanted = op->subject;
    struct kafka_create_topics_response answer;
    TRY(kafka_create_topics_response_decode(&op->ask.call.reader, op->ask.version, &op->ask.arena,
                                            &answer));
    if (answer.topics_count != 1) {
        return STATUS_MALFORMED;
    }
    op->error_code = answer.topics[0].error_code;
    admin_core_say(op, answer.topics[0].error_message);
    bool is_ours = op->is_doubtful && !wanted->is_dry_run;
    if (op->error_code == ERROR_CODE_TOPIC_ALREADY_EXISTS && is_ours) {
        op->error_code = ERROR_CODE_NONE; /* An earlier try of ours, whose answer was lost. */
    }
    return STATUS_OK;
}

struct admin_op topic_calls_create(struct wire_text topic, struct topic_calls_wanted *wanted)
{
    return (struct admin_op){.api_key = API_KEY_CREATE_TOPICS,
                             .version_min = 4,
                             .version_max = 7,
                             .node = CLUSTER_CONTROLLER,
                             .topic = topic,
                             .subject = wanted,
                             .encode = create_encode,
                             .take = create_take};
}

/* ---- DeleteTopics ---- */

static void delete_encode(struct admin_op *op, struct wire_writer *writer)
{
    struct kafka_delete_topics_request request;
    kafka_delete_topics_request_defaults(&request);
    struct kafka_delete_topics_request_delete_topic_state state;
    kafka_delete_topics_request_delete_topic_state_defaults(&state);
    state.name = op->topic;
    if (op->ask.version >= DELETE_VERSION_STATES) {
        request.topics = &state;
        request.topics_count = 1;
    } else {
        request.topic_names = &op->topic;
        request.topic_names_count = 1;
    }
    request.timeout_ms = CREATE_TIMEOUT_MS;
    kafka_delete_topics_request_encode(&request, op->ask.version, writer);
}

static enum status delete_take(struct admin_op *op)
{
    struct kafka_delete_topics_response answer;
    TRY(kafka_delete_topics_response_decode(&op->ask.call.reader, op->ask.version, &op->ask.arena,
                                            &answer));
    if (answer.responses_count != 1) {
        return STATUS_MALFORMED;
    }
    op->error_code = answer.responses[0].error_code;
    admin_core_say(op, answer.responses[0].error_message);
    if (op->error_code == ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION) {
        /* Retriable by its number; but an earlier try has done it, or it was never there. */
        op->error_code = ERROR_CODE_NONE;
        return op->is_doubtful ? STATUS_OK : STATUS_NOT_FOUND;
    }
    return STATUS_OK;
}

struct admin_op topic_calls_delete(struct wire_text topic)
{
    return (struct admin_op){.api_key = API_KEY_DELETE_TOPICS,
                             .version_min = 1,
                             .version_max = DELETE_VERSION_STATES,
                             .node = CLUSTER_CONTROLLER,
                             .topic = topic,
                             .encode = delete_encode,
                             .take = delete_take};
}

/* ---- Metadata ---- */

static void look_encode(struct admin_op *op, struct wire_writer *writer)
{
    struct kafka_metadata_request request;
    kafka_metadata_request_defaults(&request);
    struct kafka_metadata_request_metadata_request_topic topic;
    kafka_metadata_request_metadata_request_topic_defaults(&topic);
    topic.name = op->topic;
    request.topics = &topic;
    request.topics_count = op->topic.bytes != NULL ? 1 : -1;
    request.allow_auto_topic_creation = false;
    kafka_metadata_request_encode(&request, op->ask.version, writer);
}

struct admin_op topic_calls_look(struct wire_text topic, enum status (*take)(struct admin_op *op))
{
    return (struct admin_op){.api_key = API_KEY_METADATA,
                             .version_min = 4, /* From it on a question may say: create nothing. */
                             .version_max = 12,
                             .node = CLUSTER_ANY,
                             .topic = topic,
                             .encode = look_encode,
                             .take = take};
}

enum status topic_calls_read(struct admin_op *op, struct kafka_metadata_response *answer)
{
    TRY(kafka_metadata_response_decode(&op->ask.call.reader, op->ask.version, &op->ask.arena,
                                       answer));
    op->error_code = answer->error_code;
    if (op->topic.bytes == NULL || op->error_code != ERROR_CODE_NONE) {
        return STATUS_OK;
    }
    if (answer->topics_count != 1) {
        return STATUS_MALFORMED;
    }
    op->error_code = answer->topics[0].error_code;
    return STATUS_OK;
}

bool topic_calls_has_leaders(const struct kafka_metadata_response_metadata_response_topic *topic)
{
    for (int32_t i = 0; i < topic->partitions_count; i++) {
        if (topic->partitions[i].leader_id < 0) {
            return false;
        }
    }
    return topic->partitions_count > 0;
}

/* ---- ListOffsets ---- */

static void offset_encode(struct admin_op *op, struct wire_writer *writer)
{
    const struct topic_calls_offset *wanted = op->subject;
    struct kafka_list_offsets_request request;
    kafka_list_offsets_request_defaults(&request);
    request.replica_id = -1;
    request.isolation_level = wanted->is_committed ? 1 : 0;
    struct kafka_list_offsets_request_list_offsets_partition partition;
    kafka_list_offsets_request_list_offsets_partition_defaults(&partition);
    partition.partition_index = op->partition;
    partition.timestamp = wanted->time;
    struct kafka_list_offsets_request_list_offsets_topic topic;
    kafka_list_offsets_request_list_offsets_topic_defaults(&topic);
    topic.name = op->topic;
    topic.partitions = &partition;
    topic.partitions_count = 1;
    request.topics = &topic;
    request.topics_count = 1;
    kafka_list_offsets_request_encode(&request, op->ask.version, writer);
}

static enum status offset_take(struct admin_op *op)
{
    struct topic_calls_offset *wanted = op->subject;
    struct kafka_list_offsets_response answer;
    TRY(kafka_list_offsets_response_decode(&op->ask.call.reader, op->ask.version, &op->ask.arena,
                                           &answer));
    if (answer.topics_count != 1 || answer.topics[0].partitions_count != 1) {
        return STATUS_MALFORMED;
    }
    op->error_code = answer.topics[0].partitions[0].error_code;
    if (op->error_code == ERROR_CODE_NONE) {
        wanted->offset = answer.topics[0].partitions[0].offset;
        wanted->timestamp_ms = answer.topics[0].partitions[0].timestamp;
    }
    return STATUS_OK;
}

struct admin_op topic_calls_offset(struct wire_text topic, int32_t partition,
                                   struct topic_calls_offset *wanted)
{
    return (struct admin_op){.api_key = API_KEY_LIST_OFFSETS,
                             .version_min = 2,
                             .version_max = 7,
                             .node = ADMIN_CORE_LEADER,
                             .topic = topic,
                             .partition = partition,
                             .subject = wanted,
                             .encode = offset_encode,
                             .take = offset_take};
}

/* ---- DeleteRecords ---- */

static void cut_encode(struct admin_op *op, struct wire_writer *writer)
{
    const struct topic_calls_cut *wanted = op->subject;
    struct kafka_delete_records_request request;
    kafka_delete_records_request_defaults(&request);
    struct kafka_delete_records_request_delete_records_partition partition;
    kafka_delete_records_request_delete_records_partition_defaults(&partition);
    partition.partition_index = op->partition;
    partition.offset = wanted->offset;
    struct kafka_delete_records_request_delete_records_topic topic;
    kafka_delete_records_request_delete_records_topic_defaults(&topic);
    topic.name = op->topic;
    topic.partitions = &partition;
    topic.partitions_count = 1;
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = CUT_TIMEOUT_MS;
    kafka_delete_records_request_encode(&request, op->ask.version, writer);
}

static enum status cut_take(struct admin_op *op)
{
    struct topic_calls_cut *wanted = op->subject;
    struct kafka_delete_records_response answer;
    TRY(kafka_delete_records_response_decode(&op->ask.call.reader, op->ask.version, &op->ask.arena,
                                             &answer));
    if (answer.topics_count != 1 || answer.topics[0].partitions_count != 1) {
        return STATUS_MALFORMED;
    }
    op->error_code = answer.topics[0].partitions[0].error_code;
    wanted->start = answer.topics[0].partitions[0].low_watermark;
    return STATUS_OK;
}

struct admin_op topic_calls_cut(struct wire_text topic, int32_t partition,
                                struct topic_calls_cut *wanted)
{
    return (struct admin_op){.api_key = API_KEY_DELETE_RECORDS,
                             .version_max = 2,
                             .node = ADMIN_CORE_LEADER,
                             .topic = topic,
                             .partition = partition,
                             .subject = wanted,
                             .encode = cut_encode,
                             .take = cut_take};
}
