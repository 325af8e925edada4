#include "processor/sink/sink.h"

#include "processor/format/json_rows.h"
#include "proto/record/record_iterator.h"
#include "proto/sys/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SINK_MAGIC 0x51c0de77U
#define ROOM_FIRST ((size_t)4 << 10)
#define NUMBER_BYTES 24U
#define OWN_HEADERS 3

struct sink {
    uint32_t magic;
    struct sink_options options;
    struct commit_epoch commit;
    int64_t now_ms;
    bool is_dirty;
    uint8_t *value; /* Owned; for one row, as the key. */
    size_t value_room;
    uint8_t *key;
    size_t key_room;
    struct batch_builder_header *headers; /* Owned; of a late record. */
    int32_t header_room;
};

/* ---- helpers ---- */

static const struct wire_bytes null_bytes = {NULL, -1};

/* A header whose value is a number in ASCII, in `room`. */
static void set_number(struct batch_builder_header *header, const char *key, int64_t number,
                       char room[static NUMBER_BYTES])
{
    int length = snprintf(room, NUMBER_BYTES, "%lld", (long long)number);
    check(length > 0);
    check((size_t)length < NUMBER_BYTES);
    *header = (struct batch_builder_header){.key = wire_text_of(key),
                                            .value = {(const uint8_t *)room, length}};
}

static enum status send_record(struct sink *self, enum commit_epoch_part part, const char *topic,
                               struct producer_record *record)
{
    record->topic = wire_text_of(topic);
    TRY(commit_epoch_send(&self->commit, part, record));
    self->is_dirty = true;
    return STATUS_OK;
}

static enum status grow(uint8_t **bytes, size_t *room)
{
    const size_t room_max = COMMIT_EPOCH_RECORD_BYTES_MAX;
    if (*room >= room_max) {
        return STATUS_INVALID; /* A row that is too large. */
    }
    size_t wanted = *room == 0 ? ROOM_FIRST : *room * 2;
    wanted = wanted < room_max ? wanted : room_max;
    uint8_t *grown = realloc(*bytes, wanted);
    if (grown == NULL) {
        return STATUS_NO_MEMORY;
    }
    *bytes = grown;
    *room = wanted;
    return STATUS_OK;
}

/* ---- rows ---- */

static enum status write_value(struct sink *self, const struct row_batch *rows, uint32_t row,
                               struct wire_bytes *out_value)
{
    for (;;) {
        size_t byte_count = 0;
        enum status status = STATUS_FULL;
        if (self->value_room > 0) {
            status = json_row_write(rows->columns, self->options.column_names, rows->column_count,
                                    row, self->value, self->value_room, &byte_count);
        }
        if (status == STATUS_OK) {
            *out_value = (struct wire_bytes){self->value, (int32_t)byte_count};
        }
        if (status != STATUS_FULL) {
            return status;
        }
        TRY(grow(&self->value, &self->value_room));
    }
}

static enum status write_key(struct sink *self, const struct row_batch *rows, uint32_t row,
                             struct wire_bytes *out_key)
{
    if (rows->origin != NULL) {
        *out_key = rows->origin->keys[row];
        return STATUS_OK;
    }
    for (;;) {
        size_t byte_count = 0;
        enum status status = STATUS_FULL;
        if (self->key_room > 0) {
            status = json_array_write(rows->key_columns, rows->key_column_count, row, self->key,
                                      self->key_room, &byte_count);
        }
        if (status == STATUS_OK) {
            *out_key = (struct wire_bytes){self->key, (int32_t)byte_count};
        }
        if (status != STATUS_FULL) {
            return status;
        }
        TRY(grow(&self->key, &self->key_room));
    }
}

struct row_times {
    int64_t created_ms; /* -1: not known, as the next. */
    int64_t ingested_ms;
    int64_t record_ms;
};

static struct row_times times_of(const struct row_batch *rows, uint32_t row)
{
    if (rows->origin != NULL) {
        return (struct row_times){.created_ms = rows->origin->created_ms[row],
                                  .ingested_ms = rows->origin->ingested_ms[row],
                                  .record_ms = rows->origin->created_ms[row]};
    }
    return (struct row_times){
        .created_ms = rows->created_max_ms == NULL ? -1 : rows->created_max_ms[row],
        .ingested_ms = rows->ingested_max_ms == NULL ? -1 : rows->ingested_max_ms[row],
        .record_ms = rows->record_time_ms == NULL ? -1 : rows->record_time_ms[row]};
}

