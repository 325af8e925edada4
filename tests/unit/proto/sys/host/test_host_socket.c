/* Goal: streams of the machine keep the promises of socket.h: bytes in order, back-pressure while
 * reading is stopped, every write answered, on_closed exactly once and last.
 * Method: real loopback connections on ports that the system chooses, all on one loop; a second
 * loop where a stream changes loops. */
#include "tests/unit/proto/sys/host/host_rig.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* One end of a stream and what it has seen. */
struct end {
    struct socket socket;
    struct socket_write write;
    struct socket_buffer buffers[2];
    uint8_t room[65536];
    size_t room_count; /* 0: gives none. */
    size_t read_count;
    uint8_t last_byte;
    enum status connected;
    enum status ended;
    enum status written;
    int connected_count;
    int ended_count;
    int written_count;
    int closed_count;
};

static struct host_rig rig;
static struct socket_service *sockets;
static struct socket_listener *listener;
static struct end client;
static struct end server;
static bool (*is_enough)(void);

static void set_up(void)
{
    host_rig_init(&rig);
    sockets = rig.loop.loop.sockets;
    client.room_count = sizeof client.room;
    server.room_count = sizeof server.room;
}

static void tear_down(void)
{
    socket_listener_close(sockets, listener);
    host_rig_done(&rig);
}

TestSuite(host_socket, .init = set_up);

static void finish_when_enough(void)
{
    if (is_enough()) {
        host_rig_finish(&rig);
    }
}

static void run_until(bool (*enough)(void))
{
    is_enough = enough;
    host_rig_run(&rig);
}

static void end_on_connected(struct socket *socket, enum status status)
{
    struct end *end = container_of(socket, struct end, socket);
    end->connected = status;
    end->connected_count += 1;
    cr_expect_eq(end->closed_count, 0);
    finish_when_enough();
}

static void end_on_room(struct socket *socket, uint8_t **out_base, size_t *out_byte_count)
{
    struct end *end = container_of(socket, struct end, socket);
    *out_base = end->room;
    *out_byte_count = end->room_count;
}

static void end_on_read(struct socket *socket, size_t byte_count)
{
    struct end *end = container_of(socket, struct end, socket);
    cr_assert_leq(byte_count, end->room_count);
    end->read_count += byte_count;
    end->last_byte = end->room[byte_count - 1];
    finish_when_enough();
}

static void end_on_end(struct socket *socket, enum status why)
{
    struct end *end = container_of(socket, struct end, socket);
    end->ended = why;
    end->ended_count += 1;
    cr_expect_eq(end->closed_count, 0);
    socket_close(socket);
}

static void end_on_closed(struct socket *socket)
{
    struct end *end = container_of(socket, struct end, socket);
    cr_expect_null(socket->stream);
    end->closed_count += 1;
    finish_when_enough();
}

static const struct socket_events end_events = {.on_connected = end_on_connected,
                                                .on_room = end_on_room,
                                                .on_read = end_on_read,
                                                .on_end = end_on_end,
                                                .on_closed = end_on_closed};

static void end_on_written(struct socket_write *write, enum status status)
{
    struct end *end = container_of(write, struct end, write);
    end->written = status;
    end->written_count += 1;
    cr_expect_eq(end->closed_count, 0, "writes end before on_closed");
    finish_when_enough();
}

static void end_write(struct end *end, const void *bytes, size_t byte_count)
{
    end->buffers[0] = (struct socket_buffer){.base = bytes, .byte_count = byte_count / 2};
    end->buffers[1] = (struct socket_buffer){.base = (const uint8_t *)bytes + byte_count / 2,
                                             .byte_count = byte_count - byte_count / 2};
    end->write = (struct socket_write){
        .buffers = end->buffers, .buffer_count = 2, .on_done = end_on_written};
    int before = end->written_count;
    socket_write(&end->socket, &end->write);
    cr_expect_eq(end->written_count, before, "on_done never comes from inside");
}

static void serve_accepted(void *context, struct socket_token token)
{
    cr_assert_eq(context, &server);
    cr_assert_eq(socket_adopt(sockets, &server.socket, token, &end_events), STATUS_OK);
    finish_when_enough();
}

static bool both_are_open(void)
{
    return client.connected_count == 1 && server.socket.stream != NULL;
}

