#include "tests/sim/sim_socket.h"

#include "proto/sys/check.h"
#include "tests/sim/sim_loop.h"
#include "tests/sim/sim_network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_NS_MAX (10 * SIM_S)
#define TURN_NS_MIN SIM_US
#define TURN_NS_MAX (20 * SIM_US)
#define PACKET_BYTES_MAX 65536U
#define PROBE_NS_MIN (200 * SIM_MS)
#define PROBE_NS_MAX (30 * SIM_S)

static struct sim_socket_service *service_of(struct socket_service *service)
{
    return container_of(service, struct sim_socket_service, service);
}

static struct sim_network *network_of(const struct sim_loop *loop)
{
    return loop->node->world->network;
}

static struct sim_end *end_of(const struct socket *socket)
{
    check(socket->stream != NULL);
    return socket->stream;
}

/* --- Turns: all that a user hears about an end comes from here --- */

static void turn_event(void *context, uint64_t value);

void sim_socket_plan_turn(struct sim_end *end)
{
    if (end->is_turn_planned || end->socket == NULL) {
        return;
    }
    end->is_turn_planned = true;
    struct sim_network *network = end->stream->network;
    sim_world_after_in(network->world, end->node,
                       sim_world_between(network->prng, TURN_NS_MIN, TURN_NS_MAX), SIM_EVENT_SOCKET,
                       turn_event, end, (uint64_t)end->stream->id);
}

static void finish_write(struct sim_end *end, struct socket_write *write, enum status status)
{
    list_remove(&write->link);
    write->host = (void *)(uintptr_t)status;
    list_append(&end->finished, &write->link);
}

static void cancel_writes(struct sim_end *end, enum status status)
{
    while (!list_is_empty(&end->writes)) {
        finish_write(end, container_of(end->writes.next, struct socket_write, link), status);
    }
}

void sim_socket_break(struct sim_end *end, enum status why)
{
    end->is_broken = true;
    end->why = why;
    end->received_count = 0;
    if (end->is_connecting && !end->has_connect_result) {
        end->has_connect_result = true;
        end->connect_result = STATUS_UNREACHABLE;
    }
    cancel_writes(end, STATUS_CLOSED);
}

static size_t piece_size(struct sim_end *end, size_t byte_count)
{
    struct prng *prng = end->stream->network->prng;
    if (end->tiny_reads_left > 0) {
        end->tiny_reads_left -= 1;
        byte_count = byte_count < 7 ? byte_count : 7;
        return (size_t)prng_below(prng, byte_count) + 1;
    }
    return end->is_split ? (size_t)prng_below(prng, byte_count) + 1 : byte_count;
}

static void turn_read(struct sim_end *end)
{
    struct socket *socket = end->socket;
    uint8_t *base = NULL;
    size_t room = 0;
    socket->events->on_room(socket, &base, &room);
    if (end->is_closing || !end->is_reading) {
        return;
    }
    if (room == 0) {
        end->is_reading = false;
        return;
    }
    size_t byte_count = piece_size(end, room < end->received_count ? room : end->received_count);
    memcpy(base, end->received + end->received_start, byte_count);
    sim_world_hash_bytes(end->node->world, base, byte_count);
    end->received_start += byte_count;
    end->received_count -= byte_count;
    struct sim_heap *user = sim_heap_switch(NULL);
    sim_network_send(end, SIM_PACKET_CREDIT, NULL, byte_count);
    sim_heap_switch(user);
    socket->events->on_read(socket, byte_count);
}

static void turn_connect(struct sim_end *end)
{
    struct socket *socket = end->socket;
    end->is_connecting = false;
    if (end->connect_result != STATUS_OK) {
        end->is_closing = true;
    }
    socket->events->on_connected(socket, end->connect_result);
}

static void turn_close(struct sim_end *end)
{
    struct socket *socket = end->socket;
    end->socket = NULL;
    end->is_gone = true;
    struct sim_heap *user = sim_heap_switch(NULL);
    sim_network_release(end->stream);
    sim_heap_switch(user);
    socket->stream = NULL;
    socket->events->on_closed(socket); /* May free it. */
}

/* The end outlives every callback: only turn_close() lets go of it, and while a turn is running no
 * other one is planned. */
