/* AlterPartition: a leader says who is in sync with it. One that leaves itself out gives up the
 * lead, which Kafka refuses: its log is damaged, and those it names have all that was acknowledged.
 *
 * The controller holds the proposal against broker epoch, leader epoch and partition epoch, lets
 * only live brokers in whose epochs are the ones the leader saw (KIP-903), keeps the ELR (KIP-966)
 * and answers with the state as it is now.
 *
 * Owner: the caller. Loop: the quorum's. Limits: those of decision.h. */
#pragma once

#include "broker/controller/decision.h"

struct isr_decisions_member {
    int32_t broker_id;
    int64_t broker_epoch; /* -1: not known. */
};

struct isr_decisions_item {
    struct wire_uuid topic_id;
    int32_t index;
    int32_t leader_epoch;
    int32_t partition_epoch;
    bool is_recovering;
    const struct isr_decisions_member *isr;
    uint32_t isr_count;
    /* Results: */
    enum decision_reason reason;      /* LEADER_MOVED comes with a change that was made. */
    struct image_partition partition; /* As it will be; valid with NONE and LEADER_MOVED. */
};

struct isr_decisions_request {
    int32_t broker_id;
    int64_t broker_epoch;
    struct isr_decisions_item *items;
    uint32_t item_count;
    struct decision_error error; /* Of the whole request: STALE_BROKER, UNKNOWN_BROKER. */
};

void isr_decisions_alter(struct decision *decision, struct isr_decisions_request *request);