static struct address listen_on(const char *host)
{
    struct address address = {.port = 0};
    (void)snprintf(address.host, sizeof address.host, "%s", host);
    cr_assert_eq(socket_listen(sockets, &address, serve_accepted, &server, &listener), STATUS_OK);
    address.port = socket_listener_port(sockets, listener);
    cr_assert_neq(address.port, 0);
    return address;
}

static void open_pair(void)
{
    struct address address = listen_on("127.0.0.1");
    cr_assert_eq(socket_connect(sockets, &client.socket, &address, &end_events), STATUS_OK);
    run_until(both_are_open);
    cr_assert_eq(client.connected, STATUS_OK);
}

static bool both_are_closed(void)
{
    return client.socket.stream == NULL && server.socket.stream == NULL;
}

static void close_pair(void)
{
    socket_close(&client.socket);
    socket_close(&client.socket);
    socket_close(&server.socket);
    if (!both_are_closed()) {
        run_until(both_are_closed);
    }
    cr_expect_eq(client.closed_count, 1);
    cr_expect_eq(server.closed_count, 1);
}

static uint8_t payload[1 << 20];

static bool server_has_all(void)
{
    return server.read_count == sizeof payload && client.written_count == 1;
}

Test(host_socket, megabyte_goes_through_in_order)
{
    for (size_t i = 0; i < sizeof payload; i++) {
        payload[i] = (uint8_t)(i * 7);
    }
    open_pair();
    socket_read_start(&server.socket);

    end_write(&client, payload, sizeof payload);
    run_until(server_has_all);

    cr_expect_eq(client.written, STATUS_OK);
    cr_expect_eq(server.last_byte, payload[sizeof payload - 1]);
    close_pair();
    tear_down();
}

/* The stream is opaque, so its descriptor is found by its peer. */
static int option_of(const struct end *end, int level, int name)
{
    for (int fd = 3; fd < 64; fd++) {
        struct sockaddr_in peer = {0};
        socklen_t peer_bytes = sizeof peer;
        int value = 0;
        socklen_t value_bytes = sizeof value;
        if (getpeername(fd, (struct sockaddr *)&peer, &peer_bytes) == 0 &&
            peer.sin_family == AF_INET && ntohs(peer.sin_port) == end->socket.peer.port) {
            cr_assert_eq(getsockopt(fd, level, name, &value, &value_bytes), 0);
            return value;
        }
    }
    cr_assert_fail("no descriptor of that peer");
    return 0;
}

Test(host_socket, both_ends_know_their_peer_and_do_not_delay)
{
    open_pair();

    cr_expect_str_eq(server.socket.peer.host, "127.0.0.1");
    cr_expect_str_eq(client.socket.peer.host, "127.0.0.1");
    cr_expect_eq(client.socket.peer.port, socket_listener_port(sockets, listener));
    cr_expect_neq(server.socket.peer.port, 0);
    cr_expect_neq(option_of(&server, IPPROTO_TCP, TCP_NODELAY), 0);
    cr_expect_neq(option_of(&client, IPPROTO_TCP, TCP_NODELAY), 0);
    cr_expect_neq(option_of(&server, SOL_SOCKET, SO_KEEPALIVE), 0);
    cr_expect_neq(option_of(&client, SOL_SOCKET, SO_KEEPALIVE), 0);
    close_pair();
    tear_down();
}

