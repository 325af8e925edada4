#include "client/link.h"

#include "proto/kafka/api_key.h"
#include "proto/kafka/api_versions.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/request_header.h"
#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

#define LINK_MAGIC 0x11111a2bU
#define FRAME_BYTES_MAX_DEFAULT (128U << 20)
#define IN_FLIGHT_MAX_DEFAULT 64U
#define WAITING_MAX_DEFAULT 1024U
#define NEGOTIATION_TIMEOUT_MS 10000
#define ANSWER_FIRST_BYTES 4096U
#define HEADER_ARENA_BYTES 8192U
#define CLIENT_ID_BYTES 256U
#define API_VERSIONS_VERSION 3

enum link_state { LINK_CONNECTING, LINK_NEGOTIATING, LINK_OPEN, LINK_CLOSING };

struct link {
    uint32_t magic;
    enum link_state state;
    struct link_options options;
    char client_id[CLIENT_ID_BYTES];
    struct socket socket;
    enum status why; /* It closed. */
    int32_t next_correlation_id;

    struct list waiting; /* Not written yet. */
    uint32_t waiting_count;
    struct list in_flight; /* In the order of their answers. */
    uint32_t in_flight_count;
    struct list ending; /* Answered or broken, but the socket still holds their bytes. */

    /* The answer that is being read: */
    uint8_t prefix[4];
    uint32_t prefix_count;
    uint32_t frame_bytes;
    uint8_t *frame; /* Owned. */
    size_t frame_capacity;
    size_t frame_count;

    struct arena arena; /* What the broker said about itself. */
    struct kafka_api_versions_response versions;
    uint8_t *versions_answer; /* Owned. The texts of `versions` point into it. */
    struct link_call negotiation;
    struct wire_slice negotiation_body;
    uint8_t negotiation_bytes[64];
    bool is_old_broker; /* Refused our version of ApiVersions: asked again in version 0. */
};

static void finish(struct link_call *call)
{
    free(call->header);
    free(call->buffers);
    call->header = NULL;
    call->buffers = NULL;
    call->on_done(call, call->end);
}

/* A call ends when its end is known and the socket has let go of its bytes. */
static void end_call(struct link *self, struct link_call *call, enum status end)
{
    list_remove(&call->in_line);
    timer_done(&call->deadline);
    call->end = end;
    call->is_answered = true;
    if (call->is_sent && !call->is_written) {
        list_append(&self->ending, &call->in_line);
        return;
    }
    finish(call);
}

static void break_link(struct link *self, enum status why)
{
    check(self->magic == LINK_MAGIC);
    if (self->state == LINK_CLOSING) {
        return;
    }
    self->state = LINK_CLOSING;
    self->why = why;
    socket_close(&self->socket);
}

static void on_socket_closed(struct socket *socket)
{
    struct link *self = container_of(socket, struct link, socket);
    check(self->magic == LINK_MAGIC);
    self->state = LINK_CLOSING;
    struct list *link;
    while ((link = list_take_first(&self->in_flight)) != NULL) {
        struct link_call *call = container_of(link, struct link_call, in_line);
        end_call(self, call, call->end == STATUS_TIMEOUT ? STATUS_TIMEOUT : STATUS_UNKNOWN);
    }
    while ((link = list_take_first(&self->waiting)) != NULL) {
        end_call(self, container_of(link, struct link_call, in_line), STATUS_CANCELED);
    }
    check(list_is_empty(&self->ending)); /* The socket ends its writes before it is closed. */
    free(self->frame);
    free(self->versions_answer);
    arena_done(&self->arena);
    self->magic = 0;
    self->options.on_closed(self, self->options.context, self->why);
    free(self);
}

/* ---- reading ---- */

static void on_socket_room(struct socket *socket, uint8_t **out_base, size_t *out_byte_count)
{
    struct link *self = container_of(socket, struct link, socket);
    if (self->prefix_count < sizeof self->prefix) {
        *out_base = self->prefix + self->prefix_count;
        *out_byte_count = sizeof self->prefix - self->prefix_count;
        return;
    }
    if (self->frame_count == self->frame_capacity) {
        size_t wanted = self->frame_capacity == 0 ? ANSWER_FIRST_BYTES : self->frame_capacity * 2;
        wanted = wanted < self->frame_bytes ? wanted : self->frame_bytes;
        uint8_t *grown = realloc(self->frame, wanted);
        if (grown == NULL) {
            *out_byte_count = 0;
            break_link(self, STATUS_NO_MEMORY);
            return;
        }
        self->frame = grown;
        self->frame_capacity = wanted;
    }
    *out_base = self->frame + self->frame_count;
    *out_byte_count = self->frame_capacity - self->frame_count;
}

