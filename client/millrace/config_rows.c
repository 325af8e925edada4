#include "client/millrace/config_rows.h"

#include "proto/kafka/api_key.h"
#include "proto/kafka/describe_configs.h"
#include "proto/kafka/error_code.h"

#include <stdio.h>
#include <stdlib.h>

#define RESOURCE_TOPIC 2
#define RESOURCE_BROKER 4
#define SOURCE_DEFAULT 5 /* Built in; 4 is a file of the broker. */

struct describe_call {
    struct admin_wait admin;
    enum millrace_config_of of;
    struct millrace_bytes name;
    struct config_rows *rows;
};

static void describe_encode(struct admin_op *op, struct wire_writer *writer)
{
    struct describe_call *self = container_of(op, struct describe_call, admin.op);
    struct kafka_describe_configs_request request;
    kafka_describe_configs_request_defaults(&request);
    struct kafka_describe_configs_request_describe_configs_resource resource;
    kafka_describe_configs_request_describe_configs_resource_defaults(&resource);
    resource.resource_type =
        self->of == MILLRACE_CONFIG_OF_TOPIC ? RESOURCE_TOPIC : RESOURCE_BROKER;
    resource.resource_name = (struct wire_text){self->name.data, (int32_t)self->name.size};
    resource.configuration_keys_count = -1;
    request.resources = &resource;
    request.resources_count = 1;
    kafka_describe_configs_request_encode(&request, op->ask.version, writer);
}

static int compare(const void *left, const void *right)
{
    const struct millrace_config *one = *(const struct millrace_config *const *)left;
    const struct millrace_config *other = *(const struct millrace_config *const *)right;
    return admin_wait_compare(one->name, other->name);
}

static enum status keep(struct config_rows *rows,
                        const struct kafka_describe_configs_response_describe_configs_result *from)
{
    size_t count = (size_t)from->configs_count;
    struct millrace_config **configs =
        (struct millrace_config **)(void *)admin_wait_rows(rows->arena, count, sizeof **configs);
    if (configs == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        configs[i]->name = admin_wait_keep(rows->arena, from->configs[i].name);
        configs[i]->value = admin_wait_keep(rows->arena, from->configs[i].value);
        configs[i]->is_default = from->configs[i].config_source == SOURCE_DEFAULT;
        configs[i]->is_read_only = from->configs[i].read_only;
        if (configs[i]->name.data == NULL) {
            return STATUS_NO_MEMORY;
        }
    }
    qsort(configs, count, sizeof *configs, compare);
    rows->configs = (const struct millrace_config *const *)(void *)configs;
    rows->config_count = count;
    return STATUS_OK;
}

static enum status describe_take(struct admin_op *op)
{
    struct describe_call *self = container_of(op, struct describe_call, admin.op);
    struct kafka_describe_configs_response answer;
    TRY(kafka_describe_configs_response_decode(&op->ask.call.reader, op->ask.version,
                                               &op->ask.arena, &answer));
    if (answer.results_count != 1) {
        return STATUS_MALFORMED;
    }
    op->error_code = answer.results[0].error_code;
    admin_core_say(op, answer.results[0].error_message);
    return op->error_code == ERROR_CODE_NONE ? keep(self->rows, &answer.results[0]) : STATUS_OK;
}

int config_rows_describe(struct millrace_client *client, enum millrace_config_of of,
                         struct millrace_bytes name, int64_t until_ns, struct config_rows *rows,
                         struct millrace_error *error)
{
    struct describe_call describe = {.admin = {.op = {.api_key = API_KEY_DESCRIBE_CONFIGS,
                                                      .version_min = 1,
                                                      .version_max = 4,
                                                      .node = CLUSTER_ANY,
                                                      .encode = describe_encode,
                                                      .take = describe_take}},
                                     .of = of,
                                     .name = name,
                                     .rows = rows};
    if (of == MILLRACE_CONFIG_OF_BROKER && name.size > 0 && name.size < 10) {
        char number[16] = {0};
        memcpy(number, name.data, name.size);
        describe.admin.op.node = (int32_t)strtol(number, NULL, 10);
    }
    return admin_wait_run(client, &describe.admin, until_ns, "cannot read the configuration",
                          error);
}
