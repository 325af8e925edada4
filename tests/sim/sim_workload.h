/* A workload: what one seed plays. It adds nodes to a fresh world, runs it, and returns; it fails
 * by sim_world_fail(). Broken ones prove that the simulator bites: some seed must fail.
 *
 * Owner: the program. Loop: the world's thread. Limits: none of its own. */
#pragma once

#include "tests/sim/sim_world.h"

struct sim_workload_options {
    uint32_t loop_count; /* Of each node; 0: the seed decides. */
};

struct sim_workload {
    const char *name;
    const char *purpose;
    bool is_broken;
    void (*run)(struct sim_world *world, const struct sim_workload_options *options);
};

/* A row ends with a workload without a name. */
extern const struct sim_workload workload_disk[];
extern const struct sim_workload workload_log[];
extern const struct sim_workload workload_net[];
extern const struct sim_workload workload_quorum[];
extern const struct sim_workload workload_cluster[];
extern const struct sim_workload workload_controller[];
extern const struct sim_workload workload_job[];
