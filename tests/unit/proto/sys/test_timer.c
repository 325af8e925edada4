/* Goal: timers fire in order of deadline, then of arming, and exactly once; a stopped one never.
 * Method: a clock set by hand; small scenes, then random work against a plain sorted model. */
#include "proto/sys/timer.h"
#include "proto/sys/list.h"
#include "proto/sys/prng.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>

#define TIMER_COUNT 200U

struct alarm {
    struct timer timer;
    int64_t model_deadline_ns; /* -1: the model says it is not armed. */
    uint64_t model_sequence;
};

static int64_t now_ns;
static struct timer_queue queue;
static struct alarm alarms[TIMER_COUNT];
static uint32_t fired[64];
static uint32_t fired_count;
static uint32_t changed_count;

static int64_t tell_now(struct clock *self)
{
    (void)self;
    return now_ns;
}

static struct clock hand_clock = {.monotonic_ns = tell_now, .wall_ms = NULL};

static void note_fired(struct timer *timer)
{
    fired[fired_count] = (uint32_t)(container_of(timer, struct alarm, timer) - alarms);
    fired_count += 1;
}

static void note_changed(struct timer_queue *self)
{
    (void)self;
    changed_count += 1;
}

static void set_up(void)
{
    timer_queue_init(&queue, &hand_clock, note_changed);
    for (uint32_t i = 0; i < TIMER_COUNT; i++) {
        timer_init(&alarms[i].timer, &queue, note_fired);
        alarms[i].model_deadline_ns = -1;
    }
}

TestSuite(timer, .init = set_up);

Test(timer, earlier_deadline_fires_first_and_equal_ones_in_order_of_arming)
{
    timer_start_at(&alarms[0].timer, 30);
    timer_start_at(&alarms[1].timer, 10);
    timer_start_at(&alarms[2].timer, 20);
    timer_start_at(&alarms[3].timer, 10);
    timer_start_at(&alarms[4].timer, 20);
    cr_expect_eq(timer_queue_earliest_ns(&queue), 10);

    now_ns = 20;
    timer_queue_fire(&queue);

    cr_assert_eq(fired_count, 4);
    cr_expect_arr_eq(fired, ((uint32_t[]){1, 3, 2, 4}), 4 * sizeof fired[0]);
    cr_expect_eq(timer_queue_earliest_ns(&queue), 30);
    cr_expect(alarms[0].timer.is_armed);
    cr_expect_not(alarms[1].timer.is_armed);
}

Test(timer, empty_queue_has_no_earliest_and_fires_nothing)
{
    cr_expect_eq(timer_queue_earliest_ns(&queue), INT64_MAX);

    timer_queue_fire(&queue);

    cr_expect_eq(fired_count, 0);
}

Test(timer, moved_timer_fires_once_at_its_new_deadline)
{
    timer_start_at(&alarms[0].timer, 10);
    timer_start_at(&alarms[0].timer, 50);

    now_ns = 20;
    timer_queue_fire(&queue);
    cr_expect_eq(fired_count, 0);
    now_ns = 50;
    timer_queue_fire(&queue);
    timer_queue_fire(&queue);

    cr_expect_eq(fired_count, 1);
}

Test(timer, delay_counts_from_now_and_cannot_wrap)
{
    now_ns = 1000;

    timer_start_after(&alarms[0].timer, 5);
    timer_start_after(&alarms[1].timer, INT64_MAX);
    timer_start_after(&alarms[2].timer, -5);

    cr_expect_eq(alarms[0].timer.deadline_ns, 1005);
    cr_expect_eq(alarms[1].timer.deadline_ns, INT64_MAX);
    cr_expect_eq(alarms[2].timer.deadline_ns, 995);
}

static void stop_the_next(struct timer *timer)
{
    note_fired(timer);
    timer_stop(&alarms[1].timer);
}

Test(timer, callback_can_stop_another_timer_that_is_due)
{
    timer_init(&alarms[0].timer, &queue, stop_the_next);
    timer_start_at(&alarms[0].timer, 10);
    timer_start_at(&alarms[1].timer, 10);

    now_ns = 10;
    timer_queue_fire(&queue);

    cr_expect_eq(fired_count, 1);
    cr_expect_eq(timer_queue_earliest_ns(&queue), INT64_MAX);
}

static void arm_for_the_past(struct timer *timer)
{
    note_fired(timer);
    timer_start_at(timer, 5);
}

