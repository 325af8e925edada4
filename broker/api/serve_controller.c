#include "broker/api/serve_controller.h"

#include "broker/api/dispatch.h"
#include "broker/api/reply_code.h"
#include "broker/api/speaker.h"
#include "proto/kafka/allocate_producer_ids.h"
#include "proto/kafka/alter_partition.h"
#include "proto/kafka/broker_heartbeat.h"
#include "proto/kafka/broker_registration.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

#define ASK_TIMEOUT_MS 5000

/* One question on its way to the local controller. */
struct controller_question {
    struct controller_request asked;
    struct request *request;
    union {
        struct broker_decisions_register registration;
        struct broker_decisions_heartbeat heartbeat;
        struct isr_decisions_request alter;
        struct producer_id_decisions_request producer_ids;
    } command;
    struct kafka_alter_partition_request alter_in;
};

static struct controller_question *start(struct request *request)
{
    struct controller_question *self = arena_take_array(&request->arena, 1, sizeof *self);
    check(self != NULL); /* The first taking of an empty arena. */
    self->request = request;
    return self;
}

static void post(struct controller_question *self, enum controller_request_kind kind,
                 void (*on_done)(struct controller_request *asked, enum status status))
{
    struct api_shard *shard = self->request->shard;
    if (shard->node->controller == NULL) {
        on_done(&self->asked, STATUS_NOT_LEADER); /* This node does not vote. */
        return;
    }
    self->asked.kind = kind;
    self->asked.deadline_ns = self->request->received_ns + ASK_TIMEOUT_MS * CLOCK_NS_PER_MS;
    self->asked.on_done = on_done;
    controller_post(shard->node->controller, &self->asked, shard->loop);
}

static int16_t code_of(enum status status, const struct decision_error *error)
{
    return status == STATUS_OK ? reply_code_of_decision(error->reason)
                               : reply_code_of_status(status);
}

/* False: refused, and answered by the caller with the code. */
static bool may_ask(struct request *request)
{
    return access_authorize(&request->context, ACCESS_CLUSTER_ACTION, ACCESS_CLUSTER,
                            wire_text_of("kafka-cluster"));
}

/* ---- registration ---- */

static void answer_registration(struct controller_request *asked, enum status status)
{
    struct controller_question *self = container_of(asked, struct controller_question, asked);
    struct request *request = self->request;
    const struct broker_decisions_register *result = &self->command.registration;
    struct kafka_broker_registration_response out;
    kafka_broker_registration_response_defaults(&out);
    out.error_code = code_of(status, &result->error);
    if (out.error_code == ERROR_CODE_NONE) {
        out.broker_epoch = result->epoch != 0 ? result->epoch : (int64_t)asked->index;
        speaker_note_broker(request, result->broker_id, out.broker_epoch);
    }
    request_begin_answer(request);
    kafka_broker_registration_response_encode(&out, request->context.api_version, &request->writer);
    request_send(request);
}

static bool read_registration(struct request *request,
                              const struct kafka_broker_registration_request *in,
                              struct broker_decisions_register *out)
{
    struct broker_decisions_endpoint *endpoints =
        arena_take_array(&request->arena, (size_t)in->listeners_count, sizeof *endpoints);
    if (endpoints == NULL) {
        return false;
    }
    for (int32_t i = 0; i < in->listeners_count; i++) {
        endpoints[i].listener = in->listeners[i].name;
        endpoints[i].host = in->listeners[i].host;
        endpoints[i].port = in->listeners[i].port;
        endpoints[i].security = wire_text_of("PLAINTEXT");
    }
    *out = (struct broker_decisions_register){.broker_id = in->broker_id,
                                              .incarnation_id = in->incarnation_id,
                                              .previous_epoch = in->previous_broker_epoch,
                                              .rack = in->rack,
                                              .endpoints = endpoints,
                                              .endpoint_count = (uint32_t)in->listeners_count,
                                              .is_voter = in->is_voter};
    if (in->log_dirs_count > 0) {
        out->directory_id = in->log_dirs[0];
    }
    return true;
}

void serve_controller_registration(struct request *request)
{
    struct controller_question *self = start(request);
    struct kafka_broker_registration_request in;
    if (!request_body_is_whole(
            request, kafka_broker_registration_request_decode(
                         &request->body, request->context.api_version, &request->arena, &in))) {
        return;
    }
    if (!may_ask(request) || !read_registration(request, &in, &self->command.registration)) {
        request_close(request, "a registration that is not allowed or too large");
        return;
    }
    self->asked.command.register_broker = &self->command.registration;
    post(self, CONTROLLER_REGISTER_BROKER, answer_registration);
}

