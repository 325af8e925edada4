/* Goal: streams keep bytes and order under any splitting, and every fault is seen as it should be.
 * Method: an echo server and a client that sends numbered bytes; cuts, deaths, refusals. */
#include "tests/sim/sim_socket.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define BYTES_MAX 1000000U

static struct sim_world *world;
static struct sim_node *server;
static struct sim_node *client;

/* One end in the test: counts what comes, says what it heard. Lives in static memory. */
struct peer {
    struct socket socket;
    struct socket_write write;
    struct socket_buffer buffer;
    uint8_t room[3000];
    uint8_t *received; /* BYTES_MAX */
    size_t received_count;
    size_t sent_done;
    bool is_connected;
    bool is_echoing;
    bool has_closed;
    bool has_ended;
    enum status connect_status;
    enum status end_status;
    enum status write_status;
    bool is_write_done;
};

static struct peer near;
static struct peer far;
static uint8_t near_bytes[BYTES_MAX];
static uint8_t far_bytes[BYTES_MAX];
static uint8_t payload[BYTES_MAX];
static struct socket_listener *listener;

static struct peer *peer_of(struct socket *socket)
{
    return container_of(socket, struct peer, socket);
}

static void on_connected(struct socket *socket, enum status status)
{
    peer_of(socket)->is_connected = true;
    peer_of(socket)->connect_status = status;
}

static void on_room(struct socket *socket, uint8_t **out_base, size_t *out_byte_count)
{
    *out_base = peer_of(socket)->room;
    *out_byte_count = sizeof peer_of(socket)->room;
}

static void on_read(struct socket *socket, size_t byte_count)
{
    struct peer *peer = peer_of(socket);
    cr_assert_leq(peer->received_count + byte_count, BYTES_MAX);
    memcpy(peer->received + peer->received_count, peer->room, byte_count);
    peer->received_count += byte_count;
}

static void on_end(struct socket *socket, enum status why)
{
    peer_of(socket)->has_ended = true;
    peer_of(socket)->end_status = why;
    socket_close(socket);
}

static void on_closed(struct socket *socket)
{
    cr_assert_null(socket->stream);
    cr_assert_not(peer_of(socket)->has_closed);
    peer_of(socket)->has_closed = true;
}

static const struct socket_events events = {.on_connected = on_connected,
                                            .on_room = on_room,
                                            .on_read = on_read,
                                            .on_end = on_end,
                                            .on_closed = on_closed};

static void on_written(struct socket_write *write, enum status status)
{
    struct peer *peer = container_of(write, struct peer, write);
    peer->is_write_done = true;
    peer->write_status = status;
}

static void write_bytes(struct peer *peer, size_t byte_count)
{
    peer->is_write_done = false;
    peer->buffer = (struct socket_buffer){.base = payload, .byte_count = byte_count};
    peer->write =
        (struct socket_write){.buffers = &peer->buffer, .buffer_count = 1, .on_done = on_written};
    socket_write(&peer->socket, &peer->write);
}

static void on_accept(void *context, struct socket_token token)
{
    (void)context;
    cr_assert_eq(socket_adopt(sim_node_loop(server, 0)->sockets, &far.socket, token, &events),
                 STATUS_OK);
    far.is_connected = true;
    socket_read_start(&far.socket);
}

static void serve(struct sim_node *node, struct loop *loops, uint32_t loop_count)
{
    (void)node;
    (void)loop_count;
    struct address address = {.host = "0.0.0.0", .port = 9092};
    cr_assert_eq(socket_listen(loops[0].sockets, &address, on_accept, NULL, &listener), STATUS_OK);
    cr_assert_eq(socket_listener_port(loops[0].sockets, listener), 9092);
}

static void begin(uint64_t seed)
{
    world = sim_world_new(&(struct sim_world_options){.seed = seed});
    server = sim_node_add(world, &(struct sim_node_options){.boot = serve});
    client = sim_node_add(world, &(struct sim_node_options){.loop_count = 1});
    cr_assert(sim_node_start(server));
    cr_assert(sim_node_start(client));
    memset(&near, 0, sizeof near);
    memset(&far, 0, sizeof far);
    near.received = near_bytes;
    far.received = far_bytes;
    for (size_t i = 0; i < BYTES_MAX; i++) {
        payload[i] = (uint8_t)(i * 7 + i / 251);
    }
}

static void end(void)
{
    sim_world_free(world);
}

static void set_up(void)
{
    begin(3);
}

static void connect_to(const char *host, uint16_t port)
{
    struct address address = {.port = port};
    strncpy(address.host, host, sizeof address.host - 1);
    cr_assert_eq(socket_connect(sim_node_loop(client, 0)->sockets, &near.socket, &address, &events),
                 STATUS_OK);
}

