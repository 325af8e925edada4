/* The committed offsets of one group, and those that an open transaction will commit.
 *
 * Owner: the group. Loop: the ledger's. Limits: partitions that exist, one row each. */
#pragma once

#include "broker/coordinator/ledger_snapshot.h"
#include "broker/coordinator/text_table.h"
#include "proto/kafka/offset_record.h"

struct group_offset {
    int32_t partition;
    int32_t leader_epoch;
    int64_t offset;
    int64_t commit_ms;
    int64_t expire_ms;         /* -1: by the group's retention. */
    int64_t record_offset;     /* Where the record lies. */
    struct wire_uuid topic_id; /* Zero: not told. */
    struct wire_text metadata; /* Owned. */
};

struct group_topic {
    struct text_entry entry;
    struct group_offset *rows; /* Owned. Ascending by partition. */
    uint32_t row_count;
    uint32_t row_capacity;
};

/* Waits for the end of its transaction. */
struct group_pending {
    struct list link;
    int64_t producer_id;
    int16_t producer_epoch;
    struct wire_text topic; /* Owned. */
    struct group_offset row;
};

struct group_offsets {
    struct text_table topics;
    struct list pending;
    uint32_t row_count;
};

void group_offsets_init(struct group_offsets *self);
void group_offsets_done(struct group_offsets *self);
/* NULL: nothing is committed there. */
const struct group_offset *group_offsets_find(const struct group_offsets *self,
                                              struct wire_text topic, int32_t partition);
bool group_offsets_has_pending(const struct group_offsets *self, struct wire_text topic,
                               int32_t partition);
bool group_offsets_is_empty(const struct group_offsets *self); /* Nothing pending either. */

/* A record of the log: `value` NULL removes the row. */
void group_offsets_apply(struct group_offsets *self, struct wire_text topic, int32_t partition,
                         const struct kafka_offset_commit_value *value,
                         const struct ledger_record *record);
/* A transaction that may have pending rows has ended. */
void group_offsets_end_txn(struct group_offsets *self, int64_t producer_id, bool is_commit);
bool group_offsets_is_expired(const struct group_offset *row, int64_t since_ms, int64_t now_ms,
                              int64_t retention_ms);
/* Everything as records of the log. */
void group_offsets_snapshot(const struct group_offsets *self, struct wire_text group,
                            struct ledger_snapshot_writer *writer);
