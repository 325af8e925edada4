#include "processor/time/window.h"

#include "proto/sys/check.h"

bool window_last_start(int64_t time_us, int64_t size_us, int64_t slide_us, int64_t *out_start)
{
    check(size_us > 0);
    check(slide_us > 0);
    int64_t rest = time_us % slide_us;
    rest = rest < 0 ? rest + slide_us : rest;
    int64_t start = 0;
    int64_t end = 0;
    if (__builtin_sub_overflow(time_us, rest, &start) ||
        __builtin_add_overflow(start, size_us, &end)) {
        return false;
    }
    *out_start = start;
    return true;
}

uint32_t window_all_starts(int64_t time_us, int64_t size_us, int64_t slide_us, uint32_t count_max,
                           int64_t *out_starts)
{
    int64_t start = 0;
    if (!window_last_start(time_us, size_us, slide_us, &start)) {
        return 0;
    }
    uint32_t count = 0;
    /* A slide above the size leaves gaps between windows. */
    while (count < count_max && time_us - start < size_us) {
        out_starts[count] = start;
        count += 1;
        if (__builtin_sub_overflow(start, slide_us, &start)) {
            break;
        }
    }
    return count;
}

/* Rows that lie near each other in time need one division for all. */
void window_tumble(const int64_t *times_us, uint32_t count, int64_t size_us, int64_t *out_starts,
                   uint8_t *outside)
{
    int64_t start = 0;
    bool is_start_known = false;
    for (uint32_t i = 0; i < count; i++) {
        bool is_same = is_start_known && times_us[i] >= start &&
                       (uint64_t)times_us[i] - (uint64_t)start < (uint64_t)size_us;
        if (!is_same) {
            int64_t found = 0;
            if (!window_last_start(times_us[i], size_us, size_us, &found)) {
                outside[i / 8] = (uint8_t)(outside[i / 8] | 1U << (i % 8));
                out_starts[i] = 0;
                continue;
            }
            start = found;
            is_start_known = true;
        }
        out_starts[i] = start;
    }
}
