#include "broker/api/request.h"

#include "broker/api/dispatch.h"
#include "proto/sys/check.h"

#include <stdlib.h>

#define REQUEST_MAGIC 0x4e90e575U
#define FREE_REQUESTS_MAX 256U

/* First word of the answer to a forwarded request; 0: the client's answer follows. */
#define FORWARD_ANSWERED 0
#define FORWARD_REFUSED 1

static struct request *take_free(struct api_shard *shard)
{
    struct list *link = list_take_first(&shard->free_requests);
    if (link != NULL) {
        shard->free_request_count -= 1;
        return container_of(link, struct request, link);
    }
    struct request *self = calloc(1, sizeof *self);
    if (self != NULL) {
        arena_init(&self->arena, REQUEST_ARENA_BYTES_MAX);
        list_init(&self->link);
    }
    return self;
}

void request_enter_shard(struct api_shard *shard)
{
    shard->active_request_count += 1;
}

void request_leave_shard(struct api_shard *shard)
{
    check(shard->active_request_count > 0);
    shard->active_request_count -= 1;
    if (shard->active_request_count == 0 && shard->on_idle != NULL) {
        shard->on_idle(shard);
    }
}

void request_done(struct request *self)
{
    check(self->magic == REQUEST_MAGIC);
    struct api_shard *shard = self->shard;
    if (self->frame != NULL) {
        frame_unref(self->frame);
    }
    self->magic = 0;
    if (shard->free_request_count >= FREE_REQUESTS_MAX) {
        arena_done(&self->arena);
        free(self);
    } else {
        arena_reset(&self->arena);
        list_append(&shard->free_requests, &self->link);
        shard->free_request_count += 1;
    }
    request_leave_shard(shard);
}

static void fill_context(struct request *self)
{
    self->context = (struct access_context){.listener = self->shard->node->listener_name,
                                            .principal = "User:ANONYMOUS",
                                            .client_id = self->header.client_id,
                                            .api_key = self->header.request_api_key,
                                            .api_version = self->header.request_api_version,
                                            .deadline_ns = INT64_MAX,
                                            .byte_budget = REQUEST_ARENA_BYTES_MAX};
}

enum status request_new(struct api_shard *shard, struct frame *frame, struct ticket *ticket,
                        struct request **out_self)
{
    struct wire_reader reader;
    wire_reader_init(&reader, frame->bytes, frame->byte_count);
    struct kafka_request_header header;
    TRY(request_header_decode(&reader, &header));

    struct request *self = take_free(shard);
    if (self == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->magic = REQUEST_MAGIC;
    self->shard = shard;
    self->ticket = ticket;
    self->frame = frame;
    self->header = header;
    request_enter_shard(shard);
    self->received_ns = loop_now_ns(shard->loop);
    self->body = reader;
    self->state = NULL;
    self->on_sent = NULL;
    self->is_forwarded = false;
    fill_context(self);
    *out_self = self;
    return STATUS_OK;
}
void request_begin_answer(struct request *self)
{
    check(self->magic == REQUEST_MAGIC);
    wire_writer_init(&self->writer, &self->arena);
    if (self->is_forwarded) {
        request_header_encode_response(&self->forward_header, &self->writer);
        wire_write_int16(&self->writer, FORWARD_ANSWERED);
    }
    request_header_encode_response(&self->header, &self->writer);
}

enum status request_unwrap(struct request *self)
{
    check(self->magic == REQUEST_MAGIC);
    check(!self->is_forwarded);
    struct kafka_request_header inner;
    TRY(request_header_decode(&self->body, &inner));
    self->forward_header = self->header;
    self->header = inner;
    self->is_forwarded = true;
    fill_context(self);
    return STATUS_OK;
}

void request_refuse_forwarded(struct request *self)
{
    check(self->is_forwarded);
    wire_writer_init(&self->writer, &self->arena);
    request_header_encode_response(&self->forward_header, &self->writer);
    wire_write_int16(&self->writer, FORWARD_REFUSED);
    request_send(self);
}

void request_send_raw(struct request *self, const void *bytes, size_t byte_count)
{
    wire_writer_init(&self->writer, &self->arena);
    wire_write_reference(&self->writer, bytes, byte_count);
    request_send(self);
}

static void end(struct request *self)
{
    if (self->on_sent != NULL) {
        self->on_sent(self);
    } else {
        request_done(self);
    }
}

uint8_t *request_bytes_at(struct request *self, const void *bytes)
{
    check(self->magic == REQUEST_MAGIC);
    check(self->frame != NULL);
    const uint8_t *place = bytes;
    check(place >= self->frame->bytes && place < self->frame->bytes + self->frame->byte_count);
    return self->frame->bytes + (place - self->frame->bytes);
}

bool request_keep_text(struct request *self, struct wire_text *text)
{
    check(self->magic == REQUEST_MAGIC);
    if (text->byte_count <= 0) {
        return true;
    }
    const char *copy = arena_copy_text(&self->arena, text->bytes, (size_t)text->byte_count);
    if (copy == NULL) {
        return false;
    }
    text->bytes = copy;
    return true;
}

void request_release_frame(struct request *self)
{
    check(self->magic == REQUEST_MAGIC);
    if (!request_keep_text(self, &self->header.client_id) ||
        (self->is_forwarded && !request_keep_text(self, &self->forward_header.client_id))) {
        return; /* Then it is kept until the answer has left. */
    }
    self->context.client_id = self->header.client_id;
    frame_unref(self->frame);
    self->frame = NULL;
}

static void send_on_sent(struct answer *answer)
{
    struct request *self = container_of(answer, struct request, answer);
    check(self->magic == REQUEST_MAGIC);
    end(self);
}

void request_send(struct request *self)
{
    check(self->magic == REQUEST_MAGIC);
    enum status status = wire_writer_status(&self->writer);
    if (status != STATUS_OK) {
        trace_line(self->shard->loop->trace, TRACE_ERROR, "api", "answer_not_encodable",
                   "api_key=%d api_version=%d reason=\"%s\" action=close", self->context.api_key,
                   self->context.api_version, status_text(status));
        request_close(self, "its answer cannot be encoded");
        return;
    }
    self->answer = (struct answer){.slices = self->writer.slices,
                                   .slice_count = self->writer.slice_count,
                                   .on_sent = send_on_sent};
    connection_answer(self->ticket, &self->answer);
}

void request_drop(struct request *self)
{
    check(self->magic == REQUEST_MAGIC);
    connection_forget(self->ticket);
    end(self);
}

void request_close(struct request *self, const char *why)
{
    check(self->magic == REQUEST_MAGIC);
    struct connection *connection = connection_of(self->ticket);
    if (connection != NULL) {
        connection_close(connection, why);
    }
    request_drop(self);
}

bool request_body_is_whole(struct request *self, enum status decoded)
{
    if (decoded == STATUS_OK && wire_reader_left(&self->body) == 0) {
        return true;
    }
    request_close(self, decoded != STATUS_OK ? "its request body is malformed"
                                             : "bytes follow its request body");
    return false;
}

void request_free_all(struct api_shard *shard)
{
    struct list *link;
    while ((link = list_take_first(&shard->free_requests)) != NULL) {
        struct request *self = container_of(link, struct request, link);
        arena_done(&self->arena);
        free(self);
    }
    shard->free_request_count = 0;
}
