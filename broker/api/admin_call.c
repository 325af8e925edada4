#include "broker/api/admin_call.h"

#include "proto/sys/check.h"

#define ADMIN_TIMEOUT_MS_MIN 1000
#define ADMIN_TIMEOUT_MS_MAX 120000

static void sent_raw(struct request *request)
{
    struct admin_call *self = request->state;
    uplink_forward_done(&self->forward);
    request_done(request);
}

static void forward_on_done(struct uplink_forward *forward, enum status status)
{
    struct admin_call *self = container_of(forward, struct admin_call, forward);
    if (status != STATUS_OK) {
        uplink_forward_done(forward);
        self->on_answered(self, status);
        return;
    }
    self->request->state = self;
    self->request->on_sent = sent_raw;
    request_send_raw(self->request, forward->answer, forward->answer_bytes);
}

static void up_on_done(struct uplink_call *up, enum status status)
{
    struct admin_call *self = container_of(up, struct admin_call, up);
    struct request *request = self->request;
    if (status != STATUS_NOT_LEADER) {
        self->on_answered(self, status);
        return;
    }
    if (request->is_forwarded) {
        request_refuse_forwarded(request);
        return;
    }
    self->forward = (struct uplink_forward){.frame = request->frame->bytes,
                                            .frame_bytes = request->frame->byte_count,
                                            .deadline_ns = self->up.request.deadline_ns,
                                            .on_done = forward_on_done};
    uplink_forward_post(request->shard->node->uplink, &self->forward, request->shard->loop);
}

void admin_call_post(struct admin_call *self, struct request *request, int32_t timeout_ms,
                     void (*on_answered)(struct admin_call *self, enum status status))
{
    struct api_shard *shard = request->shard;
    check(shard->node->uplink != NULL);
    int64_t clamped_ms = timeout_ms < ADMIN_TIMEOUT_MS_MIN   ? ADMIN_TIMEOUT_MS_MIN
                         : timeout_ms > ADMIN_TIMEOUT_MS_MAX ? ADMIN_TIMEOUT_MS_MAX
                                                             : timeout_ms;
    self->request = request;
    self->on_answered = on_answered;
    self->up.request.deadline_ns = request->received_ns + clamped_ms * CLOCK_NS_PER_MS;
    self->up.on_done = up_on_done;
    uplink_post(shard->node->uplink, &self->up, shard->loop);
}
