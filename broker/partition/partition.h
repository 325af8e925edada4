/* One replica of one partition: appends as leader or follower, reads, waits, moves its marks.
 *
 * Joins the log (bytes and disk) with the replica set (agreement), the producers' sequences and the
 * open transactions. Callers are broker/api (clients push and pull) and broker/follower (this node
 * pulls); both on the partition's own shard, through partition_map when they are elsewhere.
 * A validated batch meets leadership, min ISR, sequence and transaction here, and is stamped.
 *
 * Owner: the partition_map of its shard. Loop: the shard's. Limits: what the log's budget admits.
 */
#pragma once

#include "broker/log/log.h"
#include "broker/partition/parked.h"
#include "broker/partition/partition_fault.h"
#include "broker/replica/replica_set.h"

struct partition;
struct txn_pass;

struct partition_config {
    struct log_config log;
    uint8_t min_isr;
    bool is_log_append_time; /* message.timestamp.type */
    int64_t producer_expiry_ms;
};

/* Whoever must know what happens to the partitions of a shard; all calls on its loop. Observers
 * form a chain, told in its order. */
struct partition_observer {
    struct partition_observer *next; /* Borrowed for life; NULL: the last one. */
    /* Leader, epoch or replicas changed; also once when it goes away (`is_gone`). */
    void (*on_assigned)(struct partition_observer *self, struct partition *partition, bool is_gone);
    /* A follower's log is flushed up to `flushed_end`. May be NULL. */
    void (*on_flushed)(struct partition_observer *self, struct partition *partition,
                       int64_t flushed_end);
};

struct partition_options {
    struct loop *loop;
    struct partition_observer *observer; /* Borrowed for life; NULL: nobody. */
    struct log_store *store;
    const char *topic_name;
    struct wire_uuid topic_id;
    int32_t index;
    int32_t broker_id;
    struct partition_config config;
    struct list *blocked; /* Borrowed for life: the map's, of those whose appends want room. */
};

/* What the controller decided about this partition; ids are borrowed for the call. */
struct partition_assignment {
    int32_t leader; /* -1: none. */
    int32_t leader_epoch;
    int32_t partition_epoch;
    const int32_t *replicas;
    uint8_t replica_count;
    const int32_t *isr;
    uint8_t isr_count;
};

/* Opens the log, and knows producers from its newest snapshot and the tail. A damaged log gives a
 * partition that is offline: it refuses (PARTITION_FAULT_STORAGE) until the node starts again. */
MUST_USE enum status partition_open(const struct partition_options *options,
                                    struct partition **out_self);
/* At the end, behind partition_retire(); the log stays on disk. */
void partition_free(struct partition *self);
/* As partition_free(), and the log is deleted. */
void partition_delete(struct partition *self);

/* Leads or follows, or just has another ISR. Older epochs than known are ignored. */
void partition_assign(struct partition *self, const struct partition_assignment *assignment);
void partition_configure(struct partition *self, const struct partition_config *config);
/* The node stops: all waits end, nothing is served any more. */
void partition_retire(struct partition *self);
/* The shard's storage failed: nothing is acknowledged or served any more. */
void partition_fail(struct partition *self);
bool partition_is_offline(const struct partition *self);
/* The log has room again: appends that met a full journal are tried again, in order. */
void partition_retry(struct partition *self);
struct partition *partition_of_blocked(struct list *link);

/* A write. The struct stays put until on_done, the batch until on_taken or on_done. */
struct partition_append {
    uint8_t *batch; /* One batch, checked by batch_check(); stamped in place. */
    size_t byte_count;
    int16_t acks;         /* -1, 0, 1. */
    int32_t leader_epoch; /* -1: any. */
    int64_t deadline_ns;
    bool is_marker;       /* An end-of-transaction marker of a coordinator. */
    bool is_epoch_raised; /* Of a marker: the epoch was raised for it (KIP-890). */
    /* Leave to begin a transaction (partition_txn); NULL: only to go on with one. Ended by it. */
    struct txn_pass *txn_pass;
    /* On the partition's loop, before on_done: the log has the batch, its bytes are not looked at
     * any more. Does not come when nothing was written. NULL: nobody asks. */
    void (*on_taken)(struct partition_append *self);
    void (*on_done)(struct partition_append *self); /* May run inside partition_append(). */
    /* Out: */
    enum partition_fault fault;
    int64_t base_offset;        /* -1 when nothing was written. */
    int64_t log_append_time_ms; /* -1 with create time. */
    int64_t log_start;
    int32_t current_leader; /* With NOT_LEADER and the epoch faults. */
    int32_t current_leader_epoch;
    /* The partition's: */
    struct parked wait;
    struct partition *partition;
    int64_t end_offset;
    enum partition_fault fault_when_safe; /* NONE, but for a repeat of which little is known. */
    bool is_blocked;
};
void partition_append(struct partition *self, struct partition_append *append);

/* A follower's write: whole batches as the leader sent them, from partition_marks.log_end on; when
 * there is no room for all of them, perhaps only the first ones (OK). An empty log begins anew with
 * a batch that holds its end. MALFORMED: they are no batches or do not fit there; BUSY: no room
 * now; FULL: the first one is too large for this node's journal; IO, NO_SPACE. */
struct partition_replica_append {
    const uint8_t *bytes;
    size_t byte_count;
    const int64_t *ingested_ms; /* One per batch, or NULL. */
    uint32_t ingested_count;
};
MUST_USE enum status partition_append_replica(struct partition *self,
                                              const struct partition_replica_append *append);
