#include "processor/job/topic_maker.h"

#include "proto/kafka/api_key.h"
#include "proto/kafka/create_topics.h"
#include "proto/kafka/delete_topics.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/metadata.h"
#include "proto/sys/check.h"

#include <string.h>

#define BROKER_TIMEOUT_MS 15000
#define ABSENT_MS 2000

static void look(struct topic_wish *wish);

/* ---- creating ---- */

static void create_encode(struct admin_op *op, struct wire_writer *writer)
{
    struct topic_wish *wish = container_of(op, struct topic_wish, op);
    struct kafka_create_topics_request request;
    kafka_create_topics_request_defaults(&request);
    struct kafka_create_topics_request_creatable_topic topic;
    kafka_create_topics_request_creatable_topic_defaults(&topic);
    topic.name = wire_text_of(wish->name);
    topic.num_partitions = wish->partition_count > 0 ? wish->partition_count : -1;
    topic.replication_factor = -1;
    topic.configs = arena_take_array(&op->ask.arena, wish->setting_count, sizeof *topic.configs);
    if (topic.configs == NULL) {
        wire_writer_fail(writer, STATUS_NO_MEMORY);
        return;
    }
    for (uint32_t i = 0; i < wish->setting_count; i++) {
        topic.configs[i].name = wire_text_of(wish->settings[i].name);
        topic.configs[i].value = wire_text_of(wish->settings[i].value);
    }
    topic.configs_count = (int32_t)wish->setting_count;
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = BROKER_TIMEOUT_MS;
    kafka_create_topics_request_encode(&request, op->ask.version, writer);
}

static enum status create_take(struct admin_op *op)
{
    struct kafka_create_topics_response answer;
    TRY(kafka_create_topics_response_decode(&op->ask.call.reader, op->ask.version, &op->ask.arena,
                                            &answer));
    if (answer.topics_count != 1) {
        return STATUS_MALFORMED;
    }
    op->error_code = answer.topics[0].error_code;
    admin_core_say(op, answer.topics[0].error_message);
    return STATUS_OK;
}

static void create_on_done(struct admin_op *op, enum status status)
{
    struct topic_wish *wish = container_of(op, struct topic_wish, op);
    bool is_there =
        op->error_code == ERROR_CODE_NONE || op->error_code == ERROR_CODE_TOPIC_ALREADY_EXISTS;
    if (status != STATUS_OK || !is_there) {
        wish->on_done(wish, status != STATUS_OK ? status : STATUS_INVALID);
        return;
    }
    wish->was_created = op->error_code == ERROR_CODE_NONE;
    wish->is_there = true;
    look(wish);
}

static void create(struct topic_wish *wish)
{
    wish->op = (struct admin_op){.api_key = API_KEY_CREATE_TOPICS,
                                 .version_min = 4,
                                 .version_max = 7,
                                 .node = CLUSTER_CONTROLLER,
                                 .deadline_ns = wish->deadline_ns,
                                 .encode = create_encode,
                                 .take = create_take,
                                 .on_done = create_on_done};
    admin_core_run(wish->core, &wish->op);
}

/* ---- looking ---- */

static void look_encode(struct admin_op *op, struct wire_writer *writer)
{
    struct topic_wish *wish = container_of(op, struct topic_wish, op);
    struct kafka_metadata_request request;
    kafka_metadata_request_defaults(&request);
    struct kafka_metadata_request_metadata_request_topic topic;
    kafka_metadata_request_metadata_request_topic_defaults(&topic);
    topic.name = wire_text_of(wish->name);
    request.topics = &topic;
    request.topics_count = 1;
    request.allow_auto_topic_creation = false;
    kafka_metadata_request_encode(&request, op->ask.version, writer);
}

