#include "tests/sim/sim_network.h"

#include "proto/sys/check.h"
#include "tests/sim/sim_loop.h"

#include <stdlib.h>
#include <string.h>

#define PORT_FIRST 30000U
#define RESEND_NS_MAX (400 * SIM_MS)
#define RESET_AFTER_HEAL_CHANCE 0.25
#define TINY_READS_MAX 2000U
#define KEEP_ALIVE_NS (70 * SIM_S) /* 60 s of silence and ten probes, as in production. */

const struct sim_weather sim_weather_fair = {.delay_ns_min = 40 * SIM_US,
                                             .delay_ns_max = 400 * SIM_US};

static const size_t windows[4] = {4096, 16384, 65536, 262144};

struct sim_network *sim_network_new(struct sim_world *world)
{
    struct sim_network *self = calloc(1, sizeof *self);
    check(self != NULL);
    self->world = world;
    self->prng = sim_world_prng(world, SIM_STREAM_NETWORK);
    self->weather = sim_weather_fair;
    list_init(&self->streams);
    list_init(&self->listeners);
    for (size_t i = 0; i <= SIM_WORLD_NODES_MAX; i++) {
        self->port_last[i] = PORT_FIRST;
    }
    return self;
}

/* --- Streams --- */

static void packets_drop(struct sim_stream *stream, struct list *packets)
{
    while (!list_is_empty(packets)) {
        free(container_of(list_take_first(packets), struct sim_packet, link));
        stream->packet_count -= 1;
    }
}

static void ends_drop(struct sim_stream *stream)
{
    for (size_t i = 0; i < 2; i++) {
        packets_drop(stream, &stream->ends[i].held);
        packets_drop(stream, &stream->ends[i].early);
    }
}

static void stream_free(struct sim_stream *stream)
{
    list_remove(&stream->link);
    ends_drop(stream);
    for (size_t i = 0; i < 2; i++) {
        free(stream->ends[i].received);
    }
    free(stream);
}

void sim_network_free(struct sim_network *self)
{
    while (!list_is_empty(&self->streams)) {
        stream_free(container_of(self->streams.next, struct sim_stream, link));
    }
    check(list_is_empty(&self->listeners));
    free(self);
}

uint16_t sim_network_port_next(struct sim_network *self, const struct sim_node *node)
{
    self->port_last[node->id] += 1;
    check(self->port_last[node->id] != 0);
    return self->port_last[node->id];
}

static void end_init(struct sim_end *self, struct sim_stream *stream, struct sim_node *node)
{
    struct prng *prng = stream->network->prng;
    *self = (struct sim_end){.stream = stream, .node = node, .incarnation = node->incarnation};
    self->window = windows[prng_below(prng, 4)];
    uint64_t manner = prng_below(prng, 10);
    self->is_split = manner < 3;
    self->tiny_reads_left = manner == 0 ? TINY_READS_MAX : 0;
    list_init(&self->writes);
    list_init(&self->finished);
    list_init(&self->held);
    list_init(&self->early);
}

struct sim_stream *sim_network_stream_new(struct sim_network *self, struct sim_node *from,
                                          struct sim_node *to)
{
    struct sim_stream *stream = calloc(1, sizeof *stream);
    check(stream != NULL);
    stream->network = self;
    self->stream_id_last += 1;
    stream->id = self->stream_id_last;
    end_init(&stream->ends[0], stream, from);
    end_init(&stream->ends[1], stream, to);
    stream->ends[0].peer = &stream->ends[1];
    stream->ends[1].peer = &stream->ends[0];
    stream->ends[0].port = sim_network_port_next(self, from);
    stream->ends[1].is_gone = true; /* Until it is welcomed. */
    list_append(&self->streams, &stream->link);
    return stream;
}

struct sim_stream *sim_network_stream_find(const struct sim_network *self, int64_t id)
{
    list_for_each(link, &self->streams)
    {
        struct sim_stream *stream = container_of(link, struct sim_stream, link);
        if (stream->id == id) {
            return stream;
        }
    }
    return NULL;
}

