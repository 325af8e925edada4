/* Pings and acknowledgements between a server and some clients, each on a node of its own.
 *
 * A client numbers its pings, sends each until it is acknowledged, and begins anew on a new stream
 * when one ends. The server checks that the pings of a stream follow each other, and answers each.
 * Goal: streams keep bytes and order, and a client that resends gets everything through once the
 * nemesis rests. The broken client takes a write that has left for a ping that has arrived. */
#include "tests/sim/sim_workload.h"

#include "proto/sys/check.h"
#include "tests/sim/sim_disk.h"
#include "tests/sim/sim_fault.h"
#include "tests/sim/sim_node.h"
#include "tests/sim/sim_socket.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define SERVER_PORT 9092
#define CLIENT_COUNT_MAX 3U
#define PING_BYTES_MAX 4000U
#define PINGS_UNANSWERED_MAX 8U
#define STREAMS_MAX 64U
#define REPLY_BYTES_MAX 4096U
#define ANSWER_NS_MAX (2 * SIM_S) /* A client gives a stream up that is silent for so long. */
#define RETRY_NS (20 * SIM_MS)
#define PACE_NS_MAX (20 * SIM_MS)
#define FAULTY_NS (20 * SIM_S)
#define CALM_NS (30 * SIM_S)

struct ping {
    uint32_t byte_count; /* Of all, this header included. */
    uint32_t client;
    uint64_t number;
    uint64_t checksum; /* Of what follows. */
};

struct answer {
    uint64_t number;
};

/* The world's side of a client: what it wants and what it got. */
struct client_story {
    uint64_t acknowledged; /* All pings up to it. */
    uint64_t received;     /* By the server, ever: the greatest. */
};

struct play {
    struct sim_world *world;
    struct sim_node *server;
    struct sim_node *clients[CLIENT_COUNT_MAX];
    uint32_t client_count;
    struct client_story stories[CLIENT_COUNT_MAX];
    struct sim_fault fault;
    uint64_t goal; /* Pings that each client wants acknowledged. */
    bool is_careless;
};

/* Bytes that arrive, until a whole message is there. */
struct inbox {
    uint8_t bytes[PING_BYTES_MAX];
    size_t byte_count;
};

static void inbox_drop(struct inbox *self, size_t byte_count)
{
    self->byte_count -= byte_count;
    memmove(self->bytes, self->bytes + byte_count, self->byte_count);
}

static struct play *play_of(const struct loop *loop)
{
    return sim_node_of(loop)->options.context;
}

/* --- The server --- */

struct server_stream {
    struct server *server;
    struct loop *loop;
    struct socket socket;
    struct socket_token token;
    struct mail mail; /* Carries the token to the stream's loop. */
    struct inbox inbox;
    uint64_t number_last; /* Of this stream; 0: none yet. */
    struct answer answers[REPLY_BYTES_MAX / sizeof(struct answer)];
    size_t answer_count; /* Those after `sent_count` wait for the write under way. */
    size_t sent_count;
    struct socket_buffer buffer;
    struct socket_write write;
    bool is_writing;
    bool is_open;
};

struct server {
    struct loop *loops;
    uint32_t loop_count;
    struct socket_listener *listener;
    struct server_stream *streams[STREAMS_MAX];
    uint64_t accepted_count;
};

static void server_answer(struct server_stream *self);

static void server_on_written(struct socket_write *write, enum status status)
{
    struct server_stream *self = container_of(write, struct server_stream, write);
    self->is_writing = false;
    if (status != STATUS_OK) {
        socket_close(&self->socket);
        return;
    }
    self->answer_count -= self->sent_count;
    memmove(self->answers, self->answers + self->sent_count,
            self->answer_count * sizeof self->answers[0]);
    self->sent_count = 0;
    server_answer(self);
    socket_read_start(&self->socket);
}

static void server_answer(struct server_stream *self)
{
    if (self->is_writing || self->answer_count == 0) {
        return;
    }
    self->is_writing = true;
    self->sent_count = self->answer_count;
    self->buffer = (struct socket_buffer){.base = self->answers,
                                          .byte_count = self->sent_count * sizeof self->answers[0]};
    self->write = (struct socket_write){
        .buffers = &self->buffer, .buffer_count = 1, .on_done = server_on_written};
    socket_write(&self->socket, &self->write);
}

