/* When to try again: delays that double from a floor to a ceiling, each spread by a quarter so that
 * clients that failed together do not come back together.
 *
 * Owner: whoever embeds it. Loop: the owner's. */
#pragma once

#include "proto/sys/prng.h"

#include <stdint.h>

struct retry {
    int64_t floor_ms;
    int64_t ceiling_ms;
    uint32_t attempt_count;
};

void retry_init(struct retry *self, int64_t floor_ms, int64_t ceiling_ms);
/* Before the next attempt. */
int64_t retry_next_ns(struct retry *self, struct prng *prng);
/* After a success. */
void retry_reset(struct retry *self);
