/* Goal: whatever a peer sends, in whatever pieces, exactly the whole frames before the first bad
 * size are handed over, their answers come back in order, and afterwards nothing is kept.
 * Method: the input chooses handler, limits and pieces; the rest is sent to a real listener in the
 * simulated world (which splits reads once more) and compared with a plain walk over the bytes. */
#include "proto/frame/listener.h"
#include "proto/sys/check.h"
#include "tests/sim/sim_loop.h"

#include <stdlib.h>
#include <string.h>

#define HEAD_BYTES 4U
#define FRAME_BYTES_MAX 3000U
#define HELD_MAX CONNECTION_TICKETS_MAX

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count);

struct request {
    struct answer answer;
    struct wire_slice slice;
    struct frame *frame;
    struct ticket *ticket;
};

/* One run. */
static struct {
    const uint8_t *bytes; /* What the peer sends. */
    size_t byte_count;
    uint8_t piece_bytes; /* At most so many bytes a write; 0: all at once. */
    uint8_t handler;
    struct sim_world *world;
    struct sim_node *server;
    struct sim_node *client_node;
    struct budget budget;
    struct listener *listener;
    bool is_listener_closed;
    size_t block_count_at_start;
    size_t model_position; /* Of the next frame in `bytes`. */
    uint32_t frame_count;
    struct request *held[HELD_MAX];
    uint32_t held_count;
    struct socket client;
    struct socket_write write;
    struct socket_buffer buffer;
    size_t sent_count;
    uint8_t room[512];
    size_t answer_position; /* Of the next byte of an answer in `bytes`. */
    bool is_client_closed;
    bool has_client_ended;
} run;

/* ---- the plain walk ---- */

static size_t model_size(size_t position)
{
    const uint8_t *prefix = run.bytes + position;
    return (size_t)prefix[0] << 24 | (size_t)prefix[1] << 16 | (size_t)prefix[2] << 8 |
           (size_t)prefix[3];
}

/* Whether a whole frame of an allowed size stands there. */
static bool model_has_frame(size_t position)
{
    if (run.byte_count - position < 4) {
        return false;
    }
    size_t size = model_size(position);
    return size <= FRAME_BYTES_MAX && run.byte_count - position - 4 >= size;
}

static bool model_is_broken(size_t position)
{
    return run.byte_count - position >= 4 && model_size(position) > FRAME_BYTES_MAX;
}

/* ---- the server ---- */

static void request_on_sent(struct answer *answer)
{
    struct request *request = container_of(answer, struct request, answer);
    frame_unref(request->frame);
    free(request);
}

static void request_answer(struct request *request)
{
    request->slice = (struct wire_slice){.base = request->frame->bytes,
                                         .byte_count = request->frame->byte_count};
    request->answer =
        (struct answer){.slices = &request->slice, .slice_count = 1, .on_sent = request_on_sent};
    connection_answer(request->ticket, &request->answer);
}

/* Newest first, so that the line has to bring them into order. */
static void answer_held(void)
{
    while (run.held_count > 0) {
        run.held_count -= 1;
        request_answer(run.held[run.held_count]);
    }
}

static void answer_held_event(void *context, uint64_t value)
{
    (void)context;
    (void)value;
    answer_held();
}

static void handle_frame(struct connection *connection, struct frame *frame, struct ticket *ticket)
{
    check(model_has_frame(run.model_position));
    check(frame->byte_count == model_size(run.model_position));
    check(memcmp(frame->bytes, run.bytes + run.model_position + 4, frame->byte_count) == 0);
    run.model_position += 4 + frame->byte_count;
    run.frame_count += 1;
    struct request *request = calloc(1, sizeof *request);
    check(request != NULL);
    request->frame = frame;
    request->ticket = ticket;
    if (run.handler % 4 == 0) {
        request_answer(request);
        return;
    }
    check(run.held_count < HELD_MAX);
    run.held[run.held_count++] = request;
    if (run.handler % 4 == 1) {
        sim_node_after(run.server, (int64_t)(run.handler / 4) * SIM_MS, answer_held_event, NULL, 0);
    } else if (run.held_count > run.handler / 4U % HELD_MAX) {
        answer_held();
    }
    if (run.handler % 4 == 3) {
        struct loop *loop = sim_node_loop(run.server, 0);
        connection_pause_until(connection, loop_now_ns(loop) + 10 * SIM_MS);
    }
}

