#include "proto/sys/host/host_gate.h"

#include "proto/sys/check.h"

enum status host_gate_init(struct host_gate *self)
{
    *self = (struct host_gate){0};
    if (uv_mutex_init(&self->lock) != 0) {
        return STATUS_NO_MEMORY;
    }
    if (uv_cond_init(&self->changed) != 0) {
        uv_mutex_destroy(&self->lock);
        return STATUS_NO_MEMORY;
    }
    self->is_open = true;
    return STATUS_OK;
}

void host_gate_done(struct host_gate *self)
{
    if (self->is_open) {
        uv_cond_destroy(&self->changed);
        uv_mutex_destroy(&self->lock);
    }
    *self = (struct host_gate){0};
}

void host_gate_enter(struct host_gate *self)
{
    check(self->is_open);
    uv_mutex_lock(&self->lock);
}

void host_gate_leave(struct host_gate *self)
{
    uv_mutex_unlock(&self->lock);
}

bool host_gate_wait(struct host_gate *self, int64_t until_ns)
{
    if (until_ns == INT64_MAX) {
        uv_cond_wait(&self->changed, &self->lock);
        return true;
    }
    int64_t now_ns = (int64_t)uv_hrtime();
    if (now_ns >= until_ns) {
        return false;
    }
    (void)uv_cond_timedwait(&self->changed, &self->lock, (uint64_t)(until_ns - now_ns));
    return true;
}

void host_gate_tell(struct host_gate *self)
{
    uv_cond_broadcast(&self->changed);
}
