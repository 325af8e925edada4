#include "tests/sim/sim_fault.h"

#include "proto/sys/check.h"
#include "tests/sim/sim_disk.h"
#include "tests/sim/sim_socket.h"

#include <string.h>

#define DISK_DEATH_OPERATIONS_MAX 200U
#define DISK_FAILURE_OPERATIONS_MAX 50U
#define DISK_FULL_FREE_BYTES_MAX 65536U
#define WALL_JUMP_MS_MAX INT64_C(86400000)

static const struct sim_fault_profile profiles[] = {
    {.name = "quiet", .interval_ns_max = 3600 * SIM_S, .repair_ns_max = SIM_S},
    {.name = "crash",
     .interval_ns_max = 300 * SIM_MS,
     .repair_ns_max = 100 * SIM_MS,
     .down_max = 1,
     .weights = {[SIM_FAULT_KILL] = 2,
                 [SIM_FAULT_POWER] = 2,
                 [SIM_FAULT_DISK_DEATH] = 6,
                 [SIM_FAULT_PAUSE] = 1}},
    {.name = "disk",
     .interval_ns_max = 300 * SIM_MS,
     .repair_ns_max = 200 * SIM_MS,
     .down_max = 1,
     .weights = {[SIM_FAULT_POWER] = 1,
                 [SIM_FAULT_DISK_DEATH] = 4,
                 [SIM_FAULT_READ_ERROR] = 1,
                 [SIM_FAULT_WRITE_ERROR] = 2,
                 [SIM_FAULT_FLUSH_ERROR] = 3,
                 [SIM_FAULT_SLOW_FLUSH] = 1,
                 [SIM_FAULT_DISK_FULL] = 2}},
    {.name = "network",
     .interval_ns_max = 2 * SIM_S,
     .repair_ns_max = 5 * SIM_S,
     .weights = {[SIM_FAULT_PAUSE] = 1,
                 [SIM_FAULT_CUT] = 3,
                 [SIM_FAULT_CUT_ONE_WAY] = 3,
                 [SIM_FAULT_ISOLATE] = 2,
                 [SIM_FAULT_BREAK] = 3,
                 [SIM_FAULT_WEATHER] = 1}},
    {.name = "mixed",
     .interval_ns_max = 2 * SIM_S,
     .repair_ns_max = 3 * SIM_S,
     .down_max = 1,
     .weights = {[SIM_FAULT_KILL] = 3,
                 [SIM_FAULT_POWER] = 3,
                 [SIM_FAULT_DISK_DEATH] = 4,
                 [SIM_FAULT_PAUSE] = 2,
                 [SIM_FAULT_CUT] = 2,
                 [SIM_FAULT_CUT_ONE_WAY] = 2,
                 [SIM_FAULT_ISOLATE] = 2,
                 [SIM_FAULT_BREAK] = 2,
                 [SIM_FAULT_WEATHER] = 1,
                 [SIM_FAULT_FLUSH_ERROR] = 1,
                 [SIM_FAULT_SLOW_FLUSH] = 1,
                 [SIM_FAULT_WALL_JUMP] = 1}},
};

const struct sim_fault_profile *sim_fault_profile(const char *name)
{
    for (size_t i = 0; i < sizeof profiles / sizeof profiles[0]; i++) {
        if (strcmp(profiles[i].name, name) == 0) {
            return &profiles[i];
        }
    }
    return NULL;
}

static int64_t up_to(struct sim_fault *self, int64_t limit_ns)
{
    return sim_world_between(self->prng, 1, limit_ns);
}

static struct sim_node *pick(struct sim_fault *self)
{
    return self->targets[prng_below(self->prng, self->target_count)];
}

static uint32_t down_count(const struct sim_fault *self)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < self->target_count; i++) {
        count += !self->targets[i]->is_up;
    }
    return count;
}

/* A repair knows its target by number and is void when the nemesis was stopped meanwhile. */
static uint64_t ticket(const struct sim_fault *self, const struct sim_node *node)
{
    return self->generation << 8 | node->id;
}

static struct sim_node *ticket_node(const struct sim_fault *self, uint64_t value)
{
    return value >> 8 == self->generation ? self->world->nodes[(value & 255) - 1] : NULL;
}

static void plan_repair(struct sim_fault *self, sim_event_run *repair, const struct sim_node *node)
{
    sim_world_after(self->world, up_to(self, self->profile.repair_ns_max), SIM_EVENT_FAULT, repair,
                    self, ticket(self, node));
}

/* --- Deaths and starts --- */

static void order_disk_death(struct sim_fault *self, struct sim_node *node)
{
    uint64_t limit = prng_below(self->prng, DISK_DEATH_OPERATIONS_MAX) + 1;
    sim_disk_die_at(node->disk, prng_below(self->prng, limit) + 1,
                    prng_below(self->prng, 2) == 0 ? SIM_NODE_POWERLESS : SIM_NODE_KILLED);
}