uint64_t sim_network_ticket(const struct sim_end *end)
{
    return (uint64_t)end->stream->id * 2 + (end == &end->stream->ends[1]);
}

struct sim_end *sim_network_end_find(const struct sim_network *self, uint64_t ticket)
{
    struct sim_stream *stream = sim_network_stream_find(self, (int64_t)(ticket / 2));
    return stream == NULL ? NULL : &stream->ends[ticket % 2];
}

struct socket_listener *sim_network_listener_find(const struct sim_network *self,
                                                  const struct sim_node *node, uint16_t port)
{
    list_for_each(link, &self->listeners)
    {
        struct socket_listener *listener = container_of(link, struct socket_listener, link);
        if (listener->loop->node == node && listener->port == port) {
            return listener;
        }
    }
    return NULL;
}

void sim_network_release(struct sim_stream *stream)
{
    if (stream->ends[0].is_gone && stream->ends[1].is_gone) {
        ends_drop(stream);
        if (stream->packet_count == 0) {
            stream_free(stream);
        }
    }
}

uint32_t sim_network_stream_count(const struct sim_world *world)
{
    uint32_t count = 0;
    list_for_each(link, &world->network->streams)
    {
        const struct sim_stream *stream = container_of(link, struct sim_stream, link);
        count += !stream->ends[0].is_gone || !stream->ends[1].is_gone;
    }
    return count;
}

/* --- Packets --- */

static void packet_event(void *context, uint64_t value);

static void packet_depart(struct sim_packet *packet, int64_t extra_ns)
{
    struct sim_end *from = packet->to->peer;
    struct sim_network *self = from->stream->network;
    int64_t delay_ns = 5 * SIM_US; /* Within a host. */
    if (from->node != packet->to->node) {
        delay_ns =
            sim_world_between(self->prng, self->weather.delay_ns_min, self->weather.delay_ns_max);
        if (sim_world_chance(self->prng, self->weather.spike_chance)) {
            delay_ns += sim_world_between(self->prng, 0, self->weather.spike_ns_max);
        }
    }
    int64_t arrival_ns = self->world->now_ns + delay_ns + extra_ns;
    if (arrival_ns <= from->arrival_ns_last) {
        arrival_ns = from->arrival_ns_last + 1; /* Never ahead of an earlier packet. */
    }
    from->arrival_ns_last = arrival_ns;
    sim_world_after(self->world, arrival_ns - self->world->now_ns, SIM_EVENT_SOCKET, packet_event,
                    packet, (uint64_t)from->stream->id);
}

static void send_later(struct sim_end *from, enum sim_packet_kind kind, int64_t extra_ns)
{
    struct sim_packet *packet = calloc(1, sizeof *packet);
    check(packet != NULL);
    packet->kind = kind;
    packet->to = from->peer;
    packet->number = from->number_sent;
    from->number_sent += 1;
    list_init(&packet->link);
    from->stream->packet_count += 1;
    packet_depart(packet, extra_ns);
}

void sim_network_send(struct sim_end *from, enum sim_packet_kind kind, const void *bytes,
                      size_t byte_count)
{
    size_t room = kind == SIM_PACKET_DATA ? byte_count : 0;
    struct sim_packet *packet = calloc(1, sizeof *packet + room);
    check(packet != NULL);
    packet->kind = kind;
    packet->to = from->peer;
    packet->number = from->number_sent;
    from->number_sent += 1;
    packet->byte_count = byte_count;
    list_init(&packet->link);
    if (room > 0) {
        memcpy(packet->bytes, bytes, room);
    }
    from->stream->packet_count += 1;
    from->under_way += kind == SIM_PACKET_DATA;
    packet_depart(packet, 0);
}

