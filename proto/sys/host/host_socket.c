#include "proto/sys/host/host_socket.h"

#include "proto/sys/check.h"
#include "proto/sys/host/host_listen.h"
#include "proto/sys/host/host_status.h"
#include "proto/sys/loop.h"

#include <limits.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define STREAM_MAGIC 0x57e4a301U
#define KEEP_ALIVE_SECONDS 60U

/* Buffers go to libuv as they are. */
_Static_assert(sizeof(struct socket_buffer) == sizeof(uv_buf_t), "same layout");
_Static_assert(offsetof(struct socket_buffer, base) == offsetof(uv_buf_t, base), "same layout");
_Static_assert(offsetof(struct socket_buffer, byte_count) == offsetof(uv_buf_t, len),
               "same layout");

enum stream_state {
    STREAM_RESOLVING,
    STREAM_CONNECTING,
    STREAM_RETRYING, /* The handle of a failed attempt is closing; the next address follows. */
    STREAM_OPEN,
    STREAM_CLOSING,
};

/* What `socket->stream` points at. Outlives the socket when a look-up cannot be cancelled. */
struct stream {
    uint32_t magic;
    enum stream_state state;
    struct host_socket *service;
    struct socket *socket; /* Borrowed; NULL after on_closed. */
    uv_tcp_t tcp;
    bool is_resolving; /* `resolve` is libuv's. */
    bool is_reading;
    uv_getaddrinfo_t resolve;
    uv_connect_t connect;
    struct addrinfo *infos;           /* Owned; NULL for a numeric address. */
    const struct addrinfo *next_info; /* Borrowed from `infos`. */
    int last_error;                   /* Of the latest attempt. */
    struct timer deadline;
    struct list
        refused; /* Writes that libuv did not take; `refusal` is posted while there are any. */
    struct mail refusal;
    bool is_refusing; /* `refusal` is the mailbox's. */
};

/* One request of libuv per write. */
struct write_request {
    uv_write_t uv;
    struct socket_write *write; /* Borrowed until done. */
};

static void connect_try_next(struct stream *self);

static uv_stream_t *stream_uv(struct stream *self)
{
    return (uv_stream_t *)&self->tcp;
}

static struct stream *stream_of(struct socket *socket)
{
    struct stream *self = socket->stream;
    check(self != NULL);
    check(self->magic == STREAM_MAGIC);
    check(self->socket == socket);
    return self;
}

static struct stream *stream_new(struct host_socket *service, struct socket *socket)
{
    struct stream *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return NULL;
    }
    self->magic = STREAM_MAGIC;
    self->service = service;
    self->socket = socket;
    list_init(&self->refused);
    check(uv_tcp_init(service->uv, &self->tcp) == 0); /* Only makes the handle, no descriptor. */
    service->stream_count += 1;
    return self;
}

static void stream_free_when_unused(struct stream *self)
{
    if (self->socket != NULL || self->is_resolving || self->is_refusing) {
        return;
    }
    if (self->infos != NULL) {
        uv_freeaddrinfo(self->infos);
    }
    self->magic = 0;
    free(self);
}

static void refused_tell(struct stream *self, enum status why)
{
    struct list *link = NULL;
    while ((link = list_take_first(&self->refused)) != NULL) {
        struct socket_write *write = container_of(link, struct socket_write, link);
        write->on_done(write, why);
    }
}

static void refused_on_mail(struct mail *mail)
{
    struct stream *self = container_of(mail, struct stream, refusal);
    check(self->magic == STREAM_MAGIC);
    refused_tell(self, STATUS_CLOSED);
    self->is_refusing = false;
    stream_free_when_unused(self);
}

