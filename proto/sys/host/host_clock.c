#include "proto/sys/host/host_clock.h"

#include "proto/sys/check.h"

#include <time.h>

static int64_t read_ns(clockid_t id)
{
    struct timespec time = {0};
    check(clock_gettime(id, &time) == 0);
    return (int64_t)time.tv_sec * CLOCK_NS_PER_S + time.tv_nsec;
}

static int64_t read_monotonic_ns(struct clock *self)
{
    (void)self;
    return read_ns(CLOCK_MONOTONIC);
}

static int64_t read_wall_ms(struct clock *self)
{
    (void)self;
    return read_ns(CLOCK_REALTIME) / CLOCK_NS_PER_MS;
}

struct clock *host_clock(void)
{
    static struct clock clock = {.monotonic_ns = read_monotonic_ns, .wall_ms = read_wall_ms};
    return &clock;
}
