/* The blocking side of a producer.
 *
 * Senders copy records into an outbox under the gate; the first one posts one letter, and the loop
 * takes the whole box at once, so a record costs a copy and a short lock. Reports come from the
 * loop. The core's buffer limit is counted here, because senders have to wait for it. */
#include "client/millrace/producer_handle.h"
#include "proto/sys/check.h"
#include "proto/sys/host/host_clock.h"

#include <stdlib.h>

#define BATCH_BYTES_DEFAULT ((size_t)256 << 10)
#define BATCH_BYTES_MIN 1024U
#define RECORD_BYTES_MAX_DEFAULT 1000000U
#define RECORD_BYTES_CEILING ((size_t)512 << 20)
#define BUFFER_BYTES_DEFAULT ((size_t)32 << 20)
#define DELIVERY_TIMEOUT_MS_DEFAULT 120000
#define TRANSACTION_TIMEOUT_MS_DEFAULT 60000
#define TRANSACTION_TIMEOUT_MS_MAX INT32_MAX
#define LINGER_MS_MAX 60000
#define HEADERS_MAX 10000U
#define OUTBOX_BYTES_FIRST ((size_t)64 << 10)
#define TOPIC_BYTES_MAX 249U

/* A record in the outbox; topic, headers, key and value follow it. */
struct packed {
    size_t byte_count; /* Of all, up to the next one. */
    uint64_t number;
    void *tag;
    int64_t timestamp_ms;
    int32_t partition;
    int32_t topic_bytes;
    int32_t key_bytes;
    int32_t value_bytes;
    int32_t header_count;
    bool is_urgent;
};

/* Somebody waits for one report. Freed by whoever comes second. */
struct report_wait {
    bool is_done;
    bool is_abandoned;
    struct producer_delivery delivery;
};

struct flush_wait {
    struct list in_line;
    uint64_t before_number;
    uint64_t left_count;
};

/* ---- reports: on the loop ---- */

static int explain_failure(const struct millrace_producer *self,
                           const struct producer_delivery *delivery, struct millrace_error *error)
{
    char what[128];
    (void)snprintf(what, sizeof what, "the record was not delivered to partition %d",
                   delivery->partition);
    int code = trouble_either(error, delivery->status, delivery->error_code,
                              delivery->partition < 0 ? "the record was not delivered" : what);
    bool is_over = code == MILLRACE_PRODUCER_FENCED || code == MILLRACE_CLOSED;
    if (error != NULL && self->transactional_id[0] != '\0' && !is_over &&
        delivery->status != STATUS_CANCELED) {
        error->must_abort = true; /* All or none. */
        error->is_fatal = false;
    }
    return code;
}

static void count_report(struct millrace_producer *self, const struct producer_delivery *delivery)
{
    check(self->buffered_bytes >= delivery->byte_count);
    check(self->outstanding_count > 0);
    self->buffered_bytes -= delivery->byte_count;
    self->outstanding_count -= 1;
    list_for_each(link, &self->flushes)
    {
        struct flush_wait *wait = container_of(link, struct flush_wait, in_line);
        wait->left_count -= delivery->number < wait->before_number;
    }
    bool is_waited_for = (delivery->number & 1) != 0;
    if (delivery->status != STATUS_OK && !self->has_failed && !is_waited_for) {
        self->has_failed = true;
        self->failure = *delivery;
    }
}

static void core_on_delivery(void *context, const struct producer_delivery *delivery)
{
    struct millrace_producer *self = context;
    bool is_waited_for = (delivery->number & 1) != 0;
    if (!is_waited_for && self->on_delivery != NULL) {
        struct millrace_error error;
        struct millrace_delivery report = {.partition = delivery->partition,
                                           .offset = delivery->offset,
                                           .timestamp_ms = delivery->timestamp_ms,
                                           .tag = delivery->tag};
        if (delivery->status != STATUS_OK) {
            (void)explain_failure(self, delivery, &error);
            report.error = &error;
        }
        self->on_delivery(self->context, &report);
    }
    host_gate_enter(&self->gate);
    count_report(self, delivery);
    if (is_waited_for) {
        struct report_wait *wait = delivery->tag;
        wait->delivery = *delivery;
        wait->is_done = true;
        if (wait->is_abandoned) {
            free(wait);
        }
    }
    host_gate_tell(&self->gate);
    host_gate_leave(&self->gate);
}

/* ---- the outbox ---- */

