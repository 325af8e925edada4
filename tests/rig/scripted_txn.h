/* Three scripted brokers that also coordinate one transactional id, as Kafka's rules say, old
 * (AddPartitionsToTxn) or new (KIP-890), and remember how each transaction ended.
 *
 * Owner: one test. Loop: the one given. Limits: SCRIPTED_TXN_SPANS_MAX. */
#pragma once

#include "tests/rig/scripted_log.h"

#define SCRIPTED_TXN_ID "tester"
#define SCRIPTED_TXN_GROUP "readers"
#define SCRIPTED_TXN_SPANS_MAX 20000U

/* What one transaction wrote to one partition. */
struct scripted_span {
    int32_t partition;
    int64_t first;
    int64_t next;
    bool is_commit;
};

struct scripted_txn {
    struct scripted_log log;
    uint32_t coordinator;       /* Which broker, of the id. */
    uint32_t group_coordinator; /* Of the group. */
    int64_t busy_ms;            /* An end takes so long; meanwhile CONCURRENT_TRANSACTIONS. */
    int64_t busy_until_ns;
    int64_t producer_id; /* -1: none yet. */
    int16_t producer_epoch;
    int16_t last_epoch; /* The one before, for repetitions; -1: none. */
    bool is_open;
    bool has_group; /* AddOffsetsToTxn, or implied. */
    bool is_added[SCRIPTED_LOG_PARTITIONS];
    int64_t first[SCRIPTED_LOG_PARTITIONS]; /* Of the open transaction; -1: none. */
    bool has_ended;
    bool was_commit;        /* The last end. */
    uint32_t end_count[2];  /* Aborts, commits. */
    int64_t pending_offset; /* Of partition 0; -1: none. */
    int64_t committed_offset;
    struct scripted_span spans[SCRIPTED_TXN_SPANS_MAX];
    uint32_t span_count;
};

/* `level` of transaction.version: 0 or 2. */
void scripted_txn_start(struct scripted_txn *self, struct loop *loop, int16_t level);
void scripted_txn_stop(struct scripted_txn *self);
/* As the coordinator does when time is over: aborts, with a new epoch that is the producer's if it
 * aborts (new) or claims (old), until another one takes over. */
void scripted_txn_expire(struct scripted_txn *self);
