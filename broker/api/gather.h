/* Waits for many small ends: the calls that one request has sent to partitions.
 *
 * gather_begin() counts one for the loop that starts the calls, so that calls which end at once do
 * not finish the request too early; that loop ends with gather_end().
 * Owner: the request. Loop: its own. */
#pragma once

#include "proto/sys/check.h"

#include <stdint.h>

struct gather {
    uint32_t pending_count;
    void (*on_all)(struct gather *self); /* Once, when nothing is pending any more. */
};

static inline void gather_begin(struct gather *self, void (*on_all)(struct gather *self))
{
    self->pending_count = 1;
    self->on_all = on_all;
}

static inline void gather_add(struct gather *self)
{
    check(self->pending_count > 0);
    self->pending_count += 1;
}

static inline void gather_end(struct gather *self)
{
    check(self->pending_count > 0);
    self->pending_count -= 1;
    if (self->pending_count == 0) {
        self->on_all(self);
    }
}
