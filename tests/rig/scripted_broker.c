#include "tests/rig/scripted_broker.h"

#include "proto/kafka/api_key.h"
#include "proto/kafka/api_versions.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

#define ANSWER_BYTES_MAX ((size_t)64 << 20)

struct answer_write {
    struct socket_write write;
    struct socket_buffer buffer;
    uint8_t bytes[];
};

static void write_on_done(struct socket_write *write, enum status status)
{
    status_ignore(status, "a broken connection is the client's to notice");
    free(container_of(write, struct answer_write, write));
}

void scripted_raw(struct scripted_connection *connection, const void *bytes, size_t byte_count)
{
    if (!connection->is_open) {
        return;
    }
    struct answer_write *answer = calloc(1, sizeof *answer + byte_count);
    check(answer != NULL);
    memcpy(answer->bytes, bytes, byte_count);
    answer->buffer = (struct socket_buffer){.base = answer->bytes, .byte_count = byte_count};
    answer->write = (struct socket_write){
        .buffers = &answer->buffer, .buffer_count = 1, .on_done = write_on_done};
    socket_write(&connection->socket, &answer->write);
}

void scripted_answer(const struct scripted_request *request, scripted_encode *encode,
                     const void *message)
{
    struct arena arena;
    arena_init(&arena, ANSWER_BYTES_MAX);
    struct wire_writer writer;
    wire_writer_init(&writer, &arena);
    struct wire_mark mark = wire_write_mark(&writer);
    request_header_encode_response(&request->header, &writer);
    encode(message, request->header.request_api_version, &writer);
    wire_mark_set_length(&writer, mark);
    check(wire_writer_status(&writer) == STATUS_OK);
    size_t byte_count = 0;
    const uint8_t *bytes = wire_writer_flatten(&writer, &byte_count);
    check(bytes != NULL);
    scripted_raw(request->connection, bytes, byte_count);
    arena_done(&arena);
}

static void answer_versions(struct scripted_broker *self, struct scripted_request *request)
{
    struct kafka_api_versions_response answer;
    kafka_api_versions_response_defaults(&answer);
    struct kafka_api_versions_response_api_version keys[64];
    check(self->range_count <= 64);
    for (uint32_t i = 0; i < self->range_count; i++) {
        kafka_api_versions_response_api_version_defaults(&keys[i]);
        keys[i].api_key = self->ranges[i].api_key;
        keys[i].min_version = self->ranges[i].version_min;
        keys[i].max_version = self->ranges[i].version_max;
    }
    answer.api_keys = keys;
    answer.api_keys_count = (int32_t)self->range_count;
    struct kafka_api_versions_response_supported_feature_key feature;
    kafka_api_versions_response_supported_feature_key_defaults(&feature);
    feature.name = wire_text_of("millrace.version");
    feature.max_version = 1;
    if (self->is_millrace) {
        answer.supported_features = &feature;
        answer.supported_features_count = 1;
    }
    struct kafka_api_versions_response_finalized_feature_key finalized;
    kafka_api_versions_response_finalized_feature_key_defaults(&finalized);
    finalized.name = wire_text_of("transaction.version");
    finalized.max_version_level = self->txn_level;
    if (self->txn_level > 0) {
        answer.finalized_features = &finalized;
        answer.finalized_features_count = 1;
        answer.finalized_features_epoch = 1;
    }
    if (self->refuses_new_versions && request->header.request_api_version > 0) {
        answer.error_code = ERROR_CODE_UNSUPPORTED_VERSION;
        request->header.request_api_version = 0;
    }
    scripted_answer(request, SCRIPTED_ENCODE(kafka_api_versions_response_encode), &answer);
}

static struct scripted_connection *connection_of(struct socket *socket)
{
    return container_of(socket, struct scripted_connection, socket);
}

static void on_room(struct socket *socket, uint8_t **out_base, size_t *out_byte_count)
{
    struct scripted_connection *self = connection_of(socket);
    *out_base = self->bytes + self->byte_count;
    *out_byte_count = SCRIPTED_REQUEST_BYTES_MAX - self->byte_count;
}

static void take_frame(struct scripted_connection *self, const uint8_t *frame, size_t byte_count)
{
    struct wire_reader reader;
    wire_reader_init(&reader, frame, byte_count);
    struct scripted_request request = {.connection = self, .body = &reader};
    check(request_header_decode(&reader, &request.header) == STATUS_OK);
    self->request_count += 1;
    if (request.header.request_api_key == API_KEY_API_VERSIONS) {
        answer_versions(self->broker, &request);
        return;
    }
    check(self->broker->handler != NULL);
    self->broker->handler(self->broker, &request);
}

static void on_read(struct socket *socket, size_t byte_count)
{
    struct scripted_connection *self = connection_of(socket);
    self->byte_count += byte_count;
    while (self->is_open && self->byte_count >= 4) {
        struct wire_reader reader;
        wire_reader_init(&reader, self->bytes, self->byte_count);
        size_t frame_bytes = (size_t)wire_read_int32(&reader);
        check(frame_bytes <= SCRIPTED_REQUEST_BYTES_MAX - 4);
        if (self->byte_count < 4 + frame_bytes) {
            return;
        }
        take_frame(self, self->bytes + 4, frame_bytes);
        self->byte_count -= 4 + frame_bytes;
        memmove(self->bytes, self->bytes + 4 + frame_bytes, self->byte_count);
    }
}

static void connection_break(struct scripted_connection *self)
{
    if (self->is_open) {
        self->is_open = false;
        socket_close(&self->socket);
    }
}

static void on_end(struct socket *socket, enum status why)
{
    status_ignore(why, "any end is an end");
    connection_break(connection_of(socket));
}

static void on_closed(struct socket *socket)
{
    struct scripted_connection *self = connection_of(socket);
    free(self->bytes);
    self->bytes = NULL;
}

static const struct socket_events connection_events = {
    .on_room = on_room, .on_read = on_read, .on_end = on_end, .on_closed = on_closed};

static void on_accept(void *context, struct socket_token token)
{
    struct scripted_broker *self = context;
    check(self->connection_count < SCRIPTED_CONNECTIONS_MAX);
    struct scripted_connection *connection = &self->connections[self->connection_count++];
    *connection = (struct scripted_connection){.broker = self, .is_open = true};
    connection->bytes = malloc(SCRIPTED_REQUEST_BYTES_MAX);
    check(connection->bytes != NULL);
    check(socket_adopt(self->loop->sockets, &connection->socket, token, &connection_events) ==
          STATUS_OK);
    socket_read_start(&connection->socket);
}

void scripted_broker_start(struct scripted_broker *self, struct loop *loop, uint16_t port)
{
    self->loop = loop;
    struct address address = {.host = "0.0.0.0", .port = port};
    check(socket_listen(loop->sockets, &address, on_accept, self, &self->listener) == STATUS_OK);
    self->port = socket_listener_port(loop->sockets, self->listener);
}

void scripted_broker_break(struct scripted_broker *self)
{
    for (uint32_t i = 0; i < self->connection_count; i++) {
        connection_break(&self->connections[i]);
    }
}

void scripted_broker_stop(struct scripted_broker *self)
{
    socket_listener_close(self->loop->sockets, self->listener);
    self->listener = NULL;
    scripted_broker_break(self);
}