static void connect_both(void)
{
    connect_to("node-1", 9092);
    sim_world_run_for(world, 100 * SIM_MS);
    cr_assert(near.is_connected);
    cr_assert_eq(near.connect_status, STATUS_OK);
    cr_assert(far.is_connected);
}

TestSuite(sim_socket, .init = set_up, .fini = end);

Test(sim_socket, bytes_arrive_whole_and_in_order_for_every_seed)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        end();
        begin(seed);
        connect_both();
        size_t byte_count = 1 + (size_t)(seed * 7919 * 7919 % 300000);

        write_bytes(&near, byte_count);
        sim_world_run_for(world, 60 * SIM_S);

        cr_assert(near.is_write_done);
        cr_assert_eq(far.received_count, byte_count);
        cr_assert_eq(memcmp(far.received, payload, byte_count), 0);
        socket_close(&near.socket);
        sim_world_run_for(world, SIM_S);
        cr_assert(near.has_closed);
        cr_assert(far.has_ended);
        cr_assert_eq(far.end_status, STATUS_CLOSED);
        cr_assert(far.has_closed);
        cr_assert_eq(sim_network_stream_count(world), 0);
    }
}

Test(sim_socket, reader_that_stops_holds_the_writer_back)
{
    connect_both();
    socket_read_stop(&far.socket);

    write_bytes(&near, 600000);
    sim_world_run_for(world, 10 * SIM_S);
    cr_expect_not(near.is_write_done);
    cr_expect_eq(far.received_count, 0);

    socket_read_start(&far.socket);
    sim_world_run_for(world, 60 * SIM_S);
    cr_expect(near.is_write_done);
    cr_expect_eq(far.received_count, 600000);
}

Test(sim_socket, nobody_listening_is_refused_and_silence_times_out)
{
    connect_to("node-1", 1);
    sim_world_run_for(world, SIM_S);
    cr_expect_eq(near.connect_status, STATUS_UNREACHABLE);
    cr_expect(near.has_closed);

    memset(&near, 0, sizeof near);
    sim_node_kill(server);
    connect_to("node-1", 9092);
    sim_world_run_for(world, SIM_S);
    cr_expect_eq(near.connect_status, STATUS_UNREACHABLE, "the host is up, nobody listens");

    memset(&near, 0, sizeof near);
    sim_node_lose_power(server);
    connect_to("node-1", 9092);
    sim_world_run_for(world, 9 * SIM_S);
    cr_expect_not(near.is_connected);
    sim_world_run_for(world, 2 * SIM_S);
    cr_expect_eq(near.connect_status, STATUS_TIMEOUT);

    memset(&near, 0, sizeof near);
    connect_to("nowhere", 9092);
    sim_world_run_for(world, SIM_S);
    cr_expect_eq(near.connect_status, STATUS_UNREACHABLE);
}

Test(sim_socket, cut_way_holds_bytes_until_the_heal)
{
    connect_both();
    sim_network_cut_one_way(client, server);
    write_bytes(&near, 100);
    sim_world_run_for(world, 5 * SIM_S);
    cr_expect_eq(far.received_count, 0);
    write_bytes(&far, 50);
    socket_read_start(&near.socket);
    sim_world_run_for(world, 5 * SIM_S);
    cr_expect_eq(near.received_count, 50, "the other way is open");

    sim_network_heal(client, server);
    sim_world_run_for(world, 5 * SIM_S);

    cr_expect(far.received_count == 100 || far.has_ended);
}

Test(sim_socket, killed_process_is_heard_at_once_and_a_dead_host_is_not)
{
    connect_both();
    socket_read_start(&near.socket);
    sim_node_kill(server);
    sim_world_run_for(world, 10 * SIM_MS);
    cr_expect(near.has_ended);

    end();
    begin(4);
    connect_both();
    socket_read_start(&near.socket);
    sim_node_lose_power(server);
    write_bytes(&near, 10);
    sim_world_run_for(world, 20 * SIM_S);
    cr_expect_not(near.has_ended);
    cr_assert(sim_node_start(server));
    sim_world_run_for(world, 21 * SIM_S);
    cr_expect(near.has_ended, "the host is back and knows no such stream");
    cr_expect_eq(near.end_status, STATUS_CLOSED);
}

Test(sim_socket, who_only_listens_to_a_dead_host_hears_of_it_by_keep_alive)
{
    connect_both();
    socket_read_start(&near.socket);
    sim_node_lose_power(server);
    sim_world_run_for(world, 60 * SIM_S);
    cr_expect_not(near.has_ended);
    sim_world_run_for(world, 11 * SIM_S);
    cr_expect(near.has_ended);
    cr_expect_eq(near.end_status, STATUS_TIMEOUT);
}

