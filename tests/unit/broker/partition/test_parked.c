/* Goal: a wait ends exactly once, in the order of what it wants, and never after it was taken back.
 * Method: one line, a clock moved by hand, and waits that note how they ended. */
#include "broker/partition/parked.h"

#include <criterion/criterion.h>

struct hand_clock {
    struct clock clock;
    int64_t now_ns;
};

static struct hand_clock hand;
static struct loop loop;
static struct parked_line line;

struct noted {
    struct parked wait;
    int end_count;
    enum parked_end end;
    int order;
    struct parked_line *parks_again_in;
};
static int ended_so_far;

static int64_t hand_now(struct clock *clock)
{
    return container_of(clock, struct hand_clock, clock)->now_ns;
}

static void set_up(void)
{
    hand = (struct hand_clock){.clock = {.monotonic_ns = hand_now, .wall_ms = hand_now}};
    loop.clock = &hand.clock;
    timer_queue_init(&loop.timers, &hand.clock, NULL);
    parked_line_init(&line);
    ended_so_far = 0;
}

static void note_end(struct parked *wait, enum parked_end end)
{
    struct noted *noted = container_of(wait, struct noted, wait);
    noted->end_count += 1;
    noted->end = end;
    noted->order = ended_so_far++;
    if (noted->parks_again_in != NULL) {
        parked_wait(wait, noted->parks_again_in, &loop, INT64_MAX);
    }
}

static void park(struct noted *noted, int64_t wanted, int64_t deadline_ns)
{
    noted->wait.wanted = wanted;
    noted->wait.on_end = note_end;
    parked_wait(&noted->wait, &line, &loop, deadline_ns);
}

TestSuite(parked, .init = set_up);

Test(parked, waits_end_in_the_order_of_what_they_want)
{
    struct noted late = {0}, early = {0}, middle = {0};
    park(&late, 30, INT64_MAX);
    park(&early, 10, INT64_MAX);
    park(&middle, 20, INT64_MAX);

    parked_line_wake(&line, 25);

    cr_expect_eq(early.order, 0);
    cr_expect_eq(middle.order, 1);
    cr_expect_eq(late.end_count, 0);
    cr_expect(parked_is_waiting(&late.wait));
    cr_expect_eq(early.end, PARKED_REACHED);
}

Test(parked, equal_wants_end_in_the_order_of_arrival)
{
    struct noted first = {0}, second = {0};
    park(&first, 5, INT64_MAX);
    park(&second, 5, INT64_MAX);

    parked_line_wake(&line, 5);

    cr_expect_eq(first.order, 0);
    cr_expect_eq(second.order, 1);
}

Test(parked, the_deadline_ends_a_wait_once)
{
    struct noted noted = {0};
    park(&noted, 5, 100);
    hand.now_ns = 99;
    timer_queue_fire(&loop.timers);
    cr_expect_eq(noted.end_count, 0);

    hand.now_ns = 100;
    timer_queue_fire(&loop.timers);
    parked_line_wake(&line, 5);

    cr_expect_eq(noted.end_count, 1);
    cr_expect_eq(noted.end, PARKED_DEADLINE);
}

Test(parked, a_reached_wait_has_no_deadline_any_more)
{
    struct noted noted = {0};
    park(&noted, 5, 100);

    parked_line_wake(&line, 7);
    hand.now_ns = 200;
    timer_queue_fire(&loop.timers);

    cr_expect_eq(noted.end_count, 1);
    cr_expect_eq(noted.end, PARKED_REACHED);
}

Test(parked, a_cancelled_wait_hears_nothing)
{
    struct noted noted = {0};
    park(&noted, 5, 100);

    parked_cancel(&noted.wait);
    parked_cancel(&noted.wait);
    parked_line_wake(&line, 9);
    hand.now_ns = 200;
    timer_queue_fire(&loop.timers);

    cr_expect_eq(noted.end_count, 0);
}

Test(parked, losing_the_line_ends_all)
{
    struct noted one = {0}, two = {0};
    park(&one, 5, INT64_MAX);
    park(&two, INT64_MAX, INT64_MAX);

    parked_line_lose(&line);

    cr_expect_eq(one.end, PARKED_LOST);
    cr_expect_eq(two.end, PARKED_LOST);
    cr_expect_eq(two.end_count, 1);
}

Test(parked, parking_again_while_it_is_woken_does_not_loop)
{
    struct noted noted = {.parks_again_in = &line};
    park(&noted, 5, INT64_MAX);

    parked_line_wake(&line, 5);

    cr_expect_eq(noted.end_count, 1);
    cr_expect(parked_is_waiting(&noted.wait));
}