/* ---- heartbeat ---- */

static void answer_heartbeat(struct controller_request *asked, enum status status)
{
    struct controller_question *self = container_of(asked, struct controller_question, asked);
    struct request *request = self->request;
    const struct broker_decisions_heartbeat *result = &self->command.heartbeat;
    struct kafka_broker_heartbeat_response out;
    kafka_broker_heartbeat_response_defaults(&out);
    out.error_code = code_of(status, &result->error);
    if (out.error_code == ERROR_CODE_NONE) {
        out.is_caught_up = result->is_caught_up;
        out.is_fenced = result->is_fenced;
        out.should_shut_down = result->should_shut_down;
        speaker_note_broker(request, result->broker_id, result->broker_epoch);
    }
    request_begin_answer(request);
    kafka_broker_heartbeat_response_encode(&out, request->context.api_version, &request->writer);
    request_send(request);
}

void serve_controller_heartbeat(struct request *request)
{
    struct controller_question *self = start(request);
    struct kafka_broker_heartbeat_request in;
    if (!request_body_is_whole(
            request, kafka_broker_heartbeat_request_decode(
                         &request->body, request->context.api_version, &request->arena, &in))) {
        return;
    }
    if (!may_ask(request)) {
        request_close(request, "a heartbeat that is not allowed");
        return;
    }
    self->command.heartbeat = (struct broker_decisions_heartbeat){
        .broker_id = in.broker_id,
        .broker_epoch = in.broker_epoch,
        .applied_index = in.current_metadata_offset < 0 ? 0 : (uint64_t)in.current_metadata_offset,
        .wants_fence = in.want_fence,
        .wants_shut_down = in.want_shut_down};
    self->asked.command.heartbeat = &self->command.heartbeat;
    post(self, CONTROLLER_HEARTBEAT, answer_heartbeat);
}

/* ---- alter partition ---- */

static bool fill_partition(struct request *request, const struct isr_decisions_item *item,
                           struct kafka_alter_partition_response_partition_data *out)
{
    kafka_alter_partition_response_partition_data_defaults(out);
    out->partition_index = item->index;
    out->error_code = reply_code_of_decision(item->reason);
    if (item->reason != DECISION_NONE && item->reason != DECISION_LEADER_MOVED) {
        return true;
    }
    out->leader_id = item->partition.leader;
    out->leader_epoch = item->partition.leader_epoch;
    out->partition_epoch = item->partition.partition_epoch;
    out->leader_recovery_state = item->partition.is_recovering ? 1 : 0;
    out->isr = arena_take_array(&request->arena, item->partition.isr_count, sizeof *out->isr);
    if (out->isr == NULL) {
        return false;
    }
    out->isr_count = item->partition.isr_count;
    for (int32_t i = 0; i < out->isr_count; i++) {
        out->isr[i] = item->partition.isr[i];
    }
    return true;
}

/* The items stand in the order of the request's topics and partitions. */
static bool fill_alter(struct controller_question *self, struct kafka_alter_partition_response *out)
{
    struct request *request = self->request;
    const struct kafka_alter_partition_request *in = &self->alter_in;
    const struct isr_decisions_item *item = self->command.alter.items;
    out->topics = arena_take_array(&request->arena, (size_t)in->topics_count, sizeof *out->topics);
    if (out->topics == NULL) {
        return false;
    }
    out->topics_count = in->topics_count;
    for (int32_t t = 0; t < in->topics_count; t++) {
        int32_t count = in->topics[t].partitions_count;
        out->topics[t].topic_id = in->topics[t].topic_id;
        out->topics[t].partitions_count = count;
        out->topics[t].partitions =
            arena_take_array(&request->arena, (size_t)count, sizeof *out->topics[t].partitions);
        for (int32_t p = 0; p < count; p++) {
            if (out->topics[t].partitions == NULL ||
                !fill_partition(request, item, &out->topics[t].partitions[p])) {
                return false;
            }
            item += 1;
        }
    }
    return true;
}

static void answer_alter(struct controller_request *asked, enum status status)
{
    struct controller_question *self = container_of(asked, struct controller_question, asked);
    struct request *request = self->request;
    struct kafka_alter_partition_response out;
    kafka_alter_partition_response_defaults(&out);
    out.error_code = code_of(status, &self->command.alter.error);
    if (out.error_code == ERROR_CODE_NONE && !fill_alter(self, &out)) {
        request_close(request, "the answer is larger than its memory");
        return;
    }
    request_begin_answer(request);
    kafka_alter_partition_response_encode(&out, request->context.api_version, &request->writer);
    request_send(request);
}

