/* Topics: create, delete, grow, list, describe. */
#include "client/millrace/admin_wait.h"
#include "client/millrace/config_rows.h"
#include "client/topic_calls.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/create_partitions.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

#include <stdlib.h>

#define RESULT_BYTES_MAX ((size_t)256 << 20)
#define TOPIC_BYTES_MAX 249U
#define BROKER_TIMEOUT_MS 15000
#define CONFIGS_MAX 1000U

static int check_name(struct millrace_bytes name, struct millrace_error *error)
{
    if (name.data == NULL || name.size == 0 || name.size > TOPIC_BYTES_MAX) {
        return trouble_argument(error, "the topic's name is missing or too long",
                                "give a name of 1 to 249 characters");
    }
    return MILLRACE_OK;
}

static void say_what(char *what, size_t room, const char *verb, struct millrace_bytes name)
{
    (void)snprintf(what, room, "cannot %s topic %.*s", verb, (int)name.size,
                   (const char *)name.data);
}

/* ---- metadata ---- */

struct look_call {
    struct admin_wait admin;
    bool is_missing; /* Of look_once_take(). */
    void *result;
    enum status (*keep)(struct look_call *self, const struct kafka_metadata_response *answer);
};

static enum status look_take(struct admin_op *op)
{
    struct look_call *self = container_of(op, struct look_call, admin.op);
    struct kafka_metadata_response answer;
    TRY(topic_calls_read(op, &answer));
    return op->error_code == ERROR_CODE_NONE ? self->keep(self, &answer) : STATUS_OK;
}

/* An unknown topic is retriable for those who write to it; who looks at it wants to be told. */
static enum status look_once_take(struct admin_op *op)
{
    struct look_call *self = container_of(op, struct look_call, admin.op);
    TRY(look_take(op));
    self->is_missing = op->error_code == ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION;
    op->error_code = self->is_missing ? ERROR_CODE_NONE : op->error_code;
    return STATUS_OK;
}

/* ---- create ---- */

/* Until it can be used. */
static enum status leaders_take(struct admin_op *op)
{
    struct kafka_metadata_response answer;
    TRY(topic_calls_read(op, &answer));
    if (op->error_code == ERROR_CODE_NONE && !topic_calls_has_leaders(&answer.topics[0])) {
        op->error_code = ERROR_CODE_LEADER_NOT_AVAILABLE;
    }
    return STATUS_OK;
}

static int create(struct millrace_client *client, const struct millrace_new_topic *topic,
                  int64_t until_ns, const char *what, struct millrace_error *error)
{
    struct topic_calls_setting *settings = calloc(topic->config_count + 1, sizeof *settings);
    if (settings == NULL) {
        return trouble_status(error, STATUS_NO_MEMORY, what);
    }
    for (size_t i = 0; i < topic->config_count; i++) {
        settings[i] = (struct topic_calls_setting){admin_wait_text(topic->configs[i].name),
                                                   admin_wait_text(topic->configs[i].value)};
    }
    struct topic_calls_wanted wanted = {.partition_count = topic->partition_count,
                                        .replication_factor = topic->replication_factor,
                                        .settings = settings,
                                        .setting_count = (uint32_t)topic->config_count,
                                        .is_dry_run = topic->is_dry_run};
    struct admin_wait wait = {.op = topic_calls_create(admin_wait_text(topic->name), &wanted)};
    int code = admin_wait_run(client, &wait, until_ns, what, error);
    free(settings);
    return code;
}

int millrace_topic_create(struct millrace_client *client, const struct millrace_new_topic *given,
                          int64_t timeout_ms, struct millrace_error *error)
{
    int64_t until_ns = session_until_ns(timeout_ms);
    struct millrace_new_topic topic = {0};
    if (!trouble_options(&topic, sizeof topic, given, given->size)) {
        return trouble_argument(error, "the topic's description has a size that cannot be",
                                "set .size = sizeof the struct");
    }
    int code = check_name(topic.name, error);
    if (code != MILLRACE_OK) {
        return code;
    }
    if (topic.replication_factor > INT16_MAX || topic.config_count > CONFIGS_MAX) {
        return trouble_argument(error, "the topic's description is outside its limits",
                                "ask for fewer replicas or settings");
    }
    char what[320];
    say_what(what, sizeof what, "create", topic.name);
    code = create(client, &topic, until_ns, what, error);
    if (code != MILLRACE_OK || topic.is_dry_run) {
        return code;
    }
    struct admin_wait wait = {.op = topic_calls_look(admin_wait_text(topic.name), leaders_take)};
    return admin_wait_run(client, &wait, until_ns, what, error);
}

/* ---- delete and grow ---- */

int millrace_topic_delete(struct millrace_client *client, struct millrace_bytes name,
                          int64_t timeout_ms, struct millrace_error *error)
{
    int64_t until_ns = session_until_ns(timeout_ms);
    int code = check_name(name, error);
    if (code != MILLRACE_OK) {
        return code;
    }
    char what[320];
    say_what(what, sizeof what, "delete", name);
    struct admin_wait wait = {.op = topic_calls_delete(admin_wait_text(name))};
    return admin_wait_run(client, &wait, until_ns, what, error);
}