static void take_answer(struct link *self)
{
    struct list *first = self->in_flight.next;
    if (list_is_empty(&self->in_flight)) {
        break_link(self, STATUS_MALFORMED); /* Nobody asked. */
        return;
    }
    struct link_call *call = container_of(first, struct link_call, in_line);
    wire_reader_init(&call->reader, self->frame, self->frame_count);
    struct kafka_request_header header = {.request_api_key = call->api_key,
                                          .request_api_version = call->api_version,
                                          .correlation_id = call->correlation_id};
    if (request_header_decode_response(&call->reader, &header) != STATUS_OK) {
        break_link(self, STATUS_MALFORMED);
        return;
    }
    call->answer = self->frame;
    self->frame = NULL;
    self->frame_capacity = 0;
    self->frame_count = 0;
    self->prefix_count = 0;
    self->in_flight_count -= 1;
    end_call(self, call, STATUS_OK);
}

static void send_waiting(struct link *self);

static void on_socket_read(struct socket *socket, size_t byte_count)
{
    struct link *self = container_of(socket, struct link, socket);
    check(self->magic == LINK_MAGIC);
    if (self->prefix_count < sizeof self->prefix) {
        self->prefix_count += (uint32_t)byte_count;
        if (self->prefix_count < sizeof self->prefix) {
            return;
        }
        struct wire_reader reader;
        wire_reader_init(&reader, self->prefix, sizeof self->prefix);
        int32_t frame_bytes = wire_read_int32(&reader);
        if (frame_bytes < 4 || (size_t)frame_bytes > self->options.frame_bytes_max) {
            break_link(self, STATUS_MALFORMED);
            return;
        }
        self->frame_bytes = (uint32_t)frame_bytes;
        return;
    }
    self->frame_count += byte_count;
    check(self->frame_count <= self->frame_bytes);
    if (self->frame_count == self->frame_bytes) {
        take_answer(self);
        send_waiting(self);
    }
}

static void on_socket_end(struct socket *socket, enum status why)
{
    break_link(container_of(socket, struct link, socket), why);
}

/* ---- writing ---- */

static void write_on_done(struct socket_write *write, enum status status)
{
    struct link_call *call = container_of(write, struct link_call, write);
    call->is_written = true;
    if (status != STATUS_OK) {
        break_link(call->link, STATUS_CLOSED);
    }
    if (call->is_answered) {
        list_remove(&call->in_line);
        finish(call);
    }
}

static void deadline_on_fire(struct timer *timer)
{
    struct link_call *call = container_of(timer, struct link_call, deadline);
    if (!call->is_sent) {
        /* Only this one: what is in front of it may still be answered in time. */
        call->link->waiting_count -= 1;
        end_call(call->link, call, STATUS_CANCELED);
        return;
    }
    call->end = STATUS_TIMEOUT;
    break_link(call->link, STATUS_TIMEOUT);
}

/* Length prefix and header in one piece, the body behind it as it is. */
static enum status frame_call(struct link *self, struct link_call *call)
{
    struct arena arena;
    arena_init(&arena, HEADER_ARENA_BYTES);
    struct wire_writer writer;
    wire_writer_init(&writer, &arena);
    struct kafka_request_header header = {.request_api_key = call->api_key,
                                          .request_api_version = call->api_version,
                                          .correlation_id = call->correlation_id,
                                          .client_id = wire_text_of(self->client_id)};
    size_t body_bytes = 0;
    for (uint32_t i = 0; i < call->body_count; i++) {
        body_bytes += call->body[i].byte_count;
    }
    request_header_encode(&header, &writer);
    size_t header_bytes = 0;
    const uint8_t *bytes = wire_writer_flatten(&writer, &header_bytes);
    enum status status = wire_writer_status(&writer);
    if (status == STATUS_OK && body_bytes + header_bytes > INT32_MAX) {
        status = STATUS_FULL;
    }
    call->header = status == STATUS_OK ? malloc(4 + header_bytes) : NULL;
    call->buffers =
        status == STATUS_OK ? calloc(call->body_count + 1, sizeof *call->buffers) : NULL;
    if (call->header == NULL || call->buffers == NULL) {
        arena_done(&arena);
        return status == STATUS_OK ? STATUS_NO_MEMORY : status;
    }
    uint32_t size = __builtin_bswap32((uint32_t)(header_bytes + body_bytes));
    memcpy(call->header, &size, sizeof size);
    memcpy(call->header + 4, bytes, header_bytes);
    arena_done(&arena);
    call->buffers[0] = (struct socket_buffer){call->header, 4 + header_bytes};
    for (uint32_t i = 0; i < call->body_count; i++) {
        call->buffers[i + 1] = (struct socket_buffer){call->body[i].base, call->body[i].byte_count};
    }
    return STATUS_OK;
}

