/* Configuration of topics and brokers. */
#include "client/millrace/config_rows.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/incremental_alter_configs.h"

#include <stdlib.h>

#define RESULT_BYTES_MAX ((size_t)64 << 20)
#define RESOURCE_TOPIC 2
#define RESOURCE_BROKER 4
#define OPERATION_SET 0
#define OPERATION_DELETE 1
#define CHANGES_MAX 1000U
#define NAME_BYTES_MAX 249U

struct configs_result {
    struct millrace_configs list;
    struct arena arena;
};

int millrace_configs_describe(struct millrace_client *client, enum millrace_config_of of,
                              struct millrace_bytes name, int64_t timeout_ms,
                              struct millrace_configs **out_configs, struct millrace_error *error)
{
    *out_configs = NULL;
    if (name.size > NAME_BYTES_MAX) {
        return trouble_argument(error, "the name is too long", "give a topic or a broker's number");
    }
    struct configs_result *result = calloc(1, sizeof *result);
    if (result == NULL) {
        return trouble_status(error, STATUS_NO_MEMORY, "cannot read the configuration");
    }
    arena_init(&result->arena, RESULT_BYTES_MAX);
    struct config_rows rows = {.arena = &result->arena};
    int code = config_rows_describe(client, of, name, session_until_ns(timeout_ms), &rows, error);
    if (code != MILLRACE_OK) {
        millrace_configs_free(&result->list);
        return code;
    }
    result->list = (struct millrace_configs){rows.configs, rows.config_count};
    *out_configs = &result->list;
    return code;
}

void millrace_configs_free(struct millrace_configs *list)
{
    if (list != NULL) {
        struct configs_result *result = container_of(list, struct configs_result, list);
        arena_done(&result->arena);
        free(result);
    }
}

struct alter_call {
    struct admin_wait admin;
    enum millrace_config_of of;
    struct millrace_bytes name;
    const struct millrace_config *changes;
    size_t change_count;
};

static void alter_encode(struct admin_op *op, struct wire_writer *writer)
{
    struct alter_call *self = container_of(op, struct alter_call, admin.op);
    struct kafka_incremental_alter_configs_request request;
    kafka_incremental_alter_configs_request_defaults(&request);
    struct kafka_incremental_alter_configs_request_alter_configs_resource resource;
    kafka_incremental_alter_configs_request_alter_configs_resource_defaults(&resource);
    resource.resource_type =
        self->of == MILLRACE_CONFIG_OF_TOPIC ? RESOURCE_TOPIC : RESOURCE_BROKER;
    resource.resource_name = (struct wire_text){self->name.data, (int32_t)self->name.size};
    resource.configs =
        arena_take_array(&op->ask.arena, self->change_count, sizeof *resource.configs);
    if (resource.configs == NULL) {
        wire_writer_fail(writer, STATUS_NO_MEMORY);
        return;
    }
    for (size_t i = 0; i < self->change_count; i++) {
        const struct millrace_config *change = &self->changes[i];
        bool is_set = change->value.data != NULL;
        resource.configs[i].name =
            (struct wire_text){change->name.data, (int32_t)change->name.size};
        resource.configs[i].config_operation = is_set ? OPERATION_SET : OPERATION_DELETE;
        resource.configs[i].value = admin_wait_text(change->value);
    }
    resource.configs_count = (int32_t)self->change_count;
    request.resources = &resource;
    request.resources_count = 1;
    kafka_incremental_alter_configs_request_encode(&request, op->ask.version, writer);
}

static enum status alter_take(struct admin_op *op)
{
    struct kafka_incremental_alter_configs_response answer;
    TRY(kafka_incremental_alter_configs_response_decode(&op->ask.call.reader, op->ask.version,
                                                        &op->ask.arena, &answer));
    if (answer.responses_count != 1) {
        return STATUS_MALFORMED;
    }
    op->error_code = answer.responses[0].error_code;
    admin_core_say(op, answer.responses[0].error_message);
    return op->error_code == ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION ? STATUS_NOT_FOUND : STATUS_OK;
}

int millrace_configs_alter(struct millrace_client *client, enum millrace_config_of of,
                           struct millrace_bytes name, const struct millrace_config *changes,
                           size_t change_count, int64_t timeout_ms, struct millrace_error *error)
{
    if (name.size > NAME_BYTES_MAX || change_count > CHANGES_MAX) {
        return trouble_argument(error, "the name is too long, or there are too many changes",
                                "give a topic or a broker's number, and up to 1,000 changes");
    }
    struct alter_call alter = {.admin = {.op = {.api_key = API_KEY_INCREMENTAL_ALTER_CONFIGS,
                                                .version_max = 1,
                                                .node = CLUSTER_CONTROLLER,
                                                .encode = alter_encode,
                                                .take = alter_take}},
                               .of = of,
                               .name = name,
                               .changes = changes,
                               .change_count = change_count};
    return admin_wait_run(client, &alter.admin, session_until_ns(timeout_ms),
                          "cannot change the configuration", error);
}