static void unpack(struct millrace_producer *self, const struct packed *packed)
{
    const uint8_t *next = (const uint8_t *)(packed + 1);
    struct batch_builder_header *headers =
        calloc((size_t)packed->header_count + 1, sizeof *headers);
    struct producer_record record = {.topic = {(const char *)next, packed->topic_bytes},
                                     .partition = packed->partition,
                                     .tag = packed->tag,
                                     .number = packed->number,
                                     .is_urgent = packed->is_urgent,
                                     .record = {.timestamp_ms = packed->timestamp_ms,
                                                .key = {.byte_count = packed->key_bytes},
                                                .value = {.byte_count = packed->value_bytes},
                                                .headers = headers,
                                                .header_count = packed->header_count}};
    next += packed->topic_bytes;
    for (int32_t i = 0; headers != NULL && i < packed->header_count; i++) {
        int32_t sizes[2];
        memcpy(sizes, next, sizeof sizes);
        next += sizeof sizes;
        headers[i].key = (struct wire_text){(const char *)next, sizes[0]};
        next += sizes[0];
        headers[i].value = (struct wire_bytes){next, sizes[1]};
        next += sizes[1] > 0 ? sizes[1] : 0;
    }
    record.record.key.bytes = next;
    next += packed->key_bytes > 0 ? packed->key_bytes : 0;
    record.record.value.bytes = next;
    enum status status = STATUS_NO_MEMORY;
    if (headers != NULL) {
        status = self->transactional_id[0] == '\0' ? producer_core_send(self->core, &record)
                                                   : txn_core_send(&self->txn, &record);
    }
    if (status != STATUS_OK) {
        struct producer_delivery delivery = {
            .status = status,
            .error_code = status == STATUS_INVALID ? MILLRACE_UNKNOWN_TOPIC : 0,
            .partition = packed->partition,
            .offset = -1,
            .timestamp_ms = packed->timestamp_ms,
            .number = packed->number,
            .tag = packed->tag,
            .byte_count = (uint32_t)producer_core_record_bytes(&record)};
        core_on_delivery(self, &delivery);
    }
    free(headers);
}

static void outbox_deliver(struct mail *mail)
{
    struct millrace_producer *self = container_of(mail, struct millrace_producer, outbox_mail);
    host_gate_enter(&self->gate);
    struct outbox full = self->outbox;
    self->outbox = self->taken;
    self->outbox.byte_count = 0;
    self->taken = full;
    self->is_outbox_posted = false;
    host_gate_leave(&self->gate);
    size_t position = 0;
    while (position < self->taken.byte_count) {
        const struct packed *packed =
            (const struct packed *)(const void *)(self->taken.bytes + position);
        unpack(self, packed);
        position += packed->byte_count;
    }
}

static void hurry_deliver(struct mail *mail)
{
    struct millrace_producer *self = container_of(mail, struct millrace_producer, hurry_mail);
    host_gate_enter(&self->gate);
    self->is_hurry_posted = false;
    host_gate_leave(&self->gate);
    if (producer_handle_is_open(self)) {
        producer_core_hurry(self->core);
    }
}

static void put(uint8_t **next, const void *bytes, size_t byte_count)
{
    if (byte_count > 0) {
        memcpy(*next, bytes, byte_count);
    }
    *next += byte_count;
}

static int32_t size_of(struct millrace_bytes bytes)
{
    return bytes.data == NULL ? -1 : (int32_t)bytes.size;
}

static size_t packed_bytes(const struct millrace_record *record)
{
    size_t byte_count =
        sizeof(struct packed) + record->topic.size + record->key.size + record->value.size;
    for (size_t i = 0; i < record->header_count; i++) {
        byte_count +=
            2 * sizeof(int32_t) + record->headers[i].key.size + record->headers[i].value.size;
    }
    return (byte_count + 15) & ~(size_t)15;
}

