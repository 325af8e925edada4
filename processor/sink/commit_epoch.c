#include "processor/sink/commit_epoch.h"

#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

#define COMMIT_MAGIC 0xc0e90c0dU
#define BATCH_BYTES_MAX ((size_t)512 << 10)
#define LINGER_MS 10
/* Of an abort on the way out: the next owner settles it anyway. */
#define ABORT_TIMEOUT_MS 2000
/* Turns in which EndTxn should have left. */
#define WATCH_TURNS_MAX 32U

/* A copied record. */
struct commit_epoch_held {
    struct list in_line;
    struct producer_record record;
    bool is_noted;
    uint8_t bytes[];
};

static void post_step(struct commit_epoch *self);
static void end_close(struct commit_epoch *self);

/* ---- failure ---- */

static void fail(struct commit_epoch *self, enum status status, int16_t error_code)
{
    if (self->state == COMMIT_EPOCH_FAILED) {
        return;
    }
    self->state = COMMIT_EPOCH_FAILED;
    self->failure = (struct commit_epoch_outcome){.status = status, .error_code = error_code};
    post_step(self);
}

static void fail_delivery(struct commit_epoch *self, const struct producer_delivery *delivery)
{
    /* What broke the transaction may be older than this record's report. */
    const struct txn_core_outcome *fault = &self->txn.fault;
    bool is_known = fault->status != STATUS_OK;
    fail(self, is_known ? fault->status : delivery->status,
         is_known ? fault->error_code : delivery->error_code);
}

/* ---- claims ---- */

static void txn_on_claimed(void *context, const struct txn_core_outcome *outcome)
{
    struct commit_epoch *self = context;
    check(self->magic == COMMIT_MAGIC);
    if (self->is_closing || self->state == COMMIT_EPOCH_FAILED) {
        return;
    }
    if (outcome->status != STATUS_OK) {
        fail(self, outcome->status, outcome->error_code);
        return;
    }
    self->state = COMMIT_EPOCH_READY;
    self->claims = NULL;
    self->options.on_claimed(self->options.context);
}

static int64_t patience_until_ns(const struct commit_epoch *self)
{
    const struct commit_epoch_options *options = &self->options;
    int64_t limit_ms = options->transaction_timeout_ms + options->request_timeout_ms;
    return loop_now_ns(options->loop) + limit_ms * CLOCK_NS_PER_MS;
}

static void take_claim(struct commit_epoch *self, const struct producer_delivery *delivery)
{
    if (self->state != COMMIT_EPOCH_CLAIMING) {
        return; /* Another claim has failed. */
    }
    if (delivery->status != STATUS_OK) {
        fail_delivery(self, delivery);
        return;
    }
    if (delivery->offset < 0) {
        fail(self, STATUS_UNKNOWN, 0); /* Written, but where nobody knows. */
        return;
    }
    self->claims[delivery->number - COMMIT_EPOCH_PART_COUNT].offset = delivery->offset;
    self->unclaimed_count -= 1;
    if (self->unclaimed_count > 0) {
        return;
    }
    enum status status = txn_core_abort(&self->txn, patience_until_ns(self), txn_on_claimed, self);
    if (status != STATUS_OK) {
        fail(self, status, 0);
    }
}

void commit_epoch_claim(struct commit_epoch *self, struct commit_epoch_claim *claims,
                        uint32_t claim_count)
{
    static const uint8_t key[] = "claim";
    check(self->magic == COMMIT_MAGIC);
    check(self->state == COMMIT_EPOCH_READY && claim_count > 0);
    check(self->options.on_claimed != NULL);
    self->state = COMMIT_EPOCH_CLAIMING;
    self->claims = claims;
    self->unclaimed_count = claim_count;
    enum status status = txn_core_begin(&self->txn);
    for (uint32_t i = 0; status == STATUS_OK && i < claim_count; i++) {
        struct producer_record record = {
            .topic = wire_text_of(claims[i].topic),
            .partition = claims[i].partition,
            .number = COMMIT_EPOCH_PART_COUNT + i,
            .record = {.timestamp_ms = clock_wall_ms(self->options.loop->clock),
                       .key = {key, (int32_t)sizeof key - 1},
                       .value = {NULL, -1}}};
        status = txn_core_send(&self->txn, &record);
    }
    if (status != STATUS_OK) {
        fail(self, status, 0);
    }
    producer_core_hurry(&self->txn.producer);
}

/* ---- deliveries ---- */

