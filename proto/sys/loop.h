/* One event loop and the world as seen from it: what every component is given at init.
 *
 * Production fills it from libuv (proto/sys/host), the simulator from a seed (tests/sim). Code that
 * holds a loop runs on that loop's thread; other loops reach it through `mailbox` only.
 *
 * Owner: the driver. Loop: itself. */
#pragma once

#include "proto/sys/clock.h"
#include "proto/sys/disk.h"
#include "proto/sys/mailbox.h"
#include "proto/sys/prng.h"
#include "proto/sys/socket.h"
#include "proto/sys/timer.h"
#include "proto/sys/trace.h"

struct loop {
    struct clock *clock;            /* Borrowed. */
    struct timer_queue timers;
    struct disk *disk;              /* Borrowed; shared by the loops of a node. */
    struct socket_service *sockets; /* Borrowed; this loop's own. */
    struct mailbox mailbox;
    struct prng prng;               /* This loop's own stream. */
    struct trace *trace;            /* Borrowed; the node's. */
};

static inline int64_t loop_now_ns(struct loop *self)
{
    return clock_monotonic_ns(self->clock);
}

/* A message to the loop itself: runs `deliver` in a later turn, never from inside this call. */
static inline void loop_defer(struct loop *self, struct mail *mail)
{
    mailbox_post(&self->mailbox, mail);
}
