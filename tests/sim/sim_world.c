#include "tests/sim/sim_world.h"

#include "proto/sys/check.h"
#include "tests/sim/sim_heap.h"
#include "tests/sim/sim_node.h"
#include "tests/sim/sim_node_life.h"
#include "tests/sim/sim_socket.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define STORY_LINES 100U
#define EVENTS_ROOM_MIN 256U
#define WALL_START_MS INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */

struct sim_world *sim_world_new(const struct sim_world_options *options)
{
    check(sim_heap_switch(NULL) == NULL);

    struct sim_world *self = calloc(1, sizeof *self);
    check(self != NULL);
    self->seed = options->seed;
    self->is_verbose = options->is_verbose;
    self->event_count_max =
        options->event_count_max > 0 ? options->event_count_max : SIM_WORLD_EVENTS_MAX_DEFAULT;
    self->story = calloc(STORY_LINES, sizeof *self->story);
    check(self->story != NULL);
    for (uint64_t i = 0; i < SIM_STREAM_COUNT; i++) {
        prng_init(&self->streams[i], sim_world_seed_for(self, UINT64_MAX, i));
    }
    struct prng wall;
    prng_init(&wall, sim_world_seed_for(self, UINT64_MAX, SIM_STREAM_COUNT));
    self->wall_start_ms = WALL_START_MS + sim_world_between(&wall, 0, INT64_C(86400000));
    self->trace_hash = options->seed;
    self->network = sim_network_new(self);
    return self;
}

void sim_world_free(struct sim_world *self)
{
    check(self->inside == NULL);

    for (uint32_t i = 0; i < self->node_count; i++) {
        sim_node_life_free(self->nodes[i]);
    }
    sim_network_free(self->network);
    free(self->events);
    free(self->story);
    free(self);
}

struct prng *sim_world_prng(struct sim_world *self, enum sim_prng_stream stream)
{
    check(stream < SIM_STREAM_COUNT);
    return &self->streams[stream];
}

uint64_t sim_world_seed_for(const struct sim_world *self, uint64_t who, uint64_t what)
{
    uint64_t parts[3] = {self->seed, who, what};
    return XXH3_64bits(parts, sizeof parts);
}

int64_t sim_world_between(struct prng *prng, int64_t low, int64_t high)
{
    check(low <= high);
    return low + (int64_t)prng_below(prng, (uint64_t)(high - low) + 1);
}

bool sim_world_chance(struct prng *prng, double probability)
{
    /* Impossible things draw nothing, so that switching them off leaves the rest alone. */
    return probability > 0 && prng_fraction(prng) < probability;
}

static bool runs_before(const struct sim_event *left, const struct sim_event *right)
{
    return left->time_ns != right->time_ns ? left->time_ns < right->time_ns
                                           : left->sequence < right->sequence;
}

static void event_push(struct sim_world *self, struct sim_event event)
{
    if (self->event_waiting_count == self->event_room) {
        self->event_room = self->event_room == 0 ? EVENTS_ROOM_MIN : self->event_room * 2;
        self->events = realloc(self->events, self->event_room * sizeof *self->events);
        check(self->events != NULL);
    }
    event.sequence = self->event_sequence;
    self->event_sequence += 1;
    size_t place = self->event_waiting_count;
    self->event_waiting_count += 1;
    while (place > 0 && runs_before(&event, &self->events[(place - 1) / 2])) {
        self->events[place] = self->events[(place - 1) / 2];
        place = (place - 1) / 2;
    }
    self->events[place] = event;
}

static struct sim_event event_pop(struct sim_world *self)
{
    struct sim_event first = self->events[0];
    self->event_waiting_count -= 1;
    struct sim_event last = self->events[self->event_waiting_count];
    size_t place = 0;
    for (;;) {
        size_t child = 2 * place + 1;
        if (child >= self->event_waiting_count) {
            break;
        }
        if (child + 1 < self->event_waiting_count &&
            runs_before(&self->events[child + 1], &self->events[child])) {
            child += 1;
        }
        if (!runs_before(&self->events[child], &last)) {
            break;
        }
        self->events[place] = self->events[child];
        place = child;
    }
    self->events[place] = last;
    return first;
}

void sim_world_after(struct sim_world *self, int64_t delay_ns, enum sim_event_kind kind,
                     sim_event_run *run, void *context, uint64_t value)
{
    sim_world_after_in(self, NULL, delay_ns, kind, run, context, value);
}

void sim_world_after_in(struct sim_world *self, struct sim_node *node, int64_t delay_ns,
                        enum sim_event_kind kind, sim_event_run *run, void *context, uint64_t value)
{
    check(delay_ns >= 0);

