#include "broker/api/serve_offset_commit.h"

#include "broker/api/commit_topic.h"
#include "broker/api/coordinator_call.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

#define VERSION_WITH_TOPIC_IDS 10

typedef struct kafka_offset_commit_request_offset_commit_request_topic topic_in;
typedef struct kafka_offset_commit_response_offset_commit_response_topic topic_out;

struct offset_commit {
    struct group_ask ask;
    struct kafka_offset_commit_request in;
    struct kafka_offset_commit_response out;
};

static void fill_errors(struct offset_commit *self, int16_t code)
{
    for (int32_t i = 0; i < self->out.topics_count; i++) {
        for (int32_t k = 0; k < self->out.topics[i].partitions_count; k++) {
            self->out.topics[i].partitions[k].error_code = code;
        }
    }
}

static void send(struct offset_commit *self)
{
    struct request *request = self->ask.request;
    int16_t version = request->context.api_version;
    self->out.throttle_time_ms = access_charge(&request->context, 0);
    request_begin_answer(request);
    kafka_offset_commit_response_encode(&self->out, version, &request->writer);
    coordinator_call_send(&self->ask);
}

static void answer(struct coordinator_call *call)
{
    struct offset_commit *self = container_of(call, struct offset_commit, ask.call);
    if (call->fault != LEDGER_FAULT_NONE) {
        fill_errors(self, coordinator_call_code(call));
    }
    send(self);
}

static bool prepare_topic(struct offset_commit *self, topic_in *in, topic_out *out)
{
    struct request *request = self->ask.request;
    out->partitions_count = in->partitions_count;
    out->partitions =
        arena_take_array(&request->arena, (size_t)in->partitions_count, sizeof *out->partitions);
    if (out->partitions == NULL) {
        return false;
    }
    struct commit_topic topic = {.name = in->name, .topic_id = in->topic_id};
    commit_topic_find(&topic, request, request->context.api_version >= VERSION_WITH_TOPIC_IDS);
    out->name = in->name = topic.name;
    out->topic_id = in->topic_id = topic.topic_id;
    for (int32_t k = 0; k < in->partitions_count; k++) {
        int32_t index = in->partitions[k].partition_index;
        out->partitions[k].partition_index = index;
        out->partitions[k].error_code = commit_topic_check(&topic, request, index);
    }
    return true;
}

static bool prepare(struct offset_commit *self)
{
    kafka_offset_commit_response_defaults(&self->out);
    self->out.topics_count = self->in.topics_count;
    self->out.topics = arena_take_array(&self->ask.request->arena, (size_t)self->in.topics_count,
                                        sizeof *self->out.topics);
    if (self->out.topics == NULL) {
        return false;
    }
    for (int32_t i = 0; i < self->in.topics_count; i++) {
        if (!prepare_topic(self, &self->in.topics[i], &self->out.topics[i])) {
            return false;
        }
    }
    return true;
}

void serve_offset_commit(struct request *request)
{
    struct offset_commit *self = arena_take_array(&request->arena, 1, sizeof *self);
    check(self != NULL); /* The first taking of an empty arena. */
    if (!request_body_is_whole(request, kafka_offset_commit_request_decode(
                                            &request->body, request->context.api_version,
                                            &request->arena, &self->in))) {
        return;
    }
    if (!coordinator_call_init_ask(&self->ask, request) || !prepare(self)) {
        request_close(request, "an OffsetCommit request is larger than its memory");
        return;
    }
    if (!access_authorize(&request->context, ACCESS_READ, ACCESS_GROUP, self->in.group_id)) {
        fill_errors(self, ERROR_CODE_GROUP_AUTHORIZATION_FAILED);
        send(self);
        return;
    }
    self->ask.group.in.commit = &self->in;
    self->ask.group.out.commit = &self->out;
    coordinator_call_post_ask(&self->ask, self->in.group_id, group_commit_offsets, answer);
}
