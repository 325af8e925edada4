/* The door of transactions on the leader's side: may this producer begin to write here (KIP-890)?
 *
 * Whoever has a batch for a partition in which its transaction is not open asks the transaction's
 * coordinator: is the partition in it (clients of before), or add it (clients that leave that to
 * us). What one turn of the loop brings for one transaction is one question. Batches of a producer
 * that arrive while the first one waits go with it, in their order.
 *
 * Owner: the partition's shard; entries are the asker's. Loop: that shard's. Limits: requests. */
#pragma once

#include "broker/partition/partition_txn.h"

struct api_shard;

struct txn_gate {
    struct api_shard *shard;
    struct list collecting; /* Questions of this turn. */
    struct mail flush;
    bool is_flush_posted;
};

struct txn_gate_question;

/* Embedded; stays put until on_answered. All but the gate's own is filled by the asker, of the pass
 * the producer. Texts live as long. */
struct txn_gate_entry {
    struct txn_pass pass; /* Begun by the gate; ended by the append or, on failure, by the asker. */
    struct wire_text transactional_id;
    struct wire_text topic;
    int32_t index;
    bool is_adding; /* Else: only verified. */
    /* Kafka's number, as the coordinator said it. Never inside txn_gate_ask(). */
    void (*on_answered)(struct txn_gate_entry *self, int16_t code);
    /* The gate's: */
    struct list link;
    struct list followers;
    int16_t code;
};

void txn_gate_init(struct txn_gate *self, struct api_shard *shard);
void txn_gate_ask(struct txn_gate *self, struct partition *partition, struct txn_gate_entry *entry);
/* What a producer is told instead; `version` of Produce. */
int16_t txn_gate_produce_code(int16_t code, int16_t version);
/* The same for TxnOffsetCommit. */
int16_t txn_gate_commit_code(int16_t code, int16_t version);
