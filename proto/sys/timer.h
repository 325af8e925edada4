/* Deadlines of one loop: an intrusive heap, so arming cannot fail and stopping is synchronous.
 *
 * The loop's driver (libuv or the simulator) asks for the earliest deadline after each turn and
 * calls timer_queue_fire() when it has come. Timers of equal deadline fire in order of arming, so a
 * simulated run is the same every time.
 *
 * Owner: the loop. Loop: the loop's own thread only. Limits: none of its own, nodes are embedded. */
#pragma once

#include "proto/sys/clock.h"

#include <stdbool.h>
#include <stdint.h>

struct timer;

struct timer_queue {
    struct clock *clock;  /* Borrowed for life. */
    struct timer *root;   /* Pairing heap by (deadline_ns, sequence). */
    uint64_t sequence;
    int64_t floor_ns; /* What is armed while firing is due after this; INT64_MIN otherwise. */
    /* Called when the earliest deadline changed, never from inside a firing callback, after which
     * the driver asks anyway; may be NULL. */
    void (*on_earliest_changed)(struct timer_queue *self);
};

struct timer {
    uint32_t magic;
    struct timer_queue *queue; /* Borrowed for life. */
    void (*on_fire)(struct timer *self);
    int64_t deadline_ns;
    uint64_t sequence;
    bool is_armed;
    struct timer *child;
    struct timer *sibling;
    struct timer *previous; /* Parent for a first child, else the left sibling. */
};

void timer_queue_init(struct timer_queue *self, struct clock *clock,
                      void (*on_earliest_changed)(struct timer_queue *self));

/* INT64_MAX when nothing is armed. */
int64_t timer_queue_earliest_ns(const struct timer_queue *self);

/* Fires everything whose deadline is at or before the clock's now; a timer that a callback arms
 * again fires in a later call. */
void timer_queue_fire(struct timer_queue *self);

void timer_init(struct timer *self, struct timer_queue *queue, void (*on_fire)(struct timer *self));
/* Stops it when armed. Accepts a zeroed timer. */
void timer_done(struct timer *self);

/* Arms or moves it. `on_fire` runs once, from the loop, never from inside this call. */
void timer_start_at(struct timer *self, int64_t deadline_ns);
void timer_start_after(struct timer *self, int64_t delay_ns);
void timer_stop(struct timer *self);
