/* A transactional producer of the workload: libmillrace's own core, used by somebody who commits,
 * aborts, forgets an open transaction, and dies in the middle of anything.
 *
 * It dies by closing the core and making a new one with the same id, which fences what is left of
 * it, or with another id, so that only time ends what is left open. Two of them may share an id and
 * fence each other.
 *
 * Owner: the workload. Loop: the client node's. Limits: TXN_ACTOR_RECORDS_MAX per transaction. */
#pragma once

#include "client/txn_core.h"
#include "tests/sim/txn_history.h"

#define TXN_ACTOR_RECORDS_MAX 6U
#define TXN_ACTOR_TOPIC "x"

struct txn_actor_options {
    struct sim_world *world;
    struct loop *loop;
    struct txn_history *history;
    uint32_t producer;            /* For the history. */
    const char *transactional_id; /* The beginning of it. */
    int32_t partition_count;
    uint32_t broker_count;
    int64_t pace_ns_max;
};

struct txn_actor {
    struct txn_actor_options options;
    struct txn_core core;
    struct timer timer;
    bool is_resting; /* No new transactions; the open one is brought to its end. */
    bool is_idle;    /* Resting, and nothing is open that this one knows of. */
    bool is_open;    /* The core. */
    uint64_t txn;    /* The open one; 0: none. */
    uint32_t left;   /* Records to send. */
    bool is_commit;
    uint32_t ended_count; /* Transactions that ended as was asked. */
    uint32_t death_count;
    uint32_t generation; /* Part of the id. */
    char transactional_id[32];
};

/* On the client's node, whose memory it lives in or outlives. */
void txn_actor_start(struct txn_actor *self, const struct txn_actor_options *options);
void txn_actor_rest(struct txn_actor *self);
