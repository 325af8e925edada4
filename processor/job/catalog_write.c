#include "processor/job/catalog_write.h"

#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUEST_MS 10000
#define TRANSACTION_MS 30000
#define BATCH_BYTES_MAX (CATALOG_RECORD_BYTES_MAX + 65536U)
#define AGAIN_MS_MIN 50
#define AGAIN_MS_MAX 2000

static void start_next(struct catalog *catalog);
static void start_attempt(struct catalog_write *self);

static void drop_changes(struct catalog_write *self)
{
    for (uint32_t i = 0; i < self->change_count; i++) {
        free(self->changes[i].bytes);
    }
    self->change_count = 0;
}

enum status catalog_write_put(struct catalog_write *self, enum catalog_kind kind, const char *name,
                              const Millrace__Processor__CatalogRecord *record)
{
    check(self->change_count < CATALOG_CHANGES_MAX);
    struct catalog_change *change = &self->changes[self->change_count];
    *change = (struct catalog_change){0};
    int length = snprintf(change->key, sizeof change->key, "%s/%s",
                          kind == CATALOG_TABLE ? "table" : "job", name);
    if (length < 0 || strlen(name) >= CATALOG_NAME_BYTES_MAX) {
        return STATUS_INVALID;
    }
    if (record != NULL) {
        change->byte_count = millrace__processor__catalog_record__get_packed_size(record);
        if (change->byte_count > CATALOG_RECORD_BYTES_MAX) {
            return STATUS_FULL;
        }
        change->bytes = malloc(change->byte_count + 1);
        if (change->bytes == NULL) {
            return STATUS_NO_MEMORY;
        }
        (void)millrace__processor__catalog_record__pack(record, change->bytes);
    }
    self->change_count += 1;
    return STATUS_OK;
}

/* ---- the steps of one write, from the last to the first ---- */

static void end_write(struct catalog_write *self, enum status status)
{
    struct catalog *catalog = self->catalog;
    timer_done(&self->again);
    drop_changes(self);
    catalog->writing = NULL;
    bool is_unknown = status != STATUS_OK && self->is_doubtful;
    self->on_done(self, is_unknown ? STATUS_UNKNOWN : status); /* It may be gone behind this. */
    if (catalog->is_closing) {
        catalog_end_write(catalog);
    } else {
        start_next(catalog);
    }
}

/* Any delay up to twice the doubling one: of many that fence each other, one comes when the others
 * are not there. */
static int64_t delay_ns(struct catalog_write *self)
{
    struct prng *prng = &self->catalog->options.loop->prng;
    return (int64_t)prng_below(prng, 2 * (uint64_t)retry_next_ns(&self->retry, prng));
}

static void end_closed(struct catalog_write *self)
{
    if (!self->has_closed || self->is_claim_posted) {
        return;
    }
    struct loop *loop = self->catalog->options.loop;
    int64_t again_ns = loop_now_ns(loop) + (self->is_lost ? delay_ns(self) : 0);
    if (!self->is_lost || self->catalog->is_closing || again_ns >= self->deadline_ns) {
        end_write(self, self->status);
        return;
    }
    trace_line(loop->trace, TRACE_INFO, "catalog", "write-again", "why=\"%s\" attempt=%u",
               status_text(self->status), self->retry.attempt_count);
    timer_start_at(&self->again, again_ns);
}

static void txn_on_closed(void *context)
{
    struct catalog_write *self = context;
    self->has_closed = true;
    end_closed(self);
}

static void again_on_fire(struct timer *timer)
{
    start_attempt(container_of(timer, struct catalog_write, again));
}

static void end_attempt(struct catalog_write *self, enum status status)
{
    if (!self->is_over) {
        self->is_over = true;
        self->status = status;
        self->is_lost |= status == STATUS_FENCED;
        txn_core_close(&self->txn);
    }
}

/* Another door took the id, or the transaction was given up on the way: neither is about what is
 * written, so it is tried again. */
static bool is_lost(const struct txn_core_outcome *outcome)
{
    switch (outcome->error_code) {
    case ERROR_CODE_NONE:
        return outcome->must_abort &&
               (outcome->status == STATUS_TIMEOUT || outcome->status == STATUS_UNREACHABLE);
    case ERROR_CODE_INVALID_PRODUCER_EPOCH:
    case ERROR_CODE_PRODUCER_FENCED:
    case ERROR_CODE_INVALID_TXN_STATE:
    case ERROR_CODE_INVALID_PRODUCER_ID_MAPPING:
    case ERROR_CODE_CONCURRENT_TRANSACTIONS:
    case ERROR_CODE_TRANSACTION_ABORTABLE:
    case ERROR_CODE_UNKNOWN_PRODUCER_ID:
    case ERROR_CODE_OUT_OF_ORDER_SEQUENCE_NUMBER:
        return true;
    default:
        return false;
    }
}

