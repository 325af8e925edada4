#include "proto/sys/host/host_listen.h"

#include "proto/sys/check.h"
#include "proto/sys/host/host_status.h"
#include "proto/sys/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPT_COUNT_MAX 64 /* Per turn, so that a storm of clients leaves time for the others. */
#define KEEP_ALIVE_SECONDS 60

struct socket_listener {
    struct host_socket *service; /* Borrowed for life. */
    void (*on_accept)(void *context, struct socket_token token);
    void *context;
    uv_poll_t poll;
    struct timer rest;
    int fd;
    int reserve_fd; /* Given up for a moment when descriptors run out; -1: lost. */
    uint16_t port;
    bool is_closed;
};

static void accept_on_readable(uv_poll_t *poll, int status, int events);

static int open_reserve(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void resume_on_rest(struct timer *timer)
{
    struct socket_listener *self = container_of(timer, struct socket_listener, rest);
    if (self->reserve_fd < 0) {
        self->reserve_fd = open_reserve();
    }
    check(uv_poll_start(&self->poll, UV_READABLE, accept_on_readable) == 0);
}

/* The client learns at once that it is not served; in the backlog it would only time out. */
static void refuse_one(struct socket_listener *self)
{
    if (self->reserve_fd >= 0) {
        (void)close(self->reserve_fd);
        int fd = accept4(self->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            (void)close(fd);
        }
        self->reserve_fd = open_reserve();
    }
    if (self->reserve_fd < 0) {
        check(uv_poll_stop(&self->poll) == 0);
        timer_start_after(&self->rest, HOST_SOCKET_REST_MS * CLOCK_NS_PER_MS);
    }
}

/* True: the next one may be tried. */
static bool accept_one(struct socket_listener *self)
{
    int fd = accept4(self->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        self->on_accept(self->context, (struct socket_token){.value = fd});
        return true;
    }
    switch (errno) {
    case EAGAIN:
        return false;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
        trace_line(self->service->loop->trace, TRACE_WARN, "host_socket", "accept_refused",
                   "port=%u errno=%d next=\"closing new connections until some are free\"",
                   self->port, errno);
        refuse_one(self);
        return false;
    default:
        return true; /* That client is gone already (ECONNABORTED and its kin). */
    }
}

static void accept_on_readable(uv_poll_t *poll, int status, int events)
{
    (void)status; /* An error shows in accept4 itself. */
    (void)events;
    struct socket_listener *self = container_of(poll, struct socket_listener, poll);
    for (int i = 0; i < ACCEPT_COUNT_MAX && !self->is_closed; i++) {
        if (!accept_one(self)) {
            break;
        }
    }
}

static void set_option(int fd, int level, int name, int value)
{
    /* Accepted streams inherit all of these from the listening one. */
    (void)setsockopt(fd, level, name, &value, sizeof value);
}

static int bind_one(const struct addrinfo *info)
{
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEP_ALIVE_SECONDS);
    if (bind(fd, info->ai_addr, info->ai_addrlen) != 0 || listen(fd, HOST_SOCKET_BACKLOG) != 0) {
        int error = -errno;
        (void)close(fd);
        return error;
    }
    return fd;
}

/* A descriptor, or the last negative errno. Names are looked up in place: this is start-up. */
static int bind_address(const struct address *address)
{
    char port[8];
    (void)snprintf(port, sizeof port, "%u", address->port);
    const struct addrinfo hints = {.ai_family = AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *infos = NULL;
    if (getaddrinfo(address->host, port, &hints, &infos) != 0) {
        return UV_EADDRNOTAVAIL;
    }
    int fd = UV_EADDRNOTAVAIL;
    for (const struct addrinfo *info = infos; info != NULL && fd < 0; info = info->ai_next) {
        fd = bind_one(info);
    }
    freeaddrinfo(infos);
    return fd;
}

static uint16_t read_port(int fd)
{
    struct sockaddr_storage name = {0};
    socklen_t byte_count = sizeof name;
    check(getsockname(fd, (struct sockaddr *)&name, &byte_count) == 0);
    if (name.ss_family == AF_INET6) {
        return ntohs(((struct sockaddr_in6 *)(void *)&name)->sin6_port);
    }
    return ntohs(((struct sockaddr_in *)(void *)&name)->sin_port);
}

enum status host_listen_open(struct socket_service *service, const struct address *address,
                             void (*on_accept)(void *context, struct socket_token token),
                             void *context, struct socket_listener **out_listener)
{
    struct socket_listener *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->service = container_of(service, struct host_socket, service);
    self->on_accept = on_accept;
    self->context = context;
    self->fd = bind_address(address);
    if (self->fd < 0) {
        enum status status = host_status_of_socket(self->fd);
        free(self);
        return status;
    }
    int error = uv_poll_init(self->service->uv, &self->poll, self->fd);
    if (error != 0) {
        (void)close(self->fd);
        free(self);
        return host_status_of_socket(error);
    }
    self->port = read_port(self->fd);
    self->reserve_fd = open_reserve();
    timer_init(&self->rest, &self->service->loop->timers, resume_on_rest);
    check(uv_poll_start(&self->poll, UV_READABLE, accept_on_readable) == 0);
    self->service->listener_count += 1;
    *out_listener = self;
    return STATUS_OK;
}

uint16_t host_listen_port(const struct socket_listener *listener)
{
    return listener->port;
}

static void free_on_closed(uv_handle_t *handle)
{
    free(container_of(handle, struct socket_listener, poll));
}

void host_listen_close(struct socket_listener *self)
{
    check(!self->is_closed);
    self->is_closed = true;
    timer_done(&self->rest);
    uv_close((uv_handle_t *)&self->poll, free_on_closed);
    (void)close(self->fd);
    if (self->reserve_fd >= 0) {
        (void)close(self->reserve_fd);
    }
    self->service->listener_count -= 1;
}