/* As follower: cuts off everything at or beyond `offset`, and what producers did there. */
MUST_USE enum status partition_truncate(struct partition *self, int64_t offset);
/* As follower: the leader no longer has what is missing here; begins anew at its start. */
MUST_USE enum status partition_restart_at(struct partition *self, int64_t offset);
/* As follower: what the leader says is safe. */
void partition_note_high_watermark(struct partition *self, int64_t high_watermark);
/* As follower: the leader no longer serves what lies below (DeleteRecords, retention). */
void partition_note_log_start(struct partition *self, int64_t log_start);
/* Where a follower shall cut when the leader says that `leader_epoch` ended at `end_offset`. */
int64_t partition_divergence(const struct partition *self, int32_t leader_epoch,
                             int64_t end_offset);
int32_t partition_latest_epoch(const struct partition *self); /* Of the last record; -1: none. */

/* As leader: the next ISR to ask the controller for (replica_set_propose). */
bool partition_propose_isr(struct partition *self, int64_t lag_ns,
                           struct replica_set_proposal *out_proposal);
void partition_proposal_ended(struct partition *self, bool is_fate_known);

enum partition_isolation {
    PARTITION_READ_UNCOMMITTED, /* Up to the high watermark. */
    PARTITION_READ_COMMITTED,   /* Up to the last stable offset. */
    PARTITION_READ_REPLICA,     /* Up to the log's end. */
};

struct partition_marks {
    int64_t log_start;
    int64_t log_end;
    int64_t flushed_end;
    int64_t high_watermark;
    int64_t last_stable_offset;
    int32_t leader;
    int32_t leader_epoch;
    bool is_leader;
};
/* How many replicas are in the ISR; 0 when this one does not lead. */
uint8_t partition_in_sync_count(const struct partition *self);
void partition_marks_of(const struct partition *self, struct partition_marks *out_marks);

#define PARTITION_ABORTED_MAX 1024U

/* A read. Stays put until partition_read_release(). */
struct partition_read {
    int64_t offset;
    enum partition_isolation isolation;
    size_t byte_count_max;
    bool at_least_one;
    bool any_replica;                 /* A follower may answer, too (KIP-392). */
    int32_t current_leader_epoch;     /* -1: any. */
    int32_t last_fetched_epoch;       /* -1: not told; replicas only. */
    struct replica_set_fetch replica; /* With READ_REPLICA: who fetches, and its ends. */
    void (*on_done)(struct partition_read *self); /* May run inside partition_read(). */
    /* Out: */
    enum partition_fault fault;
    struct partition_marks marks;
    struct log_read log_read; /* Bytes, when fault is NONE. */
    bool has_diverged;
    int32_t diverging_epoch;
    int64_t diverging_end_offset;
    struct log_aborted_txn *aborted; /* READ_COMMITTED: owned by the read, freed by its release. */
    uint32_t aborted_count;
    /* The partition's: */
    struct partition *partition;
};
void partition_read(struct partition *self, struct partition_read *read);
void partition_read_release(struct partition_read *read);

/* Waits until a read of this isolation at `wait->wanted - 1` would find something, or until
 * `deadline_ns` (INT64_MAX: none). Ends at once (inside the call) when that is so already or when
 * this replica does not lead. */
void partition_watch(struct partition *self, enum partition_isolation isolation,
                     struct parked *wait, int64_t deadline_ns);
/* The same for that read, by whoever may answer it. */
void partition_watch_read(struct partition *self, const struct partition_read *read,
                          struct parked *wait);

/* ListOffsets: a time, or one of the wire's names for an offset (LOG_TIME_MAX, -3, is one too). */
#define PARTITION_SEEK_LATEST (-1)
#define PARTITION_SEEK_EARLIEST (-2)
#define PARTITION_SEEK_EARLIEST_LOCAL (-4)
#define PARTITION_SEEK_LATEST_TIERED (-5)
#define PARTITION_SEEK_EARLIEST_PENDING_UPLOAD (-6)
struct partition_list_offset {
    int64_t timestamp_ms;
    enum partition_isolation isolation;
    int32_t current_leader_epoch;
    void (*on_done)(struct partition_list_offset *self);
    enum partition_fault fault;
    int64_t offset; /* -1: none. */
    int64_t timestamp_found_ms;
    int32_t leader_epoch_found;
    struct partition_marks marks;
    struct log_time_search search; /* The partition's. */
    struct partition *partition;
};
void partition_list_offset(struct partition *self, struct partition_list_offset *list);

/* DeleteRecords: `offset` -1 means up to the high watermark. */
struct partition_move_start {
    int64_t offset;
    void (*on_done)(struct partition_move_start *self);
    enum partition_fault fault;
    int64_t log_start;
    struct partition_marks marks;
    struct log_change change; /* The partition's. */
    struct partition *partition;
};
void partition_move_start(struct partition *self, struct partition_move_start *move);

/* OffsetForLeaderEpoch. */
enum partition_fault partition_epoch_end(const struct partition *self, int32_t current_leader_epoch,
                                         int32_t leader_epoch, int32_t *out_epoch,
                                         int64_t *out_end_offset);

/* Now and then: forgets producers that were not heard for `config.producer_expiry_ms`. */
void partition_sweep(struct partition *self);
uint64_t partition_byte_count(const struct partition *self);
/* What the observers keep for a partition, each its own; NULL at first. */
void partition_set_follower(struct partition *self, void *follower);
void *partition_follower(const struct partition *self);
void partition_set_ledger(struct partition *self, void *ledger);
void *partition_ledger(const struct partition *self);
const struct wire_uuid *partition_topic_id(const struct partition *self);
int32_t partition_epoch(const struct partition *self);
const char *partition_topic_name(const struct partition *self);
int32_t partition_index(const struct partition *self);
struct loop *partition_loop(const struct partition *self);