static void read_back_on_done(struct catalog_barrier *barrier, enum status status)
{
    struct catalog_write *self = container_of(barrier, struct catalog_write, barrier);
    (void)status; /* It is committed, whether our reader has come so far or not. */
    end_attempt(self, STATUS_OK);
}

static void commit_on_done(void *context, const struct txn_core_outcome *outcome)
{
    struct catalog_write *self = context;
    if (outcome->status == STATUS_OK && self->catalog->position < self->written_end) {
        /* Committed, but shown to readers only when the marker is there. */
        self->barrier = (struct catalog_barrier){.deadline_ns = self->deadline_ns,
                                                 .on_done = read_back_on_done};
        catalog_wait_until(self->catalog, &self->barrier, self->written_end);
        return;
    }
    if (outcome->status == STATUS_OK || self->is_seen) {
        end_attempt(self, STATUS_OK);
        return;
    }
    /* Even a refusal may be the second answer: the first one was lost, and it was done. */
    self->is_lost = is_lost(outcome);
    self->is_doubtful = self->is_lost && self->delivered_count == self->change_count;
    bool is_open = outcome->status == STATUS_TIMEOUT || outcome->status == STATUS_UNKNOWN;
    end_attempt(self, is_open && !self->is_lost ? STATUS_UNKNOWN : outcome->status);
}

static enum status send_changes(struct catalog_write *self)
{
    TRY(txn_core_begin(&self->txn));
    for (uint32_t i = 0; i < self->change_count; i++) {
        const struct catalog_change *change = &self->changes[i];
        struct wire_bytes value = {NULL, -1};
        if (change->bytes != NULL) {
            value = (struct wire_bytes){change->bytes, (int32_t)change->byte_count};
        }
        struct producer_record record = {
            .topic = wire_text_of(CATALOG_TOPIC),
            .record = {.timestamp_ms = clock_wall_ms(self->catalog->options.loop->clock),
                       .key = {(const uint8_t *)change->key, (int32_t)strlen(change->key)},
                       .value = value},
            .is_urgent = true};
        TRY(txn_core_send(&self->txn, &record));
    }
    return STATUS_OK;
}

/* The id is taken over and all is read: what the attempt before wrote would have been seen. */
static void forget_attempt(struct catalog_write *self)
{
    drop_changes(self);
    self->is_doubtful = false;
    self->delivered_count = 0;
    self->written_offset = -1;
    self->written_end = 0;
}

static void read_on_done(struct catalog_barrier *barrier, enum status status)
{
    struct catalog_write *self = container_of(barrier, struct catalog_write, barrier);
    if (status == STATUS_OK && self->catalog->position < self->written_end) {
        catalog_wait_until(self->catalog, &self->barrier, self->written_end);
        return;
    }
    if (status == STATUS_OK && self->is_seen) {
        end_attempt(self, STATUS_OK); /* The attempt before was committed after all. */
        return;
    }
    if (status == STATUS_OK) {
        forget_attempt(self);
        status = self->decide(self);
    }
    if (status == STATUS_OK && self->change_count == 0) {
        end_attempt(self, STATUS_OK);
        return;
    }
    status = status == STATUS_OK ? send_changes(self) : status;
    status = status == STATUS_OK
                 ? txn_core_commit(&self->txn, self->deadline_ns, commit_on_done, self)
                 : status;
    if (status != STATUS_OK) {
        end_attempt(self, status);
    }
}

/* ---- the claim: how far that must be read ---- */

static void claim_on_done(void *context, const struct txn_core_outcome *outcome)
{
    struct catalog_write *self = context;
    if (outcome->status != STATUS_OK) {
        self->is_lost = is_lost(outcome);
        end_attempt(self, outcome->status);
        return;
    }
    self->barrier =
        (struct catalog_barrier){.deadline_ns = self->deadline_ns, .on_done = read_on_done};
    if (self->catalog->position > self->claimed_offset) {
        read_on_done(&self->barrier, STATUS_OK);
    } else {
        catalog_wait_until(self->catalog, &self->barrier, self->claimed_offset + 1);
    }
}

static void claim_deliver(struct mail *mail)
{
    struct catalog_write *self = container_of(mail, struct catalog_write, claim_mail);
    self->is_claim_posted = false;
    if (self->is_over) {
        end_closed(self);
        return;
    }
    if (self->claimed_offset < 0) {
        self->is_lost = true; /* Nothing was decided yet: tried again, if there is time. */
        end_attempt(self, STATUS_UNREACHABLE);
        return;
    }
    enum status status = txn_core_abort(&self->txn, self->deadline_ns, claim_on_done, self);
    if (status != STATUS_OK) {
        self->is_lost = true;
        end_attempt(self, status);
    }
}