static void tell_closed(uv_handle_t *handle)
{
    struct stream *self = container_of(handle, struct stream, tcp);
    check(self->magic == STREAM_MAGIC);
    check(self->state == STREAM_CLOSING);
    refused_tell(self, STATUS_CANCELED);

    struct socket *socket = self->socket;
    self->socket = NULL;
    self->service->stream_count -= 1;
    stream_free_when_unused(self);
    socket->stream = NULL;
    socket->events->on_closed(socket);
}

/* Before anyone has heard of the stream. */
static void discard_on_closed(uv_handle_t *handle)
{
    struct stream *self = container_of(handle, struct stream, tcp);
    self->socket = NULL;
    self->service->stream_count -= 1;
    stream_free_when_unused(self);
}

static void stream_discard(struct stream *self)
{
    self->state = STREAM_CLOSING;
    self->socket->stream = NULL;
    uv_close((uv_handle_t *)&self->tcp, discard_on_closed);
}

static void stream_close(struct socket *socket)
{
    struct stream *self = stream_of(socket);
    enum stream_state before = self->state;
    if (before == STREAM_CLOSING) {
        return;
    }
    self->state = STREAM_CLOSING;
    timer_done(&self->deadline);
    if (self->is_resolving) {
        (void)uv_cancel(
            (uv_req_t *)&self->resolve); /* Too late when it runs; then it is ignored. */
    }
    if (before != STREAM_RETRYING) {
        uv_close((uv_handle_t *)&self->tcp, tell_closed);
    }
}

static void peer_fill(struct address *address, const struct sockaddr *name)
{
    *address = (struct address){.port = 0};
    if (name->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)name;
        (void)uv_ip4_name(v4, address->host, sizeof address->host);
        address->port = ntohs(v4->sin_port);
    } else if (name->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)name;
        (void)uv_ip6_name(v6, address->host, sizeof address->host);
        address->port = ntohs(v6->sin6_port);
    } else {
        (void)snprintf(address->host, sizeof address->host, "local");
    }
}

static void peer_read(struct stream *self)
{
    struct sockaddr_storage name = {.ss_family = AF_UNSPEC};
    int byte_count = sizeof name;
    if (uv_tcp_getpeername(&self->tcp, (struct sockaddr *)&name, &byte_count) == 0) {
        peer_fill(&self->socket->peer, (const struct sockaddr *)&name);
    }
}

static enum status adopt(struct socket_service *service, struct socket *socket,
                         struct socket_token token)
{
    struct stream *self = stream_new(container_of(service, struct host_socket, service), socket);
    if (self == NULL) {
        (void)close((int)token.value);
        return STATUS_NO_MEMORY;
    }
    int error = uv_tcp_open(&self->tcp, (int)token.value);
    if (error != 0) {
        (void)close((int)token.value);
        stream_discard(self);
        return host_status_of_socket(error);
    }
    self->state = STREAM_OPEN;
    socket->stream = self;
    peer_read(self);
    return STATUS_OK;
}

static void drop(struct socket_service *service, struct socket_token token)
{
    (void)service;
    check(token.value > STDERR_FILENO);
    (void)close((int)token.value);
}

static void connect_fail(struct stream *self, enum status why)
{
    struct socket *socket = self->socket;
    stream_close(socket);
    socket->events->on_connected(socket, why);
}

static void connect_on_deadline(struct timer *timer)
{
    connect_fail(container_of(timer, struct stream, deadline), STATUS_TIMEOUT);
}

static void connect_on_retry_closed(uv_handle_t *handle)
{
    struct stream *self = container_of(handle, struct stream, tcp);
    check(self->magic == STREAM_MAGIC);
    if (self->state == STREAM_CLOSING) {
        tell_closed(handle);
        return;
    }
    check(self->state == STREAM_RETRYING);
    check(uv_tcp_init(self->service->uv, &self->tcp) == 0);
    self->state = STREAM_CONNECTING;
    connect_try_next(self);
}

/* A handle that failed once cannot connect again: it makes place for a fresh one. */
static void connect_retry(struct stream *self, int error)
{
    self->last_error = error;
    self->state = STREAM_RETRYING;
    uv_close((uv_handle_t *)&self->tcp, connect_on_retry_closed);
}