static void server_take(struct server_stream *self, const struct ping *ping, const uint8_t *content)
{
    struct play *play = play_of(self->loop);
    if (ping->checksum != XXH3_64bits(content, ping->byte_count - sizeof *ping) ||
        ping->client >= play->client_count) {
        sim_world_fail(play->world, "a ping arrived with other bytes than were sent");
        return;
    }
    struct client_story *story = &play->stories[ping->client];
    bool follows = self->number_last == 0 || ping->number == self->number_last + 1;
    if (!follows || ping->number > story->received + 1) {
        sim_world_fail(play->world, "client %u: ping %llu after %llu of the stream, %llu of all",
                       ping->client, (unsigned long long)ping->number,
                       (unsigned long long)self->number_last, (unsigned long long)story->received);
    }
    self->number_last = ping->number;
    story->received = ping->number > story->received ? ping->number : story->received;
    self->answers[self->answer_count] = (struct answer){.number = ping->number};
    self->answer_count += 1;
}

static void server_on_room(struct socket *socket, uint8_t **out_base, size_t *out_byte_count)
{
    struct server_stream *self = container_of(socket, struct server_stream, socket);
    /* No room for answers: stop reading until the peer has taken some. */
    bool is_full = self->answer_count + PING_BYTES_MAX / sizeof(struct ping) >
                   sizeof self->answers / sizeof self->answers[0];
    *out_base = self->inbox.bytes + self->inbox.byte_count;
    *out_byte_count = is_full ? 0 : PING_BYTES_MAX - self->inbox.byte_count;
}

static void server_on_read(struct socket *socket, size_t byte_count)
{
    struct server_stream *self = container_of(socket, struct server_stream, socket);
    self->inbox.byte_count += byte_count;
    for (;;) {
        struct ping ping;
        if (self->inbox.byte_count < sizeof ping) {
            break;
        }
        memcpy(&ping, self->inbox.bytes, sizeof ping);
        if (ping.byte_count < sizeof ping || ping.byte_count > PING_BYTES_MAX) {
            sim_world_fail(play_of(self->loop)->world, "a ping of %u bytes", ping.byte_count);
            return;
        }
        if (self->inbox.byte_count < ping.byte_count) {
            break;
        }
        server_take(self, &ping, self->inbox.bytes + sizeof ping);
        inbox_drop(&self->inbox, ping.byte_count);
    }
    server_answer(self);
}

static void server_on_end(struct socket *socket, enum status why)
{
    (void)why;
    socket_close(socket);
}

static void server_on_closed(struct socket *socket)
{
    struct server_stream *self = container_of(socket, struct server_stream, socket);
    check(!self->is_writing);
    self->is_open = false;
    for (size_t i = 0; i < STREAMS_MAX; i++) {
        if (self->server->streams[i] == self) {
            self->server->streams[i] = NULL;
        }
    }
    free(self);
}

static const struct socket_events server_events = {.on_room = server_on_room,
                                                   .on_read = server_on_read,
                                                   .on_end = server_on_end,
                                                   .on_closed = server_on_closed};

static void server_adopt(struct mail *mail)
{
    struct server_stream *self = container_of(mail, struct server_stream, mail);
    if (socket_adopt(self->loop->sockets, &self->socket, self->token, &server_events) !=
        STATUS_OK) {
        server_on_closed(&self->socket);
        return;
    }
    self->is_open = true;
    socket_read_start(&self->socket);
}

static void server_on_accept(void *context, struct socket_token token)
{
    struct server *server = context;
    size_t place = 0;
    while (place < STREAMS_MAX && server->streams[place] != NULL) {
        place += 1;
    }
    if (place == STREAMS_MAX) {
        socket_token_drop(server->loops[0].sockets, token);
        return;
    }
    struct server_stream *stream = calloc(1, sizeof *stream);
    check(stream != NULL);
    server->streams[place] = stream;
    stream->server = server;
    stream->loop = &server->loops[server->accepted_count % server->loop_count];
    stream->token = token;
    stream->mail.deliver = server_adopt;
    server->accepted_count += 1;
    mailbox_post(&stream->loop->mailbox, &stream->mail);
}

static void server_boot(struct sim_node *node, struct loop *loops, uint32_t loop_count)
{
    (void)node;
    struct server *server = calloc(1, sizeof *server);
    check(server != NULL);
    server->loops = loops;
    server->loop_count = loop_count;
    struct address address = {.host = "0.0.0.0", .port = SERVER_PORT};
    check(socket_listen(loops[0].sockets, &address, server_on_accept, server, &server->listener) ==
          STATUS_OK);
}

