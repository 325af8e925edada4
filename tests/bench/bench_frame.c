/* What listener and connection cost per request, beside a bare epoll echo and a bare libuv echo
 * under the same client in the same run.
 *
 * Each server has a thread of its own; the client drives all of them in turn, several rounds, over
 * loopback. Figures are the best round: round trips per second, and processor time of the server's
 * thread per request (kernel included, which is most of it). */
#include "proto/frame/listener.h"
#include "proto/sys/check.h"
#include "proto/sys/host/host_disk.h"
#include "proto/sys/host/host_loop.h"
#include "proto/sys/host/host_memory.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SERVER_COUNT 3U
#define CONNECTIONS_MAX 8U
#define ROUND_COUNT 7
#define BUFFER_BYTES ((size_t)4 << 20)

struct server {
    const char *name;
    pthread_t thread;
    uint16_t port;
};

struct shape {
    const char *name;
    uint32_t connection_count;
    uint32_t depth; /* Requests under way per connection. */
    size_t frame_bytes;
    uint32_t request_count; /* Per round, over all connections. */
    bool is_answer_short;   /* The answer is 16 bytes (only frames can do that). */
};

struct figure {
    double seconds;
    double cpu_seconds;
};

static struct server servers[SERVER_COUNT] = {
    {.name = "epoll"}, {.name = "libuv"}, {.name = "frame"}};
static bool is_answer_short;

static double seconds_of(clockid_t id)
{
    struct timespec now;
    check(clock_gettime(id, &now) == 0);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int listen_any(uint16_t *out_port)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t byte_count = sizeof name;
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(fd >= 0);
    check(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0);
    check(bind(fd, (struct sockaddr *)&name, sizeof name) == 0);
    check(listen(fd, 16) == 0);
    check(getsockname(fd, (struct sockaddr *)&name, &byte_count) == 0);
    *out_port = ntohs(name.sin_port);
    return fd;
}

/* ---- the bare epoll echo ---- */

static void echo_some(int fd, uint8_t *buffer, size_t room)
{
    ssize_t count = read(fd, buffer, room);
    if (count <= 0) {
        check(close(fd) == 0);
        return;
    }
    for (ssize_t done = 0; done < count;) {
        ssize_t written = write(fd, buffer + done, (size_t)(count - done));
        check(written > 0);
        done += written;
    }
}

static void *serve_epoll(void *context)
{
    int listener = *(int *)context;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    uint8_t *buffer = malloc(65536);
    check(epoll >= 0 && buffer != NULL);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    check(epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) == 0);
    for (;;) {
        struct epoll_event events[64];
        int count = epoll_wait(epoll, events, 64, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listener) {
                event.data.fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
                check(epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event) == 0);
            } else {
                echo_some(events[i].data.fd, buffer, 65536);
            }
        }
    }
    return NULL;
}

/* ---- the bare libuv echo ---- */

static void uv_on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)handle;
    (void)suggested;
    static char room[65536];
    *buffer = uv_buf_init(room, sizeof room);
}

static void uv_on_written(uv_write_t *write, int status)
{
    (void)status;
    free(write);
}

static void uv_on_read(uv_stream_t *stream, ssize_t byte_count, const uv_buf_t *buffer)
{
    if (byte_count <= 0) {
        if (byte_count < 0) {
            uv_read_stop(stream);
        }
        return;
    }
    uv_write_t *write = malloc(sizeof *write + (size_t)byte_count);
    check(write != NULL);
    memcpy(write + 1, buffer->base, (size_t)byte_count);
    uv_buf_t copy = uv_buf_init((char *)(write + 1), (unsigned)byte_count);
    check(uv_write(write, stream, &copy, 1, uv_on_written) == 0);
}

static void uv_on_connection(uv_stream_t *listener, int status)
{
    check(status == 0);
    uv_tcp_t *tcp = calloc(1, sizeof *tcp);
    check(tcp != NULL);
    check(uv_tcp_init(listener->loop, tcp) == 0);
    check(uv_accept(listener, (uv_stream_t *)tcp) == 0);
    check(uv_tcp_nodelay(tcp, 1) == 0);
    check(uv_read_start((uv_stream_t *)tcp, uv_on_room, uv_on_read) == 0);
}

