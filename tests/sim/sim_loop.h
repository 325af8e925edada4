/* The driver of one loop of a node: wakes its mailbox and fires its timers at the world's time.
 *
 * A mailbox that was filled is delivered by an event a few microseconds later, and the earliest
 * timer has an event at its deadline, so loops of one node interleave differently with every seed.
 *
 * Owner: the node. Loop: its own. Limits: none of its own. */
#pragma once

#include "tests/sim/sim_node.h"
#include "tests/sim/sim_socket.h"

struct sim_loop {
    struct loop *loop;     /* Borrowed from the node. */
    struct sim_node *node; /* Borrowed. */
    uint32_t index;
    int64_t timer_event_ns; /* The earliest event that is under way; INT64_MAX: none. */
    struct prng wakes;      /* How long a wake takes. */
    struct sim_socket_service sockets;
};

/* For a new life of the node. */
void sim_loop_init(struct sim_loop *self, struct sim_node *node, uint32_t index);
struct sim_loop *sim_loop_of(const struct loop *loop);
