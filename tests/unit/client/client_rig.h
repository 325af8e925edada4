/* What the client's tests share: one simulated world with one node, whose only loop runs client and
 * scripted broker side by side. */
#pragma once

#include "tests/rig/scripted_broker.h"
#include "tests/sim/sim_node.h"

#include <criterion/criterion.h>

#define RIG_PORT 9092

static struct sim_world *rig_world;
static struct sim_node *rig_node;
static struct loop *rig_loop;

static inline void rig_begin(uint64_t seed)
{
    rig_world = sim_world_new(&(struct sim_world_options){.seed = seed});
    rig_node = sim_node_add(rig_world, &(struct sim_node_options){.loop_count = 1});
    cr_assert(sim_node_start(rig_node));
    rig_loop = sim_node_loop(rig_node, 0);
    sim_node_enter(rig_node);
}

/* Test code allocates inside the node; events of the world run outside of it. */
static inline void rig_run_for(int64_t duration_ns)
{
    sim_node_leave(rig_node);
    bool is_well = sim_world_run_for(rig_world, duration_ns);
    sim_node_enter(rig_node);
    cr_assert(is_well, "%s", rig_world->failure);
}

static inline bool rig_run_until(bool (*is_done)(void *context), void *context, int64_t timeout_ns)
{
    sim_node_leave(rig_node);
    bool is_well = sim_world_run_until(rig_world, is_done, context, timeout_ns);
    sim_node_enter(rig_node);
    cr_assert_not(rig_world->has_failed, "%s", rig_world->failure);
    return is_well;
}

static inline void rig_end(void)
{
    sim_node_leave(rig_node);
    sim_world_free(rig_world);
}

static inline struct address rig_address(uint16_t port)
{
    struct address address = {.host = "localhost", .port = port};
    return address;
}
