#include "broker/coordinator/txn_book.h"

#include "broker/coordinator/txn_codec.h"
#include "broker/coordinator/txn_settle.h"
#include "proto/sys/check.h"

#include <stdlib.h>

#define TXN_BOOK_MAGIC 0x73b00c00U
#define EXPIRED_RECORDS_MAX 4000U /* Of one look; the rest is found at the next. */

static void sweep_on_timer(struct timer *timer);
static void patience_on_timer(struct timer *timer);
static void expiry_on_timer(struct timer *timer);

struct txn *txn_book_find(const struct txn_book *self, struct wire_text id)
{
    check(self->magic == TXN_BOOK_MAGIC);
    struct text_entry *entry = text_table_find(&self->txns, id);
    return entry == NULL ? NULL : container_of(entry, struct txn, entry);
}

int64_t txn_book_now_ms(const struct txn_book *self)
{
    return clock_wall_ms(ledger_loop(self->ledger)->clock);
}

void txn_book_store(struct ledger_op *op, struct wire_text id,
                    const struct kafka_transaction_log_value *value)
{
    struct txn_codec_record record;
    txn_codec_make(&record, id, value);
    ledger_op_add(op, record.key, record.value);
    txn_codec_done(&record);
}

void *txn_book_open(void *context, struct ledger *ledger)
{
    struct txn_book *self = calloc(1, sizeof *self);
    check(self != NULL);
    self->magic = TXN_BOOK_MAGIC;
    self->ledger = ledger;
    self->context = context;
    list_init(&self->ongoing);
    list_init(&self->waiting);
    list_init(&self->settles);
    struct timer_queue *timers = &ledger_loop(ledger)->timers;
    timer_init(&self->sweep_timer, timers, sweep_on_timer);
    timer_init(&self->patience_timer, timers, patience_on_timer);
    timer_init(&self->expiry_timer, timers, expiry_on_timer);
    return self;
}

/* ---- calls that wait ---- */

static void release(struct txn_call *call)
{
    list_remove(&call->in_txn);
    list_remove(&call->in_book);
    ledger_again(&call->op);
}

enum ledger_verdict txn_book_keep(struct txn_book *self, struct txn *txn, struct txn_call *call,
                                  int64_t patience_ms)
{
    int64_t now_ns = loop_now_ns(ledger_loop(self->ledger));
    call->waiting_until_ns = now_ns + patience_ms * CLOCK_NS_PER_MS;
    list_append(&txn->waiters, &call->in_txn);
    struct list *before = self->waiting.previous;
    while (before != &self->waiting &&
           container_of(before, struct txn_call, in_book)->waiting_until_ns >
               call->waiting_until_ns) {
        before = before->previous;
    }
    list_insert_before(before->next, &call->in_book);
    if (before == &self->waiting) {
        timer_start_at(&self->patience_timer, call->waiting_until_ns);
    }
    return LEDGER_KEEP;
}

static void patience_on_timer(struct timer *timer)
{
    struct txn_book *self = container_of(timer, struct txn_book, patience_timer);
    check(self->magic == TXN_BOOK_MAGIC);
    int64_t now_ns = loop_now_ns(ledger_loop(self->ledger));
    while (!list_is_empty(&self->waiting)) {
        struct txn_call *call = container_of(self->waiting.next, struct txn_call, in_book);
        if (call->waiting_until_ns > now_ns) {
            timer_start_at(timer, call->waiting_until_ns);
            return;
        }
        call->is_patience_over = true;
        release(call);
    }
}

static void release_waiters(struct txn *txn)
{
    while (!list_is_empty(&txn->waiters)) {
        release(container_of(txn->waiters.next, struct txn_call, in_txn));
    }
}

/* ---- applying ---- */

static void complain(const struct txn_book *self, const struct ledger_record *record,
                     enum status why)
{
    trace_line(ledger_loop(self->ledger)->trace, TRACE_ERROR, "txn", "record_not_read",
               "topic=\"%s\" offset=%lld reason=\"%s\" action=skip", TXN_TOPIC_NAME,
               (long long)record->offset, status_text(why));
}

static void remove_txn(struct txn_book *self, struct txn *txn)
{
    text_table_remove(&self->txns, &txn->entry);
    release_waiters(txn);
    txn_state_free(txn);
}