static void grow_encode(struct admin_op *op, struct wire_writer *writer)
{
    struct kafka_create_partitions_request request;
    kafka_create_partitions_request_defaults(&request);
    struct kafka_create_partitions_request_create_partitions_topic topic;
    kafka_create_partitions_request_create_partitions_topic_defaults(&topic);
    topic.name = op->topic;
    topic.count = *(const int32_t *)op->subject;
    topic.assignments_count = -1;
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = BROKER_TIMEOUT_MS;
    kafka_create_partitions_request_encode(&request, op->ask.version, writer);
}

static enum status grow_take(struct admin_op *op)
{
    struct kafka_create_partitions_response answer;
    TRY(kafka_create_partitions_response_decode(&op->ask.call.reader, op->ask.version,
                                                &op->ask.arena, &answer));
    if (answer.results_count != 1) {
        return STATUS_MALFORMED;
    }
    op->error_code = answer.results[0].error_code;
    admin_core_say(op, answer.results[0].error_message);
    if (op->error_code == ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION) {
        return STATUS_NOT_FOUND;
    }
    if (op->error_code == ERROR_CODE_INVALID_PARTITIONS && op->is_doubtful) {
        op->error_code = ERROR_CODE_NONE; /* Done by the try whose answer was lost. */
    }
    return STATUS_OK;
}

int millrace_topic_grow(struct millrace_client *client, struct millrace_bytes name,
                        int32_t partition_count, int64_t timeout_ms, struct millrace_error *error)
{
    int64_t until_ns = session_until_ns(timeout_ms);
    int code = check_name(name, error);
    if (code != MILLRACE_OK) {
        return code;
    }
    char what[320];
    say_what(what, sizeof what, "grow", name);
    struct admin_wait wait = {.op = {.api_key = API_KEY_CREATE_PARTITIONS,
                                     .version_max = 3,
                                     .node = CLUSTER_CONTROLLER,
                                     .topic = admin_wait_text(name),
                                     .subject = &partition_count,
                                     .encode = grow_encode,
                                     .take = grow_take}};
    return admin_wait_run(client, &wait, until_ns, what, error);
}

/* ---- list ---- */

struct topics_result {
    struct millrace_topics list;
    struct arena arena;
};

static int compare_topics(const void *left, const void *right)
{
    const struct millrace_topic_row *const *one = left;
    const struct millrace_topic_row *const *other = right;
    return admin_wait_compare((*one)->name, (*other)->name);
}

static enum status keep_list(struct look_call *self, const struct kafka_metadata_response *answer)
{
    struct topics_result *result = self->result;
    size_t count = (size_t)answer->topics_count;
    struct millrace_topic_row **rows =
        (struct millrace_topic_row **)(void *)admin_wait_rows(&result->arena, count, sizeof **rows);
    if (rows == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        const struct kafka_metadata_response_metadata_response_topic *topic = &answer->topics[i];
        *rows[i] = (struct millrace_topic_row){.name = admin_wait_keep(&result->arena, topic->name),
                                               .partition_count = topic->partitions_count,
                                               .is_internal = topic->is_internal};
        if (rows[i]->name.data == NULL) {
            return STATUS_NO_MEMORY;
        }
        memcpy(rows[i]->id, topic->topic_id.bytes, sizeof rows[i]->id);
        rows[i]->replication_factor =
            topic->partitions_count > 0 ? topic->partitions[0].replica_nodes_count : 0;
    }
    qsort(rows, count, sizeof *rows, compare_topics);
    result->list =
        (struct millrace_topics){(const struct millrace_topic_row *const *)(void *)rows, count};
    return STATUS_OK;
}

int millrace_topics_list(struct millrace_client *client, int64_t timeout_ms,
                         struct millrace_topics **out_topics, struct millrace_error *error)
{
    *out_topics = NULL;
    struct topics_result *result = calloc(1, sizeof *result);
    if (result == NULL) {
        return trouble_status(error, STATUS_NO_MEMORY, "cannot list topics");
    }
    arena_init(&result->arena, RESULT_BYTES_MAX);
    struct look_call look = {
        .admin = {.op = topic_calls_look(admin_wait_text(millrace_text(NULL)), look_take)},
        .result = result,
        .keep = keep_list};
    int code = admin_wait_run(client, &look.admin, session_until_ns(timeout_ms),
                              "cannot list topics", error);
    if (code != MILLRACE_OK) {
        millrace_topics_free(&result->list);
        return code;
    }
    *out_topics = &result->list;
    return code;
}

void millrace_topics_free(struct millrace_topics *list)
{
    if (list != NULL) {
        struct topics_result *result = container_of(list, struct topics_result, list);
        arena_done(&result->arena);
        free(result);
    }
}

/* ---- describe ---- */

struct topic_result {
    struct millrace_topic topic;
    struct arena arena;
    struct millrace_partition **rows;
};