    int64_t time_ns = INT64_MAX;
    if (__builtin_add_overflow(self->now_ns, delay_ns, &time_ns)) {
        return; /* Beyond all time: never. */
    }
    struct sim_heap *user = sim_heap_switch(NULL);
    event_push(self, (struct sim_event){.time_ns = time_ns,
                                        .run = run,
                                        .context = context,
                                        .value = value,
                                        .node = node,
                                        .incarnation = node == NULL ? 0 : node->incarnation,
                                        .kind = kind});
    sim_heap_switch(user);
}

static void event_run(struct sim_world *self, struct sim_event *event)
{
    struct sim_node *node = event->node;
    if (node != NULL && !sim_node_life_admits(node, event)) {
        return;
    }
    self->event_count += 1;
    if (self->event_count > self->event_count_max) {
        sim_world_fail(self, "more than %llu events: something spins",
                       (unsigned long long)self->event_count_max);
        return;
    }
    sim_world_hash(self, (uint64_t)event->time_ns * 64 + (uint64_t)event->kind * 8 +
                             (node == NULL ? 0 : node->id));
    self->ran = node;
    if (node == NULL) {
        event->run(event->context, event->value);
    } else {
        sim_node_life_run(node, event);
    }
    if (self->on_event != NULL && !self->has_failed) {
        self->on_event(self->on_event_context);
    }
}

bool sim_world_step(struct sim_world *self)
{
    check(self->inside == NULL);
    if (self->has_failed || self->event_waiting_count == 0) {
        return false;
    }
    struct sim_event event = event_pop(self);
    check(event.time_ns >= self->now_ns);
    self->now_ns = event.time_ns;
    event_run(self, &event);
    return true;
}

static bool is_due(const struct sim_world *self, int64_t end_ns)
{
    return self->event_waiting_count > 0 && self->events[0].time_ns <= end_ns;
}

bool sim_world_run_for(struct sim_world *self, int64_t duration_ns)
{
    check(duration_ns >= 0);

    int64_t end_ns = self->now_ns + duration_ns;
    while (!self->has_failed && is_due(self, end_ns)) {
        sim_world_step(self);
    }
    if (!self->has_failed) {
        self->now_ns = end_ns;
    }
    return !self->has_failed;
}

bool sim_world_run_until(struct sim_world *self, bool (*is_done)(void *context), void *context,
                         int64_t timeout_ns)
{
    int64_t end_ns = self->now_ns + timeout_ns;
    for (;;) {
        if (self->has_failed) {
            return false;
        }
        if (is_done(context)) {
            return true;
        }
        if (!is_due(self, end_ns)) {
            self->now_ns = end_ns;
            return false;
        }
        sim_world_step(self);
    }
}

void sim_world_watch(struct sim_world *self, void (*on_event)(void *context), void *context)
{
    self->on_event = on_event;
    self->on_event_context = context;
}

static void note(struct sim_world *self, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));
static void note(struct sim_world *self, const char *format, va_list arguments)
{
    char *line = self->story[self->story_count % STORY_LINES];
    self->story_count += 1;
    int length =
        snprintf(line, sizeof self->story[0], "%13.6f ms  ", (double)self->now_ns / (double)SIM_MS);
    vsnprintf(line + length, sizeof self->story[0] - (size_t)length, format, arguments);
    if (self->is_verbose) {
        fprintf(stdout, "%s\n", line);
    }
}

void sim_world_note(struct sim_world *self, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    note(self, format, arguments);
    va_end(arguments);
}

void sim_world_fail(struct sim_world *self, const char *format, ...)
{
    if (self->has_failed) {
        return;
    }
    self->has_failed = true;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(self->failure, sizeof self->failure, format, arguments);
    va_end(arguments);
    sim_world_note(self, "FAILED: %s", self->failure);
}

void sim_world_tell(const struct sim_world *self, FILE *out)
{
    uint64_t first = self->story_count > STORY_LINES ? self->story_count - STORY_LINES : 0;
    fprintf(out, "--- the story of seed %llu, newest %llu of %llu lines ---\n",
            (unsigned long long)self->seed, (unsigned long long)(self->story_count - first),
            (unsigned long long)self->story_count);
    for (uint64_t i = first; i < self->story_count; i++) {
        fprintf(out, "%s\n", self->story[i % STORY_LINES]);
    }
    fprintf(out, "--- seed %llu: %s\n", (unsigned long long)self->seed,
            self->has_failed ? self->failure : "no failure was reported");
}

void sim_world_hash(struct sim_world *self, uint64_t value)
{
    uint64_t mixed = (self->trace_hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    self->trace_hash = mixed ^ (mixed >> 29);
}

void sim_world_hash_bytes(struct sim_world *self, const void *bytes, size_t byte_count)
{
    sim_world_hash(self, XXH3_64bits(bytes, byte_count));
}