static bool read_isr(struct request *request,
                     const struct kafka_alter_partition_request_partition_data *in,
                     struct isr_decisions_item *item)
{
    bool has_epochs = request->context.api_version >= 3;
    int32_t count = has_epochs ? in->new_isr_with_epochs_count : in->new_isr_count;
    struct isr_decisions_member *isr =
        arena_take_array(&request->arena, (size_t)count, sizeof *isr);
    if (isr == NULL) {
        return false;
    }
    for (int32_t i = 0; i < count; i++) {
        isr[i].broker_id = has_epochs ? in->new_isr_with_epochs[i].broker_id : in->new_isr[i];
        isr[i].broker_epoch = has_epochs ? in->new_isr_with_epochs[i].broker_epoch : -1;
    }
    item->index = in->partition_index;
    item->leader_epoch = in->leader_epoch;
    item->partition_epoch = in->partition_epoch;
    item->is_recovering = in->leader_recovery_state == 1;
    item->isr = isr;
    item->isr_count = (uint32_t)count;
    return true;
}

static bool read_alter(struct controller_question *self)
{
    const struct kafka_alter_partition_request *in = &self->alter_in;
    struct isr_decisions_request *out = &self->command.alter;
    size_t count = 0;
    for (int32_t t = 0; t < in->topics_count; t++) {
        count += (size_t)in->topics[t].partitions_count;
    }
    *out = (struct isr_decisions_request){.broker_id = in->broker_id,
                                          .broker_epoch = in->broker_epoch};
    out->items = arena_take_array(&self->request->arena, count, sizeof *out->items);
    if (out->items == NULL) {
        return false;
    }
    for (int32_t t = 0; t < in->topics_count; t++) {
        for (int32_t p = 0; p < in->topics[t].partitions_count; p++) {
            struct isr_decisions_item *item = &out->items[out->item_count];
            item->topic_id = in->topics[t].topic_id;
            if (!read_isr(self->request, &in->topics[t].partitions[p], item)) {
                return false;
            }
            out->item_count += 1;
        }
    }
    return true;
}

void serve_controller_alter_partition(struct request *request)
{
    struct controller_question *self = start(request);
    if (!request_body_is_whole(request, kafka_alter_partition_request_decode(
                                            &request->body, request->context.api_version,
                                            &request->arena, &self->alter_in))) {
        return;
    }
    if (!may_ask(request) || !read_alter(self)) {
        request_close(request, "an AlterPartition that is not allowed or too large");
        return;
    }
    self->asked.command.alter_partitions = &self->command.alter;
    post(self, CONTROLLER_ALTER_PARTITIONS, answer_alter);
}

/* ---- producer ids ---- */

static void answer_producer_ids(struct controller_request *asked, enum status status)
{
    struct controller_question *self = container_of(asked, struct controller_question, asked);
    struct request *request = self->request;
    const struct producer_id_decisions_request *result = &self->command.producer_ids;
    struct kafka_allocate_producer_ids_response out;
    kafka_allocate_producer_ids_response_defaults(&out);
    out.error_code = code_of(status, &result->error);
    if (out.error_code == ERROR_CODE_NONE) {
        out.producer_id_start = result->first_id;
        out.producer_id_len = result->id_count;
    }
    request_begin_answer(request);
    kafka_allocate_producer_ids_response_encode(&out, request->context.api_version,
                                                &request->writer);
    request_send(request);
}

void serve_controller_producer_ids(struct request *request)
{
    struct controller_question *self = start(request);
    struct kafka_allocate_producer_ids_request in;
    if (!request_body_is_whole(
            request, kafka_allocate_producer_ids_request_decode(
                         &request->body, request->context.api_version, &request->arena, &in))) {
        return;
    }
    if (!may_ask(request)) {
        request_close(request, "an AllocateProducerIds that is not allowed");
        return;
    }
    self->command.producer_ids = (struct producer_id_decisions_request){
        .broker_id = in.broker_id, .broker_epoch = in.broker_epoch};
    self->asked.command.producer_ids = &self->command.producer_ids;
    post(self, CONTROLLER_ALLOCATE_PRODUCER_IDS, answer_producer_ids);
}
