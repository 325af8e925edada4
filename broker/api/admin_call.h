/* A question of a request to the active controller, wherever that is.
 *
 * Here: decided and answered here. Elsewhere: the client's request is forwarded as it came and the
 * answer handed back as it comes; on_answered does not run then. A request that was forwarded to us
 * is not sent on again: its sender is told, and looks for the controller once more.
 *
 * Owner: the request's state. Loop: the connection's shard. */
#pragma once

#include "broker/api/dispatch.h"
#include "broker/uplink/uplink.h"

struct admin_call {
    struct uplink_call up; /* request.kind and request.command are filled by the handler. */
    struct uplink_forward forward;
    struct request *request;
    void (*on_answered)(struct admin_call *self, enum status status);
};

/* `timeout_ms` as the client said; it is clamped. on_answered runs later, on the same loop. */
void admin_call_post(struct admin_call *self, struct request *request, int32_t timeout_ms,
                     void (*on_answered)(struct admin_call *self, enum status status));
