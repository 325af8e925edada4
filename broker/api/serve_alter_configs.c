#include "broker/api/serve_alter_configs.h"

#include "broker/api/admin_call.h"
#include "broker/api/config_resource.h"
#include "broker/api/reply_code.h"
#include "proto/kafka/alter_configs.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/incremental_alter_configs.h"
#include "proto/sys/check.h"

#define ALTER_CONFIGS_TIMEOUT_MS 30000

/* Both answers are made of the same parts. */
struct alter_verdict {
    int16_t error_code;
    const char *text; /* NULL: none. */
    int8_t resource_type;
    struct wire_text resource_name;
};

struct alter_configs {
    struct admin_call call;
    struct request *request;
    bool is_incremental;
    struct config_decisions_request command;
    struct alter_verdict *verdicts;
    int32_t verdict_count;
    int32_t *verdict_of_item;
};

static void send_incremental(struct alter_configs *self)
{
    struct request *request = self->request;
    struct kafka_incremental_alter_configs_response out;
    kafka_incremental_alter_configs_response_defaults(&out);
    out.throttle_time_ms = access_charge(&request->context, 0);
    out.responses_count = self->verdict_count;
    out.responses =
        arena_take_array(&request->arena, (size_t)self->verdict_count, sizeof *out.responses);
    for (int32_t i = 0; out.responses != NULL && i < self->verdict_count; i++) {
        out.responses[i].error_code = self->verdicts[i].error_code;
        out.responses[i].error_message = wire_text_of(self->verdicts[i].text);
        out.responses[i].resource_type = self->verdicts[i].resource_type;
        out.responses[i].resource_name = self->verdicts[i].resource_name;
    }
    request_begin_answer(request);
    kafka_incremental_alter_configs_response_encode(&out, request->context.api_version,
                                                    &request->writer);
    request_send(request);
}

static void send_replacing(struct alter_configs *self)
{
    struct request *request = self->request;
    struct kafka_alter_configs_response out;
    kafka_alter_configs_response_defaults(&out);
    out.throttle_time_ms = access_charge(&request->context, 0);
    out.responses_count = self->verdict_count;
    out.responses =
        arena_take_array(&request->arena, (size_t)self->verdict_count, sizeof *out.responses);
    for (int32_t i = 0; out.responses != NULL && i < self->verdict_count; i++) {
        out.responses[i].error_code = self->verdicts[i].error_code;
        out.responses[i].error_message = wire_text_of(self->verdicts[i].text);
        out.responses[i].resource_type = self->verdicts[i].resource_type;
        out.responses[i].resource_name = self->verdicts[i].resource_name;
    }
    request_begin_answer(request);
    kafka_alter_configs_response_encode(&out, request->context.api_version, &request->writer);
    request_send(request);
}

static void answer(struct admin_call *call, enum status status)
{
    struct alter_configs *self = container_of(call, struct alter_configs, call);
    for (uint32_t i = 0; i < self->command.item_count; i++) {
        const struct decision_error *error = &self->command.items[i].error;
        struct alter_verdict *verdict = &self->verdicts[self->verdict_of_item[i]];
        verdict->error_code = status == STATUS_OK ? reply_code_of_decision(error->reason)
                                                  : reply_code_of_status(status);
        verdict->text = verdict->error_code == ERROR_CODE_NONE ? NULL
                        : status == STATUS_OK                  ? error->message
                                                               : reply_code_message(status);
    }
    if (self->is_incremental) {
        send_incremental(self);
    } else {
        send_replacing(self);
    }
}

static bool prepare(struct alter_configs *self, int32_t resource_count)
{
    struct arena *arena = &self->request->arena;
    size_t count = (size_t)resource_count;
    self->verdicts = arena_take_array(arena, count, sizeof *self->verdicts);
    self->command.items = arena_take_array(arena, count, sizeof *self->command.items);
    self->verdict_of_item = arena_take_array(arena, count, sizeof *self->verdict_of_item);
    return self->verdicts != NULL && self->command.items != NULL && self->verdict_of_item != NULL;
}

static void refuse(struct alter_verdict *verdict, int16_t code, const char *text)
{
    verdict->error_code = code;
    verdict->text = text;
}

/* Takes one resource; its entries are in the arena already. Those that come twice are the
 * controller's to refuse: it must see all of them, or the first would be set. */
