#include "broker/log/wall_guard.h"

#include "proto/sys/check.h"

#include <stddef.h>

#define MS_PER_HOUR (INT64_C(3600) * 1000)
#define JUMP_MS_MAX MS_PER_HOUR
#define DOWN_MS_MAX (7 * 24 * MS_PER_HOUR)
#define DOUBT_NS (24 * MS_PER_HOUR * CLOCK_NS_PER_MS)

void wall_guard_init(struct wall_guard *self, struct clock *clock, int64_t last_ms)
{
    *self = (struct wall_guard){.clock = clock, .looked_ns = clock_monotonic_ns(clock)};
    int64_t wall_ms = clock_wall_ms(clock);
    self->believed_ms = wall_ms;
    if (last_ms > 0 && wall_ms - last_ms > DOWN_MS_MAX) {
        self->believed_ms = last_ms;
        self->doubted_since_ns = self->looked_ns;
        self->is_doubting = true;
    }
}

int64_t wall_guard_now_ms(struct wall_guard *self)
{
    check(self->clock != NULL);
    int64_t now_ns = clock_monotonic_ns(self->clock);
    int64_t wall_ms = clock_wall_ms(self->clock);
    check(now_ns >= self->looked_ns);
    int64_t expected_ms = self->believed_ms + (now_ns - self->looked_ns) / CLOCK_NS_PER_MS;
    if (wall_ms - expected_ms <= JUMP_MS_MAX) {
        self->is_doubting = false;
        self->believed_ms = wall_ms;
        self->looked_ns = now_ns;
        return wall_ms;
    }
    if (!self->is_doubting) {
        self->is_doubting = true;
        self->doubted_since_ns = now_ns;
    }
    if (now_ns - self->doubted_since_ns >= DOUBT_NS) {
        self->is_doubting = false;
        expected_ms = wall_ms;
    }
    /* Whole milliseconds only, or many short looks would lose the rest each time. */
    if (expected_ms != self->believed_ms) {
        self->believed_ms = expected_ms;
        self->looked_ns = now_ns;
    }
    return expected_ms;
}
