/* What transactional producers did and what committed readers saw, and whether the cluster kept
 * its word: all or nothing of each transaction, once, in order.
 *
 * A value is unique in the run and belongs to one transaction and one partition. The world fails at
 * once when a reader sees a value that nobody sent there, one of a transaction that was (or surely
 * will be) aborted, one twice, or values of a producer in another order than they were sent;
 * and in txn_history_finish() when a committed transaction was not seen whole, or one whose end is
 * not known in part.
 *
 * Owner: the workload. Loop: the world's thread, from inside or outside of nodes. Limits:
 * TXN_HISTORY_PRODUCERS_MAX, TXN_HISTORY_PARTITIONS_MAX. */
#pragma once

#include "tests/sim/sim_world.h"

#define TXN_HISTORY_PRODUCERS_MAX 8U
#define TXN_HISTORY_PARTITIONS_MAX 8U

enum txn_history_fate {
    TXN_HISTORY_OPEN,
    TXN_HISTORY_COMMITTED,
    TXN_HISTORY_ABORTED, /* Or it will be: nobody asked for its commit, nobody will. */
    TXN_HISTORY_UNKNOWN, /* Its commit was asked for; there is no answer. */
};

struct txn_history_record {
    uint64_t txn;
    int32_t partition;
    int64_t seen_offset; /* -1: not seen. */
    bool is_seen_finally;
};

struct txn_history_txn {
    uint32_t producer;
    enum txn_history_fate fate;
    uint64_t record_count;
    uint64_t seen_count; /* In the final read. */
};

struct txn_history {
    struct sim_world *world;
    struct txn_history_txn *txns; /* Owned; number n is at n - 1. */
    uint64_t txn_count;
    uint64_t txn_room;
    struct txn_history_record *records; /* Owned; value v is at v - 1. */
    uint64_t record_count;
    uint64_t record_room;
    /* The newest value of each producer that the present pass over a partition has seen. */
    uint64_t newest[TXN_HISTORY_PARTITIONS_MAX][TXN_HISTORY_PRODUCERS_MAX];
    /* Behind the last record of each partition that was acknowledged or seen: a replica that knows
     * of less is behind, and not the end. */
    int64_t ends[TXN_HISTORY_PARTITIONS_MAX];
    bool is_final;
};

void txn_history_init(struct txn_history *self, struct sim_world *world);
void txn_history_done(struct txn_history *self);

/* Numbers from 1. */
uint64_t txn_history_begin(struct txn_history *self, uint32_t producer);
/* A new value of the open transaction, which is about to be sent; values of a producer ascend. */
uint64_t txn_history_add(struct txn_history *self, uint64_t txn, int32_t partition);
/* It was not sent after all. It is the newest one. */
void txn_history_take_back(struct txn_history *self, uint64_t value);
/* It stands there; -1: the offset was not told. */
void txn_history_acknowledge(struct txn_history *self, uint64_t value, int64_t offset);
void txn_history_end(struct txn_history *self, uint64_t txn, enum txn_history_fate fate);

/* A reader begins at the start of this partition. */
void txn_history_begin_read(struct txn_history *self, int32_t partition);
void txn_history_see(struct txn_history *self, int32_t partition, int64_t offset, uint64_t value);
/* The passes that begin now are held against what the transactions became. */
void txn_history_begin_final(struct txn_history *self);
void txn_history_finish(struct txn_history *self);
uint64_t txn_history_count(const struct txn_history *self, enum txn_history_fate fate);