static void end_receive(struct sim_end *self, const struct sim_packet *packet)
{
    if (self->received_start + self->received_count + packet->byte_count > self->received_room) {
        if (self->received_count > 0) {
            memmove(self->received, self->received + self->received_start, self->received_count);
        }
        self->received_start = 0;
        if (self->received_count + packet->byte_count > self->received_room) {
            self->received_room = (self->received_count + packet->byte_count) * 2;
            self->received = realloc(self->received, self->received_room);
            check(self->received != NULL);
        }
    }
    memcpy(self->received + self->received_start + self->received_count, packet->bytes,
           packet->byte_count);
    self->received_count += packet->byte_count;
    check(self->received_count <= self->peer->window);
}

static void accept_event(void *context, uint64_t value)
{
    struct sim_network *self = context;
    struct sim_stream *stream = sim_network_stream_find(self, (int64_t)value);
    if (stream == NULL || stream->ends[1].is_gone) {
        return;
    }
    struct sim_end *end = &stream->ends[1];
    struct socket_listener *listener = sim_network_listener_find(self, end->node, end->port);
    if (listener == NULL) { /* Closed meanwhile: the kernel resets what waited there. */
        struct sim_heap *user = sim_heap_switch(NULL);
        end->is_gone = true;
        sim_network_send(end, SIM_PACKET_RESET, NULL, 0);
        sim_heap_switch(user);
        return;
    }
    listener->on_accept(listener->context, (struct socket_token){.value = stream->id});
}

static void hello_arrives(struct sim_end *end)
{
    struct sim_network *self = end->stream->network;
    struct sim_node *node = end->node;
    if (!node->is_host_up) {
        return; /* Silence; the connecting side has a time limit. */
    }
    const struct socket_listener *listener =
        node->is_up ? sim_network_listener_find(self, node, end->port) : NULL;
    if (listener == NULL) {
        sim_network_send(end, SIM_PACKET_RESET, NULL, 0);
        return;
    }
    end->is_gone = false;
    end->incarnation = node->incarnation;
    sim_network_send(end, SIM_PACKET_WELCOME, NULL, 0);
    sim_world_after_in(self->world, node, sim_world_between(self->prng, SIM_US, 20 * SIM_US),
                       SIM_EVENT_SOCKET, accept_event, self, (uint64_t)end->stream->id);
}

/* Nobody is there: a living host says so, a dead one will when it is back. */
static void answer_for_nobody(struct sim_end *end, const struct sim_packet *packet)
{
    if (packet->kind == SIM_PACKET_RESET || end->peer->is_gone) {
        return;
    }
    if (!end->node->is_host_up) {
        end->lost_ns = end->owes_reset ? end->lost_ns : end->stream->network->world->now_ns;
        end->owes_reset = true;
    } else if (!end->is_reset_under_way &&
               (packet->kind == SIM_PACKET_DATA || packet->kind == SIM_PACKET_WELCOME ||
                packet->kind == SIM_PACKET_PROBE)) {
        sim_network_send(end, SIM_PACKET_RESET, NULL, 0);
    }
}

static void packet_arrives(struct sim_end *end, const struct sim_packet *packet)
{
    if (packet->kind == SIM_PACKET_HELLO) {
        hello_arrives(end);
        return;
    }
    if (packet->kind == SIM_PACKET_DATA && end->node->is_host_up) {
        end->peer->under_way -= 1;
        end->peer->progress_ns = end->stream->network->world->now_ns;
    }
    if (end->is_gone) {
        answer_for_nobody(end, packet);
        return;
    }
    if (end->is_broken) {
        return;
    }
    switch (packet->kind) {
    case SIM_PACKET_WELCOME:
        if (end->is_connecting && !end->has_connect_result) {
            end->has_connect_result = true;
            end->connect_result = STATUS_OK;
        }
        break;
    case SIM_PACKET_DATA:
        if (end->is_closing) { /* Closed with bytes unread: the peer is told, and loses more. */
            sim_network_send(end, SIM_PACKET_RESET, NULL, 0);
            return;
        }
        end_receive(end, packet);
        break;
    case SIM_PACKET_CREDIT:
        check(end->unconsumed >= packet->byte_count);
        end->unconsumed -= packet->byte_count;
        end->progress_ns = end->stream->network->world->now_ns;
        sim_socket_pump(end);
        return;
    case SIM_PACKET_PROBE:
        return; /* Taken, and answered by the credit that may follow. */
    case SIM_PACKET_END:
        end->has_ended = true;
        break;
    case SIM_PACKET_RESET:
        sim_socket_break(end, STATUS_CLOSED);
        break;
    case SIM_PACKET_HELLO:
        break;
    }
    sim_socket_plan_turn(end);
}

