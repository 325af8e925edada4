#include "client/millrace/producer_handle.h"

bool producer_handle_is_open(struct millrace_producer *self)
{
    return self->core != NULL && self->core->magic != 0;
}

static void look_run(struct session_call *call)
{
    struct producer_call *mine = container_of(call, struct producer_call, call);
    if (producer_handle_is_open(mine->producer)) {
        const struct cluster *cluster = &mine->producer->core->cluster;
        mine->is_unreachable =
            !cluster->has_refreshed || cluster->refresh_status == STATUS_UNREACHABLE;
    }
    session_end(call);
}

bool producer_handle_is_unreachable(struct millrace_producer *self)
{
    struct producer_call look = {.call = {.run = look_run}, .producer = self};
    return session_run(self->handle.session, &look.call) && look.is_unreachable;
}
