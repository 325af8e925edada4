/* A simulated process on a simulated host: loops, memory, a clock, a disk, an address.
 *
 * Code of the node runs only through sim_node_run() and through events of the node; all it
 * allocates there is the node's. A life of the node (incarnation) begins with sim_node_start(),
 * which fills the loops and calls `boot`, and ends by
 *   sim_node_kill()        the process dies: memory is gone, page cache and disk stay, peers see
 *                          their streams closed or reset;
 *   sim_node_lose_power()  the host dies: the disk keeps what was flushed and any part of the rest,
 *                          peers see silence until the host is up again;
 *   sim_node_exit()        from inside: the node gives up by itself, otherwise as a kill.
 * Each may come from inside a call of the node's own code, which then never returns.
 * The host is up again (refusing connections) with sim_node_start() at the latest.
 *
 * Owner: the world. Loop: the world's thread. Limits: SIM_NODE_LOOPS_MAX. */
#pragma once

#include "proto/sys/loop.h"
#include "tests/sim/sim_heap.h"
#include "tests/sim/sim_world.h"

#include <setjmp.h>

#define SIM_NODE_LOOPS_MAX 8U

struct sim_disk;
struct sim_loop;

enum sim_node_death {
    SIM_NODE_ALIVE,
    SIM_NODE_KILLED,
    SIM_NODE_POWERLESS,
};

struct sim_node_options {
    uint32_t loop_count; /* 0: one. */
    /* Inside the node, at each start. May be NULL: the test drives the loops itself. */
    void (*boot)(struct sim_node *self, struct loop *loops, uint32_t loop_count);
    /* Outside, after each death and before memory is taken back: forget pointers into it. */
    void (*on_death)(struct sim_node *self, enum sim_node_death death);
    void *context; /* The workload's. */
};

/* Fields are read by workloads, written by the simulator only (but for `state`). */
struct sim_node {
    struct sim_world *world;
    uint32_t id; /* From 1; the host's name is "node-<id>". */
    struct sim_node_options options;
    void *state; /* The workload's, allocated inside the node; NULL at each start. */
    bool is_up;
    bool is_host_up;
    bool is_paused;
    uint32_t incarnation; /* Rises with each start. */
    uint32_t loop_count;
    struct loop loops[SIM_NODE_LOOPS_MAX];
    struct sim_loop *loop_drivers; /* Owned; one per loop. */
    struct clock clock;
    int64_t clock_start_ns; /* What the monotonic clock shows at the world's time 0. */
    int64_t clock_wall_skew_ms;
    struct trace trace;
    struct sim_disk *disk; /* Owned; survives every death. */
    struct sim_heap heap;
    jmp_buf leave;
    enum sim_node_death death; /* Why the code is being left. */
    struct sim_event *parked;  /* Owned; events that came while paused. */
    size_t parked_count;
    size_t parked_room;
};

struct sim_node *sim_node_add(struct sim_world *world, const struct sim_node_options *options);
/* The number of loops from the next start on. */
void sim_node_set_loop_count(struct sim_node *self, uint32_t loop_count);
/* False when it died while booting. Must be down. */
bool sim_node_start(struct sim_node *self);
void sim_node_kill(struct sim_node *self);       /* Does nothing when it is down. */
void sim_node_lose_power(struct sim_node *self); /* Works on a node that is down, too. */
void sim_node_exit(struct sim_node *self);       /* From inside only; does not return. */
void sim_node_die(struct sim_node *self, enum sim_node_death death);
/* All events of a paused node wait (SIGSTOP); its streams and lanes go on behind its back. */
void sim_node_pause(struct sim_node *self);
void sim_node_resume(struct sim_node *self);
/* The wall clock jumps; the monotonic one never does. */
void sim_node_jump_wall(struct sim_node *self, int64_t delta_ms);

/* Runs `run` inside the node now. False: it is down, or died on the way. Not from inside a node. */
bool sim_node_run(struct sim_node *self, void (*run)(void *context), void *context);
/* For tests that call a node's code directly: allocations belong to the node in between. No crash
 * may be due. */
void sim_node_enter(struct sim_node *self);
void sim_node_leave(struct sim_node *self);
/* For code of a workload that a node calls back: what it allocates in between is the workload's. */
struct sim_heap *sim_node_step_out(void);
void sim_node_step_in(struct sim_heap *heap);

struct loop *sim_node_loop(struct sim_node *self, uint32_t index);
struct sim_node *sim_node_of(const struct loop *loop);
/* Work at now + `delay_ns` inside this life of the node. */
void sim_node_after(struct sim_node *self, int64_t delay_ns, sim_event_run *run, void *context,
                    uint64_t value);