static struct sim_packet *early_take(struct sim_end *end)
{
    list_for_each(link, &end->early)
    {
        struct sim_packet *packet = container_of(link, struct sim_packet, link);
        if (packet->number == end->number_next) {
            list_remove(link);
            return packet;
        }
    }
    return NULL;
}

/* What was held travels once more and would arrive behind what left after it: a receiver puts
 * packets back in order, as TCP does. */
static void packet_event(void *context, uint64_t value)
{
    struct sim_packet *packet = context;
    struct sim_end *to = packet->to;
    struct sim_stream *stream = to->stream;
    check(stream->id == (int64_t)value);
    if (stream->network->cuts[to->peer->node->id][to->node->id]) {
        list_append(&to->peer->held, &packet->link);
        return;
    }
    list_append(&to->early, &packet->link);
    for (packet = early_take(to); packet != NULL; packet = early_take(to)) {
        to->number_next += 1;
        packet_arrives(to, packet);
        stream->packet_count -= 1;
        free(packet);
    }
    sim_network_release(stream);
}

/* --- Faults --- */

void sim_network_set_weather(struct sim_world *world, const struct sim_weather *weather)
{
    check(weather->delay_ns_min >= 0 && weather->delay_ns_min <= weather->delay_ns_max);
    world->network->weather = *weather;
}

void sim_network_cut_one_way(struct sim_node *from, struct sim_node *to)
{
    bool *cut = &from->world->network->cuts[from->id][to->id];
    if (!*cut && from != to) {
        *cut = true;
        sim_world_note(from->world, "the way from node-%u to node-%u is cut", from->id, to->id);
    }
}

void sim_network_cut(struct sim_node *one, struct sim_node *other)
{
    sim_network_cut_one_way(one, other);
    sim_network_cut_one_way(other, one);
}

/* What was held sets out again, in order, after a sender's next attempt. */
static void end_resend(struct sim_end *end)
{
    if (list_is_empty(&end->held)) {
        return;
    }
    struct prng *prng = end->stream->network->prng;
    int64_t extra_ns = sim_world_between(prng, 0, RESEND_NS_MAX);
    struct list packets;
    list_init(&packets);
    while (!list_is_empty(&end->held)) {
        list_append(&packets, list_take_first(&end->held));
    }
    while (!list_is_empty(&packets)) {
        struct list *link = list_take_first(&packets);
        packet_depart(container_of(link, struct sim_packet, link), extra_ns);
    }
}

static void streams_resend(struct sim_network *self, const struct sim_node *from,
                           const struct sim_node *to)
{
    list_for_each(link, &self->streams)
    {
        struct sim_stream *stream = container_of(link, struct sim_stream, link);
        for (size_t i = 0; i < 2; i++) {
            struct sim_end *end = &stream->ends[i];
            if (end->node != from || end->peer->node != to || list_is_empty(&end->held)) {
                continue;
            }
            end_resend(end);
            if (sim_world_chance(self->prng, RESET_AFTER_HEAL_CHANCE)) {
                sim_network_send(end, SIM_PACKET_RESET, NULL, 0);
                sim_network_send(end->peer, SIM_PACKET_RESET, NULL, 0);
            }
        }
    }
}

static void heal_one_way(struct sim_node *from, struct sim_node *to)
{
    struct sim_network *self = from->world->network;
    if (self->cuts[from->id][to->id]) {
        self->cuts[from->id][to->id] = false;
        sim_world_note(from->world, "the way from node-%u to node-%u is healed", from->id, to->id);
        streams_resend(self, from, to);
    }
}

