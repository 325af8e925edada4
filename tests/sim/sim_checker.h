/* What clients did and what they saw, and whether a correct log could have told them that.
 *
 * A key is one log (a partition). A value is unique in the run; it is appended once, by one process
 * (a client in one life). The checker fails the world at once when a reader sees
 *   a value nobody appended, or one appended to another key         (phantom, misrouted)
 *   another value at an offset than was seen, or told, before       (inconsistent offsets)
 *   a value at two offsets, where that is excluded                  (duplicate)
 *   a value whose append surely failed                              (aborted read)
 * when a process is told falling offsets for its own appends of a key that succeeded in order,
 * and, in sim_checker_finish(), when a value that was acknowledged was not seen in the final read
 * (lost write) or the final read has a hole.
 *
 * Owner: the workload. Loop: the world's thread, from inside or outside of nodes. Limits:
 * SIM_CHECKER_KEYS_MAX. */
#pragma once

#include "tests/sim/sim_world.h"

#define SIM_CHECKER_KEYS_MAX 64U

enum sim_outcome {
    SIM_OUTCOME_OPEN,   /* Under way; in the end the same as unknown. */
    SIM_OUTCOME_OK,     /* It happened. */
    SIM_OUTCOME_FAILED, /* It surely did not happen and never will. */
    SIM_OUTCOME_UNKNOWN,
};

struct sim_append {
    uint32_t key;
    uint32_t process;
    enum sim_outcome outcome;
    int64_t begun_ns;
    int64_t ended_ns;
    int64_t offset;      /* As told; -1: not told. */
    int64_t seen_offset; /* -1: not seen. */
    bool is_seen_finally;
};

struct sim_checker_key {
    uint64_t *values; /* Owned; by offset; 0: not known. */
    int64_t value_room;
    int64_t start; /* Offsets below it may be gone. */
};

struct sim_checker {
    struct sim_world *world;
    bool may_duplicate;         /* Appends are resent without sequence numbers. */
    struct sim_append *appends; /* Owned; value v is at v - 1. */
    uint64_t append_count;
    uint64_t append_room;
    struct sim_checker_key keys[SIM_CHECKER_KEYS_MAX];
    bool is_final;
    uint64_t seen_count;
};

void sim_checker_init(struct sim_checker *self, struct sim_world *world);
void sim_checker_done(struct sim_checker *self);

/* A new value, from 1; it goes into the record. */
uint64_t sim_checker_begin(struct sim_checker *self, uint32_t key, uint32_t process);
/* `offset` -1: not told. */
void sim_checker_end(struct sim_checker *self, uint64_t value, enum sim_outcome outcome,
                     int64_t offset);
void sim_checker_see(struct sim_checker *self, uint32_t key, int64_t offset, uint64_t value);
/* Records below `start` may be missing from now on. */
void sim_checker_move_start(struct sim_checker *self, uint32_t key, int64_t start);
/* The log ends at `end`: what was known at or beyond it is void. Fails when one of those was
 * acknowledged, or seen by a reader. For logs of one node, whose tail a crash may take. */
void sim_checker_cut(struct sim_checker *self, uint32_t key, int64_t end);
/* What is seen from here on is the final read, each key from its start to its end. */
void sim_checker_begin_final(struct sim_checker *self);
void sim_checker_finish(struct sim_checker *self);
uint64_t sim_checker_count(const struct sim_checker *self, enum sim_outcome outcome);