static void on_delivery(void *context, const struct producer_delivery *delivery)
{
    struct commit_epoch *self = context;
    check(self->magic == COMMIT_MAGIC);
    uint64_t part = delivery->number;
    if (part >= COMMIT_EPOCH_PART_COUNT) {
        if (!self->is_closing) {
            take_claim(self, delivery);
        }
        return;
    }
    check(self->pending_counts[part] > 0);
    self->pending_counts[part] -= 1;
    if (self->is_closing) {
        return;
    }
    if (delivery->status != STATUS_OK) {
        fail_delivery(self, delivery);
        return;
    }
    if (delivery->tag != NULL) {
        self->noted_offset = delivery->offset;
    }
    if (part == COMMIT_EPOCH_PROGRESS) {
        self->progress_offset = delivery->offset;
    }
    if (self->pending_counts[part] == 0 && self->state == COMMIT_EPOCH_ENDING) {
        post_step(self);
    }
}

/* ---- sending ---- */

static enum status send_now(struct commit_epoch *self, enum commit_epoch_part part,
                            const struct producer_record *record, bool is_noted)
{
    struct producer_record sent = *record;
    sent.number = part;
    sent.tag = NULL;
    if (is_noted) {
        sent.tag = self;
    }
    TRY(txn_core_send(&self->txn, &sent));
    self->pending_counts[part] += 1;
    return STATUS_OK;
}

static enum status hold(struct commit_epoch *self, const struct producer_record *record,
                        bool is_noted)
{
    check(record->record.header_count == 0);
    size_t key_bytes =
        record->record.key.byte_count > 0 ? (size_t)record->record.key.byte_count : 0;
    size_t value_bytes =
        record->record.value.byte_count > 0 ? (size_t)record->record.value.byte_count : 0;
    struct commit_epoch_held *held = malloc(sizeof *held + key_bytes + value_bytes);
    if (held == NULL) {
        return STATUS_NO_MEMORY;
    }
    held->record = *record;
    held->is_noted = is_noted;
    if (key_bytes > 0) {
        memcpy(held->bytes, record->record.key.bytes, key_bytes);
    }
    if (value_bytes > 0) {
        memcpy(held->bytes + key_bytes, record->record.value.bytes, value_bytes);
    }
    held->record.record.key.bytes = held->bytes;
    held->record.record.value.bytes = held->bytes + key_bytes;
    list_append(&self->held, &held->in_line);
    return STATUS_OK;
}

enum status commit_epoch_send(struct commit_epoch *self, enum commit_epoch_part part,
                              const struct producer_record *record)
{
    check(self->magic == COMMIT_MAGIC);
    if (self->state == COMMIT_EPOCH_FAILED) {
        return STATUS_CANCELED;
    }
    check(part == COMMIT_EPOCH_PROGRESS
              ? self->state == COMMIT_EPOCH_ENDING
              : self->state == COMMIT_EPOCH_READY || self->state == COMMIT_EPOCH_OPEN);
    if (txn_core_state(&self->txn) == TXN_CORE_READY) {
        TRY(txn_core_begin(&self->txn));
    }
    if (self->state == COMMIT_EPOCH_READY) {
        self->state = COMMIT_EPOCH_OPEN;
    }
    bool is_change = part == COMMIT_EPOCH_CHANGES;
    bool is_noted = is_change && self->noted_partition == record->partition;
    if (is_noted) {
        self->noted_partition = -1;
        self->waits_for_changes = true;
    }
    return is_change && self->options.on_part != NULL ? hold(self, record, is_noted)
                                                      : send_now(self, part, record, is_noted);
}

static enum status send_held(struct commit_epoch *self)
{
    struct list *link;
    while ((link = list_take_first(&self->held)) != NULL) {
        struct commit_epoch_held *held = container_of(link, struct commit_epoch_held, in_line);
        enum status status = send_now(self, COMMIT_EPOCH_CHANGES, &held->record, held->is_noted);
        free(held);
        TRY(status);
    }
    return STATUS_OK;
}

void commit_epoch_note_next_change(struct commit_epoch *self, int32_t partition)
{
    check(partition >= 0);
    self->noted_partition = partition;
    self->noted_offset = -1;
}

int64_t commit_epoch_noted_offset(const struct commit_epoch *self)
{
    return self->noted_offset;
}

bool commit_epoch_is_noting(const struct commit_epoch *self)
{
    return self->noted_partition >= 0;
}

size_t commit_epoch_pending_bytes(const struct commit_epoch *self)
{
    return self->txn.producer.buffered_bytes;
}