static void turn_event(void *context, uint64_t value)
{
    struct sim_end *end = context;
    check(end->stream->id == (int64_t)value);
    check(end->is_turn_planned && end->socket != NULL);
    bool has_told = !list_is_empty(&end->finished);
    while (!list_is_empty(&end->finished)) {
        struct list *link = list_take_first(&end->finished);
        struct socket_write *write = container_of(link, struct socket_write, link);
        write->on_done(write, (enum status)(uintptr_t)write->host);
    }
    if (end->is_closing) {
        turn_close(end);
        return;
    }
    if (end->has_connect_result && end->is_connecting) {
        turn_connect(end);
        has_told = true;
    } else if (end->is_reading && end->received_count > 0) {
        turn_read(end);
        has_told = true;
    } else if (end->is_reading && (end->is_broken || end->has_ended)) {
        end->is_reading = false; /* Who does not read is not told, as in production. */
        end->socket->events->on_end(end->socket, end->is_broken ? end->why : STATUS_CLOSED);
        has_told = true;
    }
    end->is_turn_planned = false;
    if (has_told) { /* There may be more, or the user may have asked for something. */
        sim_socket_plan_turn(end);
    }
}

/* Bytes of queued writes; a write whose last byte leaves is done. */
static size_t packet_fill(struct sim_end *end, uint8_t *packet, size_t room)
{
    size_t filled = 0;
    while (filled < room && !list_is_empty(&end->writes)) {
        struct socket_write *write = container_of(end->writes.next, struct socket_write, link);
        size_t skipped = end->write_done;
        for (uint32_t i = 0; i < write->buffer_count && filled < room; i++) {
            const struct socket_buffer *buffer = &write->buffers[i];
            if (skipped >= buffer->byte_count) {
                skipped -= buffer->byte_count;
                continue;
            }
            size_t left = buffer->byte_count - skipped;
            size_t part = left < room - filled ? left : room - filled;
            memcpy(packet + filled, (const uint8_t *)buffer->base + skipped, part);
            filled += part;
            end->write_done += part;
            skipped = 0;
        }
        size_t total = 0;
        for (uint32_t i = 0; i < write->buffer_count; i++) {
            total += write->buffers[i].byte_count;
        }
        if (end->write_done == total) {
            end->write_done = 0;
            finish_write(end, write, STATUS_OK);
        }
    }
    return filled;
}

static void probe_event(void *context, uint64_t value);

static void plan_probe(struct sim_end *end)
{
    struct sim_network *network = end->stream->network;
    end->is_probe_planned = true;
    sim_world_after(network->world, end->probe_ns, SIM_EVENT_SOCKET, probe_event, network,
                    sim_network_ticket(end));
}

/* A writer asks now and then whether there is room. So it learns that its peer lost the memory. */
static void probe_event(void *context, uint64_t value)
{
    struct sim_end *end = sim_network_end_find(context, value);
    if (end == NULL) {
        return;
    }
    end->is_probe_planned = false;
    if (end->socket != NULL && !end->is_broken && !list_is_empty(&end->writes)) {
        sim_network_send(end, SIM_PACKET_PROBE, NULL, 0);
        end->probe_ns = end->probe_ns < PROBE_NS_MAX ? 2 * end->probe_ns : PROBE_NS_MAX;
        plan_probe(end);
    }
}

void sim_socket_pump(struct sim_end *end)
{
    if (end->is_connecting || end->is_broken || end->is_closing) {
        return;
    }
    struct prng *prng = end->stream->network->prng;
    uint8_t packet[PACKET_BYTES_MAX];
    while (!list_is_empty(&end->writes) && end->unconsumed < end->window) {
        size_t room = end->window - end->unconsumed;
        room = room < PACKET_BYTES_MAX ? room : PACKET_BYTES_MAX;
        room = end->is_split ? (size_t)prng_below(prng, room) + 1 : room;
        size_t filled = packet_fill(end, packet, room);
        if (filled > 0) {
            end->unconsumed += filled;
            sim_network_send(end, SIM_PACKET_DATA, packet, filled);
        }
    }
    if (!list_is_empty(&end->finished)) {
        sim_socket_plan_turn(end);
    }
    if (!list_is_empty(&end->writes) && !end->is_probe_planned) {
        end->probe_ns = PROBE_NS_MIN;
        plan_probe(end);
    }
}

