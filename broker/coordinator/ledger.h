/* The one shape of every replicated state machine: decide, append, apply, answer (D6).
 *
 * A ledger runs one machine (groups, transactions) on one partition of an internal topic that this
 * broker leads. An operation is decided against the machine's present state; the records it asks
 * for are appended to the partition and applied at once, in the order of the log; its answer leaves
 * when everything that it may have seen is below the high watermark. Replay is the same apply().
 * A ledger lives as long as one term of leadership: it begins by loading (snapshot, then the log's
 * tail) and ends when the partition's role changes, with an answer for everything that waits.
 *
 * Owner: the ledger_set. Loop: the partition's shard. Limits: LEDGER_BATCH_BYTES_MAX per operation;
 * operations are embedded in requests, and those are bounded by their connections. */
#pragma once

#include "broker/coordinator/ledger_snapshot.h"
#include "broker/partition/partition.h"
#include "proto/record/batch_builder.h"

#define LEDGER_BATCH_BYTES_MAX ((size_t)3 << 20)
#define LEDGER_APPEND_TIMEOUT_MS 5000 /* offsets.commit.timeout.ms */

struct ledger;
struct txn_pass;

enum ledger_fault {
    LEDGER_FAULT_NONE,
    LEDGER_FAULT_LOADING,     /* Try again soon; nothing happened. */
    LEDGER_FAULT_NOT_HERE,    /* Another broker has it, or none; its fate is not known. */
    LEDGER_FAULT_UNAVAILABLE, /* Not safe on enough replicas in time; its fate is not known. */
    LEDGER_FAULT_TOO_LARGE,   /* More than one batch may hold; nothing happened. */
    LEDGER_FAULT_PRODUCER, /* Refused for its producer (append.fault says why); nothing happened. */
    LEDGER_FAULT_STORAGE,
};

enum ledger_verdict {
    LEDGER_ANSWER,         /* When all that it may have seen is safe. */
    LEDGER_ANSWER_AT_ONCE, /* It tells nothing that could be lost. Without records only. */
    LEDGER_KEEP,           /* The machine has it until ledger_answer(). Without records only. */
};

/* The end of a transaction in the ledger's own partition. */
struct ledger_marker {
    int64_t producer_id;
    int16_t producer_epoch;
    bool is_commit;
    bool is_epoch_raised; /* As partition_append says. */
    int32_t coordinator_epoch;
};

/* One operation. Stays put until on_done. */
struct ledger_op {
    /* Reads the machine, fills the operation's own result, asks for records. */
    enum ledger_verdict (*decide)(struct ledger_op *self, void *machine);
    /* May run inside ledger_submit(), never inside decide() or apply(). */
    void (*on_done)(struct ledger_op *self, enum ledger_fault fault);
    void *context; /* The caller's. */
    /* The ledger's: */
    struct ledger *ledger;
    struct list link;
    struct batch_builder builder;
    struct partition_append append;
    struct parked wait;
    enum ledger_fault fault;
    int64_t producer_id; /* -1: its records are no part of a transaction. */
    int16_t producer_epoch;
    bool is_marker;
    bool is_applied;
    bool is_too_large;
};

/* A kind of machine. All functions run on the ledger's loop. */
struct ledger_kind {
    const char *topic_name;
    void *context;
    void *(*open)(void *context, struct ledger *ledger);
    /* Cannot fail: a record that cannot be read is told and skipped. */
    void (*apply)(void *machine, const struct ledger_record *record);
    /* A transaction that wrote here has ended. */
    void (*end_txn)(void *machine, int64_t producer_id, bool is_commit);
    /* The log is read to where it was when the term began: timers start. */
    void (*on_loaded)(void *machine);
    /* Every record that still counts. */
    void (*snapshot)(void *machine, struct ledger_snapshot_writer *writer);
    /* Gives back what it keeps (ledger_refuse) and its memory. */
    void (*close)(void *machine);
};

/* `self` NULL: nothing is led here. */
void ledger_submit(struct ledger *self, struct ledger_op *op);
/* Inside decide(): one more record. `value` null: what the key names is gone; `key` null: the
 * record was too large to be made, and so is the operation. */
void ledger_op_add(struct ledger_op *op, struct wire_bytes key, struct wire_bytes value);
uint32_t ledger_op_record_count(const struct ledger_op *op);
/* Inside decide(): its records belong to an open transaction. `pass` as in partition_append. */
void ledger_op_set_producer(struct ledger_op *op, int64_t producer_id, int16_t producer_epoch,
                            struct txn_pass *pass);
/* Inside decide(), instead of records: what it writes is this marker. */
void ledger_op_set_marker(struct ledger_op *op, const struct ledger_marker *marker);
/* A kept operation is through; its on_done comes after the present decision. */
void ledger_answer(struct ledger_op *op);
/* A kept operation is decided anew, behind what waits already. */
void ledger_again(struct ledger_op *op);
/* The same as ledger_answer(), without having been done. */
void ledger_refuse(struct ledger_op *op, enum ledger_fault fault);

struct ledger_options {
    struct loop *loop;
    struct disk_lane *lane;         /* For snapshots. Borrowed for life. */
    const char *directory;          /* The node's data. Borrowed for life. */
    const struct ledger_kind *kind; /* Borrowed for life. */
    struct partition *partition;    /* Led here. Until ledger_lose(). */
    uint64_t snapshot_record_count; /* Records between snapshots; 0: the default. */
    void (*on_gone)(void *context); /* After ledger_lose(): nothing is under way any more. */
    void *context;
};

/* Begins to load. */
struct ledger *ledger_new(const struct ledger_options *options);
/* The term is over; the memory goes when nothing is under way. */
void ledger_lose(struct ledger *self);
bool ledger_is_ready(const struct ledger *self);
struct loop *ledger_loop(const struct ledger *self);
void *ledger_machine(const struct ledger *self); /* NULL after ledger_lose(). */
int32_t ledger_leader_epoch(const struct ledger *self);
int64_t ledger_replayed_count(const struct ledger *self); /* Records read from the log. */
