#include "tests/unit/proto/frame/frame_rig.h"

struct frame_rig frame_rig;

static uint8_t blob[1 << 20];
static struct frame_rig_options rig_options;
static const struct socket_ops *server_ops;

/* ---- the server ---- */

static void request_on_sent(struct answer *answer)
{
    struct frame_rig_request *request = container_of(answer, struct frame_rig_request, answer);
    frame_rig.sent_count += 1;
    frame_unref(request->frame);
    free(request);
}

static void request_answer(struct frame_rig_request *request, const void *bytes, size_t byte_count)
{
    /* Two slices, one of them empty now and then, as real answers have. */
    request->slices[0] = (struct wire_slice){.base = bytes, .byte_count = byte_count / 3};
    request->slices[1] = (struct wire_slice){.base = (const uint8_t *)bytes + byte_count / 3,
                                             .byte_count = byte_count - byte_count / 3};
    request->answer =
        (struct answer){.slices = request->slices, .slice_count = 2, .on_sent = request_on_sent};
    uint32_t before = frame_rig.sent_count;
    connection_answer(request->ticket, &request->answer);
    cr_assert_eq(frame_rig.sent_count, before, "on_sent came from inside connection_answer()");
}

static void note_frame(struct connection *connection, const struct frame *frame)
{
    if (frame_rig.frame_count < FRAME_RIG_CLIENTS) {
        frame_rig.loop_of_frame[frame_rig.frame_count] =
            (uint32_t)(uintptr_t)connection_context(connection);
    }
    frame_rig.frame_count += 1;
    frame_rig.frame_bytes_last = frame->byte_count;
    memcpy(frame_rig.frame_last, frame->bytes, frame->byte_count);
    frame_rig.last_connection = connection;
}

static void handle_frame(struct connection *connection, struct frame *frame, struct ticket *ticket)
{
    note_frame(connection, frame);
    cr_assert_eq(connection_of(ticket), connection);
    if (frame_rig.mode == FRAME_RIG_FORGET) {
        connection_forget(ticket);
        frame_unref(frame);
        return;
    }
    struct frame_rig_request *request = calloc(1, sizeof *request);
    cr_assert_not_null(request);
    request->frame = frame;
    request->ticket = ticket;
    if (frame_rig.mode == FRAME_RIG_HOLD) {
        cr_assert_lt(frame_rig.held_count, FRAME_RIG_HELD_MAX);
        frame_rig.held[frame_rig.held_count++] = request;
        return;
    }
    if (frame_rig.mode == FRAME_RIG_BLOB) {
        request_answer(request, blob, frame_rig.blob_bytes);
    } else {
        request_answer(request, frame->bytes, frame->byte_count);
    }
    if (frame_rig.mode == FRAME_RIG_CLOSE_SECOND && frame_rig.frame_count == 2) {
        connection_close(connection, "the handler does not like it");
    }
    if (frame_rig.mode == FRAME_RIG_PAUSE) {
        struct loop *loop = sim_node_loop(frame_rig.server, 0);
        connection_pause_until(connection, loop_now_ns(loop) + SIM_S);
    }
}

static void note_closed(struct connection *connection)
{
    (void)connection;
    frame_rig.closed_count += 1;
}

static void note_line(struct trace *trace, enum trace_level level, const char *line,
                      size_t byte_count)
{
    (void)trace;
    (void)level;
    size_t length = strlen(frame_rig.trace);
    cr_assert_lt(length + byte_count + 2, sizeof frame_rig.trace);
    memcpy(frame_rig.trace + length, line, byte_count);
    memcpy(frame_rig.trace + length + byte_count, "\n", 2);
}

static void count_write(struct socket *socket, struct socket_write *write)
{
    frame_rig.write_count += 1;
    server_ops->write(socket, write);
}

/* The simulated sockets with one counter in front. */
static void count_writes_of(struct loop *loop)
{
    static struct socket_ops counting_ops;
    server_ops = loop->sockets->ops != &counting_ops ? loop->sockets->ops : server_ops;
    counting_ops = *server_ops;
    counting_ops.write = count_write;
    loop->sockets->ops = &counting_ops;
}