static void boot_server(struct sim_node *node, struct loop *loops, uint32_t loop_count)
{
    struct connection_options shards[2];
    memset(shards, 0, sizeof shards);
    for (uint32_t i = 0; i < loop_count; i++) {
        loops[i].trace = NULL;
        shards[i] = (struct connection_options){.loop = &loops[i],
                                                .budget = &run.budget,
                                                .frame_bytes_max = FRAME_BYTES_MAX,
                                                .on_frame = handle_frame};
    }
    const struct listener_options options = {.loop = &loops[0],
                                             .address = {.host = "0.0.0.0", .port = 9092},
                                             .shards = shards,
                                             .shard_count = loop_count,
                                             .connection_count_max = 1};
    run.block_count_at_start = node->heap.block_count;
    check(listener_open(&options, &run.listener) == STATUS_OK);
}

/* ---- the client ---- */

static void client_write_next(void)
{
    size_t left = run.byte_count - run.sent_count;
    if (left == 0 || run.client.stream == NULL) {
        return;
    }
    size_t piece = run.piece_bytes > 0 && run.piece_bytes < left ? run.piece_bytes : left;
    run.buffer = (struct socket_buffer){.base = run.bytes + run.sent_count, .byte_count = piece};
    run.sent_count += piece;
    socket_write(&run.client, &run.write);
}

static void client_on_written(struct socket_write *write, enum status status)
{
    (void)write;
    if (status == STATUS_OK) {
        client_write_next();
    }
}

static void client_on_connected(struct socket *socket, enum status status)
{
    check(status == STATUS_OK);
    socket_read_start(socket);
    client_write_next();
}

static void client_on_room(struct socket *socket, uint8_t **out_base, size_t *out_byte_count)
{
    (void)socket;
    *out_base = run.room;
    *out_byte_count = sizeof run.room;
}

static void client_on_read(struct socket *socket, size_t byte_count)
{
    (void)socket;
    /* An answer is the request's own frame, so the answers repeat what was sent. */
    check(run.answer_position + byte_count <= run.model_position);
    check(memcmp(run.room, run.bytes + run.answer_position, byte_count) == 0);
    run.answer_position += byte_count;
}

static void client_on_end(struct socket *socket, enum status why)
{
    (void)why;
    run.has_client_ended = true;
    socket_close(socket);
}

static void client_on_closed(struct socket *socket)
{
    (void)socket;
    run.is_client_closed = true;
}

static const struct socket_events client_events = {.on_connected = client_on_connected,
                                                   .on_room = client_on_room,
                                                   .on_read = client_on_read,
                                                   .on_end = client_on_end,
                                                   .on_closed = client_on_closed};

static void client_begin(void *context)
{
    (void)context;
    const struct address address = {.host = "node-1", .port = 9092};
    struct loop *loop = sim_node_loop(run.client_node, 0);
    check(socket_connect(loop->sockets, &run.client, &address, &client_events) == STATUS_OK);
}

/* ---- the run ---- */

static void listener_on_closed(void *context)
{
    (void)context;
    run.is_listener_closed = true;
}

static void finish(void *context)
{
    (void)context;
    answer_held();
    listener_close(run.listener, listener_on_closed, NULL);
}

static void check_end(void)
{
    /* A bad size closes the connection, and answers may be lost with it; otherwise all came. */
    if (model_is_broken(run.model_position)) {
        check(run.has_client_ended);
    } else {
        check(!model_has_frame(run.model_position));
        check(run.handler % 4 > 1 || run.answer_position == run.model_position);
        check(!run.has_client_ended);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
    if (byte_count < HEAD_BYTES || byte_count > 65536) {
        return 0;
    }
    memset(&run, 0, sizeof run);
    run.piece_bytes = bytes[0];
    run.handler = bytes[1];
    run.bytes = bytes + HEAD_BYTES;
    run.byte_count = byte_count - HEAD_BYTES;
    run.write = (struct socket_write){
        .buffers = &run.buffer, .buffer_count = 1, .on_done = client_on_written};
    /* Always enough for one frame beside what is held for a read, seldom for many. */
    budget_init(&run.budget, 65536 + 4096 + (size_t)bytes[2] * 256);
    run.world = sim_world_new(&(struct sim_world_options){.seed = bytes[3]});
    run.server = sim_node_add(
        run.world, &(struct sim_node_options){.loop_count = 1 + bytes[3] % 2, .boot = boot_server});
    run.client_node = sim_node_add(run.world, &(struct sim_node_options){.loop_count = 1});
    check(sim_node_start(run.server));
    check(sim_node_start(run.client_node));

    check(sim_node_run(run.client_node, client_begin, NULL));
    check(sim_world_run_for(run.world, 20 * SIM_S));
    check_end();
    check(sim_node_run(run.server, finish, NULL));
    check(sim_world_run_for(run.world, 20 * SIM_S));
    check(run.is_listener_closed);
    check(run.is_client_closed);
    check(budget_taken_bytes(&run.budget) == 0);
    check(run.server->heap.block_count == run.block_count_at_start);
    sim_world_free(run.world);
    return 0;
}
