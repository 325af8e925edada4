/* The nemesis: breaks things and repairs them, by a profile, from the seed.
 *
 * Every now and then a fault of the profile begins on a random target and ends after a while: dead
 * nodes start again, cuts heal, full disks get room. However a target died (also by itself, after
 * an injected disk error), it is started again, so workloads need not.
 * sim_fault_stop() repairs everything at once and starts whoever is down: what comes after is the
 * calm in which a correct system must make progress.
 *
 * Owner: the workload. Loop: the world's thread. Limits: SIM_WORLD_NODES_MAX targets. */
#pragma once

#include "tests/sim/sim_node.h"

enum sim_fault_kind {
    SIM_FAULT_KILL,
    SIM_FAULT_POWER,
    SIM_FAULT_BLACKOUT,   /* Power, of all targets at once. */
    SIM_FAULT_DISK_DEATH, /* A death at one of the next disk operations; either kind. */
    SIM_FAULT_PAUSE,
    SIM_FAULT_CUT, /* Two nodes, both ways. */
    SIM_FAULT_CUT_ONE_WAY,
    SIM_FAULT_ISOLATE,    /* One node from all others. */
    SIM_FAULT_BREAK,      /* All streams between two nodes. */
    SIM_FAULT_WEATHER,    /* Long delays everywhere. */
    SIM_FAULT_READ_ERROR, /* One of the next operations of that kind. */
    SIM_FAULT_WRITE_ERROR,
    SIM_FAULT_FLUSH_ERROR,
    SIM_FAULT_SLOW_FLUSH,
    SIM_FAULT_DISK_FULL,
    SIM_FAULT_WALL_JUMP,
    SIM_FAULT_KIND_COUNT,
};

struct sim_fault_profile {
    const char *name;
    int64_t interval_ns_max; /* Between the beginnings of faults; at random up to it. */
    int64_t repair_ns_max;   /* How long a fault lasts; at random up to it. */
    uint32_t down_max;       /* Targets that may be down by our doing at a time. */
    uint32_t weights[SIM_FAULT_KIND_COUNT]; /* 0: never. */
};

struct sim_fault {
    struct sim_world *world; /* Borrowed. */
    struct prng *prng;
    struct sim_fault_profile profile;
    struct sim_node *targets[SIM_WORLD_NODES_MAX];
    uint32_t target_count;
    bool is_running;
    uint64_t generation; /* Repairs of an earlier one are void. */
    bool is_restart_planned[SIM_WORLD_NODES_MAX];
    uint64_t counts[SIM_FAULT_KIND_COUNT];
};

/* Profiles of a single node ("crash", "disk", "quiet") and of clusters ("network", "mixed"); NULL:
 * no such name. A workload may change its copy. */
const struct sim_fault_profile *sim_fault_profile(const char *name);

/* `self` is zeroed before the first start and stays put until the world ends. Takes over the
 * world's on_node_death until it is stopped. */
void sim_fault_start(struct sim_fault *self, struct sim_world *world,
                     const struct sim_fault_profile *profile, struct sim_node *const *targets,
                     uint32_t target_count);
void sim_fault_stop(struct sim_fault *self);