/* --- The interface --- */

static enum status op_listen(struct socket_service *service, const struct address *address,
                             void (*on_accept)(void *context, struct socket_token token),
                             void *context, struct socket_listener **out_listener)
{
    struct sim_loop *loop = service_of(service)->loop;
    struct sim_network *network = network_of(loop);
    if (address->port != 0 &&
        sim_network_listener_find(network, loop->node, address->port) != NULL) {
        return STATUS_EXISTS;
    }
    struct sim_heap *user = sim_heap_switch(NULL);
    struct socket_listener *listener = calloc(1, sizeof *listener);
    check(listener != NULL);
    *listener = (struct socket_listener){.network = network,
                                         .loop = loop,
                                         .port = address->port,
                                         .on_accept = on_accept,
                                         .context = context};
    if (listener->port == 0) {
        listener->port = sim_network_port_next(network, loop->node);
    }
    list_append(&network->listeners, &listener->link);
    sim_heap_switch(user);
    *out_listener = listener;
    return STATUS_OK;
}

static uint16_t op_listener_port(const struct socket_listener *listener)
{
    return listener->port;
}

static void op_listener_close(struct socket_listener *listener)
{
    struct sim_heap *user = sim_heap_switch(NULL);
    list_remove(&listener->link);
    free(listener);
    sim_heap_switch(user);
}

static struct sim_end *token_end(struct sim_socket_service *self, struct socket_token token)
{
    struct sim_stream *stream = sim_network_stream_find(network_of(self->loop), token.value);
    if (stream == NULL || stream->ends[1].is_gone) {
        return NULL;
    }
    struct sim_end *end = &stream->ends[1];
    check(end->node == self->loop->node);
    check(end->socket == NULL);
    return end;
}

static enum status op_adopt(struct socket_service *service, struct socket *socket,
                            struct socket_token token)
{
    struct sim_socket_service *self = service_of(service);
    struct sim_end *end = token_end(self, token);
    if (end == NULL) {
        return STATUS_CLOSED;
    }
    end->socket = socket;
    end->loop = self->loop;
    socket->stream = end;
    socket->peer.port = end->peer->port;
    snprintf(socket->peer.host, sizeof socket->peer.host, "node-%u", end->peer->node->id);
    return STATUS_OK;
}

static void op_drop(struct socket_service *service, struct socket_token token)
{
    struct sim_end *end = token_end(service_of(service), token);
    if (end != NULL) {
        struct sim_heap *user = sim_heap_switch(NULL);
        end->is_gone = true;
        sim_network_send(end, SIM_PACKET_RESET, NULL, 0);
        sim_heap_switch(user);
    }
}

static void connect_timeout(void *context, uint64_t value)
{
    struct sim_stream *stream = sim_network_stream_find(context, (int64_t)value);
    struct sim_end *end = stream == NULL ? NULL : &stream->ends[0];
    if (end != NULL && end->is_connecting && !end->has_connect_result) {
        end->has_connect_result = true;
        end->connect_result = STATUS_TIMEOUT;
        sim_socket_plan_turn(end);
    }
}

/* NULL: no such host, which nobody answers for. */
static struct sim_node *host_find(const struct sim_loop *loop, const char *host)
{
    if (strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0) {
        return loop->node;
    }
    const struct sim_world *world = loop->node->world;
    for (uint32_t i = 0; i < world->node_count; i++) {
        char name[32];
        snprintf(name, sizeof name, "node-%u", world->nodes[i]->id);
        if (strcmp(host, name) == 0) {
            return world->nodes[i];
        }
    }
    return NULL;
}

static enum status op_connect(struct socket_service *service, struct socket *socket,
                              const struct address *address)
{
    struct sim_loop *loop = service_of(service)->loop;
    struct sim_network *network = network_of(loop);
    struct sim_node *host = host_find(loop, address->host);
    struct sim_heap *user = sim_heap_switch(NULL);
    struct sim_stream *stream =
        sim_network_stream_new(network, loop->node, host == NULL ? loop->node : host);
    struct sim_end *end = &stream->ends[0];
    end->peer->port = host == NULL ? 0 : address->port;
    end->socket = socket;
    end->loop = loop;
    end->is_connecting = true;
    socket->stream = end;
    socket->peer = *address;
    sim_network_send(end, SIM_PACKET_HELLO, NULL, 0);
    sim_world_after_in(network->world, loop->node, CONNECT_NS_MAX, SIM_EVENT_SOCKET,
                       connect_timeout, network, (uint64_t)stream->id);
    sim_heap_switch(user);
    return STATUS_OK;
}