/* Nothing is on its way when the power goes: only a probe meets the host that is back. */
Test(sim_socket, writer_with_a_full_window_hears_that_its_peer_lost_the_memory)
{
    connect_both();
    socket_read_start(&near.socket);
    socket_read_stop(&far.socket);
    write_bytes(&near, 900000);
    sim_world_run_for(world, SIM_S);
    cr_assert_not(near.is_write_done);

    sim_node_lose_power(server);
    cr_assert(sim_node_start(server));
    sim_world_run_for(world, 20 * SIM_S);

    cr_expect(near.has_ended);
    cr_expect_eq(near.write_status, STATUS_CLOSED);
}

Test(sim_socket, limit_breaks_a_stream_whose_peer_takes_nothing_for_that_long)
{
    connect_both();
    socket_read_start(&near.socket);
    socket_limit_silence(&near.socket, 2000);
    write_bytes(&near, 10);
    sim_world_run_for(world, 10 * SIM_S);
    cr_expect_not(near.has_ended, "nothing waits");

    sim_node_lose_power(server);
    write_bytes(&near, 10);
    sim_world_run_for(world, 1900 * SIM_MS);
    cr_expect_not(near.has_ended);
    sim_world_run_for(world, 200 * SIM_MS);
    cr_expect(near.has_ended);
    cr_expect_eq(near.end_status, STATUS_TIMEOUT);
}

Test(sim_socket, limit_spares_a_slow_reader_and_breaks_one_that_stands_still)
{
    connect_both();
    socket_read_start(&near.socket);
    socket_limit_silence(&near.socket, 2000);
    write_bytes(&near, 900000);
    for (int i = 0; i < 10; i++) {
        socket_read_stop(&far.socket);
        sim_world_run_for(world, 1500 * SIM_MS);
        socket_read_start(&far.socket);
        sim_world_run_for(world, 50 * SIM_US);
    }
    cr_assert_not(near.is_write_done);
    cr_expect_not(near.has_ended);

    socket_read_stop(&far.socket);
    sim_world_run_for(world, 2500 * SIM_MS);
    cr_expect(near.has_ended);
    cr_expect_eq(near.end_status, STATUS_TIMEOUT);
}

Test(sim_socket, closing_cancels_what_has_not_left)
{
    connect_both();
    socket_read_stop(&far.socket);
    write_bytes(&near, 900000);
    sim_world_run_for(world, SIM_S);

    socket_close(&near.socket);
    socket_close(&near.socket);
    sim_world_run_for(world, SIM_S);

    cr_expect(near.is_write_done);
    cr_expect_eq(near.write_status, STATUS_CANCELED);
    cr_expect(near.has_closed);
}

Test(sim_socket, broken_streams_tell_both_ends)
{
    connect_both();
    socket_read_start(&near.socket);

    sim_network_break_streams(client, server);
    sim_world_run_for(world, SIM_S);

    cr_expect(near.has_closed);
    cr_expect(far.has_closed);
    cr_expect_eq(sim_network_stream_count(world), 0);
}

Test(sim_socket, taken_port_is_refused_and_port_zero_is_chosen)
{
    struct loop *loop = sim_node_loop(server, 0);
    struct socket_listener *other = NULL;
    struct address address = {.host = "0.0.0.0", .port = 9092};
    cr_expect_eq(socket_listen(loop->sockets, &address, on_accept, NULL, &other), STATUS_EXISTS);

    address.port = 0;
    cr_expect_eq(socket_listen(loop->sockets, &address, on_accept, NULL, &other), STATUS_OK);
    cr_expect_gt(socket_listener_port(loop->sockets, other), 1024);
    connect_to("node-1", socket_listener_port(loop->sockets, other));
    socket_listener_close(loop->sockets, other);
    sim_world_run_for(world, SIM_S);
    cr_expect_eq(near.connect_status, STATUS_UNREACHABLE);
}

Test(sim_socket, held_bytes_are_not_overtaken_by_later_ones)
{
    for (uint64_t seed = 1; seed <= 200; seed++) {
        end();
        begin(seed);
        connect_both();
        sim_network_cut_one_way(client, server);
        write_bytes(&near, 1000);
        sim_world_run_for(world, SIM_S);
        cr_assert(near.is_write_done);
        struct socket_buffer buffer = {.base = payload + 1000, .byte_count = 1000};
        near.write =
            (struct socket_write){.buffers = &buffer, .buffer_count = 1, .on_done = on_written};
        socket_write(&near.socket, &near.write);

        sim_network_heal(client, server);
        sim_world_run_for(world, 5 * SIM_S);

        cr_assert(far.received_count == 2000 || far.has_ended);
        cr_assert_eq(memcmp(far.received, payload, far.received_count), 0, "seed %llu",
                     (unsigned long long)seed);
    }
}
