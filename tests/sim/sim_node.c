#include "tests/sim/sim_node.h"

#include "proto/sys/check.h"
#include "tests/sim/sim_disk.h"
#include "tests/sim/sim_loop.h"
#include "tests/sim/sim_node_life.h"
#include "tests/sim/sim_socket.h"

#include <stdlib.h>
#include <string.h>

#define CLOCK_START_NS_MAX (INT64_C(1000000) * SIM_S)
#define CLOCK_STREAM UINT64_C(0x3000)

static struct sim_node *node_of_clock(struct clock *clock)
{
    return container_of(clock, struct sim_node, clock);
}

static int64_t clock_monotonic(struct clock *clock)
{
    const struct sim_node *self = node_of_clock(clock);
    return self->clock_start_ns + self->world->now_ns;
}

static int64_t clock_wall(struct clock *clock)
{
    const struct sim_node *self = node_of_clock(clock);
    return self->world->wall_start_ms + self->clock_wall_skew_ms + self->world->now_ns / SIM_MS;
}

static void trace_write(struct trace *trace, enum trace_level level, const char *line,
                        size_t byte_count)
{
    struct sim_node *self = container_of(trace, struct sim_node, trace);
    (void)level;
    struct sim_heap *user = sim_heap_switch(NULL);
    sim_world_hash_bytes(self->world, line, byte_count);
    sim_world_note(self->world, "node-%u %.*s", self->id, (int)byte_count, line);
    sim_heap_switch(user);
}

struct sim_node *sim_node_add(struct sim_world *world, const struct sim_node_options *options)
{
    check(world->inside == NULL);
    check(world->node_count < SIM_WORLD_NODES_MAX);
    check(options->loop_count <= SIM_NODE_LOOPS_MAX);

    struct sim_node *self = calloc(1, sizeof *self);
    check(self != NULL);
    self->world = world;
    world->nodes[world->node_count] = self;
    world->node_count += 1;
    self->id = world->node_count;
    self->options = *options;
    self->is_host_up = true;
    self->clock = (struct clock){.monotonic_ns = clock_monotonic, .wall_ms = clock_wall};
    self->trace = (struct trace){.level = TRACE_INFO, .write_line = trace_write};
    self->loop_drivers = calloc(SIM_NODE_LOOPS_MAX, sizeof *self->loop_drivers);
    check(self->loop_drivers != NULL);
    self->disk = sim_disk_new(self);
    sim_node_set_loop_count(self, options->loop_count == 0 ? 1 : options->loop_count);
    return self;
}

void sim_node_set_loop_count(struct sim_node *self, uint32_t loop_count)
{
    check(!self->is_up);
    check(loop_count > 0 && loop_count <= SIM_NODE_LOOPS_MAX);
    self->loop_count = loop_count;
}

void sim_node_life_free(struct sim_node *self)
{
    sim_node_lose_power(self);
    sim_disk_free(self->disk);
    free(self->parked);
    free(self->loop_drivers);
    free(self);
}

static void boot(void *context)
{
    struct sim_node *self = context;
    if (self->options.boot != NULL) {
        self->options.boot(self, self->loops, self->loop_count);
    }
}

bool sim_node_start(struct sim_node *self)
{
    check(!self->is_up);
    check(self->world->inside != self);

    self->incarnation += 1;
    self->is_up = true;
    self->state = NULL;
    /* A host's monotonic clock begins anew with each boot: whoever keeps its readings on disk and
     * compares them later is wrong. */
    struct prng start;
    prng_init(&start,
              sim_world_seed_for(self->world, ((uint64_t)self->id << 32) + self->incarnation,
                                 CLOCK_STREAM));
    self->clock_start_ns = sim_world_between(&start, 0, CLOCK_START_NS_MAX);
    if (!self->is_host_up) {
        self->is_host_up = true;
        sim_network_on_host_up(self->world->network, self);
    }
    for (uint32_t i = 0; i < self->loop_count; i++) {
        sim_loop_init(&self->loop_drivers[i], self, i);
    }
    sim_world_note(self->world, "node-%u starts, life %u, %u loops", self->id, self->incarnation,
                   self->loop_count);
    return sim_node_run(self, boot, self);
}

/* Everything that reaches into the node's memory forgets it before the memory goes. */
static void bury(struct sim_node *self, enum sim_node_death death)
{
    sim_world_note(self->world, "node-%u %s", self->id,
                   death == SIM_NODE_KILLED ? "dies" : "loses power");
    self->is_up = false;
    self->is_paused = false;
    self->parked_count = 0;
    self->death = SIM_NODE_ALIVE;
    self->is_host_up = death == SIM_NODE_KILLED;
    if (self->options.on_death != NULL) {
        self->options.on_death(self, death);
    }
    sim_network_on_death(self->world->network, self, death);
    sim_disk_on_death(self->disk, death);
    self->state = NULL;
    sim_heap_drop(&self->heap);
    if (self->world->on_node_death != NULL) {
        self->world->on_node_death(self->world->on_node_death_context, self);
    }
}

