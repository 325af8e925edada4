/* The door of consumer groups: one call per question, answered by the group's ledger.
 *
 * A caller fills a group_call, submits its `op` to the ledger of the group's partition (on that
 * partition's shard) and finds the answer in Kafka's own message when on_done comes. The machine
 * behind it is group_book; what it decides is in group_rebalance, group_commit and group_admin.
 *
 * Owner: the caller owns calls, the ledger owns the machine. Loop: the partition's shard.
 * Limits: struct group_limits. */
#pragma once

#include "broker/coordinator/ledger.h"
#include "proto/kafka/delete_groups.h"
#include "proto/kafka/describe_groups.h"
#include "proto/kafka/heartbeat.h"
#include "proto/kafka/join_group.h"
#include "proto/kafka/leave_group.h"
#include "proto/kafka/list_groups.h"
#include "proto/kafka/offset_commit.h"
#include "proto/kafka/offset_delete.h"
#include "proto/kafka/offset_fetch.h"
#include "proto/kafka/sync_group.h"

#define GROUP_TOPIC_NAME "__consumer_offsets"
/* The processors' own groups: their sessions may be shorter than group.min.session.timeout.ms. */
#define GROUP_TYPE_MILLRACE "millrace"

struct group_limits {
    int32_t session_ms_min;     /* group.min.session.timeout.ms */
    int32_t session_ms_max;     /* group.max.session.timeout.ms */
    int32_t initial_delay_ms;   /* group.initial.rebalance.delay.ms */
    uint32_t member_count_max;  /* group.max.size */
    int32_t metadata_bytes_max; /* offset.metadata.max.bytes */
    int64_t retention_ms;       /* offsets.retention.minutes */
    int64_t retention_check_ms; /* offsets.retention.check.interval.ms */
};

/* For ledger_set_options. `limits` is borrowed for life. */
struct ledger_kind group_kind(const struct group_limits *limits);

struct group_call {
    struct ledger_op op;        /* on_done is the caller's. */
    struct arena arena;         /* Holds what the answer refers to. */
    struct wire_text client_id; /* Of the connection; borrowed until on_done, as `in`. */
    struct wire_text client_host;
    int16_t version;
    /* Of the connection over which a member speaks; 0: its end will not be told. */
    uint64_t connection_number;
    union {
        const struct kafka_join_group_request *join;
        const struct kafka_sync_group_request *sync;
        const struct kafka_heartbeat_request *heartbeat;
        const struct kafka_leave_group_request *leave;
        const struct kafka_offset_commit_request *commit;
        const struct kafka_offset_fetch_request_offset_fetch_request_group *fetch;
        const struct kafka_offset_delete_request *delete_offsets;
        const struct kafka_list_groups_request *list;
        struct wire_text group_id; /* Describe, delete. */
    } in;
    union {
        struct kafka_join_group_response *join;
        struct kafka_sync_group_response *sync;
        struct kafka_heartbeat_response *heartbeat;
        struct kafka_leave_group_response *leave;
        struct kafka_offset_commit_response *commit;
        struct kafka_offset_fetch_response_offset_fetch_response_group *fetch;
        struct kafka_offset_delete_response *delete_offsets;
        struct kafka_list_groups_response *list;
        struct kafka_describe_groups_response_described_group *describe;
        struct kafka_delete_groups_response_deletable_group_result *delete_group;
    } out;
    bool is_stable_required; /* Of a fetch. */
    /* Of a commit inside a transaction; -1: outside. `pass` as in partition_append. */
    int64_t producer_id;
    int16_t producer_epoch;
    struct txn_pass *pass;
    /* Of a join, sync or heartbeat that was decided: the end of its connection is to be told
     * (group_rebalance_suspect). */
    bool is_watched;
    /* The machine's: */
    bool is_deciding;
    bool is_answered;
};

/* The connection over which a member spoke has broken. */
struct group_suspicion {
    struct ledger_op op;       /* on_done is the caller's. */
    struct wire_text group_id; /* Borrowed until on_done, as `member_id`. */
    struct wire_text member_id;
    uint64_t connection_number;
};

/* Before the call is filled; `arena_bytes_max` bounds the answer. */
void group_init_call(struct group_call *self, size_t arena_bytes_max);
void group_done_call(struct group_call *self);

/* What the decision of a call is; for group_call.op.decide. The commit's `out` has a row for each
 * partition of `in`, and rows that carry an error already are left alone; names and topic ids of
 * `in` are filled in both. The same holds for a fetch (its `topics` may be absent: all; then `out`
 * names the topics by both, and one of another id than asked for has no offsets) and for a deletion
 * of offsets. Everything else of `out` is filled by the decision. */
enum ledger_verdict group_join(struct ledger_op *op, void *machine);
enum ledger_verdict group_rebalance_sync(struct ledger_op *op, void *machine);
enum ledger_verdict group_join_heartbeat(struct ledger_op *op, void *machine);
enum ledger_verdict group_rebalance_suspect(struct ledger_op *op, void *machine);
enum ledger_verdict group_join_leave(struct ledger_op *op, void *machine);
enum ledger_verdict group_commit_offsets(struct ledger_op *op, void *machine);
enum ledger_verdict group_commit_fetch(struct ledger_op *op, void *machine);
enum ledger_verdict group_commit_delete(struct ledger_op *op, void *machine);
enum ledger_verdict group_admin_list(struct ledger_op *op, void *machine);
enum ledger_verdict group_admin_describe(struct ledger_op *op, void *machine);
enum ledger_verdict group_admin_delete(struct ledger_op *op, void *machine);

/* Kafka's number for an operation that a ledger did not take or could not make safe. */
int16_t group_code_of_fault(enum ledger_fault fault);
