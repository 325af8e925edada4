#include "broker/api/admin_call.h"

#include "proto/sys/check.h"

#define ADMIN_TIMEOUT_MS_MIN 1000
#define ADMIN_TIMEOUT_MS_MAX 120000

static void asked_on_done(struct controller_request *asked, enum status status)
{
    struct admin_call *self = container_of(asked, struct admin_call, asked);
    self->on_answered(self, status);
}

void admin_call_post(struct admin_call *self, struct request *request, int32_t timeout_ms,
                     void (*on_answered)(struct admin_call *self, enum status status))
{
    struct api_shard *shard = request->shard;
    check(shard->node->controller != NULL);
    int64_t clamped_ms = timeout_ms < ADMIN_TIMEOUT_MS_MIN   ? ADMIN_TIMEOUT_MS_MIN
                         : timeout_ms > ADMIN_TIMEOUT_MS_MAX ? ADMIN_TIMEOUT_MS_MAX
                                                             : timeout_ms;
    self->request = request;
    self->on_answered = on_answered;
    self->asked.deadline_ns = request->received_ns + clamped_ms * CLOCK_NS_PER_MS;
    self->asked.on_done = asked_on_done;
    controller_post(shard->node->controller, &self->asked, shard->loop);
}
