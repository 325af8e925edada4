#include "broker/api/serve_offset_delete.h"

#include "broker/api/coordinator_call.h"
#include "broker/api/partition_ask.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

struct offset_delete {
    struct group_ask ask;
    struct kafka_offset_delete_request in;
    struct kafka_offset_delete_response out;
};

static void send(struct offset_delete *self, int16_t code)
{
    struct request *request = self->ask.request;
    if (code != ERROR_CODE_NONE) {
        self->out.error_code = code;
        self->out.topics_count = 0;
    }
    self->out.throttle_time_ms = access_charge(&request->context, 0);
    request_begin_answer(request);
    kafka_offset_delete_response_encode(&self->out, request->context.api_version, &request->writer);
    coordinator_call_send(&self->ask);
}

static void answer(struct coordinator_call *call)
{
    send(container_of(call, struct offset_delete, ask.call), coordinator_call_code(call));
}

static bool prepare(struct offset_delete *self)
{
    struct request *request = self->ask.request;
    const struct image *image = partition_map_image(request->shard->map);
    kafka_offset_delete_response_defaults(&self->out);
    self->out.topics_count = self->in.topics_count;
    self->out.topics =
        arena_take_array(&request->arena, (size_t)self->in.topics_count, sizeof *self->out.topics);
    for (int32_t i = 0; self->out.topics != NULL && i < self->in.topics_count; i++) {
        const struct kafka_offset_delete_request_offset_delete_request_topic *in =
            &self->in.topics[i];
        struct kafka_offset_delete_response_offset_delete_response_topic *out =
            &self->out.topics[i];
        const struct image_topic *topic = image_topic_by_name(image, in->name);
        out->name = in->name;
        out->partitions_count = in->partitions_count;
        out->partitions = arena_take_array(&request->arena, (size_t)in->partitions_count,
                                           sizeof *out->partitions);
        if (out->partitions == NULL) {
            return false;
        }
        for (int32_t k = 0; k < in->partitions_count; k++) {
            int32_t index = in->partitions[k].partition_index;
            out->partitions[k].partition_index = index;
            out->partitions[k].error_code =
                partition_ask_check(request, ACCESS_READ, in->name, topic, index);
        }
    }
    return self->out.topics != NULL;
}

void serve_offset_delete(struct request *request)
{
    struct offset_delete *self = arena_take_array(&request->arena, 1, sizeof *self);
    check(self != NULL); /* The first taking of an empty arena. */
    if (!request_body_is_whole(request, kafka_offset_delete_request_decode(
                                            &request->body, request->context.api_version,
                                            &request->arena, &self->in))) {
        return;
    }
    if (!coordinator_call_init_ask(&self->ask, request) || !prepare(self)) {
        request_close(request, "an OffsetDelete request is larger than its memory");
        return;
    }
    if (!access_authorize(&request->context, ACCESS_DELETE, ACCESS_GROUP, self->in.group_id)) {
        send(self, ERROR_CODE_GROUP_AUTHORIZATION_FAILED);
        return;
    }
    self->ask.group.in.delete_offsets = &self->in;
    self->ask.group.out.delete_offsets = &self->out;
    coordinator_call_post_ask(&self->ask, self->in.group_id, group_commit_delete, answer);
}