int64_t commit_epoch_progress_offset(const struct commit_epoch *self)
{
    return self->progress_offset;
}

/* ---- ending ---- */

static void txn_on_committed(void *context, const struct txn_core_outcome *outcome)
{
    struct commit_epoch *self = context;
    check(self->magic == COMMIT_MAGIC);
    if (self->is_closing) {
        return;
    }
    struct commit_epoch_outcome told = {.status = outcome->status,
                                        .error_code = outcome->error_code};
    if (self->state == COMMIT_EPOCH_FAILED) {
        return; /* That is told already, or will be. */
    }
    if (told.status != STATUS_OK) {
        fail(self, told.status, told.error_code);
        return;
    }
    self->state = COMMIT_EPOCH_READY;
    self->waits_for_changes = false;
    self->noted_offset = -1;
    self->options.on_committed(self->options.context, &told);
}

static void watch_post(struct commit_epoch *self);

static void watch_deliver(struct mail *mail)
{
    struct commit_epoch *self = container_of(mail, struct commit_epoch, watch_mail);
    check(self->magic == COMMIT_MAGIC);
    self->is_watch_posted = false;
    if (self->is_closing) {
        end_close(self);
        return;
    }
    if (self->state != COMMIT_EPOCH_ENDING || self->part != COMMIT_EPOCH_PART_COUNT) {
        return; /* The answer was faster. */
    }
    if (self->is_end_asked) {
        self->options.on_end_sent(self->options.context);
        return;
    }
    /* Told a turn later, when the bytes have been handed to the system. */
    self->is_end_asked = self->txn.is_ending && self->txn.end.is_asking;
    self->watch_count += 1;
    if (self->watch_count < WATCH_TURNS_MAX) {
        watch_post(self);
    }
}

static void watch_post(struct commit_epoch *self)
{
    self->is_watch_posted = true;
    self->watch_mail = (struct mail){.deliver = watch_deliver};
    loop_defer(self->options.loop, &self->watch_mail);
}

static enum status ask_for_end(struct commit_epoch *self)
{
    const struct commit_epoch_options *options = &self->options;
    TRY(txn_core_commit(&self->txn, patience_until_ns(self), txn_on_committed, self));
    if (options->on_end_sent != NULL && !self->is_watch_posted) {
        self->watch_count = 0;
        self->is_end_asked = false;
        watch_post(self);
    }
    return STATUS_OK;
}

/* The part that was waited for is over: what comes next begins. */
static enum status step_to_next(struct commit_epoch *self)
{
    if (self->part == COMMIT_EPOCH_OUTPUT) {
        self->part = COMMIT_EPOCH_CHANGES;
        return send_held(self);
    }
    if (self->part == COMMIT_EPOCH_CHANGES) {
        self->part = COMMIT_EPOCH_PROGRESS;
        return self->options.on_progress_due(self->options.context);
    }
    self->part = COMMIT_EPOCH_PART_COUNT;
    return ask_for_end(self);
}

static bool is_part_over(const struct commit_epoch *self)
{
    bool is_waited_for = self->options.on_part != NULL ||
                         (self->part == COMMIT_EPOCH_CHANGES && self->waits_for_changes);
    return !is_waited_for || self->pending_counts[self->part] == 0;
}

static void step(struct commit_epoch *self)
{
    while (self->state == COMMIT_EPOCH_ENDING && !self->is_closing &&
           self->part < COMMIT_EPOCH_PART_COUNT) {
        if (!is_part_over(self)) {
            producer_core_hurry(&self->txn.producer);
            return;
        }
        if (self->options.on_part != NULL) {
            self->options.on_part(self->options.context, self->part);
            if (self->is_closing) {
                return;
            }
        }
        enum status status = step_to_next(self);
        if (status != STATUS_OK) {
            fail(self, status, 0);
        }
    }
}

void commit_epoch_end(struct commit_epoch *self)
{
    check(self->magic == COMMIT_MAGIC);
    if (self->state == COMMIT_EPOCH_FAILED) {
        return; /* Which is told. */
    }
    check(self->state == COMMIT_EPOCH_READY || self->state == COMMIT_EPOCH_OPEN);
    self->state = COMMIT_EPOCH_ENDING;
    self->part = COMMIT_EPOCH_OUTPUT;
    post_step(self);
}

/* ---- life ---- */

static void end_close(struct commit_epoch *self)
{
    if (!self->has_txn_closed || self->is_step_posted || self->is_watch_posted) {
        return;
    }
    self->magic = 0;
    self->options.on_closed(self->options.context);
}

