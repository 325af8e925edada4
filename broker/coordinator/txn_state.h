/* One transactional id: its producer, its transaction, the partitions in it.
 *
 * All of it is what the newest record says, but for the fields behind "This term's". Decisions make
 * the value of the next record out of the present one (txn_state_value), and txn_state_apply() is
 * the only one that changes anything, at replay as well.
 *
 * Owner: the txn_book. Loop: the ledger's. Limits: TXN_STATE_PARTITIONS_MAX. */
#pragma once

#include "broker/coordinator/text_table.h"
#include "proto/kafka/transaction_record.h"
#include "proto/sys/arena.h"

#define TXN_STATE_PARTITIONS_MAX 20000U
/* The last producer epoch that a producer is given; the one above is for fencing it. */
#define TXN_STATE_EPOCH_LAST 32766

/* Kafka's numbers. */
enum txn_phase {
    TXN_EMPTY = 0,
    TXN_ONGOING = 1,
    TXN_PREPARE_COMMIT = 2,
    TXN_PREPARE_ABORT = 3,
    TXN_COMPLETE_COMMIT = 4,
    TXN_COMPLETE_ABORT = 5,
    TXN_DEAD = 6,
    TXN_PREPARE_FENCE = 7,
};

struct txn_topic {
    struct wire_text name; /* Owned. */
    int32_t *partitions;   /* Owned. */
    uint32_t partition_count;
};

/* Who is who between two records: the producer (id, epoch) became the next one by its own request
 * or by the abort of its transaction, so that it can be told when it comes by its old name. */
struct txn_grant {
    int64_t from_id; /* -1: none. */
    int16_t from_epoch;
    int64_t to_id;
    int16_t to_epoch;
};

struct txn_settle;

struct txn {
    struct text_entry entry; /* Its id; owned. */
    enum txn_phase phase;
    int64_t producer_id;
    int64_t previous_producer_id; /* -1: none. */
    int64_t next_producer_id;     /* -1: none; the one behind this transaction. */
    int16_t producer_epoch;
    int16_t client_version; /* 2: epochs rise with every transaction (KIP-890). */
    int32_t timeout_ms;
    int64_t start_ms;         /* Wall clock; -1: no transaction. */
    int64_t update_ms;        /* Wall clock. */
    struct txn_topic *topics; /* Owned. */
    uint32_t topic_count;
    uint32_t partition_count; /* Of all topics. */
    int64_t record_offset;
    struct list in_phase; /* In the book's list of ongoing ones. */
    /* This term's: */
    int64_t deadline_ns; /* Of the open transaction, by the loop's clock; 0: none is open. */
    struct txn_grant grant;
    struct list waiters;       /* Calls that wait for its end. */
    struct txn_settle *settle; /* Ends it; NULL: nothing to do. */
};

struct txn *txn_state_new(struct wire_text id);
void txn_state_free(struct txn *self);
/* "Empty" and so on, as Kafka's tools spell it. */
const char *txn_state_name(enum txn_phase phase);
bool txn_state_is_ending(const struct txn *self); /* Prepared and not complete. */
bool txn_state_is_idle(const struct txn *self);   /* No transaction, or a complete one. */
/* Is this its producer? NONE, or Kafka's word for why not; NULL has none. The epoch behind the last
 * is nobody's. */
int16_t txn_state_check_producer(const struct txn *self, int64_t producer_id, int16_t epoch);
bool txn_state_has(const struct txn *self, struct wire_text topic, int32_t partition);

/* The present state as a record's value; partitions lie in the arena. FULL: no memory. */
MUST_USE enum status txn_state_value(const struct txn *self, struct arena *arena,
                                     struct kafka_transaction_log_value *out_value);
void txn_state_apply(struct txn *self, const struct kafka_transaction_log_value *value,
                     int64_t record_offset);