static void write_call(struct link *self, struct link_call *call)
{
    list_append(&self->in_flight, &call->in_line);
    self->in_flight_count += 1;
    call->is_sent = true;
    call->write = (struct socket_write){
        .buffers = call->buffers, .buffer_count = call->body_count + 1, .on_done = write_on_done};
    socket_write(&self->socket, &call->write);
}

static void send_waiting(struct link *self)
{
    while (self->state == LINK_OPEN && self->in_flight_count < self->options.in_flight_max &&
           !list_is_empty(&self->waiting)) {
        struct list *link = list_take_first(&self->waiting);
        self->waiting_count -= 1;
        write_call(self, container_of(link, struct link_call, in_line));
    }
}

static enum status prepare(struct link *self, struct link_call *call)
{
    check(call->on_done != NULL);
    check(call->timeout_ms > 0);
    call->link = self;
    call->correlation_id = self->next_correlation_id;
    call->is_sent = false;
    call->is_written = false;
    call->is_answered = false;
    call->answer = NULL;
    call->header = NULL;
    call->buffers = NULL;
    call->end = STATUS_OK;
    list_init(&call->in_line);
    enum status status = frame_call(self, call);
    if (status != STATUS_OK) {
        free(call->header);
        free(call->buffers);
        call->header = NULL;
        call->buffers = NULL;
        return status;
    }
    self->next_correlation_id =
        self->next_correlation_id == INT32_MAX ? 0 : self->next_correlation_id + 1;
    timer_init(&call->deadline, &self->options.loop->timers, deadline_on_fire);
    timer_start_after(&call->deadline, call->timeout_ms * CLOCK_NS_PER_MS);
    return STATUS_OK;
}

enum status link_send(struct link *self, struct link_call *call)
{
    check(self->magic == LINK_MAGIC);
    if (self->state == LINK_CLOSING) {
        return STATUS_CLOSED;
    }
    if (self->waiting_count >= self->options.waiting_max) {
        return STATUS_FULL;
    }
    TRY(prepare(self, call));
    list_append(&self->waiting, &call->in_line);
    self->waiting_count += 1;
    send_waiting(self);
    return STATUS_OK;
}

void link_call_done(struct link_call *call)
{
    free(call->answer);
    call->answer = NULL;
}

/* ---- versions ---- */

static void ask_versions(struct link *self, int16_t version);

static void negotiation_on_done(struct link_call *call, enum status status)
{
    struct link *self = container_of(call, struct link, negotiation);
    if (status != STATUS_OK) {
        link_call_done(call);
        return; /* The link is closing already. */
    }
    struct wire_reader peek = call->reader;
    bool is_refused = wire_read_int16(&peek) == ERROR_CODE_UNSUPPORTED_VERSION;
    int16_t version = is_refused ? 0 : call->api_version;
    status =
        kafka_api_versions_response_decode(&call->reader, version, &self->arena, &self->versions);
    free(self->versions_answer);
    self->versions_answer = call->answer;
    call->answer = NULL;
    if (status != STATUS_OK || (is_refused && self->is_old_broker)) {
        break_link(self, status != STATUS_OK ? status : STATUS_UNSUPPORTED);
        return;
    }
    if (!is_refused && self->versions.error_code != ERROR_CODE_NONE) {
        break_link(self, STATUS_UNSUPPORTED);
        return;
    }
    if (is_refused) {
        self->is_old_broker = true;
        ask_versions(self, 0);
        return;
    }
    self->state = LINK_OPEN;
    if (self->options.on_open != NULL) {
        self->options.on_open(self, self->options.context);
    }
    send_waiting(self);
}

