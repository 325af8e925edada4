/* The wall clock as retention believes it: a jump ahead must not delete a topic.
 *
 * Between two looks the wall clock should move as the monotonic one does. A jump forward of more
 * than an hour is not believed until it has stood for a day; meanwhile time goes on from the last
 * believed value. A jump back is believed at once, since it deletes less. Over a restart the last
 * believed time comes from the checkpoint and up to a week may have passed.
 *
 * Owner: the store. Loop: the shard's. */
#pragma once

#include "proto/sys/clock.h"

#include <stdbool.h>

struct wall_guard {
    struct clock *clock; /* Borrowed for life. */
    int64_t believed_ms;
    int64_t looked_ns;
    int64_t doubted_since_ns; /* Valid while `is_doubting`. */
    bool is_doubting;
};

/* `last_ms`: believed in the former run; 0 for none. */
void wall_guard_init(struct wall_guard *self, struct clock *clock, int64_t last_ms);
int64_t wall_guard_now_ms(struct wall_guard *self);