/* That the kernel obeys takes a host that vanishes: the simulated one does (test_sim_socket). */
Test(host_socket, limit_of_silence_is_given_to_the_kernel)
{
    open_pair();
    cr_expect_eq(option_of(&client, IPPROTO_TCP, TCP_USER_TIMEOUT), 0);

    socket_limit_silence(&client.socket, 2500);

    cr_expect_eq(option_of(&client, IPPROTO_TCP, TCP_USER_TIMEOUT), 2500);
    cr_expect_eq(option_of(&server, IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
    close_pair();
    tear_down();
}

static bool server_has_something(void)
{
    return server.read_count >= 5;
}

Test(host_socket, room_of_nothing_stops_reading_until_it_is_started_again)
{
    open_pair();
    server.room_count = 0;
    socket_read_start(&server.socket);
    end_write(&client, "12345", 5);

    for (int i = 0; i < 5; i++) {
        host_loop_stop(&rig.loop); /* A turn each. */
        host_loop_run(&rig.loop);
    }
    cr_expect_eq(server.read_count, 0);
    server.room_count = 2;
    socket_read_start(&server.socket);
    run_until(server_has_something);

    cr_expect_eq(server.read_count, 5);
    close_pair();
    tear_down();
}

static bool client_has_ended(void)
{
    return client.closed_count == 1;
}

Test(host_socket, end_of_the_peer_is_told_once_and_then_the_socket_closes)
{
    open_pair();
    socket_read_start(&client.socket);

    socket_close(&server.socket);
    run_until(client_has_ended);

    cr_expect_eq(client.ended_count, 1);
    cr_expect_eq(client.ended, STATUS_CLOSED);
    cr_expect_eq(server.ended_count, 0);
    close_pair();
    tear_down();
}

Test(host_socket, write_that_cannot_leave_is_cancelled_before_on_closed)
{
    static uint8_t huge[64 << 20];
    open_pair();

    end_write(&client, huge, sizeof huge); /* Nobody reads, so most of it stays here. */
    socket_close(&client.socket);
    run_until(client_has_ended);

    cr_expect_eq(client.written_count, 1);
    cr_expect_eq(client.written, STATUS_CANCELED);
    close_pair();
    tear_down();
}

Test(host_socket, write_after_close_is_cancelled_before_on_closed)
{
    open_pair();

    socket_close(&client.socket);
    end_write(&client, "late", 4);
    run_until(client_has_ended);

    cr_expect_eq(client.written_count, 1);
    cr_expect_neq(client.written, STATUS_OK);
    close_pair();
    tear_down();
}

static bool client_has_written(void)
{
    return client.written_count > 0;
}

Test(host_socket, write_to_a_stream_that_broke_fails_and_never_kills_the_process)
{
    open_pair();
    end_write(&client, "never read", 10);
    run_until(client_has_written);
    socket_close(&server.socket); /* With unread bytes: a reset. */

    while (client.written == STATUS_OK) {
        client.written_count = 0;
        end_write(&client, "more", 4);
        run_until(client_has_written);
    }

    cr_expect_eq(client.written, STATUS_CLOSED);
    close_pair();
    tear_down();
}

static bool client_has_failed(void)
{
    return client.connected_count == 1 && client.closed_count == 1;
}

Test(host_socket, refused_connection_is_unreachable_and_closes_itself)
{
    struct address address = listen_on("127.0.0.1");
    socket_listener_close(sockets, listener);
    listener = NULL;

    cr_assert_eq(socket_connect(sockets, &client.socket, &address, &end_events), STATUS_OK);
    run_until(client_has_failed);

    cr_expect_eq(client.connected, STATUS_UNREACHABLE);
    cr_expect_eq(client.ended_count, 0);
    tear_down();
}

/* A listener whose backlog is full answers nothing, as a host behind a broken road. */
static int fill_backlog(int *fds, int fd_count, struct address *out_address)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t name_bytes = sizeof name;
    int silent = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(silent, (struct sockaddr *)&name, sizeof name), 0);
    cr_assert_eq(listen(silent, 0), 0);
    cr_assert_eq(getsockname(silent, (struct sockaddr *)&name, &name_bytes), 0);
    for (int i = 0; i < fd_count; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(fds[i], (struct sockaddr *)&name, sizeof name);
    }
    *out_address = (struct address){.host = "127.0.0.1", .port = ntohs(name.sin_port)};
    return silent;
}

Test(host_socket, host_that_does_not_answer_is_given_up_in_time)
{
    int fds[8];
    struct address address;
    int silent = fill_backlog(fds, 8, &address);
    cr_assert_eq(rig.loop.sockets.connect_deadline_ms, 10000);
    rig.loop.sockets.connect_deadline_ms = 50;
    int64_t start_ns = loop_now_ns(&rig.loop.loop);

    cr_assert_eq(socket_connect(sockets, &client.socket, &address, &end_events), STATUS_OK);
    run_until(client_has_failed);

    cr_expect_eq(client.connected, STATUS_TIMEOUT);
    cr_expect_geq(loop_now_ns(&rig.loop.loop) - start_ns, 50 * CLOCK_NS_PER_MS);
    for (int i = 0; i < 8; i++) {
        (void)close(fds[i]);
    }
    (void)close(silent);
    tear_down();
}

