#include "client/millrace/received_batch.h"

#include "proto/sys/check.h"

#include <stdlib.h>

/* Makes room for one more element of `size` bytes. */
static bool reserve(void **elements, size_t *room, size_t count, size_t size)
{
    if (count < *room) {
        return true;
    }
    size_t wanted = *room == 0 ? 64 : *room * 2;
    void *grown = realloc(*elements, wanted * size);
    if (grown == NULL) {
        return false;
    }
    *elements = grown;
    *room = wanted;
    return true;
}

static struct millrace_bytes bytes_of(struct wire_bytes bytes)
{
    static const char nothing[1];
    if (bytes.byte_count < 0) {
        return (struct millrace_bytes){NULL, 0};
    }
    const void *data = bytes.byte_count == 0 ? (const void *)nothing : bytes.bytes;
    return (struct millrace_bytes){data, (size_t)bytes.byte_count};
}

static enum status add_headers(struct millrace_batch *self, const struct record *record)
{
    struct record_header header;
    record_header_init(&header, record);
    while (record_header_next(&header)) {
        void *elements = self->headers;
        bool has_room =
            reserve(&elements, &self->header_room, self->header_count, sizeof *self->headers);
        self->headers = elements;
        if (!has_room) {
            return STATUS_NO_MEMORY;
        }
        struct wire_bytes key = {(const uint8_t *)header.key.bytes, header.key.byte_count};
        self->headers[self->header_count++] =
            (struct millrace_header){bytes_of(key), bytes_of(header.value)};
    }
    return STATUS_OK;
}

static enum status add_record(struct millrace_batch *self, const struct fetch_walk *walk,
                              const struct record *record)
{
    void *elements = self->records;
    bool has_room =
        reserve(&elements, &self->record_room, self->record_count, sizeof *self->records);
    self->records = elements;
    if (!has_room) {
        return STATUS_NO_MEMORY;
    }
    size_t header_count = self->header_count;
    TRY(add_headers(self, record));
    self->records[self->record_count++] =
        (struct millrace_received){.topic = {self->topic, self->topic_bytes},
                                   .partition = self->partition,
                                   .leader_epoch = batch_leader_epoch(&walk->batch),
                                   .offset = record->offset,
                                   .timestamp_ms = record->timestamp_ms,
                                   .ingested_ms = walk->ingested_ms,
                                   .key = bytes_of(record->key),
                                   .value = bytes_of(record->value),
                                   .header_count = self->header_count - header_count};
    return STATUS_OK;
}

static struct decompressor_output *add_output(struct millrace_batch *self)
{
    void *elements = self->outputs;
    bool has_room =
        reserve(&elements, &self->output_room, self->output_count, sizeof *self->outputs);
    self->outputs = elements;
    if (!has_room) {
        return NULL;
    }
    struct decompressor_output *output = &self->outputs[self->output_count++];
    decompressor_output_init(output, NULL, RECEIVED_BATCH_BYTES_MAX);
    return output;
}

/* The records of one batch, all or none. */
static enum status add_batch(struct millrace_batch *self, struct fetch_walk *walk)
{
    size_t record_count = self->record_count;
    size_t header_count = self->header_count;
    struct record record;
    enum status status;
    while ((status = fetch_walk_record(walk, &record)) == STATUS_OK) {
        status = add_record(self, walk, &record);
        if (status != STATUS_OK) {
            break;
        }
    }
    if (status != STATUS_NOT_FOUND) {
        self->record_count = record_count;
        self->header_count = header_count;
        return status;
    }
    return STATUS_OK;
}

static enum status walk_all(struct millrace_batch *self, struct consumer_fetched *fetched,
                            struct decompressor *decompressor)
{
    struct fetch_walk walk;
    fetch_walk_init(&walk, &fetched->source);
    self->next_offset = walk.next_offset;
    for (;;) {
        struct decompressor_output *output = add_output(self);
        if (output == NULL) {
            return STATUS_NO_MEMORY;
        }
        enum status status = fetch_walk_batch(&walk, decompressor, output);
        if (status == STATUS_OK) {
            status = add_batch(self, &walk);
        } else {
            /* What was passed over on the way to the failure or the end counts as read. */
            self->next_offset = walk.next_offset;
        }
        if (status != STATUS_OK) {
            return status == STATUS_NOT_FOUND ? STATUS_OK : status;
        }
        self->next_offset = walk.next_offset;
        if (output->bytes == NULL) {
            self->output_count -= 1; /* It was not compressed. */
        }
    }
}

static void set_headers(struct millrace_batch *self)
{
    const struct millrace_header *next = self->headers;
    for (size_t i = 0; i < self->record_count; i++) {
        self->records[i].headers = next;
        next += self->records[i].header_count;
    }
    check(next == self->headers + self->header_count);
}

enum status received_batch_open(struct consumer_fetched *fetched, struct decompressor *decompressor,
                                struct millrace_batch **out_batch)
{
    struct millrace_batch *self = calloc(1, sizeof *self);
    char *topic = malloc((size_t)fetched->topic_bytes + 1);
    if (self == NULL || topic == NULL) {
        free(self);
        free(topic);
        return STATUS_NO_MEMORY;
    }
    memcpy(topic, fetched->topic, (size_t)fetched->topic_bytes + 1);
    self->topic = topic;
    self->topic_bytes = (size_t)fetched->topic_bytes;
    self->partition = fetched->index;
    self->memory = fetched->memory;
    fetched->memory = NULL;
    fetched->fault = walk_all(self, fetched, decompressor);
    fetched->next_offset = self->next_offset;
    set_headers(self);
    *out_batch = self;
    return STATUS_OK;
}

void millrace_batch_free(struct millrace_batch *self)
{
    if (self == NULL) {
        return;
    }
    for (size_t i = 0; i < self->output_count; i++) {
        decompressor_output_done(&self->outputs[i]);
    }
    fetch_answer_unref(self->memory);
    free(self->outputs);
    free(self->headers);
    free(self->records);
    free(self->topic);
    free(self);
}

size_t millrace_batch_count(const struct millrace_batch *self)
{
    return self->record_count;
}

const struct millrace_received *millrace_batch_record(const struct millrace_batch *self,
                                                      size_t index)
{
    check(index < self->record_count);
    return &self->records[index];
}

struct millrace_bytes millrace_batch_topic(const struct millrace_batch *self)
{
    return (struct millrace_bytes){self->topic, self->topic_bytes};
}

int32_t millrace_batch_partition(const struct millrace_batch *self)
{
    return self->partition;
}

int64_t millrace_batch_next_offset(const struct millrace_batch *self)
{
    return self->next_offset;
}