static enum status add_row(struct sink *self, const struct row_batch *rows, uint32_t row)
{
    uint8_t kind = rows->kinds == NULL ? (uint8_t)ROW_INSERT : rows->kinds[row];
    if (kind == ROW_UPDATE_BEFORE) {
        return STATUS_OK;
    }
    struct row_times times = times_of(rows, row);
    struct batch_builder_header headers[OWN_HEADERS];
    char numbers[OWN_HEADERS][NUMBER_BYTES];
    int32_t header_count = 0;
    if (times.created_ms >= 0) {
        set_number(&headers[header_count], "millrace.created", times.created_ms,
                   numbers[header_count]);
        header_count += 1;
    }
    if (times.ingested_ms >= 0) {
        set_number(&headers[header_count], "millrace.ingested", times.ingested_ms,
                   numbers[header_count]);
        header_count += 1;
    }
    set_number(&headers[header_count], "millrace.processed", self->now_ms, numbers[header_count]);
    header_count += 1;
    /* Brokers take no time before 1970, but that a record has none. */
    int64_t record_ms = times.record_ms < 0 ? -1 : times.record_ms;
    struct producer_record record = {.partition = -1,
                                     .record = {.timestamp_ms = record_ms,
                                                .value = null_bytes,
                                                .headers = headers,
                                                .header_count = header_count}};
    TRY(write_key(self, rows, row, &record.record.key));
    if (kind != ROW_DELETE) {
        TRY(write_value(self, rows, row, &record.record.value));
    }
    return send_record(self, COMMIT_EPOCH_OUTPUT, self->options.topic, &record);
}

enum status sink_add_rows(struct sink *self, const struct row_batch *rows)
{
    check(self->magic == SINK_MAGIC);
    check(self->options.topic != NULL);
    if (rows->column_count != self->options.column_count) {
        return STATUS_INVALID;
    }
    for (uint32_t i = 0; i < rows->row_count; i++) {
        TRY(add_row(self, rows, i));
    }
    return STATUS_OK;
}

/* ---- late rows ---- */

