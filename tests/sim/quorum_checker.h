/* What must hold of a quorum after every event, seen from outside of all its voters.
 *
 * - One leader per term, one vote per term and voter.
 * - A committed entry is the same everywhere and for ever; a new leader holds all that lower terms
 *   committed.
 * - What a leader newly commits is durable on a majority of its voters at that moment. What is
 *   durable is read from the disks, not asked of anybody: false acknowledgements are found long
 *   before they lose anything.
 * - What a voter believes to be stored is; nothing is applied that is not committed.
 * - Equal commands under equal indexes, equal states after them; a command appears once; what was
 *   acknowledged is there, where it was said to be.
 *
 * Owner: the workload. Loop: the world's thread, outside of nodes but for the three that say so.
 * Limits: QUORUM_CHECKER_*_MAX; a run stays below. */
#pragma once

#include "raft/quorum_core.h"
#include "tests/sim/sim_disk.h"

#define QUORUM_CHECKER_NODES_MAX 5U
#define QUORUM_CHECKER_ENTRIES_MAX 65536U
#define QUORUM_CHECKER_TERMS_MAX 8192U

/* The durable log of one voter, as its disk tells it. */
struct quorum_checker_disk {
    uint64_t file; /* First sequence of the file that is being read. */
    uint64_t position;
    uint32_t generation;
    uint64_t start_index;
    uint64_t last_index;
    uint64_t snapshot_index;
    uint32_t terms[QUORUM_CHECKER_ENTRIES_MAX]; /* By index. */
};

struct quorum_checker_node {
    struct sim_node *node;
    struct quorum_core *core; /* Of this life; NULL: down or not born. */
    uint64_t seen_commit;
    int seen_state;
    uint64_t seen_term;
    uint64_t votes[QUORUM_CHECKER_TERMS_MAX];
    struct quorum_checker_disk disk;
};

struct quorum_checker_entry {
    uint32_t term;
    uint32_t committer_term; /* The leader's, or whoever was seen first. */
    uint64_t hash;
};

struct quorum_checker_command {
    uint64_t value;
    uint64_t state_hash;
};

struct quorum_checker {
    struct sim_world *world;
    struct quorum_checker_node nodes[QUORUM_CHECKER_NODES_MAX];
    uint32_t node_count;
    uint64_t commit_count; /* Entries committed anywhere, from 1. */
    struct quorum_checker_entry entries[QUORUM_CHECKER_ENTRIES_MAX];
    uint64_t command_count;
    struct quorum_checker_command commands[QUORUM_CHECKER_ENTRIES_MAX]; /* By index, from 1. */
    uint64_t indexes[QUORUM_CHECKER_ENTRIES_MAX];                       /* By value, from 1. */
    int32_t leaders[QUORUM_CHECKER_TERMS_MAX];                          /* Node ids, by term. */
    uint64_t value_count;                                               /* Proposed, from 1. */
    uint64_t acknowledged_count;
    uint64_t leader_count;
};

struct quorum_checker *quorum_checker_new(struct sim_world *world);
void quorum_checker_free(struct quorum_checker *self);
/* After every event. */
void quorum_checker_look(struct quorum_checker *self);
/* The voter has loaded and runs; `core` until quorum_checker_forget(). Inside the node. */
void quorum_checker_meet(struct quorum_checker *self, uint32_t place, struct quorum_core *core);
/* It dies; its memory and disk are still what they were. */
void quorum_checker_forget(struct quorum_checker *self, uint32_t place);
/* Inside the node: it applied, or restored the state behind, that command. */
void quorum_checker_apply(struct quorum_checker *self, uint64_t index, uint64_t value,
                          uint64_t state_hash);
void quorum_checker_restore(struct quorum_checker *self, uint64_t index, uint64_t state_hash);
/* Inside the node: the proposer was told. */
void quorum_checker_acknowledge(struct quorum_checker *self, uint64_t value, uint64_t index);