void sim_node_die(struct sim_node *self, enum sim_node_death death)
{
    check(death != SIM_NODE_ALIVE);

    if (self->world->inside == self) {
        self->death = death;
        longjmp(self->leave, 1);
    }
    if (self->is_up) {
        struct sim_heap *user = sim_heap_switch(NULL);
        bury(self, death);
        sim_heap_switch(user);
    } else if (death == SIM_NODE_POWERLESS && self->is_host_up) {
        sim_world_note(self->world, "node-%u loses power while down", self->id);
        self->is_host_up = false;
        sim_network_on_death(self->world->network, self, death);
        sim_disk_on_death(self->disk, death);
    }
}

void sim_node_kill(struct sim_node *self)
{
    sim_node_die(self, SIM_NODE_KILLED);
}

void sim_node_lose_power(struct sim_node *self)
{
    sim_node_die(self, SIM_NODE_POWERLESS);
}

void sim_node_exit(struct sim_node *self)
{
    check(self->world->inside == self);
    sim_world_note(self->world, "node-%u stops itself", self->id);
    sim_node_die(self, SIM_NODE_KILLED);
}

void sim_node_pause(struct sim_node *self)
{
    if (self->is_up && !self->is_paused) {
        sim_world_note(self->world, "node-%u pauses", self->id);
        self->is_paused = true;
    }
}

void sim_node_resume(struct sim_node *self)
{
    if (!self->is_paused) {
        return;
    }
    sim_world_note(self->world, "node-%u goes on, %zu events behind", self->id, self->parked_count);
    self->is_paused = false;
    size_t count = self->parked_count;
    self->parked_count = 0;
    for (size_t i = 0; i < count; i++) {
        const struct sim_event *event = &self->parked[i];
        sim_world_after_in(self->world, self, 0, event->kind, event->run, event->context,
                           event->value);
    }
}

void sim_node_jump_wall(struct sim_node *self, int64_t delta_ms)
{
    sim_world_note(self->world, "node-%u wall clock jumps by %lld ms", self->id,
                   (long long)delta_ms);
    self->clock_wall_skew_ms += delta_ms;
}

bool sim_node_life_admits(struct sim_node *self, const struct sim_event *event)
{
    if (!self->is_up || event->incarnation != self->incarnation) {
        return false;
    }
    if (!self->is_paused) {
        return true;
    }
    if (self->parked_count == self->parked_room) {
        self->parked_room = self->parked_room == 0 ? 64 : self->parked_room * 2;
        self->parked = realloc(self->parked, self->parked_room * sizeof *self->parked);
        check(self->parked != NULL);
    }
    self->parked[self->parked_count] = *event;
    self->parked_count += 1;
    return false;
}

bool sim_node_run(struct sim_node *self, void (*run)(void *context), void *context)
{
    check(self->world->inside == NULL);
    if (!self->is_up) {
        return false;
    }

    struct sim_heap *user = sim_heap_switch(&self->heap);
    self->world->inside = self;
    if (setjmp(self->leave) == 0) {
        run(context);
    }
    self->world->inside = NULL;
    sim_heap_switch(NULL);
    if (self->death != SIM_NODE_ALIVE) {
        bury(self, self->death);
    }
    sim_heap_switch(user);
    return self->is_up;
}

static void run_event(void *context)
{
    struct sim_event *event = context;
    event->run(event->context, event->value);
}

void sim_node_life_run(struct sim_node *self, struct sim_event *event)
{
    sim_node_run(self, run_event, event);
}

void sim_node_enter(struct sim_node *self)
{
    check(self->is_up);
    check(sim_heap_switch(&self->heap) == NULL);
}

void sim_node_leave(struct sim_node *self)
{
    check(sim_heap_switch(NULL) == &self->heap);
}

struct sim_heap *sim_node_step_out(void)
{
    return sim_heap_switch(NULL);
}

void sim_node_step_in(struct sim_heap *heap)
{
    sim_heap_switch(heap);
}

struct loop *sim_node_loop(struct sim_node *self, uint32_t index)
{
    check(index < self->loop_count);
    return &self->loops[index];
}

struct sim_node *sim_node_of(const struct loop *loop)
{
    return container_of(loop->clock, struct sim_node, clock);
}

void sim_node_after(struct sim_node *self, int64_t delay_ns, sim_event_run *run, void *context,
                    uint64_t value)
{
    sim_world_after_in(self->world, self, delay_ns, SIM_EVENT_WORKLOAD, run, context, value);
}