static enum status outbox_reserve(struct outbox *self, size_t byte_count)
{
    if (self->room - self->byte_count >= byte_count) {
        return STATUS_OK;
    }
    size_t room = self->room < OUTBOX_BYTES_FIRST ? OUTBOX_BYTES_FIRST : self->room * 2;
    while (room - self->byte_count < byte_count) {
        room *= 2;
    }
    uint8_t *grown = realloc(self->bytes, room);
    if (grown == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->bytes = grown;
    self->room = room;
    return STATUS_OK;
}

static void outbox_put(struct outbox *self, const struct millrace_record *record,
                       const struct packed *head)
{
    uint8_t *next = self->bytes + self->byte_count;
    put(&next, head, sizeof *head);
    put(&next, record->topic.data, record->topic.size);
    for (size_t i = 0; i < record->header_count; i++) {
        int32_t sizes[2] = {(int32_t)record->headers[i].key.size,
                            size_of(record->headers[i].value)};
        put(&next, sizes, sizeof sizes);
        put(&next, record->headers[i].key.data, record->headers[i].key.size);
        put(&next, record->headers[i].value.data, record->headers[i].value.size);
    }
    put(&next, record->key.data, record->key.size);
    put(&next, record->value.data, record->value.size);
    self->byte_count += head->byte_count;
}

/* ---- sending ---- */

static int check_record(const struct millrace_producer *self, struct millrace_record *record,
                        const struct millrace_record *given, struct millrace_error *error)
{
    *record = (struct millrace_record){0};
    if (!trouble_options(record, sizeof *record, given, given->size)) {
        return trouble_argument(error, "the record has a size that cannot be",
                                "set .size = sizeof the struct");
    }
    if (record->topic.data == NULL || record->topic.size == 0 ||
        record->topic.size > TOPIC_BYTES_MAX) {
        return trouble_argument(error, "the record names no topic",
                                "give a topic of 1 to 249 bytes");
    }
    if (record->has_partition && record->partition < 0) {
        return trouble_argument(error, "the record's partition is below 0",
                                "leave has_partition out to let the key choose");
    }
    size_t byte_count = 64;
    bool is_too_large = record->header_count > HEADERS_MAX ||
                        record->key.size > self->record_bytes_max ||
                        record->value.size > self->record_bytes_max;
    for (size_t i = 0; !is_too_large && i < record->header_count; i++) {
        if (record->headers[i].key.data == NULL) {
            return trouble_argument(error, "a header has no key", "give every header a key");
        }
        is_too_large |= record->headers[i].key.size > self->record_bytes_max ||
                        record->headers[i].value.size > self->record_bytes_max;
        byte_count += 16 + record->headers[i].key.size + record->headers[i].value.size;
    }
    if (is_too_large ||
        byte_count + record->key.size + record->value.size > self->record_bytes_max) {
        return trouble_status(error, STATUS_FULL, "the record is too large");
    }
    return MILLRACE_OK;
}

static size_t core_bytes(const struct millrace_record *record)
{
    /* As producer_core_record_bytes() counts: the headers' sizes matter, their bytes do not. */
    struct producer_record counted = {.record = {.key = {.byte_count = size_of(record->key)},
                                                 .value = {.byte_count = size_of(record->value)}}};
    struct batch_builder_header few[16];
    struct batch_builder_header *headers = few;
    if (record->header_count > 16) {
        headers = calloc(record->header_count, sizeof *headers);
        if (headers == NULL) {
            return 0;
        }
    }
    for (size_t i = 0; i < record->header_count; i++) {
        headers[i].key = (struct wire_text){.byte_count = (int32_t)record->headers[i].key.size};
        headers[i].value = (struct wire_bytes){.byte_count = size_of(record->headers[i].value)};
    }
    counted.record.headers = headers;
    counted.record.header_count = (int32_t)record->header_count;
    size_t byte_count = producer_core_record_bytes(&counted);
    if (headers != few) {
        free(headers);
    }
    return byte_count;
}

/* Inside the gate. */
static int await_room(struct millrace_producer *self, size_t byte_count, int64_t timeout_ms,
                      struct millrace_error *error)
{
    int64_t until_ns = session_until_ns(timeout_ms);
    while (!self->is_closing && self->buffered_bytes > 0 &&
           self->buffered_bytes + byte_count > self->buffer_bytes_max) {
        if (timeout_ms <= 0) {
            int code = trouble_status(error, STATUS_FULL, "the record was not taken");
            if (error != NULL) {
                error->code = MILLRACE_BUFFER_FULL;
                (void)snprintf(error->name, sizeof error->name, "BUFFER_FULL");
                trouble_explain(error, "the buffer is full of records that are not delivered yet",
                                "wait and send again, or give the send a timeout");
                error->is_retriable = true;
            }
            (void)code;
            return MILLRACE_BUFFER_FULL;
        }
        if (!host_gate_wait(&self->gate, until_ns)) {
            return trouble_timeout(error, "the record was not taken: the buffer stayed full");
        }
    }
    return self->is_closing ? trouble_closed(error) : MILLRACE_OK;
}

/* Inside the gate. */
static int check_transaction(const struct millrace_producer *self, struct millrace_error *error)
{
    if (self->transactional_id[0] == '\0' || self->is_in_transaction || self->is_closing) {
        return MILLRACE_OK;
    }
    int code =
        trouble_argument(error, "the record was not taken", "call millrace_producer_begin() first");
    trouble_explain(error, "this producer has a transactional id, and no transaction is open",
                    "call millrace_producer_begin() first");
    return code;
}

static int send_packed(struct millrace_producer *self, const struct millrace_record *record,
                       struct packed *head, int64_t timeout_ms, struct millrace_error *error)
{
    size_t byte_count = core_bytes(record);
    head->byte_count = packed_bytes(record);
    head->partition = record->has_partition ? record->partition : -1;
    head->timestamp_ms =
        record->timestamp_ms != 0 ? record->timestamp_ms : clock_wall_ms(host_clock());
    head->topic_bytes = (int32_t)record->topic.size;
    head->key_bytes = size_of(record->key);
    head->value_bytes = size_of(record->value);
    head->header_count = (int32_t)record->header_count;
    bool is_waited_for = head->is_urgent;
    host_gate_enter(&self->gate);
    int code = check_transaction(self, error);
    if (code == MILLRACE_OK) {
        code = await_room(self, byte_count, timeout_ms, error);
    }
    if (code == MILLRACE_OK &&
        (byte_count == 0 || outbox_reserve(&self->outbox, head->byte_count) != STATUS_OK)) {
        code = trouble_status(error, STATUS_NO_MEMORY, "the record was not taken");
    }
    if (code != MILLRACE_OK) {
        host_gate_leave(&self->gate);
        return code;
    }
    head->number = self->next_number | is_waited_for;
    self->next_number += 2;
    self->outstanding_count += 1;
    self->buffered_bytes += byte_count;
    outbox_put(&self->outbox, record, head);
    if (!self->is_outbox_posted) {
        self->is_outbox_posted = true;
        self->outbox_mail = (struct mail){.deliver = outbox_deliver};
        mailbox_post(&self->handle.session->host.loop.mailbox, &self->outbox_mail);
    }
    host_gate_leave(&self->gate);
    return trouble_none(error);
}

int millrace_producer_send(struct millrace_producer *self, const struct millrace_record *given,
                           void *tag, int64_t timeout_ms, struct millrace_error *error)
{
    struct millrace_record record;
    int code = check_record(self, &record, given, error);
    if (code != MILLRACE_OK) {
        return code;
    }
    struct packed head = {.tag = tag};
    return send_packed(self, &record, &head, timeout_ms, error);
}

/* Time is up: because nobody answers at all, or because of this record? */
static int explain_unreported(struct millrace_producer *self, struct millrace_error *error)
{
    const char *what = "no report of the record came in time";
    if (producer_handle_is_unreachable(self)) {
        return session_nobody(self->handle.session, what, error);
    }
    int code = trouble_timeout(error, what);
    trouble_explain(error, "the brokers have not answered yet; the record may still get there",
                    "give it more time, or look whether the partition has a leader");
    return code;
}

static int await_report(struct millrace_producer *self, struct report_wait *wait, int64_t until_ns,
                        struct millrace_delivery *out_delivery, struct millrace_error *error)
{
    host_gate_enter(&self->gate);
    bool is_in_time = true;
    while (!wait->is_done && is_in_time) {
        is_in_time = host_gate_wait(&self->gate, until_ns);
    }
    wait->is_abandoned = !wait->is_done;
    struct producer_delivery delivery = wait->delivery;
    bool is_done = wait->is_done;
    host_gate_leave(&self->gate);
    if (!is_done) {
        return explain_unreported(self, error);
    }
    free(wait);
    if (out_delivery != NULL) {
        *out_delivery = (struct millrace_delivery){.partition = delivery.partition,
                                                   .offset = delivery.offset,
                                                   .timestamp_ms = delivery.timestamp_ms};
    }
    return delivery.status == STATUS_OK ? trouble_none(error)
                                        : explain_failure(self, &delivery, error);
}

int millrace_producer_send_wait(struct millrace_producer *self, const struct millrace_record *given,
                                int64_t timeout_ms, struct millrace_delivery *out_delivery,
                                struct millrace_error *error)
{
    int64_t until_ns = session_until_ns(timeout_ms);
    struct millrace_record record;
    int code = check_record(self, &record, given, error);
    if (code != MILLRACE_OK) {
        return code;
    }
    struct report_wait *wait = calloc(1, sizeof *wait);
    if (wait == NULL) {
        return trouble_status(error, STATUS_NO_MEMORY, "the record was not taken");
    }
    struct packed head = {.tag = wait, .is_urgent = true};
    code = send_packed(self, &record, &head, timeout_ms, error);
    if (code != MILLRACE_OK) {
        free(wait);
        return code;
    }
    return await_report(self, wait, until_ns, out_delivery, error);
}

/* ---- flushing and closing ---- */

static int flush_until(struct millrace_producer *self, int64_t until_ns,
                       struct millrace_error *error)
{
    host_gate_enter(&self->gate);
    if (!self->is_hurry_posted && !self->has_closed) {
        self->is_hurry_posted = true;
        self->hurry_mail = (struct mail){.deliver = hurry_deliver};
        mailbox_post(&self->handle.session->host.loop.mailbox, &self->hurry_mail);
    }
    struct flush_wait wait = {.before_number = self->next_number,
                              .left_count = self->outstanding_count};
    list_append(&self->flushes, &wait.in_line);
    bool is_in_time = true;
    while (wait.left_count > 0 && is_in_time) {
        is_in_time = host_gate_wait(&self->gate, until_ns);
    }
    list_remove(&wait.in_line);
    bool has_failed = self->has_failed;
    struct producer_delivery failure = self->failure;
    uint64_t left_count = wait.left_count;
    self->has_failed = false;
    host_gate_leave(&self->gate);
    if (has_failed) {
        return explain_failure(self, &failure, error);
    }
    if (left_count > 0) {
        char what[96];
        (void)snprintf(what, sizeof what, "%llu records are not delivered yet",
                       (unsigned long long)left_count);
        return trouble_timeout(error, what);
    }
    return trouble_none(error);
}

int millrace_producer_flush(struct millrace_producer *self, int64_t timeout_ms,
                            struct millrace_error *error)
{
    host_gate_enter(&self->gate);
    bool is_closing = self->is_closing;
    host_gate_leave(&self->gate);
    return is_closing ? trouble_closed(error)
                      : flush_until(self, session_until_ns(timeout_ms), error);
}

static void close_run(struct session_call *call)
{
    struct producer_call *mine = container_of(call, struct producer_call, call);
    struct millrace_producer *self = mine->producer;
    if (!producer_handle_is_open(self)) {
        session_end(call); /* Closed before it was opened. */
        return;
    }
    self->closing = mine;
    if (self->transactional_id[0] == '\0') {
        producer_core_close(&self->plain);
    } else {
        txn_core_close(&self->txn);
    }
}

static void core_on_closed(void *context)
{
    struct millrace_producer *self = context;
    session_end(&self->closing->call);
}

static int handle_close(struct session_handle *handle, int64_t until_ns,
                        struct millrace_error *error)
{
    struct millrace_producer *self = container_of(handle, struct millrace_producer, handle);
    host_gate_enter(&self->gate);
    self->is_closing = true;
    bool is_in_transaction = self->is_in_transaction;
    host_gate_tell(&self->gate);
    host_gate_leave(&self->gate);
    if (is_in_transaction) {
        int64_t left_ns = until_ns - clock_monotonic_ns(host_clock());
        (void)millrace_producer_abort(self, left_ns / CLOCK_NS_PER_MS, NULL);
    }
    int code = flush_until(self, until_ns, error);
    host_gate_enter(&self->gate);
    self->has_closed = true;
    host_gate_leave(&self->gate);
    struct producer_call close = {.call = {.run = close_run}, .producer = self};
    check(session_run(handle->session, &close.call));
    return code;
}

int millrace_producer_close(struct millrace_producer *self, int64_t timeout_ms,
                            struct millrace_error *error)
{
    int code = trouble_none(error);
    if (self == NULL) {
        return code;
    }
    if (session_detach(&self->handle)) {
        code = handle_close(&self->handle, session_until_ns(timeout_ms), error);
    }
    session_unref(self->handle.session);
    host_gate_done(&self->gate);
    free(self->outbox.bytes);
    free(self->taken.bytes);
    free(self);
    return code;
}

/* ---- opening ---- */

static void open_run(struct session_call *call)
{
    struct producer_call *mine = container_of(call, struct producer_call, call);
    host_gate_enter(&mine->producer->gate);
    bool is_closed = mine->producer->has_closed; /* By the client's close, meanwhile. */
    host_gate_leave(&mine->producer->gate);
    struct millrace_producer *self = mine->producer;
    if (!is_closed && self->transactional_id[0] == '\0') {
        producer_core_init(&self->plain, mine->options);
        self->core = &self->plain;
    } else if (!is_closed) {
        txn_core_init(&self->txn, &(struct txn_core_options){.producer = *mine->options});
        self->core = &self->txn.producer;
    }
    session_end(call);
}

static int read_options(struct millrace_producer *self,
                        const struct millrace_producer_options *given,
                        struct producer_core_options *core, struct millrace_error *error)
{
    static const enum compression_codec codecs[] = {COMPRESSION_LZ4,  COMPRESSION_NONE,
                                                    COMPRESSION_GZIP, COMPRESSION_SNAPPY,
                                                    COMPRESSION_LZ4,  COMPRESSION_ZSTD};
    struct millrace_producer_options options = {0};
    if (given != NULL && !trouble_options(&options, sizeof options, given, given->size)) {
        return trouble_argument(error, "the options have a size that cannot be",
                                "set .size = sizeof the struct");
    }
    if ((unsigned)options.compression >= sizeof codecs / sizeof *codecs || options.linger_ms < 0 ||
        options.linger_ms > LINGER_MS_MAX || options.delivery_timeout_ms < 0 ||
        options.record_bytes_max > RECORD_BYTES_CEILING ||
        options.batch_bytes > RECORD_BYTES_CEILING || options.transaction_timeout_ms < 0 ||
        options.transaction_timeout_ms > TRANSACTION_TIMEOUT_MS_MAX ||
        options.transactional_id.size >= sizeof self->transactional_id) {
        return trouble_argument(error, "an option of the producer is outside its range",
                                "see struct millrace_producer_options");
    }
    size_t batch_bytes = options.batch_bytes > 0 ? options.batch_bytes : BATCH_BYTES_DEFAULT;
    self->record_bytes_max =
        options.record_bytes_max > 0 ? options.record_bytes_max : RECORD_BYTES_MAX_DEFAULT;
    self->buffer_bytes_max = options.buffer_bytes > 0 ? options.buffer_bytes : BUFFER_BYTES_DEFAULT;
    self->on_delivery = options.on_delivery;
    self->context = options.context;
    if (options.transactional_id.data != NULL) {
        memcpy(self->transactional_id, options.transactional_id.data,
               options.transactional_id.size);
    }
    *core = (struct producer_core_options){
        .codec = codecs[options.compression],
        .linger_ms = options.linger_ms,
        .batch_bytes_max = batch_bytes < BATCH_BYTES_MIN ? BATCH_BYTES_MIN : batch_bytes,
        .record_bytes_max = self->record_bytes_max,
        .buffer_bytes_max = SIZE_MAX / 2,
        .delivery_timeout_ms = options.delivery_timeout_ms > 0 ? options.delivery_timeout_ms
                                                               : DELIVERY_TIMEOUT_MS_DEFAULT,
        .transaction_timeout_ms = options.transaction_timeout_ms > 0
                                      ? options.transaction_timeout_ms
                                      : TRANSACTION_TIMEOUT_MS_DEFAULT,
        .on_delivery = core_on_delivery,
        .on_closed = core_on_closed,
        .context = self};
    return MILLRACE_OK;
}

int millrace_producer_open(struct millrace_client *client,
                           const struct millrace_producer_options *options,
                           struct millrace_producer **out_producer, struct millrace_error *error)
{
    *out_producer = NULL;
    struct millrace_producer *self = calloc(1, sizeof *self);
    if (self == NULL || host_gate_init(&self->gate) != STATUS_OK) {
        free(self);
        return trouble_status(error, STATUS_NO_MEMORY, "cannot open the producer");
    }
    list_init(&self->flushes);
    struct producer_core_options core;
    int code = read_options(self, options, &core, error);
    if (code == MILLRACE_OK) {
        core.loop = &client->host.loop;
        core.bootstrap = client->bootstrap;
        core.bootstrap_count = client->bootstrap_count;
        core.client_id = client->client_id;
        core.request_timeout_ms = client->request_timeout_ms;
        core.transactional_id = self->transactional_id[0] == '\0' ? NULL : self->transactional_id;
        self->handle.close = handle_close;
        struct producer_call open = {.call = {.run = open_run}, .producer = self, .options = &core};
        if (!session_attach(client, &self->handle)) {
            code = trouble_closed(error);
        } else {
            (void)session_run(client, &open.call);
        }
    }
    if (code != MILLRACE_OK) {
        host_gate_done(&self->gate);
        free(self);
        return code;
    }
    *out_producer = self;
    return trouble_none(error);
}