static enum status reserve_headers(struct sink *self, int32_t count)
{
    if (count <= self->header_room) {
        return STATUS_OK;
    }
    struct batch_builder_header *grown =
        realloc(self->headers, (size_t)count * sizeof *self->headers);
    if (grown == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->headers = grown;
    self->header_room = count;
    return STATUS_OK;
}

enum status sink_add_late(struct sink *self, const struct late_row *late)
{
    check(self->magic == SINK_MAGIC);
    if (self->options.late_topic == NULL) {
        return STATUS_OK;
    }
    struct record whole = {.headers = late->headers,
                           .headers_end = late->headers_end,
                           .header_count = late->header_count};
    /* A header has two bytes at least, so there is room for what the record can really have. */
    int64_t byte_count = late->headers == NULL ? 0 : late->headers_end - late->headers;
    int32_t count_max = late->header_count < 0 ? 0 : late->header_count;
    if (count_max > byte_count / 2 || byte_count > (int64_t)COMMIT_EPOCH_RECORD_BYTES_MAX) {
        return STATUS_INVALID;
    }
    TRY(reserve_headers(self, count_max + OWN_HEADERS));
    int32_t count = 0;
    struct record_header header;
    record_header_init(&header, &whole);
    while (count < count_max && record_header_next(&header)) {
        self->headers[count++] =
            (struct batch_builder_header){.key = header.key, .value = header.value};
    }
    char numbers[2][NUMBER_BYTES];
    struct wire_text reason = wire_text_of(late->reason);
    self->headers[count++] =
        (struct batch_builder_header){.key = wire_text_of("millrace.reason"),
                                      .value = {(const uint8_t *)reason.bytes, reason.byte_count}};
    set_number(&self->headers[count++], "millrace.partition", late->partition, numbers[0]);
    set_number(&self->headers[count++], "millrace.offset", late->offset, numbers[1]);
    struct producer_record record = {.partition = -1,
                                     .record = {.timestamp_ms = late->timestamp_ms,
                                                .key = late->key,
                                                .value = late->value,
                                                .headers = self->headers,
                                                .header_count = count}};
    return send_record(self, COMMIT_EPOCH_OUTPUT, self->options.late_topic, &record);
}

/* ---- the inside ---- */

enum status sink_add_route(struct sink *self, uint32_t partition, struct wire_bytes value)
{
    check(self->magic == SINK_MAGIC);
    check(self->options.route_topic != NULL);
    struct producer_record record = {
        .partition = (int32_t)partition,
        .record = {.timestamp_ms = self->now_ms, .key = null_bytes, .value = value}};
    return send_record(self, COMMIT_EPOCH_OUTPUT, self->options.route_topic, &record);
}

enum status sink_add_change(struct sink *self, uint32_t partition, struct wire_bytes key,
                            struct wire_bytes value)
{
    check(self->magic == SINK_MAGIC);
    check(self->options.changelog_topic != NULL);
    struct producer_record record = {
        .partition = (int32_t)partition,
        .record = {.timestamp_ms = self->now_ms, .key = key, .value = value}};
    return send_record(self, COMMIT_EPOCH_CHANGES, self->options.changelog_topic, &record);
}

void sink_note_next_change(struct sink *self, int32_t partition)
{
    commit_epoch_note_next_change(&self->commit, partition);
}

int64_t sink_noted_offset(const struct sink *self)
{
    return commit_epoch_noted_offset(&self->commit);
}

bool sink_is_noting(const struct sink *self)
{
    return commit_epoch_is_noting(&self->commit);
}

int64_t sink_progress_offset(const struct sink *self)
{
    return commit_epoch_progress_offset(&self->commit);
}

bool sink_is_dirty(const struct sink *self)
{
    return self->is_dirty;
}

bool sink_is_half_full(const struct sink *self)
{
    return commit_epoch_pending_bytes(&self->commit) > self->options.commit.buffer_bytes_max / 2;
}

static enum status commit_on_progress_due(void *context)
{
    struct sink *self = context;
    check(self->magic == SINK_MAGIC);
    static const uint8_t key[] = "progress";
    struct wire_bytes value = null_bytes;
    TRY(self->options.on_progress_due(self->options.context, &value));
    struct producer_record record = {.partition = self->options.progress_partition,
                                     .record = {.timestamp_ms = self->now_ms,
                                                .key = {key, (int32_t)sizeof key - 1},
                                                .value = value}};
    return send_record(self, COMMIT_EPOCH_PROGRESS, self->options.progress_topic, &record);
}

/* ---- life ---- */

void sink_begin_epoch(struct sink *self, int64_t now_ms)
{
    check(self->magic == SINK_MAGIC);
    self->now_ms = now_ms;
    self->is_dirty = false;
}

void sink_end_epoch(struct sink *self)
{
    check(self->magic == SINK_MAGIC);
    commit_epoch_end(&self->commit);
}

void sink_start(struct sink *self)
{
    check(self->magic == SINK_MAGIC);
    commit_epoch_start(&self->commit);
}

void sink_claim(struct sink *self, struct commit_epoch_claim *claims, uint32_t claim_count)
{
    check(self->magic == SINK_MAGIC);
    commit_epoch_claim(&self->commit, claims, claim_count);
}

static void pass_on_claimed(void *context)
{
    struct sink *self = context;
    self->options.commit.on_claimed(self->options.context);
}

static void pass_on_started(void *context, const struct commit_epoch_outcome *outcome)
{
    struct sink *self = context;
    self->options.commit.on_started(self->options.context, outcome);
}

static void pass_on_committed(void *context, const struct commit_epoch_outcome *outcome)
{
    struct sink *self = context;
    self->options.commit.on_committed(self->options.context, outcome);
}

static void pass_on_failed(void *context, const struct commit_epoch_outcome *outcome)
{
    struct sink *self = context;
    self->options.commit.on_failed(self->options.context, outcome);
}

static void pass_on_part(void *context, enum commit_epoch_part part)
{
    struct sink *self = context;
    self->options.commit.on_part(self->options.context, part);
}

static void pass_on_end_sent(void *context)
{
    struct sink *self = context;
    self->options.commit.on_end_sent(self->options.context);
}

static void commit_on_closed(void *context)
{
    struct sink *self = context;
    check(self->magic == SINK_MAGIC);
    struct sink_options options = self->options;
    free(self->value);
    free(self->key);
    free(self->headers);
    self->magic = 0;
    free(self);
    options.on_closed(options.context);
}

enum status sink_open(const struct sink_options *options, struct sink **out_sink)
{
    struct sink *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->magic = SINK_MAGIC;
    self->options = *options;
    struct commit_epoch_options commit = options->commit;
    bool is_heard = options->commit.on_part != NULL;
    commit.on_started = pass_on_started;
    commit.on_claimed = options->commit.on_claimed != NULL ? pass_on_claimed : NULL;
    commit.on_progress_due = commit_on_progress_due;
    commit.on_committed = pass_on_committed;
    commit.on_failed = pass_on_failed;
    commit.on_part = is_heard ? pass_on_part : NULL;
    commit.on_end_sent = is_heard ? pass_on_end_sent : NULL;
    commit.on_closed = commit_on_closed;
    commit.context = self;
    commit_epoch_init(&self->commit, &commit);
    *out_sink = self;
    return STATUS_OK;
}

void sink_close(struct sink *self)
{
    check(self->magic == SINK_MAGIC);
    commit_epoch_close(&self->commit);
}
