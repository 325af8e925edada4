/* The door of transactions: one call per question, answered by the transactional id's ledger.
 *
 * A caller fills a txn_call, submits its `op` to the ledger of the id's partition (on that
 * partition's shard) and finds the answer in Kafka's own message when on_done comes. The machine
 * behind it is txn_book; what it decides is in txn_begin, txn_adding, txn_end and txn_admin.
 *
 * Owner: the caller owns calls, the ledger owns the machine. Loop: the partition's shard.
 * Limits: struct txn_limits. */
#pragma once

#include "broker/coordinator/ledger.h"
#include "broker/coordinator/txn_markers.h"
#include "proto/kafka/add_partitions_to_txn.h"
#include "proto/kafka/describe_transactions.h"
#include "proto/kafka/end_txn.h"
#include "proto/kafka/init_producer_id.h"
#include "proto/kafka/list_transactions.h"

#define TXN_TOPIC_NAME "__transaction_state"

struct txn_limits {
    int32_t timeout_ms_max;  /* transaction.max.timeout.ms */
    int64_t sweep_ms;        /* transaction.abort.timed.out.transaction.cleanup.interval.ms */
    int64_t expiration_ms;   /* transactional.id.expiration.ms */
    int64_t expiry_check_ms; /* transaction.remove.expired.transaction.cleanup.interval.ms */
};

/* What the machines of one shard work with. */
struct txn_context {
    const struct txn_limits *limits; /* Borrowed for life. */
    struct txn_markers *markers;     /* Borrowed for life; filled before the first ledger. */
};

/* For ledger_set_options. `context` is borrowed for life. */
struct ledger_kind txn_kind(struct txn_context *context);

typedef struct kafka_add_partitions_to_txn_request_add_partitions_to_txn_topic txn_topic_in;
typedef struct kafka_add_partitions_to_txn_response_add_partitions_to_txn_topic_result
    txn_topic_out;

/* Partitions for a transaction, by a client or by the leader of what it writes to. */
struct txn_addition {
    struct wire_text id;
    int64_t producer_id;
    int16_t producer_epoch;
    bool is_verify_only; /* Nothing is added: are they in it? */
    bool is_by_leader;   /* On behalf of a client that knows KIP-890: epochs rise. */
    const txn_topic_in *topics;
    int32_t topics_count;
};

struct txn_call {
    struct ledger_op op; /* on_done is the caller's. */
    struct arena arena;  /* Holds what the answer refers to. */
    int16_t version;     /* Of the request. */
    union {
        const struct kafka_init_producer_id_request *init;
        const struct kafka_end_txn_request *end;
        const struct kafka_list_transactions_request *list;
        const struct txn_addition *addition;
        struct wire_text id; /* Describe. */
    } in;
    union {
        struct kafka_init_producer_id_response *init;
        struct kafka_end_txn_response *end;
        struct kafka_list_transactions_response *list;
        struct kafka_describe_transactions_response_transaction_state *describe;
        /* A row for each partition of the addition; rows that carry an error already are left
         * alone, and then nothing is added. */
        txn_topic_out *topics;
    } out;
    int16_t code; /* Of an addition as a whole; its rows have it, too. */
    /* A producer id that nobody has, for when the present one is used up; -1: none yet. A call
     * that needs one says so and has done nothing: it is submitted again with it. */
    int64_t fresh_producer_id;
    bool needs_producer_id;
    /* The machine's: */
    struct list in_txn;  /* Waits for a transaction's end, */
    struct list in_book; /* but not for ever. */
    int64_t waiting_until_ns;
    bool is_patience_over;
};

/* Before the call is filled; `arena_bytes_max` bounds the answer. */
void txn_init_call(struct txn_call *self, size_t arena_bytes_max);
void txn_done_call(struct txn_call *self);

/* What the decision of a call is; for txn_call.op.decide. They fill all of `out` but what depends
 * on the wire alone. */
enum ledger_verdict txn_begin_producer(struct ledger_op *op, void *machine);
enum ledger_verdict txn_adding_decide(struct ledger_op *op, void *machine);
enum ledger_verdict txn_end_decide(struct ledger_op *op, void *machine);
enum ledger_verdict txn_admin_describe(struct ledger_op *op, void *machine);
enum ledger_verdict txn_admin_list(struct ledger_op *op, void *machine);