static void step_deliver(struct mail *mail)
{
    struct commit_epoch *self = container_of(mail, struct commit_epoch, step_mail);
    check(self->magic == COMMIT_MAGIC);
    self->is_step_posted = false;
    if (self->is_closing) {
        end_close(self);
    } else if (self->state == COMMIT_EPOCH_FAILED && !self->is_failure_told) {
        self->is_failure_told = true;
        self->options.on_failed(self->options.context, &self->failure);
    } else {
        step(self);
    }
}

static void post_step(struct commit_epoch *self)
{
    if (!self->is_step_posted) {
        self->is_step_posted = true;
        self->step_mail = (struct mail){.deliver = step_deliver};
        loop_defer(self->options.loop, &self->step_mail);
    }
}

static void txn_on_started(void *context, const struct txn_core_outcome *outcome)
{
    struct commit_epoch *self = context;
    check(self->magic == COMMIT_MAGIC);
    if (self->is_closing) {
        return;
    }
    struct commit_epoch_outcome told = {.status = outcome->status,
                                        .error_code = outcome->error_code};
    self->state = told.status == STATUS_OK ? COMMIT_EPOCH_READY : COMMIT_EPOCH_FAILED;
    self->options.on_started(self->options.context, &told);
}

void commit_epoch_start(struct commit_epoch *self)
{
    check(self->magic == COMMIT_MAGIC);
    check(self->state == COMMIT_EPOCH_NEW);
    self->state = COMMIT_EPOCH_STARTING;
    enum status status = txn_core_start(&self->txn, patience_until_ns(self), txn_on_started, self);
    check(status == STATUS_OK);
}

static void txn_on_closed(void *context)
{
    struct commit_epoch *self = context;
    check(self->magic == COMMIT_MAGIC);
    self->has_txn_closed = true;
    end_close(self);
}

static void txn_on_aborted(void *context, const struct txn_core_outcome *outcome)
{
    struct commit_epoch *self = context;
    check(self->magic == COMMIT_MAGIC);
    (void)outcome; /* Aborted or not: this was a courtesy to those who read behind it. */
    txn_core_close(&self->txn);
}

void commit_epoch_close(struct commit_epoch *self)
{
    check(self->magic == COMMIT_MAGIC);
    check(!self->is_closing);
    self->is_closing = true;
    struct list *link;
    while ((link = list_take_first(&self->held)) != NULL) {
        free(container_of(link, struct commit_epoch_held, in_line));
    }
    enum txn_core_state state = txn_core_state(&self->txn);
    int64_t deadline_ns = loop_now_ns(self->options.loop) + ABORT_TIMEOUT_MS * CLOCK_NS_PER_MS;
    if ((state != TXN_CORE_OPEN && state != TXN_CORE_BROKEN) ||
        txn_core_abort(&self->txn, deadline_ns, txn_on_aborted, self) != STATUS_OK) {
        txn_core_close(&self->txn);
    }
}

void commit_epoch_init(struct commit_epoch *self, const struct commit_epoch_options *options)
{
    check((options->on_part == NULL) == (options->on_end_sent == NULL));
    *self = (struct commit_epoch){.magic = COMMIT_MAGIC,
                                  .options = *options,
                                  .noted_partition = -1,
                                  .noted_offset = -1,
                                  .progress_offset = -1,
                                  .state = COMMIT_EPOCH_NEW};
    list_init(&self->held);
    struct txn_core_options txn = {
        .producer = {.loop = options->loop,
                     .bootstrap = options->bootstrap,
                     .bootstrap_count = options->bootstrap_count,
                     .client_id = options->client_id,
                     .codec = COMPRESSION_LZ4,
                     .linger_ms = LINGER_MS,
                     .batch_bytes_max = BATCH_BYTES_MAX,
                     .record_bytes_max = COMMIT_EPOCH_RECORD_BYTES_MAX,
                     .buffer_bytes_max = options->buffer_bytes_max,
                     .request_timeout_ms = options->request_timeout_ms,
                     .delivery_timeout_ms = options->transaction_timeout_ms,
                     .transactional_id = options->transactional_id,
                     .transaction_timeout_ms = options->transaction_timeout_ms,
                     .on_delivery = on_delivery,
                     .on_closed = txn_on_closed,
                     .context = self}};
    txn_core_init(&self->txn, &txn);
    self->options.bootstrap = NULL; /* The core has its copy. */
}