static void connect_on_done(uv_connect_t *connect, int error)
{
    struct stream *self = container_of(connect, struct stream, connect);
    check(self->magic == STREAM_MAGIC);
    if (self->state == STREAM_CLOSING) {
        return;
    }
    check(self->state == STREAM_CONNECTING);
    if (error != 0) {
        connect_retry(self, error);
        return;
    }
    self->state = STREAM_OPEN;
    timer_done(&self->deadline);
    (void)uv_tcp_nodelay(&self->tcp, 1);
    (void)uv_tcp_keepalive(&self->tcp, 1, KEEP_ALIVE_SECONDS);
    peer_read(self);
    self->socket->events->on_connected(self->socket, STATUS_OK);
}

static int connect_start(struct stream *self, const struct sockaddr *name)
{
    self->state = STREAM_CONNECTING;
    return uv_tcp_connect(&self->connect, &self->tcp, name, connect_on_done);
}

static void connect_try_next(struct stream *self)
{
    const struct addrinfo *info = self->next_info;
    if (info == NULL) {
        connect_fail(self, host_status_of_socket(self->last_error));
        return;
    }
    self->next_info = info->ai_next;
    int error = connect_start(self, info->ai_addr);
    if (error != 0) {
        connect_retry(self, error);
    }
}

static void connect_on_resolved(uv_getaddrinfo_t *resolve, int error, struct addrinfo *infos)
{
    struct stream *self = container_of(resolve, struct stream, resolve);
    check(self->magic == STREAM_MAGIC);
    self->is_resolving = false;
    self->infos = infos;
    if (self->state == STREAM_CLOSING) {
        stream_free_when_unused(self);
        return;
    }
    check(self->state == STREAM_RESOLVING);
    self->last_error = error == 0 ? UV_EAI_NONAME : error;
    self->next_info = error == 0 ? infos : NULL;
    connect_try_next(self);
}

/* 0 or a negative errno, as libuv has it. A numeric address needs no thread of the pool. */
static int connect_begin(struct stream *self, const struct address *address)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    if (uv_ip4_addr(address->host, address->port, &v4) == 0) {
        return connect_start(self, (const struct sockaddr *)&v4);
    }
    if (uv_ip6_addr(address->host, address->port, &v6) == 0) {
        return connect_start(self, (const struct sockaddr *)&v6);
    }
    char port[8];
    (void)snprintf(port, sizeof port, "%u", address->port);
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    int error = uv_getaddrinfo(self->service->uv, &self->resolve, connect_on_resolved,
                               address->host, port, &hints);
    self->is_resolving = error == 0;
    self->state = STREAM_RESOLVING;
    return error;
}

static enum status connect_to(struct socket_service *service, struct socket *socket,
                              const struct address *address)
{
    struct stream *self = stream_new(container_of(service, struct host_socket, service), socket);
    if (self == NULL) {
        return STATUS_NO_MEMORY;
    }
    int error = connect_begin(self, address);
    if (error != 0) {
        stream_discard(self);
        return host_status_of_socket(error);
    }
    socket->stream = self;
    socket->peer = *address;
    timer_init(&self->deadline, &self->service->loop->timers, connect_on_deadline);
    timer_start_after(&self->deadline, self->service->connect_deadline_ms * CLOCK_NS_PER_MS);
    return STATUS_OK;
}

static void read_on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)suggested;
    struct stream *self = container_of(handle, struct stream, tcp);
    uint8_t *base = NULL;
    size_t byte_count = 0;
    self->socket->events->on_room(self->socket, &base, &byte_count);
    byte_count = self->state == STREAM_OPEN ? byte_count : 0; /* Closed from inside. */
    *buffer = (uv_buf_t){.base = (char *)base, .len = byte_count};
}