/* --- The client --- */

struct client {
    struct loop *loop;
    struct play *play;
    uint32_t index;
    struct socket socket;
    bool is_connected;
    bool is_closed;       /* No socket. */
    uint64_t number_sent; /* On this stream. */
    struct inbox inbox;
    uint8_t ping_bytes[PING_BYTES_MAX];
    struct socket_buffer buffer;
    struct socket_write write;
    bool is_writing;
    struct timer pace;
    struct timer retry;
    struct timer patience;
};

static void client_send(struct client *self);

static struct client_story *story_of(const struct client *self)
{
    return &self->play->stories[self->index];
}

static void client_on_pace(struct timer *timer)
{
    client_send(container_of(timer, struct client, pace));
}

static void client_on_written(struct socket_write *write, enum status status)
{
    struct client *self = container_of(write, struct client, write);
    self->is_writing = false;
    if (status != STATUS_OK) {
        socket_close(&self->socket);
        return;
    }
    if (self->play->is_careless) {
        story_of(self)->acknowledged = self->number_sent;
    }
    client_send(self);
}

static void client_send(struct client *self)
{
    uint64_t acknowledged = story_of(self)->acknowledged;
    if (!self->is_connected || self->is_writing || self->pace.is_armed ||
        self->number_sent >= self->play->goal ||
        self->number_sent >= acknowledged + PINGS_UNANSWERED_MAX) {
        return;
    }
    timer_start_after(&self->pace, sim_world_between(&self->loop->prng, SIM_US, PACE_NS_MAX));
    self->number_sent += 1;
    struct ping ping = {.client = self->index, .number = self->number_sent};
    size_t content = (size_t)prng_below(&self->loop->prng, PING_BYTES_MAX - sizeof ping);
    prng_fill(&self->loop->prng, self->ping_bytes + sizeof ping, content);
    ping.byte_count = (uint32_t)(sizeof ping + content);
    ping.checksum = XXH3_64bits(self->ping_bytes + sizeof ping, content);
    memcpy(self->ping_bytes, &ping, sizeof ping);
    self->buffer = (struct socket_buffer){.base = self->ping_bytes, .byte_count = ping.byte_count};
    self->write = (struct socket_write){
        .buffers = &self->buffer, .buffer_count = 1, .on_done = client_on_written};
    self->is_writing = true;
    socket_write(&self->socket, &self->write);
}

static void client_on_connected(struct socket *socket, enum status status)
{
    struct client *self = container_of(socket, struct client, socket);
    if (status == STATUS_OK) {
        self->is_connected = true;
        self->number_sent = story_of(self)->acknowledged;
        socket_read_start(socket);
        timer_start_after(&self->patience, ANSWER_NS_MAX);
        client_send(self);
    }
}

static void client_on_room(struct socket *socket, uint8_t **out_base, size_t *out_byte_count)
{
    struct client *self = container_of(socket, struct client, socket);
    *out_base = self->inbox.bytes + self->inbox.byte_count;
    *out_byte_count = PING_BYTES_MAX - self->inbox.byte_count;
}

static void client_on_read(struct socket *socket, size_t byte_count)
{
    struct client *self = container_of(socket, struct client, socket);
    struct client_story *story = story_of(self);
    self->inbox.byte_count += byte_count;
    struct answer answer;
    while (self->inbox.byte_count >= sizeof answer) {
        memcpy(&answer, self->inbox.bytes, sizeof answer);
        inbox_drop(&self->inbox, sizeof answer);
        bool is_next = answer.number == story->acknowledged + 1;
        if (!self->play->is_careless && (!is_next || answer.number > story->received)) {
            sim_world_fail(self->play->world, "client %u: answer %llu after %llu", self->index,
                           (unsigned long long)answer.number,
                           (unsigned long long)story->acknowledged);
            return;
        }
        story->acknowledged =
            answer.number > story->acknowledged ? answer.number : story->acknowledged;
        timer_start_after(&self->patience, ANSWER_NS_MAX);
    }
    client_send(self);
}

static void client_on_end(struct socket *socket, enum status why)
{
    (void)why;
    socket_close(socket);
}

static void client_on_closed(struct socket *socket)
{
    struct client *self = container_of(socket, struct client, socket);
    check(!self->is_writing);
    self->is_connected = false;
    self->is_closed = true;
    timer_stop(&self->patience);
    timer_start_after(&self->retry, RETRY_NS);
}

