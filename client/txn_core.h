/* Transactions of one transactional id: records and offsets that readers see all or none of.
 *
 * It drives a producer core. txn_core_start() takes the id over: whoever used it before is fenced
 * and its open transaction aborted. Then begin, send, end, begin, …; what was sent between begin
 * and commit becomes visible by the commit. Where the cluster finalizes transaction.version 2 or
 * more, a write adds its partition by itself and every end raises the producer epoch (KIP-890);
 * else each partition is added before its first batch leaves. Whatever breaks on the way is tried
 * again with the same sequences until it is done, is refused for good, or time is over. A
 * transaction that the coordinator has aborted, since its own time was over, is broken: a write
 * hears INVALID_PRODUCER_EPOCH, a commit INVALID_TXN_STATE. The abort asks whose the id is: ours,
 * then the next one begins with a new epoch; or another one's, then this core is dead.
 *
 *     NEW -start-> READY -begin-> OPEN -commit, abort-> READY
 *     OPEN -a record or an operation failed-> BROKEN -abort-> READY
 *     any -fenced, or refused for good-> DEAD: only close is left
 *
 * One operation (start, send_offsets, commit, abort) at a time; each ends by its callback, never
 * inside the function that began it. An operation that ends as TIMEOUT may have happened: start and
 * the end of a transaction can be called again (the same end, not the other one) and find that out;
 * send_offsets leaves the transaction broken. Of a broken or dead one every operation that is not
 * its abort ends with the reason.
 *
 * Owner: whoever embeds it. Loop: the options'. Limits: the producer's `buffer_bytes_max`;
 * TXN_CORE_OFFSETS_MAX offsets in one call, of TXN_CORE_GROUPS_MAX groups in its life. */
#pragma once

#include "client/coordinator_core.h"
#include "client/producer_core.h"

#define TXN_CORE_OFFSETS_MAX 100000U
#define TXN_CORE_GROUPS_MAX 64U

enum txn_core_state {
    TXN_CORE_NEW,
    TXN_CORE_READY,
    TXN_CORE_OPEN,
    TXN_CORE_BROKEN, /* Open, but can only be aborted. */
    TXN_CORE_ENDING, /* Commit or abort has begun and has not ended well yet. */
    TXN_CORE_DEAD,
};

struct txn_core_outcome {
    enum status status; /* OK; TIMEOUT: as above; FENCED: another one uses the id, or, with
                           must_abort, perhaps; else why not. */
    int16_t error_code; /* What the broker said; 0: nothing. */
    bool must_abort;    /* The transaction is open and broken: abort it, then go on. */
    bool is_fatal;      /* This core is of no use any more. */
};

typedef void txn_core_on_done(void *context, const struct txn_core_outcome *outcome);

struct txn_core_options {
    /* transactional_id and transaction_timeout_ms are needed, gate is not; on_delivery, on_closed
     * and context are called as they are. Reports of records come before the end of their
     * transaction does. */
    struct producer_core_options producer;
};

struct txn_core_offset {
    struct wire_text topic;
    int32_t partition;
    int64_t offset;            /* The next one to read. */
    int32_t leader_epoch;      /* -1: not known. */
    struct wire_text metadata; /* May be empty. */
};

/* Whose offsets: a group's member, or anyone (generation -1, member id and instance id empty). */
struct txn_core_group {
    struct wire_text group;
    int32_t generation;
    struct wire_text member_id;
    struct wire_text instance_id; /* Empty: none. */
};

struct txn_core {
    uint32_t magic;
    struct producer_core producer;
    struct producer_core_options outer; /* Its callbacks are the owner's. */
    struct producer_gate gate;
    struct coordinator_core coordinator;
    enum txn_core_state state;
    struct txn_core_outcome fault; /* Why it is broken or dead. */
    uint64_t number;               /* Of the transaction, from 1. */
    uint64_t unreported_count;     /* Records. */
    bool has_writes;               /* The brokers may know of this transaction. */
    bool is_commit;                /* ENDING: which end. */
    /* What the owner waits for. */
    txn_core_on_done *on_done; /* NULL: nothing. */
    void *on_done_context;
    struct timer deadline;
    struct mail done_mail;
    struct txn_core_outcome outcome;
    bool is_done_posted;
    bool has_outcome; /* Of a start or an end that nobody waited for any more. */
    /* What goes on with the coordinators. */
    struct coordinator_op identify; /* InitProducerId. */
    struct coordinator_op add;      /* AddPartitionsToTxn. */
    struct coordinator_op join;     /* AddOffsetsToTxn. */
    struct coordinator_op end;      /* EndTxn. */
    bool is_identifying;
    bool is_adding;
    bool is_ending;
    bool needs_identity;       /* Behind an abort that left gaps in the sequences. */
    bool is_contested;         /* Only a claim that names who asks may be made for it. */
    int64_t ended_producer_id; /* As EndTxn answered; -1: it did not. */
    int16_t ended_producer_epoch;
    struct list offsets;         /* struct txn_offsets, one per group. */
    struct txn_offsets *sending; /* The one under way, its joining included; NULL: none. */
    int64_t sending_deadline_ns;
    struct mail step_mail;
    bool is_step_posted;
    bool is_closing;
};

/* In place. `options->producer.transactional_id` is borrowed for life. */
void txn_core_init(struct txn_core *self, const struct txn_core_options *options);
/* Does not abort: what is open ends by its timeout, or when the id is taken over. Reports what is
 * left, ends the operation under way (CANCELED), then on_closed. */
void txn_core_close(struct txn_core *self);

/* Deadlines are times of the loop's clock; INT64_MAX: none. INVALID: not in this state, or another
 * operation is under way; then there is no callback. */
MUST_USE enum status txn_core_start(struct txn_core *self, int64_t deadline_ns,
                                    txn_core_on_done *on_done, void *context);
/* READY -> OPEN, at once: nothing is sent for it. FENCED and others: why it is dead. */
MUST_USE enum status txn_core_begin(struct txn_core *self);
/* As producer_core_send(), with one report for each; INVALID also outside of a transaction, and
 * CANCELED in one that is broken. */
MUST_USE enum status txn_core_send(struct txn_core *self, const struct producer_record *record);
/* The offsets become the group's when this transaction commits. All is copied. FULL: too many;
 * NO_MEMORY. */
MUST_USE enum status txn_core_send_offsets(struct txn_core *self,
                                           const struct txn_core_group *group,
                                           const struct txn_core_offset *offsets,
                                           uint32_t offset_count, int64_t deadline_ns,
                                           txn_core_on_done *on_done, void *context);
/* Sends what lingers, waits for all reports, commits. Of a broken transaction: must_abort. Nothing
 * is asked where nothing was sent. */
MUST_USE enum status txn_core_commit(struct txn_core *self, int64_t deadline_ns,
                                     txn_core_on_done *on_done, void *context);
/* What has not left is reported as CANCELED. */
MUST_USE enum status txn_core_abort(struct txn_core *self, int64_t deadline_ns,
                                    txn_core_on_done *on_done, void *context);
enum txn_core_state txn_core_state(const struct txn_core *self);

/* For its parts: does what is to be done next, in a later turn; and the open transaction can only
 * be aborted from now on (after some codes not even that). */
void txn_core_step(struct txn_core *self);
void txn_core_break(struct txn_core *self, enum status status, int16_t error_code);
