#include "broker/api/request.h"

#include "broker/api/dispatch.h"
#include "proto/sys/check.h"

#include <stdlib.h>

#define REQUEST_MAGIC 0x4e90e575U
#define FREE_REQUESTS_MAX 256U

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

void request_done(struct request *self)
{
    check(self->magic == REQUEST_MAGIC);
    struct api_shard *shard = self->shard;
    frame_unref(self->frame);
    self->magic = 0;
    if (shard->free_request_count >= FREE_REQUESTS_MAX) {
        arena_done(&self->arena);
        free(self);
        return;
    }
    arena_reset(&self->arena);
    list_append(&shard->free_requests, &self->link);
    shard->free_request_count += 1;
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
    self->received_ns = loop_now_ns(shard->loop);
    self->body = reader;
    self->state = NULL;
    self->on_sent = NULL;
    self->context = (struct access_context){.listener = shard->node->listener_name,
                                            .principal = "User:ANONYMOUS",
                                            .client_id = header.client_id,
                                            .api_key = header.request_api_key,
                                            .api_version = header.request_api_version,
                                            .deadline_ns = INT64_MAX,
                                            .byte_budget = REQUEST_ARENA_BYTES_MAX};
    *out_self = self;
    return STATUS_OK;
}

void request_begin_answer(struct request *self)
{
    check(self->magic == REQUEST_MAGIC);
    wire_writer_init(&self->writer, &self->arena);
    request_header_encode_response(&self->header, &self->writer);
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
    const uint8_t *place = bytes;
    check(place >= self->frame->bytes && place < self->frame->bytes + self->frame->byte_count);
    return self->frame->bytes + (place - self->frame->bytes);
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
