#include "broker/api/serve_delete_topics.h"

#include "broker/api/admin_call.h"
#include "broker/api/reply_code.h"
#include "proto/kafka/delete_topics.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

struct delete_topics {
    struct admin_call call;
    struct request *request;
    struct kafka_delete_topics_request in;
    struct kafka_delete_topics_response out;
    struct topic_decisions_delete_request command;
    int32_t *out_of_item;
};

static void fill_result(struct delete_topics *self, uint32_t index, enum status status)
{
    const struct topic_decisions_delete *item = &self->command.items[index];
    struct kafka_delete_topics_response_deletable_topic_result *out =
        &self->out.responses[self->out_of_item[index]];
    if (status != STATUS_OK) {
        out->error_code = reply_code_of_status(status);
        out->error_message = wire_text_of(reply_code_message(status));
        return;
    }
    out->error_code = reply_code_of_decision(item->error.reason);
    if (item->error.reason != DECISION_NONE) {
        out->error_message = wire_text_of(item->error.message);
        return;
    }
    out->topic_id = item->deleted_id;
    out->name = wire_text_of(item->deleted_name);
}

static void answer(struct admin_call *call, enum status status)
{
    struct delete_topics *self = container_of(call, struct delete_topics, call);
    struct request *request = self->request;
    for (uint32_t i = 0; i < self->command.item_count; i++) {
        fill_result(self, i, status);
    }
    request_begin_answer(request);
    kafka_delete_topics_response_encode(&self->out, request->context.api_version, &request->writer);
    request_send(request);
}

static void prepare_topic(struct delete_topics *self, int32_t index)
{
    bool has_ids = self->request->context.api_version >= 6;
    struct kafka_delete_topics_response_deletable_topic_result *out = &self->out.responses[index];
    kafka_delete_topics_response_deletable_topic_result_defaults(out);
    out->error_message = wire_text_of(NULL);
    out->name = has_ids ? self->in.topics[index].name : self->in.topic_names[index];
    if (has_ids) {
        out->topic_id = self->in.topics[index].topic_id;
    }
    const struct image *image = partition_map_image(self->request->shard->map);
    const struct image_topic *topic =
        out->name.byte_count < 0 ? image_topic_by_id(image, &out->topic_id) : NULL;
    struct wire_text name = topic == NULL ? out->name : wire_text_of(topic->name);
    bool is_known = name.byte_count >= 0; /* An id of nothing is no topic to be asked about. */
    if (is_known && !access_authorize(&self->request->context, ACCESS_DELETE, ACCESS_TOPIC, name)) {
        out->error_code = ERROR_CODE_TOPIC_AUTHORIZATION_FAILED;
        return;
    }
    self->command.items[self->command.item_count] =
        (struct topic_decisions_delete){.name = out->name, .id = out->topic_id};
    self->out_of_item[self->command.item_count] = index;
    self->command.item_count += 1;
}

static bool prepare(struct delete_topics *self)
{
    struct arena *arena = &self->request->arena;
    int32_t count = self->request->context.api_version >= 6 ? self->in.topics_count
                                                            : self->in.topic_names_count;
    kafka_delete_topics_response_defaults(&self->out);
    self->out.throttle_time_ms = access_charge(&self->request->context, 0);
    self->out.responses_count = count;
    self->out.responses = arena_take_array(arena, (size_t)count, sizeof *self->out.responses);
    self->command.items = arena_take_array(arena, (size_t)count, sizeof *self->command.items);
    self->out_of_item = arena_take_array(arena, (size_t)count, sizeof *self->out_of_item);
    if (self->out.responses == NULL || self->command.items == NULL || self->out_of_item == NULL) {
        return false;
    }
    for (int32_t i = 0; i < count; i++) {
        prepare_topic(self, i);
    }
    return true;
}

void serve_delete_topics(struct request *request)
{
    struct delete_topics *self = arena_take_array(&request->arena, 1, sizeof *self);
    check(self != NULL); /* The first taking of an empty arena. */
    self->request = request;
    if (!request_body_is_whole(request, kafka_delete_topics_request_decode(
                                            &request->body, request->context.api_version,
                                            &request->arena, &self->in))) {
        return;
    }
    if (!prepare(self)) {
        request_close(request, "a DeleteTopics request is larger than its memory");
        return;
    }
    self->call.up.request.kind = CONTROLLER_DELETE_TOPICS;
    self->call.up.request.command.delete_topics = &self->command;
    admin_call_post(&self->call, request, self->in.timeout_ms, answer);
}
