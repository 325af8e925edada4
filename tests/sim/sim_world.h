/* The world of one run: virtual time, the order of all events, and every random number, from a
 * seed.
 *
 * Events wait in a heap ordered by (time, sequence). Running one may add others; nothing sleeps, so
 * idle time costs nothing. An event may belong to a node (sim_node.h): it then runs inside the node
 * and is dropped when that life of the node is over.
 * The trace hash covers time, kind and node of each event and what parts of the world add (bytes
 * written, bytes delivered, trace lines): equal seeds must give equal hashes.
 * A run fails by sim_world_fail(): the first failure is kept with the story (the newest notes), and
 * the run functions return at once.
 *
 * Owner: the test. Loop: one thread for everything. Limits: SIM_WORLD_NODES_MAX, event_count_max.
 */
#pragma once

#include "proto/sys/prng.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define SIM_WORLD_NODES_MAX 32U
#define SIM_WORLD_EVENTS_MAX_DEFAULT 20000000U
#define SIM_US INT64_C(1000)
#define SIM_MS INT64_C(1000000)
#define SIM_S INT64_C(1000000000)

struct sim_node;
struct sim_network;

/* Each part of the world draws from a stream of its own, so that a change in one part does not
 * reshuffle the others. Disks and loops have streams of their own besides (sim_world_seed_for). */
enum sim_prng_stream {
    SIM_STREAM_NETWORK,
    SIM_STREAM_FAULT,
    SIM_STREAM_WORKLOAD,
    SIM_STREAM_COUNT,
};

enum sim_event_kind {
    SIM_EVENT_MAIL,
    SIM_EVENT_TIMER,
    SIM_EVENT_DISK,
    SIM_EVENT_SOCKET,
    SIM_EVENT_FAULT,
    SIM_EVENT_WORKLOAD,
};

typedef void sim_event_run(void *context, uint64_t value);

struct sim_event {
    int64_t time_ns;
    uint64_t sequence; /* Events of equal time run in the order in which they were added. */
    sim_event_run *run;
    void *context;
    uint64_t value;
    struct sim_node *node; /* NULL: the world's. */
    uint32_t incarnation;
    enum sim_event_kind kind;
};

struct sim_world_options {
    uint64_t seed;
    bool is_verbose;          /* Notes are printed as they come. */
    uint64_t event_count_max; /* 0: the default. More events than this are a failure. */
};

/* Fields are read by workloads, written by the simulator only. */
struct sim_world {
    uint64_t seed;
    int64_t now_ns;        /* Since the world began. */
    int64_t wall_start_ms; /* Wall clock at the beginning. */
    uint64_t trace_hash;
    uint64_t event_count;
    struct sim_node *nodes[SIM_WORLD_NODES_MAX]; /* Owned. */
    uint32_t node_count;
    struct sim_network *network; /* Owned. */
    struct sim_node *inside;     /* The node whose code is running; NULL: the world's own. */
    struct sim_node *ran;        /* In whose life the last event ran; NULL: the world's. */
    bool has_failed;
    char failure[512];
    struct prng streams[SIM_STREAM_COUNT];
    struct sim_event *events; /* Owned; binary heap. */
    size_t event_waiting_count;
    size_t event_room;
    uint64_t event_sequence;
    uint64_t event_count_max;
    char (*story)[256]; /* Owned; ring of the newest notes. */
    uint64_t story_count;
    bool is_verbose;
    void (*on_node_death)(void *context, struct sim_node *node); /* The nemesis listens. */
    void *on_node_death_context;
    void (*on_event)(void *context); /* See sim_world_watch(). */
    void *on_event_context;
};

struct sim_world *sim_world_new(const struct sim_world_options *options);
/* Powers all nodes off first. */
void sim_world_free(struct sim_world *self);

struct prng *sim_world_prng(struct sim_world *self, enum sim_prng_stream stream);
/* A seed for a stream of somebody's own; equal for equal (seed, who, what). */
uint64_t sim_world_seed_for(const struct sim_world *self, uint64_t who, uint64_t what);
/* Uniform in [low, high]. */
int64_t sim_world_between(struct prng *prng, int64_t low, int64_t high);
bool sim_world_chance(struct prng *prng, double probability);

/* Runs `run` at now + `delay_ns`, outside of all nodes. */
void sim_world_after(struct sim_world *self, int64_t delay_ns, enum sim_event_kind kind,
                     sim_event_run *run, void *context, uint64_t value);
/* The same inside a node; dropped when this life of the node ends, held while it is paused. */
void sim_world_after_in(struct sim_world *self, struct sim_node *node, int64_t delay_ns,
                        enum sim_event_kind kind, sim_event_run *run, void *context,
                        uint64_t value);

/* One event. False: none is waiting, or the world has failed. */
bool sim_world_step(struct sim_world *self);
/* All events up to now + `duration_ns`; time ends there. False: the world has failed. */
bool sim_world_run_for(struct sim_world *self, int64_t duration_ns);
/* Until `is_done` says so, asked after every event. False: not within `timeout_ns`, or failed. */
bool sim_world_run_until(struct sim_world *self, bool (*is_done)(void *context), void *context,
                         int64_t timeout_ns);
/* `on_event` runs after every event, outside of all nodes: the place for invariants. */
void sim_world_watch(struct sim_world *self, void (*on_event)(void *context), void *context);

/* A line of the story. */
void sim_world_note(struct sim_world *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Ends the run as failed; the first call wins. May be called from inside a node. */
void sim_world_fail(struct sim_world *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Failure, seed and story, for people. Safe to call while the process is dying. */
void sim_world_tell(const struct sim_world *self, FILE *out);

void sim_world_hash(struct sim_world *self, uint64_t value);
void sim_world_hash_bytes(struct sim_world *self, const void *bytes, size_t byte_count);
