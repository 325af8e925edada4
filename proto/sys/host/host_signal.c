#include "proto/sys/host/host_signal.h"

#include "proto/sys/check.h"
#include "proto/sys/host/host_status.h"

#define SIGNAL_MAGIC 0x519a4e01U

static void tell_signal(uv_signal_t *uv, int number)
{
    struct host_signal *self = container_of(uv, struct host_signal, uv);
    check(self->magic == SIGNAL_MAGIC);
    self->on_signal(self, number);
}

enum status host_signal_open(struct host_signal *self, struct host_loop *loop, int number,
                             void (*on_signal)(struct host_signal *self, int number))
{
    *self = (struct host_signal){.on_signal = on_signal};
    int error = uv_signal_init(&loop->uv, &self->uv);
    if (error != 0) {
        return host_status_of_socket(error);
    }
    self->magic = SIGNAL_MAGIC;
    error = uv_signal_start(&self->uv, tell_signal, number);
    if (error != 0) {
        host_signal_close(self);
        return STATUS_INVALID;
    }
    return STATUS_OK;
}

void host_signal_close(struct host_signal *self)
{
    if (self->magic == 0) {
        return;
    }
    check(self->magic == SIGNAL_MAGIC);
    self->magic = 0;
    uv_close((uv_handle_t *)&self->uv, NULL);
}