Test(timer, timer_armed_again_for_the_past_waits_for_a_later_call)
{
    timer_init(&alarms[0].timer, &queue, arm_for_the_past);
    timer_start_at(&alarms[0].timer, 10);
    timer_start_at(&alarms[1].timer, 10);

    now_ns = 10;
    timer_queue_fire(&queue);
    cr_expect_eq(fired_count, 2);
    cr_expect_eq(timer_queue_earliest_ns(&queue), 11);

    now_ns = 11;
    timer_queue_fire(&queue);
    cr_expect_eq(fired_count, 3);
}

static void free_itself(struct timer *timer)
{
    fired_count += 1;
    free(container_of(timer, struct alarm, timer));
}

Test(timer, callback_may_free_its_timer)
{
    struct alarm *alarm = calloc(1, sizeof *alarm);
    cr_assert_not_null(alarm);
    timer_init(&alarm->timer, &queue, free_itself);
    timer_start_at(&alarm->timer, 10);

    now_ns = 10;
    timer_queue_fire(&queue);

    cr_expect_eq(fired_count, 1);
}

Test(timer, driver_is_told_only_when_the_earliest_deadline_changes)
{
    timer_start_at(&alarms[0].timer, 50);
    cr_expect_eq(changed_count, 1);
    timer_start_at(&alarms[1].timer, 60);
    cr_expect_eq(changed_count, 1);
    timer_start_at(&alarms[2].timer, 40);
    cr_expect_eq(changed_count, 2);
    timer_stop(&alarms[1].timer);
    cr_expect_eq(changed_count, 2);
    timer_stop(&alarms[2].timer);
    cr_expect_eq(changed_count, 3);
    timer_stop(&alarms[2].timer);
    cr_expect_eq(changed_count, 3);

    now_ns = 50;
    timer_queue_fire(&queue);
    cr_expect_eq(changed_count, 4);
}

Test(timer, done_takes_an_armed_timer_out_and_accepts_zeroed_ones)
{
    struct timer zeroed = {0};
    timer_start_at(&alarms[0].timer, 10);

    timer_done(&alarms[0].timer);
    timer_done(&zeroed);

    cr_expect_eq(timer_queue_earliest_ns(&queue), INT64_MAX);
}

Test(timer, starting_a_timer_that_is_done_aborts, .signal = SIGABRT)
{
    timer_done(&alarms[0].timer);

    timer_start_at(&alarms[0].timer, 10);
}

static uint64_t model_sequence;
static uint32_t model_fired_count;

/* The alarm that must fire next, by a plain search; NULL when none is due. */
static struct alarm *model_next_due(void)
{
    struct alarm *next = NULL;
    for (uint32_t i = 0; i < TIMER_COUNT; i++) {
        struct alarm *alarm = &alarms[i];
        if (alarm->model_deadline_ns < 0 || alarm->model_deadline_ns > now_ns) {
            continue;
        }
        if (next == NULL || alarm->model_deadline_ns < next->model_deadline_ns ||
            (alarm->model_deadline_ns == next->model_deadline_ns &&
             alarm->model_sequence < next->model_sequence)) {
            next = alarm;
        }
    }
    return next;
}

static void fire_as_the_model_says(struct timer *timer)
{
    struct alarm *alarm = container_of(timer, struct alarm, timer);
    cr_assert_eq(model_next_due(), alarm);
    alarm->model_deadline_ns = -1;
    model_fired_count += 1;
}

Test(timer, random_work_agrees_with_a_sorted_model)
{
    struct prng prng;
    prng_init(&prng, 1);
    for (uint32_t i = 0; i < TIMER_COUNT; i++) {
        timer_init(&alarms[i].timer, &queue, fire_as_the_model_says);
    }

    for (int step = 0; step < 30000; step++) {
        struct alarm *alarm = &alarms[prng_below(&prng, TIMER_COUNT)];
        uint64_t choice = prng_below(&prng, 10);
        if (choice < 6) {
            alarm->model_deadline_ns = now_ns + (int64_t)prng_below(&prng, 50);
            alarm->model_sequence = model_sequence++;
            timer_start_at(&alarm->timer, alarm->model_deadline_ns);
        } else if (choice < 8) {
            alarm->model_deadline_ns = -1;
            timer_stop(&alarm->timer);
        } else {
            now_ns += (int64_t)prng_below(&prng, 8);
            timer_queue_fire(&queue);
            cr_assert_null(model_next_due());
        }
        cr_assert_eq(alarm->timer.is_armed, alarm->model_deadline_ns >= 0);
    }
    cr_expect_gt(model_fired_count, 5000);
}