Test(host_socket, name_is_resolved_and_each_of_its_addresses_tried)
{
    /* Wherever "localhost" is two addresses, one of the two listeners is not on the first. */
    const char *const hosts[] = {"127.0.0.1", "localhost"};
    for (int i = 0; i < 2; i++) {
        struct address address = listen_on(hosts[i]);
        (void)snprintf(address.host, sizeof address.host, "localhost");
        memset(&client, 0, sizeof client);
        memset(&server, 0, sizeof server);

        cr_assert_eq(socket_connect(sockets, &client.socket, &address, &end_events), STATUS_OK);
        run_until(both_are_open);

        cr_expect_eq(client.connected, STATUS_OK);
        close_pair();
        socket_listener_close(sockets, listener);
        listener = NULL;
    }
    tear_down();
}

Test(host_socket, name_that_does_not_exist_is_unreachable)
{
    struct address address = {.host = "no-such-host.invalid", .port = 9};

    cr_assert_eq(socket_connect(sockets, &client.socket, &address, &end_events), STATUS_OK);
    run_until(client_has_failed);

    cr_expect_eq(client.connected, STATUS_UNREACHABLE);
    tear_down();
}

Test(host_socket, address_in_use_is_told)
{
    struct address address = listen_on("127.0.0.1");
    struct socket_listener *twin = NULL;

    cr_expect_eq(socket_listen(sockets, &address, serve_accepted, &server, &twin), STATUS_EXISTS);
    cr_expect_null(twin);
    tear_down();
}

Test(host_socket, address_of_another_machine_cannot_be_listened_on)
{
    struct socket_listener *other = NULL;
    struct address address = {.host = "192.0.2.1", .port = 0};

    cr_expect_eq(socket_listen(sockets, &address, serve_accepted, &server, &other), STATUS_INVALID);
    tear_down();
}

/* A stream that is accepted on one loop and served on another. */
struct handover {
    struct mail mail;
    struct socket_token token;
    struct host_loop other;
};

static struct handover handover;

static void echo_on_read(struct socket *socket, size_t byte_count)
{
    struct end *end = container_of(socket, struct end, socket);
    end->buffers[0] = (struct socket_buffer){.base = end->room, .byte_count = byte_count};
    socket_write(socket, &end->write);
}

static void echo_on_written(struct socket_write *write, enum status status)
{
    (void)write;
    cr_expect_eq(status, STATUS_OK);
}

static void echo_on_end(struct socket *socket, enum status why)
{
    (void)why;
    socket_close(socket);
}

static void echo_on_closed(struct socket *socket)
{
    (void)socket;
    host_loop_stop(&handover.other);
}

static const struct socket_events echo_events = {.on_room = end_on_room,
                                                 .on_read = echo_on_read,
                                                 .on_end = echo_on_end,
                                                 .on_closed = echo_on_closed};

static void adopt_on_other(struct mail *mail)
{
    (void)mail;
    server.write = (struct socket_write){
        .buffers = server.buffers, .buffer_count = 1, .on_done = echo_on_written};
    cr_assert_eq(
        socket_adopt(handover.other.loop.sockets, &server.socket, handover.token, &echo_events),
        STATUS_OK);
    socket_read_start(&server.socket);
}

static void hand_over(void *context, struct socket_token token)
{
    (void)context;
    handover.token = token;
    handover.mail.deliver = adopt_on_other;
    mailbox_post(&handover.other.loop.mailbox, &handover.mail);
}

static bool client_has_its_echo(void)
{
    return client.read_count == 5;
}

static bool client_is_connected(void)
{
    return client.connected_count == 1;
}

