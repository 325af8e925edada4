/* Goal: no jump of the wall clock makes retention believe that years have passed.
 * Method: a clock set by hand. */
#include "broker/log/wall_guard.h"

#include <criterion/criterion.h>

#define HOUR_MS (INT64_C(3600) * 1000)
#define YEAR_MS (INT64_C(365) * 24 * HOUR_MS)
#define START_MS INT64_C(1700000000000)

static int64_t wall_ms;
static int64_t monotonic_ns;

static int64_t tell_wall(struct clock *clock)
{
    (void)clock;
    return wall_ms;
}

static int64_t tell_monotonic(struct clock *clock)
{
    (void)clock;
    return monotonic_ns;
}

static struct clock hand = {.monotonic_ns = tell_monotonic, .wall_ms = tell_wall};
static struct wall_guard guard;

static void set_up(void)
{
    wall_ms = START_MS;
    monotonic_ns = 0;
    wall_guard_init(&guard, &hand, 0);
}

TestSuite(wall_guard, .init = set_up);

/* Both clocks go on. */
static void pass(int64_t ms)
{
    wall_ms += ms;
    monotonic_ns += ms * CLOCK_NS_PER_MS;
}

Test(wall_guard, believes_a_clock_that_goes_as_it_should)
{
    pass(5 * HOUR_MS);
    cr_expect_eq(wall_guard_now_ms(&guard), START_MS + 5 * HOUR_MS);
    wall_ms += 30 * 60 * 1000; /* Half an hour: a correction. */
    cr_expect_eq(wall_guard_now_ms(&guard), START_MS + 5 * HOUR_MS + HOUR_MS / 2);
}

Test(wall_guard, does_not_believe_ten_years_at_once)
{
    wall_ms += 10 * YEAR_MS;
    cr_expect_eq(wall_guard_now_ms(&guard), START_MS);

    for (int minute = 0; minute < 23 * 60; minute++) {
        pass(60 * 1000);
        cr_expect_eq(wall_guard_now_ms(&guard), START_MS + (minute + 1) * INT64_C(60000));
    }
    wall_ms -= 10 * YEAR_MS; /* Somebody puts it right. */
    cr_expect_eq(wall_guard_now_ms(&guard), START_MS + 23 * HOUR_MS);
}

Test(wall_guard, believes_a_jump_that_has_stood_for_a_day)
{
    wall_ms += 10 * YEAR_MS;
    (void)wall_guard_now_ms(&guard);

    pass(24 * HOUR_MS);

    cr_expect_eq(wall_guard_now_ms(&guard), START_MS + 10 * YEAR_MS + 24 * HOUR_MS);
}

Test(wall_guard, strobing_clock_never_gets_its_day)
{
    for (int i = 0; i < 100; i++) {
        wall_ms += 10 * YEAR_MS;
        (void)wall_guard_now_ms(&guard);
        pass(HOUR_MS);
        (void)wall_guard_now_ms(&guard);
        wall_ms -= 10 * YEAR_MS;
        cr_expect_eq(wall_guard_now_ms(&guard), START_MS + (i + 1) * HOUR_MS);
    }
}

Test(wall_guard, believes_a_jump_back_at_once)
{
    wall_ms -= YEAR_MS;
    cr_expect_eq(wall_guard_now_ms(&guard), START_MS - YEAR_MS);
}

Test(wall_guard, many_short_looks_lose_no_time)
{
    wall_ms += 10 * YEAR_MS;
    for (int i = 0; i < 4000; i++) {
        monotonic_ns += CLOCK_NS_PER_MS / 4;
        (void)wall_guard_now_ms(&guard);
    }
    cr_expect_eq(wall_guard_now_ms(&guard), START_MS + 1000);
}

Test(wall_guard, a_start_believes_a_week_and_not_a_year)
{
    wall_guard_init(&guard, &hand, START_MS - 6 * 24 * HOUR_MS);
    cr_expect_eq(wall_guard_now_ms(&guard), START_MS);

    wall_guard_init(&guard, &hand, START_MS - YEAR_MS);
    cr_expect_eq(wall_guard_now_ms(&guard), START_MS - YEAR_MS);
    pass(25 * HOUR_MS);
    cr_expect_eq(wall_guard_now_ms(&guard), START_MS + 25 * HOUR_MS);
}