static void start_on_done(void *context, const struct txn_core_outcome *outcome)
{
    struct catalog_write *self = context;
    if (outcome->status != STATUS_OK) {
        self->is_lost = is_lost(outcome);
        end_attempt(self, outcome->status);
        return;
    }
    static const char key[] = "claim";
    struct producer_record record = {
        .topic = wire_text_of(CATALOG_TOPIC),
        .record = {.timestamp_ms = clock_wall_ms(self->catalog->options.loop->clock),
                   .key = {(const uint8_t *)key, (int32_t)sizeof key - 1},
                   .value = {NULL, -1}},
        .is_urgent = true};
    self->is_claiming = true;
    enum status status = txn_core_begin(&self->txn);
    status = status == STATUS_OK ? txn_core_send(&self->txn, &record) : status;
    if (status != STATUS_OK) {
        end_attempt(self, status);
    }
}

static void txn_on_delivery(void *context, const struct producer_delivery *delivery)
{
    struct catalog_write *self = context;
    if (self->is_claiming) {
        self->is_claiming = false;
        self->claimed_offset = delivery->status == STATUS_OK ? delivery->offset : -1;
        self->is_claim_posted = true;
        self->claim_mail = (struct mail){.deliver = claim_deliver};
        loop_defer(self->catalog->options.loop, &self->claim_mail);
        return;
    }
    if (delivery->status != STATUS_OK) {
        return;
    }
    self->delivered_count += 1;
    self->written_offset = delivery->offset;
    if (delivery->offset >= self->written_end) {
        self->written_end = delivery->offset + 1;
    }
}

static void start_attempt(struct catalog_write *self)
{
    struct catalog *catalog = self->catalog;
    self->is_over = false;
    self->is_lost = false;
    self->is_claiming = false;
    self->has_closed = false;
    struct txn_core_options options = {
        .producer = {.loop = catalog->options.loop,
                     .bootstrap = catalog->options.bootstrap,
                     .bootstrap_count = catalog->options.bootstrap_count,
                     .client_id = catalog->options.client_id,
                     .batch_bytes_max = BATCH_BYTES_MAX,
                     .record_bytes_max = BATCH_BYTES_MAX,
                     .buffer_bytes_max = (size_t)BATCH_BYTES_MAX * CATALOG_CHANGES_MAX,
                     .request_timeout_ms = REQUEST_MS,
                     .delivery_timeout_ms = TRANSACTION_MS,
                     .transactional_id = CATALOG_WRITER_ID,
                     .transaction_timeout_ms = TRANSACTION_MS,
                     .on_delivery = txn_on_delivery,
                     .on_closed = txn_on_closed,
                     .context = self}};
    txn_core_init(&self->txn, &options);
    enum status status = txn_core_start(&self->txn, self->deadline_ns, start_on_done, self);
    if (status != STATUS_OK) {
        end_attempt(self, status);
    }
}

static void start_next(struct catalog *catalog)
{
    if (catalog->writing == NULL && !list_is_empty(&catalog->writes)) {
        catalog->writing =
            container_of(list_take_first(&catalog->writes), struct catalog_write, in_catalog);
        start_attempt(catalog->writing);
    }
}

void catalog_write_see(struct catalog_write *self, int64_t offset)
{
    self->is_seen |= offset == self->written_offset;
}

void catalog_write_start(struct catalog *catalog, struct catalog_write *write)
{
    write->catalog = catalog;
    write->change_count = 0;
    write->delivered_count = 0;
    write->written_offset = -1;
    write->written_end = 0;
    write->is_seen = false;
    write->is_doubtful = false;
    retry_init(&write->retry, AGAIN_MS_MIN, AGAIN_MS_MAX);
    timer_init(&write->again, &catalog->options.loop->timers, again_on_fire);
    list_init(&write->in_catalog);
    list_append(&catalog->writes, &write->in_catalog);
    start_next(catalog);
}

void catalog_write_cancel_all(struct catalog *catalog)
{
    struct list *link;
    while ((link = list_take_first(&catalog->writes)) != NULL) {
        struct catalog_write *write = container_of(link, struct catalog_write, in_catalog);
        write->on_done(write, STATUS_CANCELED);
    }
    if (catalog->writing != NULL && catalog->writing->again.is_armed) {
        end_write(catalog->writing, STATUS_CANCELED);
    }
}
