#include "broker/api/serve_heartbeat.h"

#include "broker/api/coordinator_call.h"
#include "broker/api/speaker.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

struct heartbeat {
    struct group_ask ask;
    struct kafka_heartbeat_request in;
    struct kafka_heartbeat_response out;
};

static void beat_send(struct heartbeat *self)
{
    struct request *request = self->ask.request;
    self->out.throttle_time_ms = access_charge(&request->context, 0);
    request_begin_answer(request);
    kafka_heartbeat_response_encode(&self->out, request->context.api_version, &request->writer);
    coordinator_call_send(&self->ask);
}

static void beat_answer(struct coordinator_call *call)
{
    struct heartbeat *self = container_of(call, struct heartbeat, ask.call);
    if (call->fault != LEDGER_FAULT_NONE) {
        kafka_heartbeat_response_defaults(&self->out);
        self->out.error_code = coordinator_call_code(call);
    } else {
        speaker_note_member(self->ask.request, &self->ask.group, self->in.group_id,
                            self->in.member_id);
    }
    beat_send(self);
}

void serve_heartbeat(struct request *request)
{
    struct heartbeat *self = arena_take_array(&request->arena, 1, sizeof *self);
    check(self != NULL); /* The first taking of an empty arena. */
    if (!request_body_is_whole(
            request, kafka_heartbeat_request_decode(&request->body, request->context.api_version,
                                                    &request->arena, &self->in))) {
        return;
    }
    if (!coordinator_call_init_ask(&self->ask, request)) {
        request_close(request, "a Heartbeat request is larger than its memory");
        return;
    }
    if (!access_authorize(&request->context, ACCESS_READ, ACCESS_GROUP, self->in.group_id)) {
        kafka_heartbeat_response_defaults(&self->out);
        self->out.error_code = ERROR_CODE_GROUP_AUTHORIZATION_FAILED;
        beat_send(self);
        return;
    }
    self->ask.group.connection_number = speaker_number(request);
    self->ask.group.in.heartbeat = &self->in;
    self->ask.group.out.heartbeat = &self->out;
    coordinator_call_post_ask(&self->ask, self->in.group_id, group_join_heartbeat, beat_answer);
}

struct leave_group {
    struct group_ask ask;
    struct kafka_leave_group_request in;
    struct kafka_leave_group_response out;
};

static void leave_send(struct leave_group *self)
{
    struct request *request = self->ask.request;
    self->out.throttle_time_ms = access_charge(&request->context, 0);
    request_begin_answer(request);
    kafka_leave_group_response_encode(&self->out, request->context.api_version, &request->writer);
    coordinator_call_send(&self->ask);
}

static void leave_refuse(struct leave_group *self, int16_t code)
{
    kafka_leave_group_response_defaults(&self->out);
    self->out.error_code = code;
    leave_send(self);
}

static void leave_answer(struct coordinator_call *call)
{
    struct leave_group *self = container_of(call, struct leave_group, ask.call);
    if (call->fault != LEDGER_FAULT_NONE) {
        leave_refuse(self, coordinator_call_code(call));
    } else {
        leave_send(self);
    }
}

void serve_heartbeat_leave(struct request *request)
{
    struct leave_group *self = arena_take_array(&request->arena, 1, sizeof *self);
    check(self != NULL); /* The first taking of an empty arena. */
    if (!request_body_is_whole(
            request, kafka_leave_group_request_decode(&request->body, request->context.api_version,
                                                      &request->arena, &self->in))) {
        return;
    }
    if (!coordinator_call_init_ask(&self->ask, request)) {
        request_close(request, "a LeaveGroup request is larger than its memory");
        return;
    }
    if (!access_authorize(&request->context, ACCESS_READ, ACCESS_GROUP, self->in.group_id)) {
        leave_refuse(self, ERROR_CODE_GROUP_AUTHORIZATION_FAILED);
        return;
    }
    self->ask.group.in.leave = &self->in;
    self->ask.group.out.leave = &self->out;
    coordinator_call_post_ask(&self->ask, self->in.group_id, group_join_leave, leave_answer);
}
