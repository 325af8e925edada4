#include "broker/coordinator/txn_settle.h"

#include "broker/coordinator/txn_codec.h"
#include "proto/sys/check.h"

#include <stdlib.h>

#define RETRY_MS 50

struct producer {
    int64_t id; /* -1: none. */
    int16_t epoch;
};

struct txn_settle {
    struct list in_book;
    struct txn_book *book; /* NULL: the term is over. */
    struct txn *txn;
    struct ledger_op op;
    bool is_op_busy;
    struct timer retry;
    struct txn_markers_job job;
    bool is_job_busy;
    struct producer to_abort;  /* Whose open transaction shall be aborted, and */
    int64_t to_abort_start_ms; /* which one it was. */
    struct producer decided;   /* Whose decision was in the log at the last operation. */
    struct producer marked;    /* Whose markers are everywhere. */
};

static void submit(struct txn_settle *self);

static struct producer producer_of(const struct txn *txn)
{
    return (struct producer){txn->producer_id, txn->producer_epoch};
}

static bool is_same(struct producer one, struct producer other)
{
    return one.id == other.id && one.epoch == other.epoch;
}

static void free_if_over(struct txn_settle *self)
{
    if (self->book == NULL && !self->is_op_busy && !self->is_job_busy) {
        timer_done(&self->retry);
        free(self);
    }
}

static void finish(struct txn_settle *self)
{
    check(!self->is_op_busy && !self->is_job_busy);
    list_remove(&self->in_book);
    self->txn->settle = NULL;
    self->book = NULL;
    free_if_over(self);
}

/* ---- markers ---- */

static void job_on_done(struct txn_markers_job *job, bool is_fenced)
{
    struct txn_settle *self = container_of(job, struct txn_settle, job);
    self->is_job_busy = false;
    if (self->book == NULL) {
        free_if_over(self);
        return;
    }
    if (is_fenced) {
        return; /* The image will tell who has taken over; then the book goes, and this with it. */
    }
    self->marked = self->decided;
    submit(self);
}

static void send_markers(struct txn_settle *self)
{
    const struct txn *txn = self->txn;
    struct txn_markers_topic *topics = calloc((size_t)txn->topic_count + 1, sizeof *topics);
    check(topics != NULL);
    for (uint32_t i = 0; i < txn->topic_count; i++) {
        topics[i].name = txn->topics[i].name;
        topics[i].partitions = txn->topics[i].partitions;
        topics[i].partition_count = txn->topics[i].partition_count;
    }
    self->job.marker =
        (struct ledger_marker){.producer_id = txn->producer_id,
                               .producer_epoch = txn->producer_epoch,
                               .is_commit = txn->phase == TXN_PREPARE_COMMIT,
                               .is_epoch_raised = txn->client_version >= 2,
                               .coordinator_epoch = ledger_leader_epoch(self->book->ledger)};
    self->job.on_done = job_on_done;
    self->is_job_busy = true;
    txn_markers_start(self->book->context->markers, &self->job, topics, txn->topic_count);
    free(topics);
}

/* ---- records ---- */

/* The epoch rises as by the producer's own EndTxn: one that knows the new protocol may abort what
 * it does not know to be aborted, and goes on. Behind the last epoch it may not: nobody writes with
 * the one above, so that no repeat may match this record. */
static void store_abort(struct txn_settle *self, struct arena *arena)
{
    struct txn *txn = self->txn;
    struct kafka_transaction_log_value value;
    enum status status = txn_state_value(txn, arena, &value);
    check(status == STATUS_OK); /* TXN_STATE_PARTITIONS_MAX. */
    check(txn->producer_epoch <= TXN_STATE_EPOCH_LAST);
    value.transaction_status = TXN_PREPARE_ABORT;
    value.producer_epoch = (int16_t)(txn->producer_epoch + 1);
    value.client_transaction_version = value.producer_epoch <= TXN_STATE_EPOCH_LAST ? 2 : 0;
    txn->grant = (struct txn_grant){.from_id = txn->producer_id,
                                    .from_epoch = txn->producer_epoch,
                                    .to_id = txn->producer_id,
                                    .to_epoch = value.producer_epoch};
    value.transaction_last_update_timestamp_ms = txn_book_now_ms(self->book);
    txn_book_store(&self->op, txn->entry.name, &value);
}

