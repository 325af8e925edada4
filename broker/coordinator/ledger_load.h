/* The inside of a ledger, for its two files: ledger (operations) and ledger_load (reading the log,
 * snapshots, the end).
 *
 * Owner: the ledger_set. Loop: the partition's shard. */
#pragma once

#include "broker/coordinator/ledger.h"

#define LEDGER_MAGIC 0x1ed6e400U

enum ledger_state {
    LEDGER_LOADING,
    LEDGER_READY,
    LEDGER_LOST,
};

/* One file call of a ledger, off its loop. */
struct ledger_file {
    struct disk_request request;
    struct disk *disk;
    char directory[DISK_PATH_BYTES_MAX]; /* The partition's. */
    uint8_t *bytes;                      /* Owned. */
    size_t byte_count;
    bool is_busy;
};

struct ledger {
    uint32_t magic;
    enum ledger_state state;
    struct ledger_options options;
    void *machine; /* Owned. */
    int32_t leader_epoch;
    int64_t next_offset; /* Everything below it is applied. */
    int64_t load_end;    /* The log's end when the term began. */
    int64_t replayed_count;
    int64_t load_started_ns;
    struct list queue;   /* Operations that wait for their decision. */
    struct list answers; /* Operations to be answered behind the present decision. */
    struct ledger_op *writing;
    uint32_t is_inside;  /* Depth of calls that must not decide anything. */
    uint32_t busy_count; /* Operations, reads, file calls under way. */
    bool is_gone;

    struct partition_read read;
    struct parked load_wait;
    struct mail next_turn;
    struct timer again; /* Armed: a read has failed. */
    bool is_waiting;    /* load_wait is parked. */

    struct ledger_file file;
    struct parked snapshot_wait;
    bool is_snapshot_parked;
    uint64_t records_since_snapshot;
    size_t last_snapshot_bytes;
    uint64_t bytes_since_snapshot;
};

void ledger_load_start(struct ledger *self);
/* The term is over: waits are taken back; what is under way ends by itself. */
void ledger_load_stop(struct ledger *self);
void ledger_load_apply_batch(struct ledger *self, const struct batch_view *batch);
void ledger_load_snapshot_if_due(struct ledger *self);
void ledger_load_free_if_idle(struct ledger *self);
/* In ledger.c: decides what waits, unless something is under way in a caller. */
void ledger_load_pump(struct ledger *self);
