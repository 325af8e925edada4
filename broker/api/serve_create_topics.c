#include "broker/api/serve_create_topics.h"

#include "broker/api/admin_call.h"
#include "broker/api/made_configs.h"
#include "broker/api/reply_code.h"
#include "proto/kafka/create_topics.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

#define VERSION_WITH_CONFIGS 5

struct create_topics {
    struct admin_call call;
    struct request *request;
    struct kafka_create_topics_request in;
    struct kafka_create_topics_response out;
    struct topic_decisions_create_request command;
    int32_t *out_of_item; /* Which answer an item of the command belongs to. */
};

static bool add_configs(struct request *request,
                        const struct kafka_create_topics_request_creatable_topic *in,
                        struct topic_decisions_create *item)
{
    struct topic_decisions_config *configs =
        arena_take_array(&request->arena, (size_t)in->configs_count, sizeof *configs);
    if (configs == NULL) {
        return false;
    }
    for (int32_t i = 0; i < in->configs_count; i++) {
        configs[i].key = in->configs[i].name;
        configs[i].value = in->configs[i].value;
    }
    item->configs = configs;
    item->config_count = (uint32_t)in->configs_count;
    return true;
}

static bool add_assignments(struct request *request,
                            const struct kafka_create_topics_request_creatable_topic *in,
                            struct topic_decisions_create *item)
{
    struct topic_decisions_assignment *assignments =
        arena_take_array(&request->arena, (size_t)in->assignments_count, sizeof *assignments);
    if (assignments == NULL) {
        return false;
    }
    for (int32_t i = 0; i < in->assignments_count; i++) {
        assignments[i].index = in->assignments[i].partition_index;
        assignments[i].brokers = in->assignments[i].broker_ids;
        assignments[i].broker_count = (uint32_t)in->assignments[i].broker_ids_count;
    }
    item->assignments = assignments;
    item->assignment_count = (uint32_t)in->assignments_count;
    return true;
}

static void fill_result(struct request *request, const struct topic_decisions_create *item,
                        struct kafka_create_topics_response_creatable_topic_result *out)
{
    out->error_code = reply_code_of_decision(item->error.reason);
    if (item->error.reason != DECISION_NONE) {
        out->error_message = wire_text_of(item->error.message);
        return;
    }
    out->topic_id = item->id;
    out->num_partitions = (int32_t)item->made_partition_count;
    out->replication_factor = (int16_t)item->made_replication_factor;
    if (request->context.api_version >= VERSION_WITH_CONFIGS) {
        made_configs_fill(request, item, out);
    }
}

static void answer(struct admin_call *call, enum status status)
{
    struct create_topics *self = container_of(call, struct create_topics, call);
    struct request *request = self->request;
    for (uint32_t i = 0; i < self->command.item_count; i++) {
        struct kafka_create_topics_response_creatable_topic_result *out =
            &self->out.topics[self->out_of_item[i]];
        if (status == STATUS_OK) {
            fill_result(request, &self->command.items[i], out);
        } else {
            out->error_code = reply_code_of_status(status);
            out->error_message = wire_text_of(reply_code_message(status));
        }
    }
    request_begin_answer(request);
    kafka_create_topics_response_encode(&self->out, request->context.api_version, &request->writer);
    request_send(request);
}

/* An error that needs no controller, or 0. Names that come twice are the controller's to refuse: it
 * must see all of them, or the first would be made. */
static int16_t refuse(struct create_topics *self, struct wire_text name, const char **out_text)
{
    if (!access_authorize(&self->request->context, ACCESS_CREATE, ACCESS_TOPIC, name)) {
        *out_text = "the principal may not create the topic";
        return ERROR_CODE_TOPIC_AUTHORIZATION_FAILED;
    }
    return ERROR_CODE_NONE;
}

static bool prepare_topic(struct create_topics *self, int32_t index)
{
    const struct kafka_create_topics_request_creatable_topic *in = &self->in.topics[index];
    struct kafka_create_topics_response_creatable_topic_result *out = &self->out.topics[index];
    kafka_create_topics_response_creatable_topic_result_defaults(out);
    out->name = in->name;
    out->error_message = wire_text_of(NULL);
    const char *text = NULL;
    out->error_code = refuse(self, in->name, &text);
    if (out->error_code != ERROR_CODE_NONE) {
        out->error_message = wire_text_of(text);
        return true;
    }
    struct topic_decisions_create *item = &self->command.items[self->command.item_count];
    *item = (struct topic_decisions_create){.name = in->name,
                                            .partition_count = in->num_partitions,
                                            .replication_factor = in->replication_factor};
    self->out_of_item[self->command.item_count] = index;
    self->command.item_count += 1;
    return add_configs(self->request, in, item) && add_assignments(self->request, in, item);
}

static bool prepare(struct create_topics *self)
{
    struct arena *arena = &self->request->arena;
    size_t count = (size_t)self->in.topics_count;
    kafka_create_topics_response_defaults(&self->out);
    self->out.throttle_time_ms = access_charge(&self->request->context, 0);
    self->out.topics_count = self->in.topics_count;
    self->out.topics = arena_take_array(arena, count, sizeof *self->out.topics);
    self->command.validate_only = self->in.validate_only;
    self->command.items = arena_take_array(arena, count, sizeof *self->command.items);
    self->out_of_item = arena_take_array(arena, count, sizeof *self->out_of_item);
    if (self->out.topics == NULL || self->command.items == NULL || self->out_of_item == NULL) {
        return false;
    }
    for (int32_t i = 0; i < self->in.topics_count; i++) {
        if (!prepare_topic(self, i)) {
            return false;
        }
    }
    return true;
}

void serve_create_topics(struct request *request)
{
    struct create_topics *self = arena_take_array(&request->arena, 1, sizeof *self);
    check(self != NULL); /* The first taking of an empty arena. */
    self->request = request;
    if (!request_body_is_whole(request, kafka_create_topics_request_decode(
                                            &request->body, request->context.api_version,
                                            &request->arena, &self->in))) {
        return;
    }
    if (!prepare(self)) {
        request_close(request, "a CreateTopics request is larger than its memory");
        return;
    }
    self->call.up.request.kind = CONTROLLER_CREATE_TOPICS;
    self->call.up.request.command.create_topics = &self->command;
    admin_call_post(&self->call, request, self->in.timeout_ms, answer);
}