static const struct socket_events client_events = {.on_connected = client_on_connected,
                                                   .on_room = client_on_room,
                                                   .on_read = client_on_read,
                                                   .on_end = client_on_end,
                                                   .on_closed = client_on_closed};

static void client_on_retry(struct timer *timer)
{
    struct client *self = container_of(timer, struct client, retry);
    check(self->is_closed);
    self->is_closed = false;
    self->inbox.byte_count = 0;
    struct address address = {.port = SERVER_PORT};
    snprintf(address.host, sizeof address.host, "node-%u", self->play->server->id);
    check(socket_connect(self->loop->sockets, &self->socket, &address, &client_events) ==
          STATUS_OK);
}

static void client_on_patience(struct timer *timer)
{
    struct client *self = container_of(timer, struct client, patience);
    if (story_of(self)->acknowledged < self->play->goal) {
        socket_close(&self->socket);
    }
}

static void client_boot(struct sim_node *node, struct loop *loops, uint32_t loop_count)
{
    struct client *self = calloc(1, sizeof *self);
    check(self != NULL);
    self->loop = &loops[loop_count - 1];
    self->play = node->options.context;
    self->is_closed = true;
    while (self->play->clients[self->index] != node) {
        self->index += 1;
    }
    timer_init(&self->pace, &self->loop->timers, client_on_pace);
    timer_init(&self->retry, &self->loop->timers, client_on_retry);
    timer_init(&self->patience, &self->loop->timers, client_on_patience);
    timer_start_after(&self->retry, 1);
}

/* --- The play --- */

static bool has_all_arrived(void *context)
{
    const struct play *play = context;
    for (uint32_t i = 0; i < play->client_count; i++) {
        if (play->stories[i].acknowledged < play->goal) {
            return false;
        }
    }
    return true;
}

static void run(struct sim_world *world, const struct sim_workload_options *options,
                bool is_careless)
{
    struct prng *prng = sim_world_prng(world, SIM_STREAM_WORKLOAD);
    struct play play = {.world = world, .goal = UINT64_MAX, .is_careless = is_careless};
    uint32_t loop_count =
        options->loop_count > 0 ? options->loop_count : (uint32_t)prng_below(prng, 3) + 1;
    struct sim_node_options node_options = {
        .loop_count = loop_count, .boot = server_boot, .context = &play};
    play.server = sim_node_add(world, &node_options);
    play.client_count = (uint32_t)prng_below(prng, CLIENT_COUNT_MAX) + 1;
    node_options.boot = client_boot;
    for (uint32_t i = 0; i < play.client_count; i++) {
        play.clients[i] = sim_node_add(world, &node_options);
    }
    const char *profile = prng_below(prng, 2) == 0 ? "network" : "mixed";
    sim_fault_start(&play.fault, world, sim_fault_profile(profile), world->nodes,
                    world->node_count);
    for (uint32_t i = 0; i < world->node_count; i++) {
        sim_node_start(world->nodes[i]);
    }
    sim_world_run_for(world, FAULTY_NS);
    sim_fault_stop(&play.fault);
    play.goal = 0;
    for (uint32_t i = 0; i < play.client_count; i++) {
        uint64_t received = play.stories[i].received;
        play.goal = received > play.goal ? received : play.goal;
    }
    play.goal += 100;
    if (!sim_world_run_until(world, has_all_arrived, &play, CALM_NS)) {
        sim_world_fail(world, "no progress although all is healed");
    }
    for (uint32_t i = 0; i < play.client_count; i++) {
        const struct client_story *story = &play.stories[i];
        sim_world_note(world, "client %u: %llu acknowledged, %llu received", i,
                       (unsigned long long)story->acknowledged,
                       (unsigned long long)story->received);
        if (story->acknowledged > story->received) {
            sim_world_fail(world, "client %u: %llu pings taken for arrived, %llu arrived", i,
                           (unsigned long long)story->acknowledged,
                           (unsigned long long)story->received);
        }
    }
    for (uint32_t i = 0; i < world->node_count; i++) {
        sim_node_kill(world->nodes[i]);
    }
}

static void run_right(struct sim_world *world, const struct sim_workload_options *options)
{
    run(world, options, false);
}

static void run_careless(struct sim_world *world, const struct sim_workload_options *options)
{
    run(world, options, true);
}

const struct sim_workload workload_net[] = {
    {"net", "pings, acknowledged and resent over streams", false, run_right},
    {"net-careless", "a write that has left is taken for one that arrived", true, run_careless},
    {0},
};
