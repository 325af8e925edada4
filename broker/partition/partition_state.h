/* The inside of a partition, for the files of this folder that act on it: partition (life, marks,
 * waits), partition_append (writes) and partition_read (reads).
 *
 * Owner: the partition_map. Loop: the shard's. */
#pragma once

#include "broker/partition/partition.h"
#include "broker/partition/producer_state.h"
#include "broker/partition/txn_pass.h"
#include "broker/partition/txn_span.h"

#define PARTITION_MAGIC 0x9a27f1f0U

enum partition_role {
    PARTITION_ROLE_NONE, /* Not assigned yet, or without a leader. */
    PARTITION_ROLE_LEADER,
    PARTITION_ROLE_FOLLOWER,
    PARTITION_ROLE_FAILED, /* Storage failed, or offline: nothing is served any more. */
};

struct partition {
    uint32_t magic;
    enum partition_role role;
    struct loop *loop; /* Borrowed for life. */
    struct log *log;   /* Owned by the store, used by nobody else. Offline: abandoned, or NULL. */
    char *topic_name;  /* Owned. */
    struct wire_uuid topic_id;
    int32_t index;
    int32_t broker_id;
    struct partition_config config;

    int32_t leader; /* -1: none. */
    int32_t leader_epoch;
    int32_t partition_epoch;
    struct replica_set replicas; /* While leading. */
    int64_t high_watermark;      /* As known; while leading it is replicas.high_watermark. */
    int64_t rebuilt_to;          /* How far the last partition_state_rebuild() came. */

    struct producer_state *producers; /* Owned. */
    struct txn_span *txns;            /* Owned. */

    /* Parked waits by what they wait for. */
    struct parked_line flushed_line;        /* acks=1: the leader's own flush. */
    struct parked_line high_watermark_line; /* acks=all, and readers of uncommitted data. */
    struct parked_line stable_line;         /* Readers of committed data. */
    struct parked_line end_line;            /* Followers. */

    /* Why a write was refused that will pass, and until when writes behind it are, too. */
    enum partition_fault passing_fault;
    int64_t passing_until_ns;

    /* Appends that met a full journal, in order of arrival (`wanted` is their turn). */
    struct parked_line blocked_line;
    int64_t blocked_turn;
    struct list passes;   /* Of those who ask a coordinator about a transaction here. */
    struct list *blocked; /* The map's list that this partition is in meanwhile. Borrowed. */
    struct list blocked_link;

    struct partition_observer *observer; /* Borrowed; NULL: nobody. */
    void *follower;                      /* The observers'. */
    void *ledger;

    /* Reads, searches and moves of the start that the log will end later, perhaps when the
     * partition is gone for everybody else: the memory stays until the last one has. */
    uint32_t pending_count;
    bool is_gone;
    bool is_offline;      /* Since it was opened: its log is damaged. */
    bool is_start_moving; /* As follower: `start_change` is under way. */
    struct log_change start_change;
};

void partition_state_begin(struct partition *self);
/* The last thing that something pending does: `self` may be freed. */
void partition_state_end(struct partition *self);

/* Tries the appends that met a full journal again (partition_append.c). */
void partition_append_retry(struct partition *self);
/* While leading: takes the replicas' high watermark over, which may have moved. */
void partition_state_advance(struct partition *self);
/* The high watermark has moved: tells the log and the waits. */
void partition_state_tell_mark(struct partition *self);
/* Producers and transactions as the log has them: newest snapshot, then the tail. CORRUPT: what
 * lies at `rebuilt_to` is damaged, or contradicts what lies before it. */
MUST_USE enum status partition_state_rebuild(struct partition *self);
/* Follows an appended or replayed batch in the producers' and transactions' state. At replay the
 * log knows its aborted transactions already, but perhaps not the last ones. */
MUST_USE enum status partition_state_follow(struct partition *self, const uint8_t *batch,
                                            size_t byte_count, bool is_replay);
/* What a batch's header means for its producer; false when it has none. */
bool partition_state_write_of(const uint8_t *batch, size_t byte_count,
                              struct producer_write *out_write);
/* NONE when this replica leads and `leader_epoch` (-1: any) is the present one. */
enum partition_fault partition_state_fault(const struct partition *self, int32_t leader_epoch);
/* How far a reader of this isolation may see. */
int64_t partition_state_limit(const struct partition *self, enum partition_isolation isolation);
int64_t partition_state_stable_offset(const struct partition *self);