static void op_read_start(struct socket *socket)
{
    struct sim_end *end = end_of(socket);
    if (!end->is_closing) {
        end->is_reading = true;
        sim_socket_plan_turn(end);
    }
}

static void op_read_stop(struct socket *socket)
{
    end_of(socket)->is_reading = false;
}

static bool is_waiting(const struct sim_end *end)
{
    return end->under_way > 0 || !list_is_empty(&end->writes);
}

static void limit_event(void *context, uint64_t value);

static void plan_limit(struct sim_end *end)
{
    struct sim_network *network = end->stream->network;
    int64_t left_ns = end->progress_ns + end->limit_ns - network->world->now_ns;
    end->is_limit_planned = true;
    sim_world_after(network->world, left_ns > 0 ? left_ns : 0, SIM_EVENT_SOCKET, limit_event,
                    network, sim_network_ticket(end));
}

static void limit_event(void *context, uint64_t value)
{
    const struct sim_network *network = context;
    struct sim_end *end = sim_network_end_find(network, value);
    if (end == NULL) {
        return;
    }
    end->is_limit_planned = false;
    if (end->socket == NULL || end->is_broken || end->is_closing || !is_waiting(end)) {
        return;
    }
    if (network->world->now_ns - end->progress_ns < end->limit_ns) {
        plan_limit(end);
        return;
    }
    sim_socket_break(end, STATUS_TIMEOUT);
    sim_socket_plan_turn(end);
}

static void op_limit_silence(struct socket *socket, int64_t limit_ms)
{
    struct sim_end *end = end_of(socket);
    end->limit_ns = limit_ms * SIM_MS;
    if (is_waiting(end) && !end->is_limit_planned) {
        struct sim_heap *user = sim_heap_switch(NULL);
        plan_limit(end);
        sim_heap_switch(user);
    }
}

static void op_write(struct socket *socket, struct socket_write *write)
{
    struct sim_end *end = end_of(socket);
    struct sim_heap *user = sim_heap_switch(NULL);
    if (!is_waiting(end)) {
        end->progress_ns = end->stream->network->world->now_ns;
    }
    list_append(&end->writes, &write->link);
    if (end->limit_ns > 0 && !end->is_limit_planned) {
        plan_limit(end);
    }
    if (end->is_closing || end->is_broken) {
        cancel_writes(end, end->is_closing ? STATUS_CANCELED : STATUS_CLOSED);
        sim_socket_plan_turn(end);
    } else {
        sim_socket_pump(end);
    }
    sim_heap_switch(user);
}

static void op_close(struct socket *socket)
{
    if (socket->stream == NULL || end_of(socket)->is_closing) {
        return;
    }
    struct sim_end *end = end_of(socket);
    struct sim_heap *user = sim_heap_switch(NULL);
    cancel_writes(end, STATUS_CANCELED);
    end->is_closing = true;
    end->is_reading = false;
    if (!end->is_broken && !end->is_connecting) {
        bool has_unread = end->received_count > 0;
        sim_network_send(end, has_unread ? SIM_PACKET_RESET : SIM_PACKET_END, NULL, 0);
    }
    sim_socket_plan_turn(end);
    sim_heap_switch(user);
}

static const struct socket_ops sim_socket_ops = {
    .listen = op_listen,
    .listener_port = op_listener_port,
    .listener_close = op_listener_close,
    .adopt = op_adopt,
    .drop = op_drop,
    .connect = op_connect,
    .read_start = op_read_start,
    .read_stop = op_read_stop,
    .write = op_write,
    .limit_silence = op_limit_silence,
    .close = op_close,
};

void sim_socket_service_init(struct sim_socket_service *self, struct sim_loop *loop)
{
    *self = (struct sim_socket_service){.service = {.ops = &sim_socket_ops}, .loop = loop};
}