static bool is_sound(const struct kafka_transaction_log_value *value)
{
    int8_t phase = value->transaction_status;
    return phase >= TXN_EMPTY && phase <= TXN_PREPARE_FENCE && value->producer_id >= 0 &&
           value->producer_epoch >= 0;
}

/* How long it was open before this term is told by the wall clocks of two brokers, which may
 * disagree or jump, so it counts for no more than the timeout and no less than nothing. From then
 * on the loop's own clock runs. */
static int64_t deadline_ns(const struct txn_book *self, const struct txn *txn)
{
    int64_t open_ms = self->is_live ? 0 : txn_book_now_ms(self) - txn->start_ms;
    open_ms = open_ms < 0 ? 0 : open_ms > txn->timeout_ms ? txn->timeout_ms : open_ms;
    return loop_now_ns(ledger_loop(self->ledger)) + (txn->timeout_ms - open_ms) * CLOCK_NS_PER_MS;
}

static void follow_phase(struct txn_book *self, struct txn *txn)
{
    list_remove(&txn->in_phase);
    if (txn->phase != TXN_ONGOING) {
        txn->deadline_ns = 0;
    } else if (txn->deadline_ns == 0) {
        txn->deadline_ns = deadline_ns(self, txn);
    }
    if (txn->phase == TXN_ONGOING) {
        list_append(&self->ongoing, &txn->in_phase);
        if (self->is_live && !self->sweep_timer.is_armed) {
            timer_start_after(&self->sweep_timer,
                              self->context->limits->sweep_ms * CLOCK_NS_PER_MS);
        }
    } else if (txn_state_is_ending(txn) && self->is_live) {
        txn_settle_begin(self, txn);
    } else if (txn_state_is_idle(txn)) {
        release_waiters(txn);
    }
}

static enum status apply_value(struct txn_book *self, struct wire_text id,
                               const struct ledger_record *record, struct arena *arena)
{
    struct kafka_transaction_log_value value;
    TRY(txn_codec_read(record->value, arena, &value));
    if (!is_sound(&value)) {
        return STATUS_MALFORMED;
    }
    struct txn *txn = txn_book_find(self, id);
    if (txn == NULL) {
        txn = txn_state_new(id);
        text_table_add(&self->txns, &txn->entry, txn->entry.name);
    }
    txn_state_apply(txn, &value, record->offset);
    follow_phase(self, txn);
    return STATUS_OK;
}

void txn_book_apply(void *machine, const struct ledger_record *record)
{
    struct txn_book *self = machine;
    check(self->magic == TXN_BOOK_MAGIC);
    struct wire_text id;
    enum status status = txn_codec_read_key(record->key, &id);
    if (status == STATUS_NOT_FOUND) {
        return; /* A kind of a later time. */
    }
    if (status == STATUS_OK && record->value.byte_count < 0) {
        struct txn *txn = txn_book_find(self, id);
        if (txn != NULL && txn->settle == NULL) {
            remove_txn(self, txn);
        }
    } else if (status == STATUS_OK) {
        struct arena arena;
        arena_init(&arena, TXN_CODEC_BYTES_MAX);
        status = apply_value(self, id, record, &arena);
        arena_done(&arena);
    }
    if (status != STATUS_OK) {
        complain(self, record, status);
    }
}

void txn_book_end_txn(void *machine, int64_t producer_id, bool is_commit)
{
    (void)machine; /* Nobody writes here in a transaction. */
    (void)producer_id;
    (void)is_commit;
}

void txn_book_snapshot(void *machine, struct ledger_snapshot_writer *writer)
{
    struct txn_book *self = machine;
    check(self->magic == TXN_BOOK_MAGIC);
    struct arena arena;
    arena_init(&arena, TXN_CODEC_BYTES_MAX);
    text_table_for_each(entry, &self->txns)
    {
        const struct txn *txn = container_of(entry, struct txn, entry);
        struct kafka_transaction_log_value value;
        enum status status = txn_state_value(txn, &arena, &value);
        check(status == STATUS_OK); /* TXN_STATE_PARTITIONS_MAX. */
        struct txn_codec_record made;
        txn_codec_make(&made, entry->name, &value);
        struct ledger_record record = {.key = made.key,
                                       .value = made.value,
                                       .offset = txn->record_offset,
                                       .producer_id = -1,
                                       .producer_epoch = -1};
        ledger_snapshot_add(writer, &record);
        txn_codec_done(&made);
        arena_reset(&arena);
    }
    arena_done(&arena);
}