static void ask_versions(struct link *self, int16_t version)
{
    struct arena arena;
    arena_init(&arena, HEADER_ARENA_BYTES);
    struct wire_writer writer;
    wire_writer_init(&writer, &arena);
    struct kafka_api_versions_request request;
    kafka_api_versions_request_defaults(&request);
    request.client_software_name = wire_text_of("millrace");
    request.client_software_version = wire_text_of("0.1.0");
    kafka_api_versions_request_encode(&request, version, &writer);
    size_t byte_count = 0;
    const uint8_t *bytes = wire_writer_flatten(&writer, &byte_count);
    check(bytes != NULL || byte_count == 0);
    check(byte_count <= sizeof self->negotiation_bytes);
    if (byte_count > 0) {
        memcpy(self->negotiation_bytes, bytes, byte_count);
    }
    arena_done(&arena);
    self->negotiation_body = (struct wire_slice){self->negotiation_bytes, byte_count};
    self->negotiation = (struct link_call){.api_key = API_KEY_API_VERSIONS,
                                           .api_version = version,
                                           .body = &self->negotiation_body,
                                           .body_count = 1,
                                           .timeout_ms = NEGOTIATION_TIMEOUT_MS,
                                           .on_done = negotiation_on_done};
    if (prepare(self, &self->negotiation) != STATUS_OK) {
        break_link(self, STATUS_NO_MEMORY);
        return;
    }
    write_call(self, &self->negotiation);
}

static void on_socket_connected(struct socket *socket, enum status status)
{
    struct link *self = container_of(socket, struct link, socket);
    if (status != STATUS_OK) {
        break_link(self, status);
        return;
    }
    self->state = LINK_NEGOTIATING;
    socket_read_start(socket);
    ask_versions(self, API_VERSIONS_VERSION);
}

static const struct socket_events link_events = {
    .on_connected = on_socket_connected,
    .on_room = on_socket_room,
    .on_read = on_socket_read,
    .on_end = on_socket_end,
    .on_closed = on_socket_closed,
};

enum status link_open(const struct link_options *options, struct link **out_self)
{
    check(options->on_closed != NULL);
    struct link *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->magic = LINK_MAGIC;
    self->options = *options;
    self->why = STATUS_CLOSED;
    self->options.frame_bytes_max =
        options->frame_bytes_max > 0 ? options->frame_bytes_max : FRAME_BYTES_MAX_DEFAULT;
    self->options.in_flight_max =
        options->in_flight_max > 0 ? options->in_flight_max : IN_FLIGHT_MAX_DEFAULT;
    self->options.waiting_max =
        options->waiting_max > 0 ? options->waiting_max : WAITING_MAX_DEFAULT;
    const char *client_id = options->client_id != NULL ? options->client_id : "millrace";
    size_t byte_count = strnlen(client_id, sizeof self->client_id - 1);
    memcpy(self->client_id, client_id, byte_count);
    list_init(&self->waiting);
    list_init(&self->in_flight);
    list_init(&self->ending);
    arena_init(&self->arena, 1U << 20);
    enum status status =
        socket_connect(options->loop->sockets, &self->socket, &options->address, &link_events);
    if (status != STATUS_OK) {
        free(self);
        return status;
    }
    *out_self = self;
    return STATUS_OK;
}

void link_close(struct link *self)
{
    break_link(self, STATUS_CLOSED);
}

bool link_is_open(const struct link *self)
{
    return self->state == LINK_OPEN;
}

int16_t link_version(const struct link *self, int16_t api_key, int16_t version_min,
                     int16_t version_max)
{
    check(self->magic == LINK_MAGIC);
    if (self->state != LINK_OPEN) {
        return -1;
    }
    for (int32_t i = 0; i < self->versions.api_keys_count; i++) {
        if (self->versions.api_keys[i].api_key != api_key) {
            continue;
        }
        int16_t low = self->versions.api_keys[i].min_version;
        int16_t high = self->versions.api_keys[i].max_version;
        int16_t best = high < version_max ? high : version_max;
        return best >= version_min && best >= low ? best : -1;
    }
    return -1;
}

int16_t link_feature_level(const struct link *self, const char *name)
{
    check(self->magic == LINK_MAGIC);
    for (int32_t i = 0; self->state == LINK_OPEN && i < self->versions.finalized_features_count;
         i++) {
        if (wire_text_equals(self->versions.finalized_features[i].name, name)) {
            return self->versions.finalized_features[i].max_version_level;
        }
    }
    return 0;
}

int16_t link_supported_feature(const struct link *self, const char *name)
{
    check(self->magic == LINK_MAGIC);
    for (int32_t i = 0; self->state == LINK_OPEN && i < self->versions.supported_features_count;
         i++) {
        if (wire_text_equals(self->versions.supported_features[i].name, name)) {
            return self->versions.supported_features[i].max_version;
        }
    }
    return 0;
}