static void boot_server(struct sim_node *node, struct loop *loops, uint32_t loop_count)
{
    (void)node;
    static struct trace trace = {.level = TRACE_INFO, .write_line = note_line};
    struct connection_options shards[SIM_NODE_LOOPS_MAX];
    memset(shards, 0, sizeof shards);
    for (uint32_t i = 0; i < loop_count; i++) {
        loops[i].trace = &trace;
        count_writes_of(&loops[i]);
        shards[i] = (struct connection_options){
            .loop = &loops[i],
            .budget = &frame_rig.budget,
            .frame_bytes_max = rig_options.frame_bytes_max,
            .on_frame = handle_frame,
            .on_closed = note_closed,
            .context = (void *)(uintptr_t)i,
            .metrics = frame_rig.metrics,
        };
    }
    const struct listener_options options = {
        .loop = &loops[0],
        .address = {.host = "0.0.0.0", .port = 9092},
        .shards = shards,
        .shard_count = loop_count,
        .connection_count_max = rig_options.connection_count_max,
    };
    frame_rig.block_count_at_start = frame_rig.server->heap.block_count;
    cr_assert_eq(listener_open(&options, &frame_rig.listener), STATUS_OK);
    cr_assert_eq(listener_port(frame_rig.listener), 9092);
}

void frame_rig_init(const struct frame_rig_options *options)
{
    rig_options = *options;
    rig_options.shard_count = options->shard_count == 0 ? 1 : options->shard_count;
    rig_options.connection_count_max =
        options->connection_count_max == 0 ? 100 : options->connection_count_max;
    rig_options.frame_bytes_max = options->frame_bytes_max == 0 ? CONNECTION_FRAME_BYTES_MAX_DEFAULT
                                                                : options->frame_bytes_max;
    memset(&frame_rig, 0, sizeof frame_rig);
    memset(blob, 'b', sizeof blob);
    frame_rig.frame_last = malloc(FRAME_RIG_BYTES_MAX);
    cr_assert_not_null(frame_rig.frame_last);
    metric_table_init(&frame_rig.metric_table);
    frame_metrics_register(&frame_rig.metrics, &frame_rig.metric_table);
    budget_init(&frame_rig.budget,
                options->budget_bytes == 0 ? (size_t)256 << 20 : options->budget_bytes);
    frame_rig.world = sim_world_new(&(struct sim_world_options){.seed = 1});
    frame_rig.server = sim_node_add(
        frame_rig.world,
        &(struct sim_node_options){.loop_count = rig_options.shard_count, .boot = boot_server});
    frame_rig.client_node =
        sim_node_add(frame_rig.world, &(struct sim_node_options){.loop_count = 1});
    cr_assert(sim_node_start(frame_rig.server));
    cr_assert(sim_node_start(frame_rig.client_node));
}

static void listener_on_closed(void *context)
{
    cr_expect_eq(context, &frame_rig);
    frame_rig.is_listener_closed = true;
}

static void close_listener(void)
{
    listener_close(frame_rig.listener, listener_on_closed, &frame_rig);
}

void frame_rig_done(void)
{
    if (!frame_rig.is_listener_closed) {
        frame_rig_on_server(close_listener);
        frame_rig_settle();
    }
    cr_expect(frame_rig.is_listener_closed);
    for (uint32_t i = 0; i < FRAME_RIG_HELD_MAX; i++) {
        if (frame_rig.held[i] != NULL) {
            frame_rig_answer(i);
        }
    }
    frame_rig_settle();
    cr_expect_not(frame_rig.world->has_failed, "%s", frame_rig.world->failure);
    cr_expect_eq(budget_taken_bytes(&frame_rig.budget), 0);
    cr_expect_eq(frame_rig.server->heap.block_count, frame_rig.block_count_at_start);
    cr_expect_eq(frame_rig.metrics.connection_count->value, 0);
    sim_world_free(frame_rig.world);
    for (uint32_t i = 0; i < FRAME_RIG_CLIENTS; i++) {
        free(frame_rig.clients[i].received);
    }
    free(frame_rig.frame_last);
}

/* ---- clients ---- */

static struct frame_rig_client *client_of(struct socket *socket)
{
    return container_of(socket, struct frame_rig_client, socket);
}

static void client_on_connected(struct socket *socket, enum status status)
{
    client_of(socket)->is_connected = status == STATUS_OK;
}

static void client_on_room(struct socket *socket, uint8_t **out_base, size_t *out_byte_count)
{
    *out_base = client_of(socket)->room;
    *out_byte_count = sizeof client_of(socket)->room;
}

static void client_on_read(struct socket *socket, size_t byte_count)
{
    struct frame_rig_client *client = client_of(socket);
    cr_assert_leq(client->received_count + byte_count, FRAME_RIG_BYTES_MAX);
    memcpy(client->received + client->received_count, client->room, byte_count);
    client->received_count += byte_count;
}

static void client_on_end(struct socket *socket, enum status why)
{
    (void)why;
    client_of(socket)->has_ended = true;
    socket_close(socket);
}

static void client_on_closed(struct socket *socket)
{
    (void)socket;
}

static const struct socket_events client_events = {.on_connected = client_on_connected,
                                                   .on_room = client_on_room,
                                                   .on_read = client_on_read,
                                                   .on_end = client_on_end,
                                                   .on_closed = client_on_closed};

