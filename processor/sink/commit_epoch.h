/* One epoch, one transaction: output, changes of state and the progress record, all or none.
 *
 * Starting takes the transactional id over, which settles whatever its last user left open. Then
 * the records of an epoch are given in parts; the first one begins the transaction. At its end the
 * progress record is asked for and sent, everything is waited for, and EndTxn is asked until it is
 * answered: the next epoch cannot begin before. When that answer does not come, nobody guesses:
 * whoever takes the id over settles the end, and the progress record tells which one it was.
 *
 * What was committed before is read by others than the leader who took it: one that the cluster went
 * on without for a while still answers as it did. A claim tells how far a reader must come: a record
 * of ours that is aborted at once, behind all that was committed to its partition.
 *
 * Parts leave together; where somebody listens to on_part, one after the other, each when the one
 * before is in the logs. After a failure only close is left.
 *
 * Owner: the sink. Loop: the options'. Limits: `buffer_bytes_max` of records not acknowledged,
 * COMMIT_EPOCH_RECORD_BYTES_MAX of one. */
#pragma once

#include "client/txn_core.h"

/* Of one record, before compression. With what is around it, it fits a batch of 16 MiB, the most
 * that a log takes; whether a topic takes so much is its max.message.bytes' to say. */
#define COMMIT_EPOCH_RECORD_BYTES_MAX ((size_t)16000000)

enum commit_epoch_part {
    COMMIT_EPOCH_OUTPUT,
    COMMIT_EPOCH_CHANGES,
    COMMIT_EPOCH_PROGRESS,
    COMMIT_EPOCH_PART_COUNT,
};

struct commit_epoch_outcome {
    enum status status; /* FENCED: another one has the id. */
    int16_t error_code; /* What the broker said; 0: nothing. */
};

struct commit_epoch_claim {
    const char *topic; /* Borrowed until on_claimed. */
    int32_t partition;
    int64_t offset; /* Told by on_claimed. */
};

struct commit_epoch_options {
    struct loop *loop;
    const struct address *bootstrap; /* Copied. */
    uint32_t bootstrap_count;
    const char *client_id; /* Borrowed for life, as the next. */
    const char *transactional_id;
    int64_t transaction_timeout_ms;
    int64_t request_timeout_ms;
    size_t buffer_bytes_max;
    /* None is called from inside a call of the owner; in each it may close. */
    void (*on_started)(void *context, const struct commit_epoch_outcome *outcome);
    void (*on_claimed)(void *context); /* NULL: nothing is claimed. */
    /* Sends the progress record. Not OK: the epoch has failed. */
    enum status (*on_progress_due)(void *context);
    void (*on_committed)(void *context, const struct commit_epoch_outcome *outcome);
    /* Something that the epoch needs cannot be sent. */
    void (*on_failed)(void *context, const struct commit_epoch_outcome *outcome);
    /* Both NULL: nobody listens. A part is in the logs; EndTxn is on the wire. */
    void (*on_part)(void *context, enum commit_epoch_part part);
    void (*on_end_sent)(void *context);
    void (*on_closed)(void *context);
    void *context;
};

enum commit_epoch_state {
    COMMIT_EPOCH_NEW,
    COMMIT_EPOCH_STARTING,
    COMMIT_EPOCH_READY, /* No transaction is open. */
    COMMIT_EPOCH_CLAIMING,
    COMMIT_EPOCH_OPEN,
    COMMIT_EPOCH_ENDING,
    COMMIT_EPOCH_FAILED,
};

struct commit_epoch_held;

struct commit_epoch {
    uint32_t magic;
    struct commit_epoch_options options;
    struct txn_core txn;
    enum commit_epoch_state state;
    enum commit_epoch_part part; /* ENDING: the one that is waited for; COUNT: EndTxn. */
    bool waits_for_changes;      /* Their offsets are needed. */
    uint64_t pending_counts[COMMIT_EPOCH_PART_COUNT];
    struct list held;        /* Changes that wait for the output, where somebody listens. */
    int32_t noted_partition; /* Whose next change's offset is wanted; -1: none's. */
    int64_t noted_offset;    /* -1: not told. */
    int64_t progress_offset; /* The same of the last progress record. */
    struct commit_epoch_claim *claims; /* CLAIMING: the owner's. */
    uint32_t unclaimed_count;
    struct commit_epoch_outcome failure;
    struct mail step_mail;
    bool is_step_posted;
    bool is_failure_told;
    struct mail watch_mail; /* Looks whether EndTxn has left, where somebody listens. */
    uint32_t watch_count;
    bool is_watch_posted;
    bool is_end_asked;
    bool is_closing;
    bool has_txn_closed;
};

void commit_epoch_init(struct commit_epoch *self, const struct commit_epoch_options *options);
/* Aborts what is open, if that is possible soon; then on_closed. */
void commit_epoch_close(struct commit_epoch *self);

void commit_epoch_start(struct commit_epoch *self);
/* READY: then on_claimed or on_failed, until which `claims` stays put. No partition twice. */
void commit_epoch_claim(struct commit_epoch *self, struct commit_epoch_claim *claims,
                        uint32_t claim_count);
/* Copies the record; tag and number of `record` are not the caller's. FULL: too much is not
 * acknowledged; INVALID: it is too large, or its topic's name is none. Nothing but READY and OPEN
 * takes records, and PROGRESS is sent from on_progress_due only. */
MUST_USE enum status commit_epoch_send(struct commit_epoch *self, enum commit_epoch_part part,
                                       const struct producer_record *record);
/* From now on the offset of the partition's next change is wanted, in this epoch or a later one.
 * commit_epoch_noted_offset() tells it from that epoch's on_progress_due until on_committed; -1: it
 * has not come, or the broker did not tell. */
void commit_epoch_note_next_change(struct commit_epoch *self, int32_t partition);
int64_t commit_epoch_noted_offset(const struct commit_epoch *self);
bool commit_epoch_is_noting(const struct commit_epoch *self); /* It has not come. */
/* Bytes of records that are not acknowledged. */
size_t commit_epoch_pending_bytes(const struct commit_epoch *self);
/* Of the last progress record; -1: the broker did not tell. */
int64_t commit_epoch_progress_offset(const struct commit_epoch *self);
/* READY or OPEN -> ENDING; then on_committed or on_failed. */
void commit_epoch_end(struct commit_epoch *self);