static enum status look_take(struct admin_op *op)
{
    struct topic_wish *wish = container_of(op, struct topic_wish, op);
    struct kafka_metadata_response answer;
    TRY(kafka_metadata_response_decode(&op->ask.call.reader, op->ask.version, &op->ask.arena,
                                       &answer));
    if (answer.topics_count != 1) {
        return STATUS_MALFORMED;
    }
    const struct kafka_metadata_response_metadata_response_topic *topic = &answer.topics[0];
    wish->is_missing = topic->error_code == ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION;
    if (wish->is_missing && !wish->must_exist && !wish->is_there) {
        op->error_code = ERROR_CODE_NONE; /* Retriable by its number, but the answer here. */
        return STATUS_OK;
    }
    op->error_code = topic->error_code;
    for (int32_t i = 0; i < topic->partitions_count; i++) {
        if (op->error_code == ERROR_CODE_NONE && topic->partitions[i].leader_id < 0) {
            op->error_code = ERROR_CODE_LEADER_NOT_AVAILABLE;
        }
    }
    wish->found_partition_count = topic->partitions_count;
    wish->topic_id = topic->topic_id;
    return STATUS_OK;
}

static void look_on_done(struct admin_op *op, enum status status)
{
    struct topic_wish *wish = container_of(op, struct topic_wish, op);
    if (status == STATUS_OK && wish->is_missing) {
        if (wish->must_exist || wish->is_there) {
            wish->on_done(wish, STATUS_NOT_FOUND);
        } else {
            create(wish);
        }
        return;
    }
    wish->on_done(wish, status == STATUS_OK && op->error_code != ERROR_CODE_NONE ? STATUS_INVALID
                                                                                 : status);
}

static void look(struct topic_wish *wish)
{
    int64_t deadline_ns = wish->deadline_ns;
    if (wish->must_exist) {
        /* A broker may lag behind for a moment; who is not there after this is not there. */
        int64_t soon_ns = loop_now_ns(wish->core->loop) + ABSENT_MS * CLOCK_NS_PER_MS;
        deadline_ns = soon_ns < deadline_ns ? soon_ns : deadline_ns;
    }
    wish->is_missing = false;
    wish->op = (struct admin_op){.api_key = API_KEY_METADATA,
                                 .version_min = 4,
                                 .version_max = 12,
                                 .node = CLUSTER_ANY,
                                 .deadline_ns = deadline_ns,
                                 .encode = look_encode,
                                 .take = look_take,
                                 .on_done = look_on_done};
    admin_core_run(wish->core, &wish->op);
}

void topic_maker_run(struct admin_core *core, struct topic_wish *wish)
{
    check(wish->name[0] != '\0');
    wish->core = core;
    wish->was_created = false;
    wish->is_there = false;
    look(wish);
}

/* ---- deleting ---- */

static void delete_encode(struct admin_op *op, struct wire_writer *writer)
{
    struct topic_wish *wish = container_of(op, struct topic_wish, op);
    struct kafka_delete_topics_request request;
    kafka_delete_topics_request_defaults(&request);
    struct wire_text name = wire_text_of(wish->name);
    request.topic_names = &name;
    request.topic_names_count = 1;
    request.timeout_ms = BROKER_TIMEOUT_MS;
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
    if (op->error_code == ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION) {
        op->error_code = ERROR_CODE_NONE;
    }
    return STATUS_OK;
}

static void delete_on_done(struct admin_op *op, enum status status)
{
    struct topic_wish *wish = container_of(op, struct topic_wish, op);
    wish->on_done(wish, status == STATUS_OK && op->error_code != ERROR_CODE_NONE ? STATUS_INVALID
                                                                                 : status);
}

void topic_maker_delete(struct admin_core *core, struct topic_wish *wish)
{
    wish->core = core;
    wish->op = (struct admin_op){.api_key = API_KEY_DELETE_TOPICS,
                                 .version_min = 1,
                                 .version_max = 5,
                                 .node = CLUSTER_CONTROLLER,
                                 .deadline_ns = wish->deadline_ns,
                                 .encode = delete_encode,
                                 .take = delete_take,
                                 .on_done = delete_on_done};
    admin_core_run(core, &wish->op);
}