static bool keep_numbers(struct arena *arena, const int32_t *from, int32_t count,
                         const int32_t **out_numbers, size_t *out_count)
{
    int32_t *kept = arena_take_array(arena, (size_t)count + 1, sizeof *kept);
    if (kept == NULL) {
        return false;
    }
    for (int32_t i = 0; i < count; i++) {
        kept[i] = from[i];
    }
    *out_numbers = kept;
    *out_count = (size_t)count;
    return true;
}

static int compare_partitions(const void *left, const void *right)
{
    const struct millrace_partition *const *one = left;
    const struct millrace_partition *const *other = right;
    return ((*one)->partition > (*other)->partition) - ((*one)->partition < (*other)->partition);
}

static enum status keep_topic(struct look_call *self, const struct kafka_metadata_response *answer)
{
    struct topic_result *result = self->result;
    const struct kafka_metadata_response_metadata_response_topic *topic = &answer->topics[0];
    size_t count = (size_t)topic->partitions_count;
    result->rows = (struct millrace_partition **)(void *)admin_wait_rows(&result->arena, count,
                                                                         sizeof **result->rows);
    if (result->rows == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        const struct kafka_metadata_response_metadata_response_partition *from =
            &topic->partitions[i];
        struct millrace_partition *row = result->rows[i];
        *row = (struct millrace_partition){.partition = from->partition_index,
                                           .leader = from->leader_id,
                                           .leader_epoch = from->leader_epoch,
                                           .start = -1,
                                           .end = -1};
        if (!keep_numbers(&result->arena, from->isr_nodes, from->isr_nodes_count, &row->isr,
                          &row->isr_count) ||
            !keep_numbers(&result->arena, from->replica_nodes, from->replica_nodes_count,
                          &row->replicas, &row->replica_count)) {
            return STATUS_NO_MEMORY;
        }
    }
    qsort(result->rows, count, sizeof *result->rows, compare_partitions);
    result->topic.name = admin_wait_keep(&result->arena, topic->name);
    memcpy(result->topic.id, topic->topic_id.bytes, sizeof result->topic.id);
    result->topic.is_internal = topic->is_internal;
    result->topic.partitions = (const struct millrace_partition *const *)(void *)result->rows;
    result->topic.partition_count = count;
    return STATUS_OK;
}

/* Starts and ends of the partitions that have a leader; the others stay -1. */
static void fill_offsets(struct millrace_client *client, struct topic_result *result,
                         int64_t until_ns)
{
    for (size_t i = 0; i < result->topic.partition_count; i++) {
        struct millrace_partition *row = result->rows[i];
        struct millrace_offset_query queries[2] = {
            {.topic = result->topic.name,
             .partition = row->partition,
             .start = {MILLRACE_START_EARLIEST, 0}},
            {.topic = result->topic.name,
             .partition = row->partition,
             .start = {MILLRACE_START_LATEST, 0}},
        };
        int64_t left_ms = (until_ns - session_until_ns(0)) / CLOCK_NS_PER_MS;
        if (row->leader >= 0 &&
            millrace_offsets_list(client, queries, 2, MILLRACE_READ_UNCOMMITTED,
                                  left_ms > 0 ? left_ms : 0, NULL) == MILLRACE_OK) {
            row->start = queries[0].offset;
            row->end = queries[1].offset;
        }
    }
}

int millrace_topic_describe(struct millrace_client *client, struct millrace_bytes name,
                            int64_t timeout_ms, struct millrace_topic **out_topic,
                            struct millrace_error *error)
{
    *out_topic = NULL;
    int64_t until_ns = session_until_ns(timeout_ms);
    int code = check_name(name, error);
    if (code != MILLRACE_OK) {
        return code;
    }
    char what[320];
    say_what(what, sizeof what, "describe", name);
    struct topic_result *result = calloc(1, sizeof *result);
    if (result == NULL) {
        return trouble_status(error, STATUS_NO_MEMORY, what);
    }
    arena_init(&result->arena, RESULT_BYTES_MAX);
    struct look_call look = {
        .admin = {.op = topic_calls_look(admin_wait_text(name), look_once_take)},
        .result = result,
        .keep = keep_topic};
    code = admin_wait_run(client, &look.admin, until_ns, what, error);
    if (code == MILLRACE_OK && look.is_missing) {
        code = trouble_broker(error, ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION, what, NULL);
    }
    struct config_rows rows = {.arena = &result->arena};
    if (code == MILLRACE_OK) {
        fill_offsets(client, result, until_ns);
        code = config_rows_describe(client, MILLRACE_CONFIG_OF_TOPIC, name, until_ns, &rows, error);
    }
    if (code != MILLRACE_OK) {
        millrace_topic_free(&result->topic);
        return code;
    }
    result->topic.configs = rows.configs;
    result->topic.config_count = rows.config_count;
    *out_topic = &result->topic;
    return code;
}

void millrace_topic_free(struct millrace_topic *topic)
{
    if (topic != NULL) {
        struct topic_result *result = container_of(topic, struct topic_result, topic);
        arena_done(&result->arena);
        free(result);
    }
}
