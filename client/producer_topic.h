/* One topic a producer writes to: its partitions' accumulators, and the records that wait until the
 * topic is known.
 *
 * Owner: producer_core. Loop: its. Limits: the producer's buffer. */
#pragma once

#include "client/producer_core.h"

struct producer_partition {
    struct accumulator accumulator;
    int32_t asked_node; /* Where the last attempt went; -1: nowhere yet. */
    /* The gate's; transactions are counted from 1. */
    uint64_t wanted_by; /* The last transaction that had something to send here. */
    uint64_t added_to;  /* The last transaction it was added to. */
};

struct producer_topic {
    struct list in_core;
    struct cluster_topic *known;            /* Borrowed from the cluster. */
    struct producer_partition **partitions; /* Owned, one by one. */
    int32_t partition_count;
    int32_t sticky;     /* Where records without key go now; -1: not chosen. */
    struct list parked; /* struct parked_record. */
};

/* NULL: no memory. */
struct producer_topic *producer_topic_find(struct producer_core *core, struct wire_text name);
/* When the topic is known: room for all its partitions, and the parked records on their way.
 * Records that cannot be placed are reported. */
void producer_topic_update(struct producer_core *core, struct producer_topic *self);
/* Appends it, or parks a copy. INVALID: there is no such partition. */
MUST_USE enum status producer_topic_add(struct producer_core *core, struct producer_topic *self,
                                        const struct producer_record *record);
/* Nothing of what was added so far lingers. */
void producer_topic_hurry(struct producer_topic *self);
/* Reports and frees what is parked since before `parked_before_ns`. */
void producer_topic_expire(struct producer_core *core, struct producer_topic *self,
                           int64_t parked_before_ns, enum status status, int16_t error_code);
void producer_topic_free(struct producer_topic *self);

/* Reports one record, and gives its room in the buffer back. */
void producer_topic_report(struct producer_core *core, const struct producer_delivery *delivery);
/* Reports a whole batch and frees it. `base_offset` -1: not told. */
void producer_topic_report_batch(struct producer_core *core, struct accumulator_batch *batch,
                                 const struct producer_delivery *outcome);
