/* Goal: a signal becomes an event of the loop, and only while it is open.
 * Method: the test's process signals itself. */
#include "proto/sys/host/host_signal.h"

#include "tests/unit/proto/sys/host/host_rig.h"

#include <signal.h>

static struct host_rig rig;
static int told_number;

static void note_signal(struct host_signal *self, int number)
{
    (void)self;
    told_number = number;
    host_rig_finish(&rig);
}

static void raise_on_timer(struct timer *timer)
{
    (void)timer;
    cr_assert_eq(kill(getpid(), SIGTERM), 0);
}

Test(host_signal, signal_arrives_on_the_loop)
{
    struct host_signal terminate;
    struct host_signal zeroed = {0};
    struct timer timer;
    host_rig_init(&rig);
    cr_assert_eq(host_signal_open(&terminate, &rig.loop, SIGTERM, note_signal), STATUS_OK);
    timer_init(&timer, &rig.loop.loop.timers, raise_on_timer);
    timer_start_after(&timer, 0);

    host_rig_run(&rig);

    cr_expect_eq(told_number, SIGTERM);
    host_signal_close(&terminate);
    host_signal_close(&zeroed);
    host_rig_done(&rig);
}

Test(host_signal, closed_signal_does_again_what_it_did, .signal = SIGTERM)
{
    struct host_signal terminate;
    host_rig_init(&rig);
    cr_assert_eq(host_signal_open(&terminate, &rig.loop, SIGTERM, note_signal), STATUS_OK);
    host_signal_close(&terminate);
    host_rig_done(&rig);

    cr_assert_eq(kill(getpid(), SIGTERM), 0);
}

Test(host_signal, signal_that_cannot_be_caught_is_refused)
{
    struct host_signal impossible;
    host_rig_init(&rig);

    cr_expect_eq(host_signal_open(&impossible, &rig.loop, SIGKILL, note_signal), STATUS_INVALID);

    host_rig_done(&rig);
}
