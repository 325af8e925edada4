/* Goal: times fall into the windows that Spark puts them in.
 * Method: the worked examples (minutes or seconds as they come), edges, and a run of random times
 * against the definition. */
#include "processor/time/window.h"
#include "proto/sys/prng.h"

#include <criterion/criterion.h>

static void expect_starts(int64_t time, int64_t size, int64_t slide, uint32_t count,
                          const int64_t *starts)
{
    int64_t found[8] = {0};
    cr_assert_eq(window_all_starts(time, size, slide, 8, found), count);
    for (uint32_t i = 0; i < count; i++) {
        cr_expect_eq(found[i], starts[i]);
    }
}

Test(window, sliding_examples_hold)
{
    expect_starts(12 * 60 + 5, 12, 5, 3, (int64_t[]){12 * 60 + 5, 12 * 60, 11 * 60 + 55});
    expect_starts(7, 10, 5, 2, (int64_t[]){5, 0});
    expect_starts(4, 10, 5, 2, (int64_t[]){0, -5});
    expect_starts(7, 2, 5, 0, NULL); /* In the gap behind [5, 7). */
}

Test(window, boundary_belongs_to_the_next_window)
{
    expect_starts(10, 10, 10, 1, (int64_t[]){10});
    expect_starts(9, 10, 10, 1, (int64_t[]){0});
    expect_starts(0, 10, 10, 1, (int64_t[]){0});
}

Test(window, times_before_the_epoch_are_aligned_too)
{
    expect_starts(-1, 10, 10, 1, (int64_t[]){-10});
    expect_starts(-10, 10, 10, 1, (int64_t[]){-10});
    expect_starts(-11, 10, 10, 1, (int64_t[]){-20});
}

Test(window, what_64_bits_cannot_say_is_in_no_window)
{
    int64_t times[4] = {INT64_MIN, INT64_MAX, 5, INT64_MIN + 1};
    int64_t starts[4] = {-1, -1, -1, -1};
    uint8_t outside[1] = {0};

    window_tumble(times, 4, 1000, starts, outside);

    cr_expect_eq(outside[0], 1U << 0 | 1U << 1 | 1U << 3);
    cr_expect_eq(starts[2], 0);
}

Test(window, run_of_times_gets_what_each_would)
{
    struct prng prng;
    prng_init(&prng, 7);
    enum { COUNT = 1000 };
    int64_t times[COUNT];
    int64_t starts[COUNT];
    uint8_t outside[COUNT / 8] = {0};
    for (int i = 0; i < COUNT; i++) {
        times[i] = (int64_t)prng_below(&prng, 400) - 200 + (i % 7 == 0 ? 1000 : 0);
    }

    window_tumble(times, COUNT, 30, starts, outside);

    for (int i = 0; i < COUNT; i++) {
        cr_expect_eq(outside[i / 8], 0);
        cr_expect_eq((starts[i] % 30 + 30) % 30, 0);
        cr_expect(starts[i] <= times[i] && times[i] < starts[i] + 30);
    }
}
