/* Offsets of partitions, and deleting what is before one. */
#include "client/millrace/admin_wait.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/delete_records.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/list_offsets.h"

#include <stdlib.h>

#define TIME_LATEST (-1)
#define TIME_EARLIEST (-2)
#define BROKER_TIMEOUT_MS 15000
#define TOPIC_BYTES_MAX 249U

struct offset_call {
    struct admin_wait admin;
    struct millrace_offset_query *query;
    enum millrace_isolation isolation;
};

static int64_t time_of(const struct millrace_start *start)
{
    if (start->kind == MILLRACE_START_EARLIEST) {
        return TIME_EARLIEST;
    }
    if (start->kind == MILLRACE_START_TIME) {
        return start->value < 0 ? 0 : start->value;
    }
    return TIME_LATEST;
}

static void offsets_encode(struct admin_op *op, struct wire_writer *writer)
{
    struct offset_call *self = container_of(op, struct offset_call, admin.op);
    struct kafka_list_offsets_request request;
    kafka_list_offsets_request_defaults(&request);
    request.replica_id = -1;
    request.isolation_level = self->isolation == MILLRACE_READ_COMMITTED ? 1 : 0;
    struct kafka_list_offsets_request_list_offsets_partition partition;
    kafka_list_offsets_request_list_offsets_partition_defaults(&partition);
    partition.partition_index = op->partition;
    partition.timestamp = time_of(&self->query->start);
    struct kafka_list_offsets_request_list_offsets_topic topic;
    kafka_list_offsets_request_list_offsets_topic_defaults(&topic);
    topic.name = op->topic;
    topic.partitions = &partition;
    topic.partitions_count = 1;
    request.topics = &topic;
    request.topics_count = 1;
    kafka_list_offsets_request_encode(&request, op->ask.version, writer);
}

static enum status offsets_take(struct admin_op *op)
{
    struct offset_call *self = container_of(op, struct offset_call, admin.op);
    struct kafka_list_offsets_response answer;
    TRY(kafka_list_offsets_response_decode(&op->ask.call.reader, op->ask.version, &op->ask.arena,
                                           &answer));
    if (answer.topics_count != 1 || answer.topics[0].partitions_count != 1) {
        return STATUS_MALFORMED;
    }
    op->error_code = answer.topics[0].partitions[0].error_code;
    if (op->error_code == ERROR_CODE_NONE) {
        self->query->offset = answer.topics[0].partitions[0].offset;
        self->query->timestamp_ms = answer.topics[0].partitions[0].timestamp;
    }
    return STATUS_OK;
}

int millrace_offsets_list(struct millrace_client *client, struct millrace_offset_query *queries,
                          size_t query_count, enum millrace_isolation isolation, int64_t timeout_ms,
                          struct millrace_error *error)
{
    int64_t until_ns = session_until_ns(timeout_ms);
    int first_code = trouble_none(error);
    for (size_t i = 0; i < query_count; i++) {
        struct millrace_offset_query *query = &queries[i];
        query->offset = -1;
        query->timestamp_ms = -1;
        struct millrace_error found;
        if (query->topic.data == NULL || query->topic.size == 0 ||
            query->topic.size > TOPIC_BYTES_MAX || query->partition < 0) {
            query->code = trouble_argument(&found, "a query names no topic or partition",
                                           "see struct millrace_offset_query");
        } else {
            char what[320];
            (void)snprintf(what, sizeof what, "cannot ask for an offset of %.*s, partition %d",
                           (int)query->topic.size, (const char *)query->topic.data,
                           query->partition);
            struct offset_call call = {
                .admin = {.op = {.api_key = API_KEY_LIST_OFFSETS,
                                 .version_min = 2,
                                 .version_max = 7,
                                 .node = ADMIN_CORE_LEADER,
                                 .topic = {query->topic.data, (int32_t)query->topic.size},
                                 .partition = query->partition,
                                 .encode = offsets_encode,
                                 .take = offsets_take}},
                .query = query,
                .isolation = isolation};
            query->code = admin_wait_run(client, &call.admin, until_ns, what, &found);
        }
        if (query->code != MILLRACE_OK && first_code == MILLRACE_OK) {
            first_code = query->code;
            if (error != NULL) {
                *error = found;
            }
        }
    }
    return first_code;
}

struct delete_call {
    struct admin_wait admin;
    int64_t offset;
    int64_t start;
};

static void delete_encode(struct admin_op *op, struct wire_writer *writer)
{
    struct delete_call *self = container_of(op, struct delete_call, admin.op);
    struct kafka_delete_records_request request;
    kafka_delete_records_request_defaults(&request);
    struct kafka_delete_records_request_delete_records_partition partition;
    kafka_delete_records_request_delete_records_partition_defaults(&partition);
    partition.partition_index = op->partition;
    partition.offset = self->offset;
    struct kafka_delete_records_request_delete_records_topic topic;
    kafka_delete_records_request_delete_records_topic_defaults(&topic);
    topic.name = op->topic;
    topic.partitions = &partition;
    topic.partitions_count = 1;
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = BROKER_TIMEOUT_MS;
    kafka_delete_records_request_encode(&request, op->ask.version, writer);
}

static enum status delete_take(struct admin_op *op)
{
    struct delete_call *self = container_of(op, struct delete_call, admin.op);
    struct kafka_delete_records_response answer;
    TRY(kafka_delete_records_response_decode(&op->ask.call.reader, op->ask.version, &op->ask.arena,
                                             &answer));
    if (answer.topics_count != 1 || answer.topics[0].partitions_count != 1) {
        return STATUS_MALFORMED;
    }
    op->error_code = answer.topics[0].partitions[0].error_code;
    self->start = answer.topics[0].partitions[0].low_watermark;
    return STATUS_OK;
}

int millrace_records_delete(struct millrace_client *client, struct millrace_bytes topic,
                            int32_t partition, int64_t offset, int64_t timeout_ms,
                            int64_t *out_start, struct millrace_error *error)
{
    if (topic.data == NULL || topic.size == 0 || topic.size > TOPIC_BYTES_MAX || partition < 0 ||
        offset < -1) {
        return trouble_argument(error, "the topic, partition or offset cannot be",
                                "see millrace_records_delete()");
    }
    char what[320];
    (void)snprintf(what, sizeof what, "cannot delete records of %.*s, partition %d",
                   (int)topic.size, (const char *)topic.data, partition);
    struct delete_call call = {.admin = {.op = {.api_key = API_KEY_DELETE_RECORDS,
                                                .version_max = 2,
                                                .node = ADMIN_CORE_LEADER,
                                                .topic = {topic.data, (int32_t)topic.size},
                                                .partition = partition,
                                                .encode = delete_encode,
                                                .take = delete_take}},
                               .offset = offset};
    int code = admin_wait_run(client, &call.admin, session_until_ns(timeout_ms), what, error);
    if (code == MILLRACE_OK && out_start != NULL) {
        *out_start = call.start;
    }
    return code;
}
