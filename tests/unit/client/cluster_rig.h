/* For tests of cores against real brokers: a cluster in a simulated world, and a node of its own
 * for the code under test. The test's own code runs inside that node. */
#pragma once

#include "tests/rig/broker_world.h"
#include "tests/sim/sim_node.h"

#include <criterion/criterion.h>

static struct broker_world rig_cluster;
static struct loop *rig_loop;
static struct address rig_bootstrap[BROKER_WORLD_BROKERS_MAX];

static inline void rig_enter(void)
{
    sim_node_enter(rig_cluster.client_node);
}

static inline void rig_leave(void)
{
    sim_node_leave(rig_cluster.client_node);
}

static inline void rig_begin(uint32_t broker_count, uint64_t seed)
{
    static const char *const settings[] = {"group.initial.rebalance.delay.ms=0",
                                           "internal.topic.partitions=4", NULL};
    struct broker_world_options options = {
        .broker_count = broker_count, .seed = seed, .settings = settings};
    broker_world_init(&rig_cluster, &options, NULL);
    broker_world_start_all(&rig_cluster);
    for (uint32_t i = 0; i < broker_count; i++) {
        rig_bootstrap[i] = (struct address){.port = BROKER_WORLD_PORT};
        snprintf(rig_bootstrap[i].host, sizeof rig_bootstrap[i].host, "node-%u", i + 1);
    }
    rig_enter();
    rig_loop = sim_node_loop(rig_cluster.client_node, 0);
}

static inline void rig_end(void)
{
    rig_leave();
    broker_world_done(&rig_cluster);
}

static inline void rig_run_ms(int64_t duration_ms)
{
    rig_leave();
    broker_world_run_ms(&rig_cluster, duration_ms);
    rig_enter();
}

static inline bool rig_until(bool (*is_done)(void *context), void *context, int64_t timeout_ms)
{
    rig_leave();
    bool is_well = sim_world_run_until(rig_cluster.world, is_done, context, timeout_ms * SIM_MS);
    rig_enter();
    cr_assert_not(rig_cluster.world->has_failed, "%s", rig_cluster.world->failure);
    return is_well;
}

static inline void rig_kill(uint32_t index)
{
    rig_leave();
    sim_node_kill(rig_cluster.brokers[index].node);
    rig_enter();
}

static inline void rig_revive(uint32_t index)
{
    rig_leave();
    broker_world_start(&rig_cluster, index);
    rig_enter();
}
