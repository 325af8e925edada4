/* The partitions of an open transaction, where the brokers want each of them named before its first
 * batch (AddPartitionsToTxn).
 *
 * A partition that has something to send is held back and put on the list; one question after the
 * other names all that are on it, and opens their gates.
 *
 * Owner: txn_core. Loop: its. Limits: the producer's partitions. */
#pragma once

#include "client/producer_topic.h"
#include "client/txn_core.h"

/* May this partition send? If not yet, it will be added. */
bool txn_partitions_admit(struct txn_core *core, struct producer_topic *topic, int32_t partition);
/* Adds what is on the list, if anything is. */
void txn_partitions_step(struct txn_core *core);
/* Adds no more: ends the question under way, at the latest with its answer. */
void txn_partitions_halt(struct txn_core *core);