static uint32_t index_of(const struct sim_fault *self, const struct sim_node *node)
{
    for (uint32_t i = 0; i < self->target_count; i++) {
        if (self->targets[i] == node) {
            return i;
        }
    }
    return self->target_count;
}

static void restart(void *context, uint64_t value)
{
    struct sim_fault *self = context;
    struct sim_node *node = ticket_node(self, value);
    if (node == NULL) {
        return;
    }
    self->is_restart_planned[index_of(self, node)] = false;
    if (!node->is_up) {
        /* Recovery happens in one moment: only an order given before can hit it. */
        if (self->profile.weights[SIM_FAULT_DISK_DEATH] > 0 && prng_below(self->prng, 3) == 0) {
            order_disk_death(self, node);
        }
        sim_node_start(node);
    }
}

static void on_node_death(void *context, struct sim_node *node)
{
    struct sim_fault *self = context;
    uint32_t index = index_of(self, node);
    if (index == self->target_count || self->is_restart_planned[index]) {
        return;
    }
    self->is_restart_planned[index] = true;
    plan_repair(self, restart, node);
}

static void begin_death(struct sim_fault *self, struct sim_node *node, enum sim_fault_kind kind)
{
    if (!node->is_up || down_count(self) >= self->profile.down_max) {
        return;
    }
    if (kind == SIM_FAULT_KILL) {
        sim_node_kill(node);
    } else if (kind == SIM_FAULT_POWER) {
        sim_node_lose_power(node);
    } else {
        order_disk_death(self, node);
    }
}

static void resume(void *context, uint64_t value)
{
    struct sim_node *node = ticket_node(context, value);
    if (node != NULL) {
        sim_node_resume(node);
    }
}

/* --- Network --- */

static void heal_node(void *context, uint64_t value)
{
    struct sim_fault *self = context;
    struct sim_node *node = ticket_node(self, value);
    for (uint32_t i = 0; node != NULL && i < self->world->node_count; i++) {
        sim_network_heal(node, self->world->nodes[i]);
    }
}

static void begin_cut(struct sim_fault *self, struct sim_node *node, enum sim_fault_kind kind)
{
    struct sim_world *world = self->world;
    struct sim_node *other = world->nodes[prng_below(self->prng, world->node_count)];
    if (kind == SIM_FAULT_BREAK) {
        sim_network_break_streams(node, other);
        return;
    }
    if (kind == SIM_FAULT_CUT) {
        sim_network_cut(node, other);
    } else if (kind == SIM_FAULT_CUT_ONE_WAY) {
        bool is_deaf = prng_below(self->prng, 2) == 0;
        sim_network_cut_one_way(is_deaf ? other : node, is_deaf ? node : other);
    } else {
        for (uint32_t i = 0; i < world->node_count; i++) {
            sim_network_cut(node, world->nodes[i]);
        }
    }
    plan_repair(self, heal_node, node);
}

static void clear_weather(void *context, uint64_t value)
{
    struct sim_fault *self = context;
    if (ticket_node(self, value) != NULL) {
        sim_network_set_weather(self->world, &sim_weather_fair);
    }
}

static void begin_weather(struct sim_fault *self, const struct sim_node *node)
{
    struct sim_weather weather = {.delay_ns_min = 100 * SIM_US,
                                  .delay_ns_max = up_to(self, 200 * SIM_MS) + SIM_MS,
                                  .spike_chance = 0.05,
                                  .spike_ns_max = up_to(self, 2 * SIM_S)};
    sim_world_note(self->world, "the weather turns bad: up to %lld ms",
                   (long long)(weather.delay_ns_max / SIM_MS));
    sim_network_set_weather(self->world, &weather);
    plan_repair(self, clear_weather, node);
}

/* --- Disks --- */

static void repair_disk(void *context, uint64_t value)
{
    const struct sim_node *node = ticket_node(context, value);
    if (node != NULL) {
        node->disk->faults.slow_flush = 0;
        node->disk->balloon_bytes = 0;
    }
}

/* The balloon takes all but a little; where the disk had no limit it gets one that is far away. */
static void begin_full_disk(struct sim_fault *self, struct sim_node *node)
{
    struct sim_disk *disk = node->disk;
    uint64_t used = sim_disk_used_bytes(disk);
    if (disk->space_bytes == UINT64_MAX) {
        disk->space_bytes = UINT64_C(1) << 40;
    }
    uint64_t left = prng_below(self->prng, DISK_FULL_FREE_BYTES_MAX);
    disk->balloon_bytes = used + left < disk->space_bytes ? disk->space_bytes - used - left : 0;
    sim_world_note(self->world, "node-%u disk has %llu bytes left", node->id,
                   (unsigned long long)left);
    plan_repair(self, repair_disk, node);
}

