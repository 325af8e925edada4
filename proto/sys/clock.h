/* Time as the world tells it.
 *
 * Deadlines and intervals use monotonic time only; wall time is for stamps that people and clients
 * read, may jump either way, and never decides safety. */
#pragma once

#include <stdint.h>

#define CLOCK_NS_PER_MS INT64_C(1000000)
#define CLOCK_NS_PER_S INT64_C(1000000000)

struct clock {
    int64_t (*monotonic_ns)(struct clock *self);
    int64_t (*wall_ms)(struct clock *self); /* Since 1970-01-01 UTC. */
};

static inline int64_t clock_monotonic_ns(struct clock *self)
{
    return self->monotonic_ns(self);
}

static inline int64_t clock_wall_ms(struct clock *self)
{
    return self->wall_ms(self);
}
