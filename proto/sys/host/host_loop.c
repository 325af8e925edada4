#include "proto/sys/host/host_loop.h"

#include "proto/sys/check.h"
#include "proto/sys/host/host_clock.h"
#include "proto/sys/host/host_entropy.h"
#include "proto/sys/host/host_status.h"
#include "proto/sys/host/host_thread.h"

#include <signal.h>
#include <stdio.h>

/* The loop that this thread runs: tells a wake-up from inside from one from outside. */
static _Thread_local struct host_loop *running;

static void deliver_on_idle(uv_idle_t *idle)
{
    struct host_loop *self = container_of(idle, struct host_loop, local);
    uv_idle_stop(idle);
    mailbox_deliver(&self->loop.mailbox);
}

static void wake_from_any_thread(struct mailbox *mailbox)
{
    struct host_loop *self = container_of(mailbox, struct host_loop, loop.mailbox);
    if (running == self) {
        check(uv_idle_start(&self->local, deliver_on_idle) == 0);
    } else {
        check(uv_async_send(&self->wake) == 0);
    }
}

static void deliver_on_wake(uv_async_t *wake)
{
    struct host_loop *self = container_of(wake, struct host_loop, wake);
    if (atomic_load_explicit(&self->is_stopping, memory_order_acquire)) {
        uv_stop(&self->uv);
    }
    mailbox_deliver(&self->loop.mailbox);
}

static void fire_on_timer(uv_timer_t *timer)
{
    struct host_loop *self = container_of(timer, struct host_loop, timer);
    self->armed_ns = INT64_MAX;
    timer_queue_fire(&self->loop.timers);
}

/* Once a turn, right before it may sleep: timers that were started and stopped meanwhile cost
 * nothing here. */
static void arm_on_prepare(uv_prepare_t *prepare)
{
    struct host_loop *self = container_of(prepare, struct host_loop, prepare);
    int64_t earliest_ns = timer_queue_earliest_ns(&self->loop.timers);
    if (earliest_ns == self->armed_ns) {
        return;
    }
    self->armed_ns = earliest_ns;
    if (earliest_ns == INT64_MAX) {
        check(uv_timer_stop(&self->timer) == 0);
        return;
    }
    int64_t now_ns = loop_now_ns(&self->loop);
    uint64_t delay_ms = 0;
    if (earliest_ns > now_ns) {
        delay_ms = ((uint64_t)earliest_ns - (uint64_t)now_ns - 1) / (uint64_t)CLOCK_NS_PER_MS + 1;
    }
    uv_update_time(&self->uv);
    check(uv_timer_start(&self->timer, fire_on_timer, delay_ms, 0) == 0);
}

/* Handles that cannot fail to be initialised, and those that need a descriptor. */
static int init_handles(struct host_loop *self)
{
    check(uv_timer_init(&self->uv, &self->timer) == 0);
    check(uv_prepare_init(&self->uv, &self->prepare) == 0);
    check(uv_prepare_start(&self->prepare, arm_on_prepare) == 0);
    check(uv_idle_init(&self->uv, &self->local) == 0);
    return uv_async_init(&self->uv, &self->wake, deliver_on_wake);
}

static void close_handle(void *handle)
{
    uv_close(handle, NULL);
}

/* A handle that its owner forgot would keep the last run from ending. */
static void check_is_closing(uv_handle_t *handle, void *context)
{
    (void)context;
    check(uv_is_closing(handle));
}

/* What is left are closings, and name look-ups that cannot be cancelled any more. */
static void done_close_uv(struct host_loop *self)
{
    uv_walk(&self->uv, check_is_closing, NULL);
    uv_run(&self->uv, UV_RUN_DEFAULT);
    check(uv_loop_close(&self->uv) == 0);
}

enum status host_loop_init(struct host_loop *self, const struct host_loop_options *options)
{
    check(options->name[0] != '\0');
    *self = (struct host_loop){.armed_ns = INT64_MAX};
    (void)snprintf(self->name, sizeof self->name, "%s", options->name);
    int error = uv_loop_init(&self->uv);
    if (error != 0) {
        *self = (struct host_loop){0};
        return host_status_of_socket(error);
    }
    error = init_handles(self);
    if (error != 0) {
        close_handle(&self->timer);
        close_handle(&self->prepare);
        close_handle(&self->local);
        done_close_uv(self);
        *self = (struct host_loop){0};
        return host_status_of_socket(error);
    }
    /* A peer that goes away is a status of the write, never the end of the process. */
    check(signal(SIGPIPE, SIG_IGN) != SIG_ERR);

    self->loop.clock = host_clock();
    timer_queue_init(&self->loop.timers, self->loop.clock, NULL);
    mailbox_init(&self->loop.mailbox, wake_from_any_thread);
    prng_init(&self->loop.prng, host_entropy_seed());
    self->loop.disk = options->disk;
    self->loop.trace = options->trace;
    host_socket_init(&self->sockets, &self->loop, &self->uv);
    self->loop.sockets = &self->sockets.service;
    return STATUS_OK;
}

void host_loop_done(struct host_loop *self)
{
    if (self->name[0] == '\0') {
        return;
    }
    check(!self->has_thread);

    running = self;
    while (mailbox_deliver(&self->loop.mailbox)) {
    }
    close_handle(&self->timer);
    close_handle(&self->prepare);
    close_handle(&self->local);
    close_handle(&self->wake);
    done_close_uv(self);
    running = NULL;
    host_socket_done(&self->sockets);
    *self = (struct host_loop){0};
}

void host_loop_run(struct host_loop *self)
{
    check(running == NULL);
    running = self;
    uv_run(&self->uv, UV_RUN_DEFAULT);
    running = NULL;
    check(atomic_exchange(&self->is_stopping, false));
}

static void run_on_thread(void *context)
{
    host_loop_run(context);
}

enum status host_loop_start(struct host_loop *self)
{
    check(!self->has_thread);
    TRY(host_thread_start(&self->thread, self->name, run_on_thread, self));
    self->has_thread = true;
    return STATUS_OK;
}

void host_loop_stop(struct host_loop *self)
{
    atomic_store_explicit(&self->is_stopping, true, memory_order_release);
    check(uv_async_send(&self->wake) == 0);
}

void host_loop_join(struct host_loop *self)
{
    check(self->has_thread);
    check(uv_thread_join(&self->thread) == 0);
    self->has_thread = false;
}
