/* Which windows a time falls into.
 *
 * Windows are [start, start + size), aligned to 1970-01-01T00:00:00Z, before it too. A time between
 * the greatest start and the end of time falls in none.
 *
 * Owner: nobody. Loop: any. */
#pragma once

#include "proto/sys/status.h"

#include <stdbool.h>
#include <stdint.h>

/* Start of the last window, one beginning each `slide_us`, that holds `time_us`; false: it or its
 * end cannot be said in 64 bits. */
bool window_last_start(int64_t time_us, int64_t size_us, int64_t slide_us, int64_t *out_start);
/* All windows of a time, latest first; at most ceil(size / slide) of them. */
uint32_t window_all_starts(int64_t time_us, int64_t size_us, int64_t slide_us, uint32_t count_max,
                           int64_t *out_starts);
/* Of tumbling windows, for a run of times; rows that fall in none get their bit in `outside`. */
void window_tumble(const int64_t *times_us, uint32_t count, int64_t size_us, int64_t *out_starts,
                   uint8_t *outside);
