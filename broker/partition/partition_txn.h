/* Transactions as seen from one partition: who may write into one, and who has one open.
 *
 * A batch that begins a producer's transaction here needs leave from the transaction's coordinator
 * (KIP-890): whoever serves it begins a pass, asks, and gives the pass to the append.
 *
 * Owner: the partition. Loop: its shard's. */
#pragma once

#include "broker/partition/partition.h"
#include "broker/partition/txn_pass.h"

/* Must the coordinator be asked before this batch may be written? False also where the append will
 * refuse it or knows it already. */
bool partition_txn_needs_pass(const struct partition *self, const uint8_t *batch,
                              size_t byte_count);
/* Is a transaction of this producer and epoch open here? */
bool partition_txn_is_open(const struct partition *self, int64_t producer_id,
                           int16_t producer_epoch);
/* `pass` names its producer. */
void partition_txn_begin_pass(struct partition *self, struct txn_pass *pass);
/* The pass of this producer whose question is under way; NULL: none. */
struct txn_pass *partition_txn_find_asking(const struct partition *self, int64_t producer_id,
                                           int16_t producer_epoch);

struct partition_txn_producer {
    int64_t producer_id;
    int16_t epoch;
    int32_t last_sequence; /* -1: none. */
    int32_t coordinator_epoch;
    int64_t last_timestamp_ms;
    int64_t first_offset; /* Of its open transaction; -1: none. */
};
/* All that are known; `out_rows` is for free(). */
MUST_USE enum status partition_txn_list(const struct partition *self,
                                        struct partition_txn_producer **out_rows,
                                        uint32_t *out_count);