static void add_resource(struct alter_configs *self, int8_t type, struct wire_text name,
                         const struct config_decisions_entry *entries, int32_t entry_count)
{
    struct alter_verdict *verdict = &self->verdicts[self->verdict_count];
    self->verdict_count += 1;
    *verdict = (struct alter_verdict){.resource_type = type, .resource_name = name};
    enum image_config_kind kind;
    if (!config_resource_kind(type, name, &kind)) {
        refuse(verdict, ERROR_CODE_INVALID_REQUEST,
               "only topics (2) and brokers (4) can be altered; use one of these resource types");
        return;
    }
    if (!access_authorize(&self->request->context, ACCESS_ALTER_CONFIGS,
                          kind == IMAGE_CONFIG_TOPIC ? ACCESS_TOPIC : ACCESS_CLUSTER, name)) {
        refuse(verdict,
               kind == IMAGE_CONFIG_TOPIC ? ERROR_CODE_TOPIC_AUTHORIZATION_FAILED
                                          : ERROR_CODE_CLUSTER_AUTHORIZATION_FAILED,
               "the principal may not alter the configuration");
        return;
    }
    self->command.items[self->command.item_count] = (struct config_decisions_resource){
        .kind = kind, .name = name, .entries = entries, .entry_count = (uint32_t)entry_count};
    self->verdict_of_item[self->command.item_count] = self->verdict_count - 1;
    self->command.item_count += 1;
}

static void post(struct alter_configs *self, bool validate_only)
{
    self->command.validate_only = validate_only;
    self->command.is_replacing = !self->is_incremental;
    self->call.up.request.kind = CONTROLLER_ALTER_CONFIGS;
    self->call.up.request.command.alter_configs = &self->command;
    admin_call_post(&self->call, self->request, ALTER_CONFIGS_TIMEOUT_MS, answer);
}

static struct alter_configs *start(struct request *request, bool is_incremental)
{
    struct alter_configs *self = arena_take_array(&request->arena, 1, sizeof *self);
    check(self != NULL); /* The first taking of an empty arena. */
    self->request = request;
    self->is_incremental = is_incremental;
    return self;
}

void serve_alter_configs(struct request *request)
{
    struct alter_configs *self = start(request, false);
    struct kafka_alter_configs_request in;
    if (!request_body_is_whole(
            request, kafka_alter_configs_request_decode(
                         &request->body, request->context.api_version, &request->arena, &in))) {
        return;
    }
    bool has_room = prepare(self, in.resources_count);
    for (int32_t i = 0; has_room && i < in.resources_count; i++) {
        int32_t count = in.resources[i].configs_count;
        struct config_decisions_entry *entries =
            arena_take_array(&request->arena, (size_t)count, sizeof *entries);
        has_room = entries != NULL;
        for (int32_t j = 0; has_room && j < count; j++) {
            entries[j] = (struct config_decisions_entry){.key = in.resources[i].configs[j].name,
                                                         .value = in.resources[i].configs[j].value,
                                                         .operation = CONFIG_DECISIONS_SET};
        }
        if (has_room) {
            add_resource(self, in.resources[i].resource_type, in.resources[i].resource_name,
                         entries, count);
        }
    }
    if (!has_room) {
        request_close(request, "an AlterConfigs request is larger than its memory");
        return;
    }
    post(self, in.validate_only);
}

void serve_alter_configs_incremental(struct request *request)
{
    struct alter_configs *self = start(request, true);
    struct kafka_incremental_alter_configs_request in;
    if (!request_body_is_whole(
            request, kafka_incremental_alter_configs_request_decode(
                         &request->body, request->context.api_version, &request->arena, &in))) {
        return;
    }
    bool has_room = prepare(self, in.resources_count);
    for (int32_t i = 0; has_room && i < in.resources_count; i++) {
        int32_t count = in.resources[i].configs_count;
        struct config_decisions_entry *entries =
            arena_take_array(&request->arena, (size_t)count, sizeof *entries);
        has_room = entries != NULL;
        for (int32_t j = 0; has_room && j < count; j++) {
            entries[j] = (struct config_decisions_entry){
                .key = in.resources[i].configs[j].name,
                .value = in.resources[i].configs[j].value,
                .operation = in.resources[i].configs[j].config_operation};
        }
        if (has_room) {
            add_resource(self, in.resources[i].resource_type, in.resources[i].resource_name,
                         entries, count);
        }
    }
    if (!has_room) {
        request_close(request, "an IncrementalAlterConfigs request is larger than its memory");
        return;
    }
    post(self, in.validate_only);
}
