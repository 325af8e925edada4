/* Goal: a real loop keeps the promises of loop.h: timers not early, mail in a later turn, wake-ups
 * from other threads, and an orderly end.
 * Method: one loop on the test's thread, a second one on its own; events end the runs. */
#include "tests/unit/proto/sys/host/host_rig.h"

#include <signal.h>

static struct host_rig rig;

static void set_up(void)
{
    host_rig_init(&rig);
}

static void tear_down(void)
{
    host_rig_done(&rig);
}

TestSuite(host_loop, .init = set_up);

static struct timer timers[3];
static int64_t fired_at_ns[3];
static int fired_order[3];
static int fired_count;

static void note_fired(struct timer *timer)
{
    long index = timer - timers;
    fired_at_ns[index] = loop_now_ns(&rig.loop.loop);
    fired_order[fired_count] = (int)index;
    fired_count += 1;
    if (fired_count == 3) {
        host_rig_finish(&rig);
    }
}

Test(host_loop, timers_fire_in_order_and_never_early)
{
    int64_t start_ns = loop_now_ns(&rig.loop.loop);
    const int64_t delays_ns[3] = {3300000, 1, 1700000};
    for (int i = 0; i < 3; i++) {
        timer_init(&timers[i], &rig.loop.loop.timers, note_fired);
        timer_start_at(&timers[i], start_ns + delays_ns[i]);
    }

    host_rig_run(&rig);

    for (int i = 0; i < 3; i++) {
        cr_expect_geq(fired_at_ns[i], start_ns + delays_ns[i]);
    }
    cr_expect_arr_eq(fired_order, ((int[]){1, 2, 0}), sizeof fired_order);
    tear_down();
}

static int order[4];
static int order_count;

static void note_mail(struct mail *mail)
{
    (void)mail;
    order[order_count++] = 2;
    host_rig_finish(&rig);
}

static struct mail letter = {.deliver = note_mail};

static void post_to_itself(struct timer *timer)
{
    (void)timer;
    order[order_count++] = 0;
    loop_defer(&rig.loop.loop, &letter);
    order[order_count++] = 1;
}

Test(host_loop, deferred_mail_comes_in_a_later_turn)
{
    timer_init(&timers[0], &rig.loop.loop.timers, post_to_itself);
    timer_start_after(&timers[0], 0);

    host_rig_run(&rig);

    cr_expect_eq(order_count, 3);
    cr_expect_arr_eq(order, ((int[]){0, 1, 2}), 3 * sizeof order[0]);
    tear_down();
}

Test(host_loop, mail_that_was_posted_before_the_run_is_delivered)
{
    loop_defer(&rig.loop.loop, &letter);

    host_rig_run(&rig);

    cr_expect_eq(order_count, 1);
    tear_down();
}

Test(host_loop, mail_left_at_the_end_is_delivered_by_done)
{
    struct host_loop loop;
    cr_assert_eq(host_loop_init(&loop, &(struct host_loop_options){.name = "second"}), STATUS_OK);
    loop_defer(&loop.loop, &letter);

    host_loop_done(&loop);

    cr_expect_eq(order_count, 1);
    tear_down();
}

struct ball {
    struct mail mail;
    struct host_loop *other;
    uint32_t hop_count;
};

static void hop(struct mail *mail)
{
    struct ball *ball = container_of(mail, struct ball, mail);
    struct host_loop *next = ball->other;
    ball->other = next == &rig.loop ? NULL : &rig.loop;
    ball->hop_count += 1;
    if (ball->hop_count == 10001) {
        host_rig_finish(&rig);
        return;
    }
    mailbox_post(&next->loop.mailbox, mail);
}

static struct host_loop second;

static void hop_with_second(struct mail *mail)
{
    struct ball *ball = container_of(mail, struct ball, mail);
    if (ball->other == NULL) {
        ball->other = &second;
    }
    hop(mail);
}

Test(host_loop, mail_goes_to_and_fro_between_two_loops)
{
    cr_assert_eq(host_loop_init(&second, &(struct host_loop_options){.name = "second"}), STATUS_OK);
    cr_assert_eq(host_loop_start(&second), STATUS_OK);
    struct ball ball = {.mail.deliver = hop_with_second, .other = NULL};
    mailbox_post(&rig.loop.loop.mailbox, &ball.mail);

    host_rig_run(&rig);

    cr_expect_eq(ball.hop_count, 10001);
    host_loop_stop(&second);
    host_loop_join(&second);
    host_loop_done(&second);
    tear_down();
}

static void finish_on_timer(struct timer *timer)
{
    (void)timer;
    host_rig_finish(&rig);
}

Test(host_loop, loop_can_be_run_again_after_a_stop)
{
    for (int i = 0; i < 3; i++) {
        timer_init(&timers[0], &rig.loop.loop.timers, finish_on_timer);
        timer_start_after(&timers[0], 0);
        host_rig_run(&rig);
        cr_expect_not(timers[0].is_armed);
    }
    tear_down();
}

static void ignore_closed(uv_handle_t *handle)
{
    (void)handle;
}

Test(host_loop, handle_that_nobody_closed_aborts, .signal = SIGABRT)
{
    struct host_loop loop;
    uv_timer_t forgotten;
    cr_assert_eq(host_loop_init(&loop, &(struct host_loop_options){.name = "leaky"}), STATUS_OK);
    cr_assert_eq(uv_timer_init(&loop.uv, &forgotten), 0);

    host_loop_done(&loop);

    uv_close((uv_handle_t *)&forgotten, ignore_closed);
}

Test(host_loop, seeds_differ_between_loops)
{
    struct host_loop loop;
    cr_assert_eq(host_loop_init(&loop, &(struct host_loop_options){.name = "second"}), STATUS_OK);

    cr_expect_neq(prng_next(&loop.loop.prng), prng_next(&rig.loop.loop.prng));

    host_loop_done(&loop);
    tear_down();
}

Test(host_loop, clock_goes_forward_and_tells_this_century)
{
    struct clock *clock = rig.loop.loop.clock;
    int64_t first_ns = clock_monotonic_ns(clock);

    cr_expect_geq(clock_monotonic_ns(clock), first_ns);
    cr_expect_gt(clock_wall_ms(clock), INT64_C(1700000000000));
    tear_down();
}