static void read_stop(struct socket *socket)
{
    struct stream *self = stream_of(socket);
    self->is_reading = false;
    if (self->state == STREAM_OPEN) {
        check(uv_read_stop(stream_uv(self)) == 0);
    }
}

static void read_on_bytes(uv_stream_t *uv, ssize_t byte_count, const uv_buf_t *buffer)
{
    (void)buffer;
    struct stream *self = container_of(uv, struct stream, tcp);
    check(self->magic == STREAM_MAGIC);
    struct socket *socket = self->socket;
    if (byte_count >= 0) {
        socket->events->on_read(socket, (size_t)byte_count);
    } else if (byte_count == UV_ENOBUFS) {
        read_stop(socket);
    } else {
        read_stop(socket);
        socket->events->on_end(socket, host_status_of_socket((int)byte_count));
    }
}

static void read_start(struct socket *socket)
{
    struct stream *self = stream_of(socket);
    if (self->is_reading || self->state != STREAM_OPEN) {
        return;
    }
    /* It can only fail when the peer is known to be gone; the next write tells that. */
    self->is_reading = uv_read_start(stream_uv(self), read_on_room, read_on_bytes) == 0;
}

static void write_on_done(uv_write_t *uv, int error)
{
    struct write_request *request = container_of(uv, struct write_request, uv);
    struct socket_write *write = request->write;
    free(request);
    write->on_done(write, host_status_of_socket(error));
}

/* on_done must come from a later turn, and still before on_closed. */
static void write_refuse(struct stream *self, struct socket_write *write)
{
    list_init(&write->link);
    list_append(&self->refused, &write->link);
    if (!self->is_refusing) {
        self->is_refusing = true;
        self->refusal.deliver = refused_on_mail;
        loop_defer(self->service->loop, &self->refusal);
    }
}

static void write_gathered(struct socket *socket, struct socket_write *write)
{
    struct stream *self = stream_of(socket);
    check(self->state == STREAM_OPEN || self->state == STREAM_CLOSING);
    struct write_request *request = NULL;
    if (self->state == STREAM_OPEN) {
        request = malloc(sizeof *request);
    }
    if (request == NULL) {
        write_refuse(self, write);
        return;
    }
    request->write = write;
    const uv_buf_t *buffers = (const uv_buf_t *)(const void *)write->buffers;
    int error =
        uv_write(&request->uv, stream_uv(self), buffers, write->buffer_count, write_on_done);
    if (error != 0) { /* The stream broke earlier, as on_end told. */
        free(request);
        write_refuse(self, write);
    }
}

static void limit_silence(struct socket *socket, int64_t limit_ms)
{
    const struct stream *self = stream_of(socket);
    int fd = -1;
    unsigned limit = limit_ms < INT_MAX ? (unsigned)limit_ms : INT_MAX;
    if (self->state == STREAM_OPEN &&
        uv_fileno((const uv_handle_t *)&self->tcp, &fd) == 0) { /* Not TCP: a local pair. */
        (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof limit);
    }
}

static const struct socket_ops ops = {
    .listen = host_listen_open,
    .listener_port = host_listen_port,
    .listener_close = host_listen_close,
    .adopt = adopt,
    .drop = drop,
    .connect = connect_to,
    .read_start = read_start,
    .read_stop = read_stop,
    .write = write_gathered,
    .limit_silence = limit_silence,
    .close = stream_close,
};

void host_socket_init(struct host_socket *self, struct loop *loop, uv_loop_t *uv)
{
    *self = (struct host_socket){.service = {.ops = &ops},
                                 .loop = loop,
                                 .uv = uv,
                                 .connect_deadline_ms = HOST_SOCKET_CONNECT_DEADLINE_MS};
}

void host_socket_done(struct host_socket *self)
{
    check(self->stream_count == 0);
    check(self->listener_count == 0);
    *self = (struct host_socket){0};
}