/* ---- upkeep ---- */

static void sweep_on_timer(struct timer *timer)
{
    struct txn_book *self = container_of(timer, struct txn_book, sweep_timer);
    check(self->magic == TXN_BOOK_MAGIC);
    int64_t now_ns = loop_now_ns(ledger_loop(self->ledger));
    list_for_each_removable(link, &self->ongoing)
    {
        struct txn *txn = container_of(link, struct txn, in_phase);
        if (now_ns >= txn->deadline_ns) {
            trace_line(ledger_loop(self->ledger)->trace, TRACE_INFO, "txn", "timed_out",
                       "id=\"%.*s\" producer=%lld epoch=%d action=abort",
                       txn->entry.name.byte_count, txn->entry.name.bytes,
                       (long long)txn->producer_id, txn->producer_epoch);
            txn_settle_abort(self, txn);
        }
    }
    if (!list_is_empty(&self->ongoing) && !timer->is_armed) {
        timer_start_after(timer, self->context->limits->sweep_ms * CLOCK_NS_PER_MS);
    }
}

static enum ledger_verdict expire(struct ledger_op *op, void *machine)
{
    struct txn_book *self = machine;
    int64_t before_ms = txn_book_now_ms(self) - self->context->limits->expiration_ms;
    text_table_for_each(entry, &self->txns)
    {
        const struct txn *txn = container_of(entry, struct txn, entry);
        if (txn_state_is_idle(txn) && txn->settle == NULL && txn->update_ms <= before_ms &&
            ledger_op_record_count(op) < EXPIRED_RECORDS_MAX) {
            struct txn_codec_record record;
            txn_codec_make_gone(&record, entry->name);
            ledger_op_add(op, record.key, record.value);
            txn_codec_done(&record);
        }
    }
    return LEDGER_ANSWER;
}

static void expiry_on_done(struct ledger_op *op, enum ledger_fault fault)
{
    struct txn_book *self = container_of(op, struct txn_book, expiry);
    self->is_expiring = false;
    if (self->is_closed) {
        free(self);
        return;
    }
    (void)fault; /* What could not be written is found again. */
    timer_start_after(&self->expiry_timer,
                      self->context->limits->expiry_check_ms * CLOCK_NS_PER_MS);
}

static void expiry_on_timer(struct timer *timer)
{
    struct txn_book *self = container_of(timer, struct txn_book, expiry_timer);
    check(self->magic == TXN_BOOK_MAGIC);
    self->is_expiring = true;
    self->expiry.decide = expire;
    self->expiry.on_done = expiry_on_done;
    ledger_submit(self->ledger, &self->expiry);
}

void txn_book_on_loaded(void *machine)
{
    struct txn_book *self = machine;
    check(self->magic == TXN_BOOK_MAGIC);
    self->is_live = true;
    text_table_for_each(entry, &self->txns)
    {
        struct txn *txn = container_of(entry, struct txn, entry);
        if (txn_state_is_ending(txn)) {
            txn_settle_begin(self, txn);
        }
    }
    if (!list_is_empty(&self->ongoing)) {
        timer_start_after(&self->sweep_timer, self->context->limits->sweep_ms * CLOCK_NS_PER_MS);
    }
    timer_start_after(&self->expiry_timer,
                      self->context->limits->expiry_check_ms * CLOCK_NS_PER_MS);
}

void txn_book_close(void *machine)
{
    struct txn_book *self = machine;
    check(self->magic == TXN_BOOK_MAGIC);
    self->is_live = false;
    txn_settle_lose_all(self);
    while (!list_is_empty(&self->waiting)) {
        struct txn_call *call = container_of(self->waiting.next, struct txn_call, in_book);
        list_remove(&call->in_txn);
        list_remove(&call->in_book);
        ledger_refuse(&call->op, LEDGER_FAULT_NOT_HERE);
    }
    text_table_for_each(entry, &self->txns)
    {
        struct txn *txn = container_of(entry, struct txn, entry);
        text_table_remove(&self->txns, &txn->entry);
        txn_state_free(txn);
    }
    text_table_done(&self->txns);
    timer_done(&self->sweep_timer);
    timer_done(&self->patience_timer);
    timer_done(&self->expiry_timer);
    self->magic = 0;
    self->is_closed = true;
    if (!self->is_expiring) {
        free(self);
    }
}
