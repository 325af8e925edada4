/* Goal: a waiter is woken by a change and by its deadline, and never misses a change.
 * Method: one other thread that changes and tells; a deadline that nobody meets. */
#include "proto/sys/host/host_clock.h"
#include "proto/sys/host/host_gate.h"
#include "proto/sys/host/host_thread.h"

#include <criterion/criterion.h>

static struct host_gate gate;
static int changed_count;

static void change(void *context)
{
    (void)context;
    for (int i = 0; i < 1000; i++) {
        host_gate_enter(&gate);
        changed_count += 1;
        host_gate_tell(&gate);
        host_gate_leave(&gate);
    }
}

Test(host_gate, every_change_is_seen)
{
    uv_thread_t thread;
    cr_assert_eq(host_gate_init(&gate), STATUS_OK);
    cr_assert_eq(host_thread_start(&thread, "changer", change, NULL), STATUS_OK);

    host_gate_enter(&gate);
    while (changed_count < 1000) {
        cr_assert(host_gate_wait(&gate, INT64_MAX));
    }
    host_gate_leave(&gate);

    cr_assert_eq(uv_thread_join(&thread), 0);
    host_gate_done(&gate);
}

Test(host_gate, a_deadline_ends_the_wait_and_not_before)
{
    cr_assert_eq(host_gate_init(&gate), STATUS_OK);
    int64_t until_ns = clock_monotonic_ns(host_clock()) + 20 * CLOCK_NS_PER_MS;

    host_gate_enter(&gate);
    while (host_gate_wait(&gate, until_ns)) {
        /* Woken early: it looks again. */
    }
    host_gate_leave(&gate);

    cr_expect_geq(clock_monotonic_ns(host_clock()), until_ns);
    host_gate_done(&gate);
    host_gate_done(&(struct host_gate){0});
}
