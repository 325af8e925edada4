#include "client/retry.h"

#include "proto/sys/check.h"
#include "proto/sys/clock.h"

#include <stdbool.h>

#define DOUBLINGS_MAX 20U

void retry_init(struct retry *self, int64_t floor_ms, int64_t ceiling_ms)
{
    check(floor_ms > 0);
    check(floor_ms <= ceiling_ms);
    *self = (struct retry){.floor_ms = floor_ms, .ceiling_ms = ceiling_ms};
}

int64_t retry_next_ns(struct retry *self, struct prng *prng)
{
    int64_t delay_ms = self->floor_ms << self->attempt_count;
    if (delay_ms < self->ceiling_ms && self->attempt_count < DOUBLINGS_MAX) {
        self->attempt_count += 1;
    }
    delay_ms = delay_ms < self->ceiling_ms ? delay_ms : self->ceiling_ms;
    double spread = 0.75 + prng_fraction(prng) * 0.5;
    return (int64_t)((double)(delay_ms * CLOCK_NS_PER_MS) * spread);
}

void retry_reset(struct retry *self)
{
    self->attempt_count = 0;
}