static void *serve_libuv(void *context)
{
    uv_loop_t loop;
    uv_tcp_t listener;
    check(uv_loop_init(&loop) == 0);
    check(uv_tcp_init(&loop, &listener) == 0);
    check(uv_tcp_open(&listener, *(int *)context) == 0);
    check(uv_listen((uv_stream_t *)&listener, 16, uv_on_connection) == 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    return NULL;
}

/* ---- ours ---- */

struct echo {
    struct answer answer;
    struct wire_slice slice;
    struct frame *frame;
};

static struct host_loop frame_loop;
static struct budget budget;

static void echo_on_sent(struct answer *answer)
{
    struct echo *echo = container_of(answer, struct echo, answer);
    frame_unref(echo->frame);
    free(echo);
}

static void echo_frame(struct connection *connection, struct frame *frame, struct ticket *ticket)
{
    (void)connection;
    struct echo *echo = malloc(sizeof *echo);
    check(echo != NULL);
    echo->frame = frame;
    echo->slice = (struct wire_slice){.base = frame->bytes,
                                      .byte_count = is_answer_short ? 16 : frame->byte_count};
    echo->answer =
        (struct answer){.slices = &echo->slice, .slice_count = 1, .on_sent = echo_on_sent};
    connection_answer(ticket, &echo->answer);
}

static void *serve_frames(void *context)
{
    (void)context;
    host_loop_run(&frame_loop);
    return NULL;
}

static void open_frames(struct server *server)
{
    budget_init(&budget, (size_t)256 << 20);
    check(host_loop_init(&frame_loop, &(struct host_loop_options){.name = "frame"}) == STATUS_OK);
    const struct connection_options shard = {.loop = &frame_loop.loop,
                                             .budget = &budget,
                                             .frame_bytes_max = CONNECTION_FRAME_BYTES_MAX_DEFAULT,
                                             .on_frame = echo_frame};
    struct listener *listener = NULL;
    check(listener_open(&(struct listener_options){.loop = &frame_loop.loop,
                                                   .address = {.host = "127.0.0.1"},
                                                   .shards = &shard,
                                                   .shard_count = 1,
                                                   .connection_count_max = 1000},
                        &listener) == STATUS_OK);
    server->port = listener_port(listener);
    check(pthread_create(&server->thread, NULL, serve_frames, NULL) == 0);
}

/* ---- the client ---- */

struct peer {
    int fd;
    uint32_t asked_count;
    uint32_t under_way;
    size_t received; /* Of the answer that is coming in. */
};

static uint8_t *request_bytes;
static uint8_t *room;

static void peer_ask(struct peer *peer, const struct shape *shape, uint32_t quota)
{
    while (peer->under_way < shape->depth && peer->asked_count < quota) {
        uint32_t count = shape->depth - peer->under_way;
        count = count > quota - peer->asked_count ? quota - peer->asked_count : count;
        size_t byte_count = count * (4 + shape->frame_bytes);
        check(byte_count <= BUFFER_BYTES);
        for (size_t done = 0; done < byte_count;) {
            ssize_t written = write(peer->fd, request_bytes + done, byte_count - done);
            check(written > 0);
            done += (size_t)written;
        }
        peer->under_way += count;
        peer->asked_count += count;
    }
}

static void peer_listen(struct peer *peer, const struct shape *shape)
{
    size_t answer_bytes = 4 + (shape->is_answer_short ? 16 : shape->frame_bytes);
    ssize_t count = read(peer->fd, room, BUFFER_BYTES);
    check(count > 0);
    peer->received += (size_t)count;
    peer->under_way -= (uint32_t)(peer->received / answer_bytes);
    peer->received %= answer_bytes;
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in name = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(fd >= 0);
    check(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0);
    check(connect(fd, (struct sockaddr *)&name, sizeof name) == 0);
    return fd;
}

static void ask_all(struct peer *peers, const struct shape *shape, uint32_t request_count)
{
    uint32_t quota = request_count / shape->connection_count;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    check(epoll >= 0);
    for (uint32_t i = 0; i < shape->connection_count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        check(epoll_ctl(epoll, EPOLL_CTL_ADD, peers[i].fd, &event) == 0);
        peers[i].asked_count = 0;
        peer_ask(&peers[i], shape, quota);
    }
    for (uint32_t open_count = shape->connection_count; open_count > 0;) {
        struct epoll_event events[CONNECTIONS_MAX];
        int count = epoll_wait(epoll, events, CONNECTIONS_MAX, -1);
        for (int i = 0; i < count; i++) {
            struct peer *peer = &peers[events[i].data.u32];
            peer_listen(peer, shape);
            peer_ask(peer, shape, quota);
            open_count -= peer->under_way == 0 ? 1 : 0;
        }
    }
    check(close(epoll) == 0);
}

static struct figure measure(const struct server *server, const struct shape *shape)
{
    struct peer peers[CONNECTIONS_MAX] = {0};
    clockid_t cpu;
    check(pthread_getcpuclockid(server->thread, &cpu) == 0);
    for (uint32_t i = 0; i < shape->connection_count; i++) {
        peers[i].fd = connect_to(server->port);
    }
    ask_all(peers, shape, shape->request_count / 10); /* Warm. */
    double start = seconds_of(CLOCK_MONOTONIC);
    double cpu_start = seconds_of(cpu);
    ask_all(peers, shape, shape->request_count);
    struct figure figure = {.seconds = seconds_of(CLOCK_MONOTONIC) - start,
                            .cpu_seconds = seconds_of(cpu) - cpu_start};
    for (uint32_t i = 0; i < shape->connection_count; i++) {
        check(close(peers[i].fd) == 0);
    }
    return figure;
}

static void run_shape(const struct shape *shape)
{
    struct figure best[SERVER_COUNT];
    is_answer_short = shape->is_answer_short;
    for (size_t at = 0; at + 4 + shape->frame_bytes <= BUFFER_BYTES; at += 4 + shape->frame_bytes) {
        uint32_t size = htonl((uint32_t)shape->frame_bytes);
        memcpy(request_bytes + at, &size, 4);
    }
    for (int round = 0; round < ROUND_COUNT; round++) {
        for (uint32_t i = shape->is_answer_short ? 2 : 0; i < SERVER_COUNT; i++) {
            struct figure figure = measure(&servers[i], shape);
            bool is_first = round == 0;
            best[i].seconds =
                is_first || figure.seconds < best[i].seconds ? figure.seconds : best[i].seconds;
            best[i].cpu_seconds = is_first || figure.cpu_seconds < best[i].cpu_seconds
                                      ? figure.cpu_seconds
                                      : best[i].cpu_seconds;
        }
    }
    (void)printf("%s\n", shape->name);
    for (uint32_t i = shape->is_answer_short ? 2 : 0; i < SERVER_COUNT; i++) {
        double count = (double)shape->request_count;
        (void)printf("  %-6s %9.0f requests/s  %7.2f us cpu each  %6.3f cpu-s/GB", servers[i].name,
                     count / best[i].seconds, best[i].cpu_seconds / count * 1e6,
                     best[i].cpu_seconds / (count * (double)shape->frame_bytes) * 1e9);
        (void)printf(shape->is_answer_short ? "\n" : "  cpu %.2f of epoll, %.2f of libuv\n",
                     best[i].cpu_seconds / best[0].cpu_seconds,
                     best[i].cpu_seconds / best[1].cpu_seconds);
    }
}

int main(void)
{
    const struct shape shapes[] = {
        {"1 connection, 1 under way, 100 bytes", 1, 1, 100, 20000, false},
        {"8 connections, 1 under way, 100 bytes", 8, 1, 100, 40000, false},
        {"1 connection, 32 under way, 100 bytes", 1, 32, 100, 100000, false},
        {"8 connections, 32 under way, 100 bytes", 8, 32, 100, 200000, false},
        {"1 connection, 1 under way, 16 KiB", 1, 1, 16384, 20000, false},
        {"1 connection, 1 under way, 1 MiB in, 16 bytes out", 1, 1, 1 << 20, 1000, true},
        {"8 connections, 1 under way, 1 MiB in, 16 bytes out", 8, 1, 1 << 20, 1000, true},
    };
    host_memory_keep_freed();
    int listeners[2] = {listen_any(&servers[0].port), listen_any(&servers[1].port)};
    request_bytes = calloc(1, BUFFER_BYTES);
    room = malloc(BUFFER_BYTES);
    check(request_bytes != NULL && room != NULL);
    check(pthread_create(&servers[0].thread, NULL, serve_epoll, &listeners[0]) == 0);
    check(pthread_create(&servers[1].thread, NULL, serve_libuv, &listeners[1]) == 0);
    open_frames(&servers[2]);
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        run_shape(&shapes[i]);
    }
    return 0;
}