static void client_on_written(struct socket_write *write, enum status status)
{
    (void)status;
    container_of(write, struct frame_rig_client, write)->is_written = true;
}

static bool client_is_connected(void *context)
{
    const struct frame_rig_client *client = context;
    return client->is_connected;
}

static bool client_is_written(void *context)
{
    const struct frame_rig_client *client = context;
    return client->is_written;
}

static void client_begin(void *context)
{
    struct frame_rig_client *client = context;
    struct loop *loop = sim_node_loop(frame_rig.client_node, 0);
    struct address address = {.host = "node-1", .port = 9092};
    cr_assert_eq(socket_connect(loop->sockets, &client->socket, &address, &client_events),
                 STATUS_OK);
}

static void client_read(void *context)
{
    struct frame_rig_client *client = context;
    socket_read_start(&client->socket);
}

static void client_write(void *context)
{
    struct frame_rig_client *client = context;
    client->write = (struct socket_write){
        .buffers = &client->buffer, .buffer_count = 1, .on_done = client_on_written};
    socket_write(&client->socket, &client->write);
}

static void client_close(void *context)
{
    struct frame_rig_client *client = context;
    socket_close(&client->socket);
}

struct frame_rig_client *frame_rig_connect(uint32_t index)
{
    struct frame_rig_client *client = &frame_rig.clients[index];
    free(client->received);
    memset(client, 0, sizeof *client);
    client->received = malloc(FRAME_RIG_BYTES_MAX);
    cr_assert_not_null(client->received);
    cr_assert(sim_node_run(frame_rig.client_node, client_begin, client));
    cr_assert(sim_world_run_until(frame_rig.world, client_is_connected, client, 5 * SIM_S));
    cr_assert(sim_node_run(frame_rig.client_node, client_read, client));
    return client;
}

void frame_rig_send_later(struct frame_rig_client *client, const void *bytes, size_t byte_count)
{
    client->is_written = false;
    client->buffer = (struct socket_buffer){.base = bytes, .byte_count = byte_count};
    cr_assert(sim_node_run(frame_rig.client_node, client_write, client));
}

void frame_rig_send(struct frame_rig_client *client, const void *bytes, size_t byte_count)
{
    frame_rig_send_later(client, bytes, byte_count);
    cr_assert(sim_world_run_until(frame_rig.world, client_is_written, client, 60 * SIM_S));
}

void frame_rig_close(struct frame_rig_client *client)
{
    cr_assert(sim_node_run(frame_rig.client_node, client_close, client));
}

void frame_rig_run_ms(int64_t duration_ms)
{
    cr_assert(sim_world_run_for(frame_rig.world, duration_ms * SIM_MS), "%s",
              frame_rig.world->failure);
}

void frame_rig_settle(void)
{
    frame_rig_run_ms(250);
}

/* ---- the server again ---- */

static void run_plain(void *context)
{
    void (**run)(void) = context;
    (*run)();
}

void frame_rig_on_server(void (*run)(void))
{
    cr_assert(sim_node_run(frame_rig.server, run_plain, &run));
}

static void answer_held(void *context)
{
    struct frame_rig_request **held = context;
    request_answer(*held, (*held)->frame->bytes, (*held)->frame->byte_count);
    *held = NULL;
}

static void forget_held(void *context)
{
    struct frame_rig_request **held = context;
    connection_forget((*held)->ticket);
    frame_unref((*held)->frame);
    free(*held);
    *held = NULL;
}

void frame_rig_answer(uint32_t held_index)
{
    cr_assert_not_null(frame_rig.held[held_index]);
    cr_assert(sim_node_run(frame_rig.server, answer_held, &frame_rig.held[held_index]));
}

void frame_rig_forget(uint32_t held_index)
{
    cr_assert_not_null(frame_rig.held[held_index]);
    cr_assert(sim_node_run(frame_rig.server, forget_held, &frame_rig.held[held_index]));
}

uint8_t *frame_rig_put(uint8_t *bytes, size_t byte_count, uint8_t fill)
{
    bytes[0] = (uint8_t)(byte_count >> 24);
    bytes[1] = (uint8_t)(byte_count >> 16);
    bytes[2] = (uint8_t)(byte_count >> 8);
    bytes[3] = (uint8_t)byte_count;
    memset(bytes + 4, fill, byte_count);
    return bytes + 4 + byte_count;
}

void frame_rig_expect(const struct frame_rig_client *client, const uint8_t *expected,
                      size_t byte_count)
{
    cr_assert_eq(client->received_count, byte_count, "%zu bytes came, not %zu",
                 client->received_count, byte_count);
    cr_assert(memcmp(client->received, expected, byte_count) == 0);
}
