#include "processor/job/catalog_write.h"

#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUEST_MS 10000
#define TRANSACTION_MS 30000
#define BATCH_BYTES_MAX (CATALOG_RECORD_BYTES_MAX + 65536U)

static void start_next(struct catalog *catalog);

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

static void txn_on_closed(void *context)
{
    struct catalog_write *self = context;
    struct catalog *catalog = self->catalog;
    catalog->is_writing = false;
    drop_changes(self);
    self->on_done(self, self->status); /* It may be gone behind this. */
    if (catalog->is_closing) {
        catalog_end_write(catalog);
    } else {
        start_next(catalog);
    }
}

static void end_write(struct catalog_write *self, enum status status)
{
    if (!self->is_over) {
        self->is_over = true;
        self->status = status;
        txn_core_close(&self->txn);
    }
}

static void read_back_on_done(struct catalog_barrier *barrier, enum status status)
{
    struct catalog_write *self = container_of(barrier, struct catalog_write, barrier);
    (void)status; /* It is committed, whether our reader has come so far or not. */
    end_write(self, STATUS_OK);
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
    bool is_open = outcome->status == STATUS_TIMEOUT || outcome->status == STATUS_UNKNOWN;
    end_write(self, is_open ? STATUS_UNKNOWN : outcome->status);
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

static void read_on_done(struct catalog_barrier *barrier, enum status status)
{
    struct catalog_write *self = container_of(barrier, struct catalog_write, barrier);
    if (status == STATUS_OK) {
        drop_changes(self);
        status = self->decide(self);
    }
    if (status == STATUS_OK && self->change_count == 0) {
        end_write(self, STATUS_OK);
        return;
    }
    status = status == STATUS_OK ? send_changes(self) : status;
    status = status == STATUS_OK
                 ? txn_core_commit(&self->txn, self->deadline_ns, commit_on_done, self)
                 : status;
    if (status != STATUS_OK) {
        end_write(self, status);
    }
}

static void start_on_done(void *context, const struct txn_core_outcome *outcome)
{
    struct catalog_write *self = context;
    if (outcome->status != STATUS_OK) {
        end_write(self, outcome->status);
        return;
    }
    self->barrier =
        (struct catalog_barrier){.deadline_ns = self->deadline_ns, .on_done = read_on_done};
    catalog_wait(self->catalog, &self->barrier);
}

static void txn_on_delivery(void *context, const struct producer_delivery *delivery)
{
    struct catalog_write *self = context;
    if (delivery->offset >= self->written_end) {
        self->written_end = delivery->offset + 1;
    }
}

static void start_next(struct catalog *catalog)
{
    if (catalog->is_writing || list_is_empty(&catalog->writes)) {
        return;
    }
    struct catalog_write *self =
        container_of(list_take_first(&catalog->writes), struct catalog_write, in_catalog);
    catalog->is_writing = true;
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
        end_write(self, status);
    }
}

void catalog_write_start(struct catalog *catalog, struct catalog_write *write)
{
    write->catalog = catalog;
    write->change_count = 0;
    write->written_end = 0;
    write->is_over = false;
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
}