void sim_network_heal(struct sim_node *one, struct sim_node *other)
{
    heal_one_way(one, other);
    heal_one_way(other, one);
}

void sim_network_heal_all(struct sim_world *world)
{
    for (uint32_t i = 0; i < world->node_count; i++) {
        for (uint32_t k = 0; k < world->node_count; k++) {
            heal_one_way(world->nodes[i], world->nodes[k]);
        }
    }
}

bool sim_network_is_cut(const struct sim_node *from, const struct sim_node *to)
{
    return from->world->network->cuts[from->id][to->id];
}

void sim_network_break_streams(struct sim_node *one, struct sim_node *other)
{
    sim_world_note(one->world, "streams between node-%u and node-%u break", one->id, other->id);
    list_for_each(link, &one->world->network->streams)
    {
        struct sim_stream *stream = container_of(link, struct sim_stream, link);
        const struct sim_node *first = stream->ends[0].node;
        const struct sim_node *second = stream->ends[1].node;
        if ((first == one && second == other) || (first == other && second == one)) {
            for (size_t i = 0; i < 2; i++) {
                if (!stream->ends[i].is_gone) {
                    sim_socket_break(&stream->ends[i], STATUS_CLOSED);
                    sim_socket_plan_turn(&stream->ends[i]);
                }
            }
        }
    }
}

/* --- Deaths --- */

/* Only who has nothing to say asks in this way. */
static void keep_alive_event(void *context, uint64_t value)
{
    struct sim_end *end = sim_network_end_find(context, value);
    if (end != NULL && end->socket != NULL && end->peer->is_gone && !end->is_broken &&
        end->under_way == 0 && list_is_empty(&end->writes)) {
        sim_socket_break(end, STATUS_TIMEOUT);
        sim_socket_plan_turn(end);
    }
}

static void end_on_death(struct sim_end *end, enum sim_node_death death)
{
    struct prng *prng = end->stream->network->prng;
    bool has_unread = end->received_count > 0;
    end->socket = NULL;
    end->is_gone = true;
    list_init(&end->writes); /* The node's memory: forgotten, not touched. */
    list_init(&end->finished);
    if (death == SIM_NODE_KILLED && !end->is_connecting) {
        bool is_reset = has_unread || prng_below(prng, 4) == 0;
        sim_network_send(end, is_reset ? SIM_PACKET_RESET : SIM_PACKET_END, NULL, 0);
    } else if (death == SIM_NODE_POWERLESS && end->peer->socket != NULL) {
        sim_world_after(end->stream->network->world, KEEP_ALIVE_NS, SIM_EVENT_SOCKET,
                        keep_alive_event, end->stream->network, sim_network_ticket(end->peer));
    }
}

void sim_network_on_death(struct sim_network *self, struct sim_node *node,
                          enum sim_node_death death)
{
    list_for_each_removable(link, &self->listeners)
    {
        struct socket_listener *listener = container_of(link, struct socket_listener, link);
        if (listener->loop->node == node) {
            list_remove(link);
            free(listener);
        }
    }
    list_for_each_removable(link, &self->streams)
    {
        struct sim_stream *stream = container_of(link, struct sim_stream, link);
        for (size_t i = 0; i < 2; i++) {
            if (stream->ends[i].node == node && !stream->ends[i].is_gone) {
                end_on_death(&stream->ends[i], death);
            }
        }
        sim_network_release(stream);
    }
}

void sim_network_on_host_up(struct sim_network *self, struct sim_node *node)
{
    list_for_each(link, &self->streams)
    {
        struct sim_stream *stream = container_of(link, struct sim_stream, link);
        for (size_t i = 0; i < 2; i++) {
            struct sim_end *end = &stream->ends[i];
            if (end->node == node && end->owes_reset) {
                /* The sender tries again after pauses that double. */
                int64_t down_ns = self->world->now_ns - end->lost_ns;
                end->owes_reset = false;
                end->is_reset_under_way = true;
                send_later(end, SIM_PACKET_RESET, sim_world_between(self->prng, 0, down_ns));
            }
        }
    }
}
