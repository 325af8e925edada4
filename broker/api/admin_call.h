/* A question of a request to the controller, wherever that is.
 *
 * Owner: the request's state. Loop: the connection's shard. */
#pragma once

#include "broker/api/dispatch.h"
#include "broker/controller/controller.h"

struct admin_call {
    struct controller_request asked; /* Kind and command are filled by the handler. */
    struct request *request;
    void (*on_answered)(struct admin_call *self, enum status status);
};

/* `timeout_ms` as the client said; it is clamped. on_answered runs later, on the same loop. */
void admin_call_post(struct admin_call *self, struct request *request, int32_t timeout_ms,
                     void (*on_answered)(struct admin_call *self, enum status status));
