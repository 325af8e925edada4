/* A signal of the process as an event of a loop, for orderly ends.
 *
 * Owner: a main. Loop: the one it was opened on. The memory must stay until host_loop_done(). */
#pragma once

#include "proto/sys/host/host_loop.h"

struct host_signal {
    uint32_t magic;
    uv_signal_t uv;
    void (*on_signal)(struct host_signal *self, int number);
};

/* `number` as in SIGTERM. */
MUST_USE enum status host_signal_open(struct host_signal *self, struct host_loop *loop, int number,
                                      void (*on_signal)(struct host_signal *self, int number));
/* No on_signal after it; the signal does again what it did before. Accepts a zeroed one. */
void host_signal_close(struct host_signal *self);
