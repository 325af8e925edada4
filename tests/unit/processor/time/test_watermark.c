/* Goal: the watermark is the minimum of what counts, never goes back, and nothing unknown is
 * forgotten.
 * Method: marks in scripted orders, among them the two-stream example of Spark's tests; a random
 * run against a plain computation. Times in seconds. */
#include "processor/time/watermark.h"
#include "proto/sys/prng.h"

#include <criterion/criterion.h>

#define ACTIVE MILLRACE__PROCESSOR__MARK_STATE__MARK_ACTIVE
#define EMPTY MILLRACE__PROCESSOR__MARK_STATE__MARK_EMPTY
#define IDLE MILLRACE__PROCESSOR__MARK_STATE__MARK_IDLE
#define UNKNOWN MILLRACE__PROCESSOR__MARK_STATE__MARK_UNKNOWN

static struct watermark watermark;

static void set_up(void)
{
    cr_assert_eq(watermark_init(&watermark, 3), STATUS_OK);
}

static void tear_down(void)
{
    watermark_done(&watermark);
}

static int64_t set(uint32_t partition, Millrace__Processor__MarkState state, int64_t us)
{
    watermark_set(&watermark, partition, (struct watermark_mark){.state = state, .us = us});
    return watermark.us;
}

TestSuite(watermark, .init = set_up, .fini = tear_down);

Test(watermark, partition_that_nothing_is_known_of_holds_everything_back)
{
    cr_expect_eq(set(0, ACTIVE, 100), WATERMARK_NONE);
    cr_expect_eq(set(1, EMPTY, WATERMARK_NONE), WATERMARK_NONE);
    cr_expect_eq(set(0, ACTIVE, 200), WATERMARK_NONE);

    cr_expect_eq(set(2, ACTIVE, 150), 150);
}

Test(watermark, minimum_is_over_active_partitions)
{
    set(0, ACTIVE, 100);
    set(1, ACTIVE, 50);
    cr_expect_eq(set(2, EMPTY, WATERMARK_NONE), 50);

    cr_expect_eq(set(1, IDLE, 50), 100);
    cr_expect_eq(set(0, ACTIVE, 120), 120);
}

Test(watermark, partition_that_wakes_up_behind_does_not_take_it_back)
{
    set(0, ACTIVE, 100);
    set(1, ACTIVE, 50);
    set(2, EMPTY, WATERMARK_NONE);
    set(1, IDLE, 50);
    cr_assert_eq(watermark.us, 100);

    cr_expect_eq(set(1, ACTIVE, 60), 100);
    cr_expect_eq(set(0, ACTIVE, 300), 100);
    cr_expect_eq(set(1, ACTIVE, 110), 110);
}

Test(watermark, when_all_are_quiet_it_stays)
{
    set(0, ACTIVE, 100);
    set(1, ACTIVE, 90);
    set(2, ACTIVE, 80);

    cr_expect_eq(set(2, IDLE, 80), 90);
    cr_expect_eq(set(1, IDLE, 90), 100);
    cr_expect_eq(set(0, IDLE, 100), 100);
}

Test(watermark, all_empty_make_none)
{
    set(0, EMPTY, WATERMARK_NONE);
    set(1, EMPTY, WATERMARK_NONE);
    cr_expect_eq(set(2, EMPTY, WATERMARK_NONE), WATERMARK_NONE);
    cr_expect_eq(set(2, ACTIVE, 7), 7);
}

Test(watermark, mark_never_goes_back)
{
    set(0, ACTIVE, 100);
    set(1, ACTIVE, 100);
    set(2, ACTIVE, 100);

    cr_expect_eq(set(1, ACTIVE, 40), 100);
    cr_expect_eq(watermark.marks[1].us, 100);
}

Test(watermark, two_streams_of_sparks_example)
{
    watermark_done(&watermark);
    cr_assert_eq(watermark_init(&watermark, 2), STATUS_OK);

    cr_expect_eq(set(0, ACTIVE, 11 - 10), WATERMARK_NONE); /* Spark counts the silent one as 0. */
    cr_expect_eq(set(1, ACTIVE, 6 - 5), 1);
    cr_expect_eq(set(1, ACTIVE, 8 - 5), 1);
    cr_expect_eq(set(0, ACTIVE, 21 - 10), 3);
    cr_expect_eq(set(1, ACTIVE, 39 - 5), 11);
    cr_expect_eq(set(0, ACTIVE, 31 - 10), 21);
    cr_expect_eq(set(0, ACTIVE, 41 - 10), 31);
    cr_expect_eq(set(0, ACTIVE, 51 - 10), 34);
}

Test(watermark, resumed_one_stays_until_marks_pass_it)
{
    watermark_resume(&watermark, 185);
    set(0, ACTIVE, 190);
    set(1, EMPTY, WATERMARK_NONE);

    cr_expect_eq(set(2, ACTIVE, 100), 185);
    cr_expect_eq(set(2, ACTIVE, 188), 188);
}

Test(watermark, mark_of_a_time_stays_within_bounds)
{
    cr_expect_eq(watermark_of_time(100, 30), 70);
    cr_expect_eq(watermark_of_time(INT64_MIN + 5, 30), WATERMARK_NONE + 1);
    cr_expect_eq(watermark_of_time(INT64_MIN + 30, 30), WATERMARK_NONE + 1);
    cr_expect_eq(watermark_of_time(INT64_MAX, 0), INT64_MAX);
}

/* The same from the whole history: after each mark the minimum of those that count, held up. */
Test(watermark, follows_each_mark_of_a_random_run)
{
    struct prng prng;
    prng_init(&prng, 20261122);
    for (int round = 0; round < 200; round++) {
        watermark_done(&watermark);
        cr_assert_eq(watermark_init(&watermark, 3), STATUS_OK);
        Millrace__Processor__MarkState states[3] = {UNKNOWN, UNKNOWN, UNKNOWN};
        int64_t marks[3] = {WATERMARK_NONE, WATERMARK_NONE, WATERMARK_NONE};
        int64_t expected = WATERMARK_NONE;
        for (int step = 0; step < 60; step++) {
            uint32_t p = (uint32_t)prng_below(&prng, 3);
            states[p] = prng_below(&prng, 4) == 0 ? IDLE : ACTIVE;
            int64_t us = (int64_t)prng_below(&prng, 100) + step;
            marks[p] = us > marks[p] ? us : marks[p];
            set(p, states[p], us);

            int64_t minimum = INT64_MAX;
            for (int i = 0; i < 3; i++) {
                minimum = states[i] == UNKNOWN ? WATERMARK_NONE : minimum;
                minimum = states[i] == ACTIVE && marks[i] < minimum ? marks[i] : minimum;
            }
            expected = minimum != INT64_MAX && minimum > expected ? minimum : expected;
            cr_assert_eq(watermark.us, expected, "round %d step %d", round, step);
        }
    }
}
