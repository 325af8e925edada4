#include "broker/api/serve_join_group.h"

#include "broker/api/coordinator_call.h"
#include "broker/api/speaker.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

struct join_group {
    struct group_ask ask;
    struct kafka_join_group_request in;
    struct kafka_join_group_response out;
};

static void join_refuse(struct join_group *self, int16_t code)
{
    bool may_be_null = self->ask.request->context.api_version >= 7;
    kafka_join_group_response_defaults(&self->out);
    self->out.error_code = code;
    self->out.protocol_type = wire_text_of(NULL);
    self->out.protocol_name = may_be_null ? wire_text_of(NULL) : wire_text_of("");
    self->out.leader = wire_text_of("");
    self->out.member_id = self->in.member_id;
}

static void join_answer(struct coordinator_call *call)
{
    struct join_group *self = container_of(call, struct join_group, ask.call);
    struct request *request = self->ask.request;
    if (call->fault != LEDGER_FAULT_NONE) {
        join_refuse(self, coordinator_call_code(call));
    } else {
        speaker_note_member(request, &self->ask.group, self->in.group_id, self->out.member_id);
    }
    self->out.throttle_time_ms = access_charge(&request->context, 0);
    request_begin_answer(request);
    kafka_join_group_response_encode(&self->out, request->context.api_version, &request->writer);
    coordinator_call_send(&self->ask);
}

void serve_join_group(struct request *request)
{
    struct join_group *self = arena_take_array(&request->arena, 1, sizeof *self);
    check(self != NULL); /* The first taking of an empty arena. */
    if (!request_body_is_whole(
            request, kafka_join_group_request_decode(&request->body, request->context.api_version,
                                                     &request->arena, &self->in))) {
        return;
    }
    if (!coordinator_call_init_ask(&self->ask, request)) {
        request_close(request, "a JoinGroup request is larger than its memory");
        return;
    }
    if (!access_authorize(&request->context, ACCESS_READ, ACCESS_GROUP, self->in.group_id)) {
        join_refuse(self, ERROR_CODE_GROUP_AUTHORIZATION_FAILED);
        request_begin_answer(request);
        kafka_join_group_response_encode(&self->out, request->context.api_version,
                                         &request->writer);
        coordinator_call_send(&self->ask);
        return;
    }
    self->ask.group.connection_number = speaker_number(request);
    self->ask.group.in.join = &self->in;
    self->ask.group.out.join = &self->out;
    coordinator_call_post_ask(&self->ask, self->in.group_id, group_join, join_answer);
}

struct sync_group {
    struct group_ask ask;
    struct kafka_sync_group_request in;
    struct kafka_sync_group_response out;
};

static void sync_send(struct sync_group *self)
{
    struct request *request = self->ask.request;
    self->out.throttle_time_ms = access_charge(&request->context, 0);
    request_begin_answer(request);
    kafka_sync_group_response_encode(&self->out, request->context.api_version, &request->writer);
    coordinator_call_send(&self->ask);
}

static void sync_refuse(struct sync_group *self, int16_t code)
{
    kafka_sync_group_response_defaults(&self->out);
    self->out.error_code = code;
    self->out.protocol_type = wire_text_of(NULL);
    self->out.protocol_name = wire_text_of(NULL);
    sync_send(self);
}

static void sync_answer(struct coordinator_call *call)
{
    struct sync_group *self = container_of(call, struct sync_group, ask.call);
    if (call->fault != LEDGER_FAULT_NONE) {
        sync_refuse(self, coordinator_call_code(call));
    } else {
        speaker_note_member(self->ask.request, &self->ask.group, self->in.group_id,
                            self->in.member_id);
        sync_send(self);
    }
}

void serve_join_group_sync(struct request *request)
{
    struct sync_group *self = arena_take_array(&request->arena, 1, sizeof *self);
    check(self != NULL); /* The first taking of an empty arena. */
    if (!request_body_is_whole(
            request, kafka_sync_group_request_decode(&request->body, request->context.api_version,
                                                     &request->arena, &self->in))) {
        return;
    }
    if (!coordinator_call_init_ask(&self->ask, request)) {
        request_close(request, "a SyncGroup request is larger than its memory");
        return;
    }
    if (!access_authorize(&request->context, ACCESS_READ, ACCESS_GROUP, self->in.group_id)) {
        sync_refuse(self, ERROR_CODE_GROUP_AUTHORIZATION_FAILED);
        return;
    }
    self->ask.group.connection_number = speaker_number(request);
    self->ask.group.in.sync = &self->in;
    self->ask.group.out.sync = &self->out;
    coordinator_call_post_ask(&self->ask, self->in.group_id, group_rebalance_sync, sync_answer);
}