static void begin_disk(struct sim_fault *self, struct sim_node *node, enum sim_fault_kind kind)
{
    uint64_t count = prng_below(self->prng, DISK_FAILURE_OPERATIONS_MAX) + 1;
    if (kind == SIM_FAULT_READ_ERROR) {
        sim_disk_fail(node->disk, SIM_DISK_READ, count, STATUS_IO);
    } else if (kind == SIM_FAULT_WRITE_ERROR) {
        sim_disk_fail(node->disk, SIM_DISK_WRITE, count, STATUS_IO);
    } else if (kind == SIM_FAULT_FLUSH_ERROR) {
        sim_disk_fail(node->disk, SIM_DISK_FLUSH, count, STATUS_IO);
    } else {
        sim_world_note(self->world, "node-%u disk flushes slowly", node->id);
        node->disk->faults.slow_flush = 0.3;
        node->disk->faults.slow_flush_ns_max = up_to(self, 2 * SIM_S);
        plan_repair(self, repair_disk, node);
    }
}

/* --- The schedule --- */

static void begin_fault(struct sim_fault *self, enum sim_fault_kind kind)
{
    struct sim_node *node = pick(self);
    self->counts[kind] += 1;
    switch (kind) {
    case SIM_FAULT_KILL:
    case SIM_FAULT_POWER:
    case SIM_FAULT_DISK_DEATH:
        begin_death(self, node, kind);
        return;
    case SIM_FAULT_BLACKOUT:
        for (uint32_t i = 0; i < self->target_count; i++) {
            sim_node_lose_power(self->targets[i]);
        }
        return;
    case SIM_FAULT_PAUSE:
        sim_node_pause(node);
        plan_repair(self, resume, node);
        return;
    case SIM_FAULT_CUT:
    case SIM_FAULT_CUT_ONE_WAY:
    case SIM_FAULT_ISOLATE:
    case SIM_FAULT_BREAK:
        begin_cut(self, node, kind);
        return;
    case SIM_FAULT_WEATHER:
        begin_weather(self, node);
        return;
    case SIM_FAULT_READ_ERROR:
    case SIM_FAULT_WRITE_ERROR:
    case SIM_FAULT_FLUSH_ERROR:
    case SIM_FAULT_SLOW_FLUSH:
        begin_disk(self, node, kind);
        return;
    case SIM_FAULT_DISK_FULL:
        begin_full_disk(self, node);
        return;
    case SIM_FAULT_WALL_JUMP:
        sim_node_jump_wall(node,
                           sim_world_between(self->prng, -WALL_JUMP_MS_MAX, WALL_JUMP_MS_MAX));
        return;
    case SIM_FAULT_KIND_COUNT:
        break;
    }
    check_unreachable("a fault outside its list");
}

static void next_fault(void *context, uint64_t value);

static void plan_next(struct sim_fault *self)
{
    sim_world_after(self->world, up_to(self, self->profile.interval_ns_max), SIM_EVENT_FAULT,
                    next_fault, self, self->generation);
}

static void next_fault(void *context, uint64_t value)
{
    struct sim_fault *self = context;
    if (!self->is_running || value != self->generation) {
        return;
    }
    uint64_t total = 0;
    for (size_t i = 0; i < SIM_FAULT_KIND_COUNT; i++) {
        total += self->profile.weights[i];
    }
    if (total > 0) {
        uint64_t place = prng_below(self->prng, total);
        size_t kind = 0;
        while (place >= self->profile.weights[kind]) {
            place -= self->profile.weights[kind];
            kind += 1;
        }
        begin_fault(self, (enum sim_fault_kind)kind);
    }
    plan_next(self);
}

void sim_fault_start(struct sim_fault *self, struct sim_world *world,
                     const struct sim_fault_profile *profile, struct sim_node *const *targets,
                     uint32_t target_count)
{
    check(profile != NULL);
    check(target_count > 0 && target_count <= SIM_WORLD_NODES_MAX);

    uint64_t generation = self->generation;
    *self = (struct sim_fault){.world = world,
                               .prng = sim_world_prng(world, SIM_STREAM_FAULT),
                               .profile = *profile,
                               .target_count = target_count,
                               .is_running = true,
                               .generation = generation + 1};
    memcpy(self->targets, targets, target_count * sizeof *targets);
    world->on_node_death = on_node_death;
    world->on_node_death_context = self;
    sim_world_note(world, "the nemesis begins: %s", profile->name);
    plan_next(self);
}

void sim_fault_stop(struct sim_fault *self)
{
    struct sim_world *world = self->world;
    sim_world_note(world, "the nemesis rests");
    self->is_running = false;
    self->generation += 1;
    world->on_node_death = NULL;
    sim_network_set_weather(world, &sim_weather_fair);
    sim_network_heal_all(world);
    for (uint32_t i = 0; i < self->target_count; i++) {
        struct sim_node *node = self->targets[i];
        sim_disk_calm(node->disk);
        sim_node_resume(node);
        /* An order to die may still be due in a node that is starting: then it starts again. */
        for (int attempt = 0; !node->is_up && attempt < 3; attempt++) {
            sim_node_start(node);
        }
    }
}
