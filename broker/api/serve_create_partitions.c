#include "broker/api/serve_create_partitions.h"

#include "broker/api/admin_call.h"
#include "broker/api/reply_code.h"
#include "proto/kafka/create_partitions.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

struct create_partitions {
    struct admin_call call;
    struct request *request;
    struct kafka_create_partitions_request in;
    struct kafka_create_partitions_response out;
    struct topic_decisions_grow_request command;
    int32_t *out_of_item;
};

static void answer(struct admin_call *call, enum status status)
{
    struct create_partitions *self = container_of(call, struct create_partitions, call);
    struct request *request = self->request;
    for (uint32_t i = 0; i < self->command.item_count; i++) {
        const struct decision_error *error = &self->command.items[i].error;
        struct kafka_create_partitions_response_create_partitions_topic_result *out =
            &self->out.results[self->out_of_item[i]];
        out->error_code = status == STATUS_OK ? reply_code_of_decision(error->reason)
                                              : reply_code_of_status(status);
        if (out->error_code != ERROR_CODE_NONE) {
            out->error_message =
                wire_text_of(status == STATUS_OK ? error->message : reply_code_message(status));
        }
    }
    request_begin_answer(request);
    kafka_create_partitions_response_encode(&self->out, request->context.api_version,
                                            &request->writer);
    request_send(request);
}

static bool
add_assignments(struct request *request,
                const struct kafka_create_partitions_request_create_partitions_topic *in,
                struct topic_decisions_grow *item)
{
    if (in->assignments_count <= 0) {
        return true;
    }
    struct topic_decisions_assignment *assignments =
        arena_take_array(&request->arena, (size_t)in->assignments_count, sizeof *assignments);
    if (assignments == NULL) {
        return false;
    }
    for (int32_t i = 0; i < in->assignments_count; i++) {
        assignments[i].brokers = in->assignments[i].broker_ids;
        assignments[i].broker_count = (uint32_t)in->assignments[i].broker_ids_count;
    }
    item->assignments = assignments;
    item->assignment_count = (uint32_t)in->assignments_count;
    return true;
}

/* Names that come twice are the controller's to refuse: it must see all of them. */
static bool prepare_topic(struct create_partitions *self, int32_t index)
{
    const struct kafka_create_partitions_request_create_partitions_topic *in =
        &self->in.topics[index];
    struct kafka_create_partitions_response_create_partitions_topic_result *out =
        &self->out.results[index];
    out->name = in->name;
    out->error_message = wire_text_of(NULL);
    if (!access_authorize(&self->request->context, ACCESS_ALTER, ACCESS_TOPIC, in->name)) {
        out->error_code = ERROR_CODE_TOPIC_AUTHORIZATION_FAILED;
        return true;
    }
    struct topic_decisions_grow *item = &self->command.items[self->command.item_count];
    *item = (struct topic_decisions_grow){.name = in->name, .partition_count = in->count};
    self->out_of_item[self->command.item_count] = index;
    self->command.item_count += 1;
    return add_assignments(self->request, in, item);
}

static bool prepare(struct create_partitions *self)
{
    struct arena *arena = &self->request->arena;
    size_t count = (size_t)self->in.topics_count;
    kafka_create_partitions_response_defaults(&self->out);
    self->out.throttle_time_ms = access_charge(&self->request->context, 0);
    self->out.results_count = self->in.topics_count;
    self->out.results = arena_take_array(arena, count, sizeof *self->out.results);
    self->command.validate_only = self->in.validate_only;
    self->command.items = arena_take_array(arena, count, sizeof *self->command.items);
    self->out_of_item = arena_take_array(arena, count, sizeof *self->out_of_item);
    if (self->out.results == NULL || self->command.items == NULL || self->out_of_item == NULL) {
        return false;
    }
    for (int32_t i = 0; i < self->in.topics_count; i++) {
        if (!prepare_topic(self, i)) {
            return false;
        }
    }
    return true;
}

void serve_create_partitions(struct request *request)
{
    struct create_partitions *self = arena_take_array(&request->arena, 1, sizeof *self);
    check(self != NULL); /* The first taking of an empty arena. */
    self->request = request;
    if (!request_body_is_whole(request, kafka_create_partitions_request_decode(
                                            &request->body, request->context.api_version,
                                            &request->arena, &self->in))) {
        return;
    }
    if (!prepare(self)) {
        request_close(request, "a CreatePartitions request is larger than its memory");
        return;
    }
    self->call.up.request.kind = CONTROLLER_CREATE_PARTITIONS;
    self->call.up.request.command.create_partitions = &self->command;
    admin_call_post(&self->call, request, self->in.timeout_ms, answer);
}
