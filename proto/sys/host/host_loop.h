/* One libuv loop as a `struct loop`: one timer handle drives the timer queue, one async handle the
 * mailbox.
 *
 * It runs on the calling thread (host_loop_run) or on one of its own (host_loop_start, _join).
 * Mail that the loop posts to itself costs no system call: an idle handle brings it in the next
 * turn. Deadlines are met within a millisecond, never early.
 *
 * Owner: a main. Loop: itself; host_loop_stop() and the mailbox from any thread; init and done from
 * the main thread while it does not run. */
#pragma once

#include "proto/sys/host/host_socket.h"
#include "proto/sys/host/host_thread.h"
#include "proto/sys/loop.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>

struct host_loop {
    struct loop loop;
    struct host_socket sockets;
    uv_loop_t uv;
    uv_timer_t timer;
    uv_prepare_t prepare;
    uv_idle_t local; /* Active while mail of the loop to itself waits. */
    uv_async_t wake;
    int64_t armed_ns; /* What `timer` is set to; INT64_MAX: not at all. */
    _Atomic bool is_stopping;
    bool has_thread;
    uv_thread_t thread;
    char name[HOST_THREAD_NAME_BYTES_MAX];
};

struct host_loop_options {
    const char *name;    /* Copied; names the thread. */
    struct disk *disk;   /* Borrowed for life. */
    struct trace *trace; /* Borrowed for life; may be NULL. */
};

MUST_USE enum status host_loop_init(struct host_loop *self,
                                    const struct host_loop_options *options);
/* Everything that was opened on the loop must be closed; delivers the mail that is left. */
void host_loop_done(struct host_loop *self);

/* Returns after host_loop_stop(); may be run again. */
void host_loop_run(struct host_loop *self);
/* Runs it on a thread of its own until host_loop_stop(). */
MUST_USE enum status host_loop_start(struct host_loop *self);
/* Any thread. The turn in progress is finished. */
void host_loop_stop(struct host_loop *self);
/* Waits for the thread of host_loop_start(). */
void host_loop_join(struct host_loop *self);