static void store_complete(struct txn_settle *self, struct arena *arena)
{
    const struct txn *txn = self->txn;
    struct kafka_transaction_log_value value;
    enum status status = txn_state_value(txn, arena, &value);
    check(status == STATUS_OK);
    value.transaction_status =
        txn->phase == TXN_PREPARE_COMMIT ? TXN_COMPLETE_COMMIT : TXN_COMPLETE_ABORT;
    value.transaction_partitions = NULL;
    value.transaction_partitions_count = 0;
    value.transaction_last_update_timestamp_ms = txn_book_now_ms(self->book);
    if (txn->next_producer_id >= 0) {
        value.previous_producer_id = txn->producer_id;
        value.producer_id = txn->next_producer_id;
        value.producer_epoch = 0;
        value.next_producer_id = -1;
    }
    txn_book_store(&self->op, txn->entry.name, &value);
}

static bool shall_abort(const struct txn_settle *self)
{
    return self->txn->phase == TXN_ONGOING && is_same(self->to_abort, producer_of(self->txn)) &&
           self->to_abort_start_ms == self->txn->start_ms;
}

static enum ledger_verdict op_decide(struct ledger_op *op, void *machine)
{
    struct txn_settle *self = container_of(op, struct txn_settle, op);
    struct txn *txn = self->txn;
    check(self->book == machine);
    struct arena arena;
    arena_init(&arena, TXN_CODEC_BYTES_MAX);
    self->decided.id = -1;
    if (shall_abort(self)) {
        store_abort(self, &arena);
        self->decided = producer_of(txn);
        self->decided.epoch += 1;
    } else if (txn_state_is_ending(txn) && is_same(self->marked, producer_of(txn))) {
        store_complete(self, &arena);
        self->marked.id = -1; /* The next transaction may have the same epoch. */
    } else if (txn_state_is_ending(txn)) {
        self->decided = producer_of(txn); /* Answered when that is safe. */
    }
    arena_done(&arena);
    return LEDGER_ANSWER;
}

static void op_on_done(struct ledger_op *op, enum ledger_fault fault)
{
    struct txn_settle *self = container_of(op, struct txn_settle, op);
    self->is_op_busy = false;
    if (self->book == NULL) {
        free_if_over(self);
        return;
    }
    const struct txn *txn = self->txn;
    if (fault != LEDGER_FAULT_NONE) {
        timer_start_after(&self->retry, RETRY_MS * CLOCK_NS_PER_MS);
    } else if (txn_state_is_ending(txn) && is_same(self->decided, producer_of(txn))) {
        send_markers(self);
    } else if (txn_state_is_ending(txn) || shall_abort(self)) {
        submit(self); /* The next one came while this one was completed. */
    } else {
        finish(self);
    }
}

static void submit(struct txn_settle *self)
{
    if (self->is_op_busy || self->is_job_busy || self->retry.is_armed) {
        return; /* Its end looks at the state again. */
    }
    self->is_op_busy = true;
    self->op.decide = op_decide;
    self->op.on_done = op_on_done;
    ledger_submit(self->book->ledger, &self->op);
}

static void retry_on_timer(struct timer *timer)
{
    submit(container_of(timer, struct txn_settle, retry));
}

/* ---- life ---- */

static struct txn_settle *find_or_make(struct txn_book *book, struct txn *txn)
{
    if (txn->settle != NULL) {
        return txn->settle;
    }
    struct txn_settle *self = calloc(1, sizeof *self);
    check(self != NULL); /* What is decided must come to its end. */
    self->book = book;
    self->txn = txn;
    self->to_abort.id = -1;
    self->decided.id = -1;
    self->marked.id = -1;
    timer_init(&self->retry, &ledger_loop(book->ledger)->timers, retry_on_timer);
    list_append(&book->settles, &self->in_book);
    txn->settle = self;
    return self;
}

void txn_settle_begin(struct txn_book *book, struct txn *txn)
{
    submit(find_or_make(book, txn));
}

void txn_settle_abort(struct txn_book *book, struct txn *txn)
{
    check(txn->phase == TXN_ONGOING);
    struct txn_settle *self = find_or_make(book, txn);
    self->to_abort = producer_of(txn);
    self->to_abort_start_ms = txn->start_ms;
    submit(self);
}

void txn_settle_lose_all(struct txn_book *book)
{
    struct list *link;
    while ((link = list_take_first(&book->settles)) != NULL) {
        struct txn_settle *self = container_of(link, struct txn_settle, in_book);
        self->txn->settle = NULL;
        self->txn = NULL;
        self->book = NULL;
        timer_stop(&self->retry);
        if (self->is_job_busy) {
            self->is_job_busy = txn_markers_abandon(&self->job);
        }
        free_if_over(self);
    }
}