Test(host_socket, accepted_stream_can_be_served_by_another_loop)
{
    struct address address = {.host = "127.0.0.1", .port = 0};
    cr_assert_eq(host_loop_init(&handover.other, &(struct host_loop_options){.name = "other"}),
                 STATUS_OK);
    cr_assert_eq(host_loop_start(&handover.other), STATUS_OK);
    cr_assert_eq(socket_listen(sockets, &address, hand_over, NULL, &listener), STATUS_OK);
    address.port = socket_listener_port(sockets, listener);
    cr_assert_eq(socket_connect(sockets, &client.socket, &address, &end_events), STATUS_OK);
    run_until(client_is_connected);

    socket_read_start(&client.socket);
    end_write(&client, "echo!", 5);
    run_until(client_has_its_echo);
    socket_close(&client.socket);
    run_until(client_has_ended);

    host_loop_join(&handover.other);
    host_loop_done(&handover.other);
    tear_down();
}

static int accepted_count;

static void drop_accepted(void *context, struct socket_token token)
{
    (void)context;
    accepted_count += 1;
    socket_token_drop(sockets, token);
}

static bool client_got_the_end(void)
{
    return client.ended_count == 1 && client.closed_count == 1;
}

Test(host_socket, dropped_token_closes_the_stream)
{
    struct address address = {.host = "127.0.0.1", .port = 0};
    cr_assert_eq(socket_listen(sockets, &address, drop_accepted, NULL, &listener), STATUS_OK);
    address.port = socket_listener_port(sockets, listener);
    cr_assert_eq(socket_connect(sockets, &client.socket, &address, &end_events), STATUS_OK);
    run_until(client_is_connected);

    socket_read_start(&client.socket);
    run_until(client_got_the_end);

    cr_expect_eq(accepted_count, 1);
    tear_down();
}

Test(host_socket, closing_while_resolving_or_connecting_tells_closed_only)
{
    struct address address = {.host = "127.0.0.1", .port = 0};
    cr_assert_eq(socket_listen(sockets, &address, drop_accepted, NULL, &listener), STATUS_OK);
    address.port = socket_listener_port(sockets, listener);
    const char *const hosts[] = {"localhost", "127.0.0.1", "no-such-host.invalid"};
    for (int i = 0; i < 3; i++) {
        memset(&client, 0, sizeof client);
        (void)snprintf(address.host, sizeof address.host, "%s", hosts[i]);
        cr_assert_eq(socket_connect(sockets, &client.socket, &address, &end_events), STATUS_OK);

        socket_close(&client.socket);
        run_until(client_has_ended);

        cr_expect_eq(client.connected_count, 0);
    }
    tear_down();
}

Test(host_socket, without_descriptors_clients_are_refused_and_later_ones_served)
{
    struct address address = {.host = "127.0.0.1", .port = 0};
    cr_assert_eq(socket_listen(sockets, &address, drop_accepted, NULL, &listener), STATUS_OK);
    address.port = socket_listener_port(sockets, listener);
    cr_assert_eq(socket_connect(sockets, &client.socket, &address, &end_events), STATUS_OK);
    struct rlimit before;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    int next_fd = dup(0);
    const struct rlimit none = {.rlim_cur = (rlim_t)next_fd, .rlim_max = before.rlim_max};
    (void)close(next_fd);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    run_until(client_is_connected);

    socket_read_start(&client.socket);
    run_until(client_got_the_end);
    cr_expect_eq(accepted_count, 0, "closed by means of the reserve");

    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    memset(&client, 0, sizeof client);
    client.room_count = sizeof client.room;
    cr_assert_eq(socket_connect(sockets, &client.socket, &address, &end_events), STATUS_OK);
    run_until(client_is_connected);
    socket_read_start(&client.socket);
    run_until(client_got_the_end);
    cr_expect_eq(accepted_count, 1);
    tear_down();
}

Test(host_socket, local_pair_can_be_adopted)
{
    int fds[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    cr_assert_eq(socket_adopt(sockets, &client.socket, (struct socket_token){fds[0]}, &end_events),
                 STATUS_OK);
    cr_assert_eq(socket_adopt(sockets, &server.socket, (struct socket_token){fds[1]}, &end_events),
                 STATUS_OK);

    socket_read_start(&server.socket);
    end_write(&client, "hello", 5);
    run_until(server_has_something);

    cr_expect_str_eq(server.socket.peer.host, "local");
    close_pair();
    tear_down();
}

Test(host_socket, loop_that_ends_with_open_streams_aborts, .signal = SIGABRT)
{
    open_pair();

    host_loop_done(&rig.loop);
}
