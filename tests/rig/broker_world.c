#include "tests/rig/broker_world.h"

#include "proto/kafka/request_header.h"
#include "proto/sys/check.h"
#include "tests/rig/message_table.h"

#include <stdlib.h>
#include <string.h>

#define WAIT_NS (60 * SIM_S)
#define CLIENT_ARENA_BYTES ((size_t)256 << 20)

/* ---- brokers ---- */

static void die(struct broker_world *self, const char *what)
{
    fprintf(stderr, "broker_world: %s\n", what);
    sim_world_tell(self->world, stderr);
    check_unreachable("a wait of the test ended without what it waited for");
}

static void note_line(struct trace *trace, enum trace_level level, const char *line,
                      size_t byte_count)
{
    struct sim_node *node = container_of(trace, struct sim_node, trace);
    (void)level;
    sim_world_note(node->world, "node-%u %.*s", node->id, (int)byte_count, line);
}

static void life_on_ready(void *context, uint16_t port)
{
    struct sim_node *node = context;
    struct broker_life *life = node->state;
    check(port == BROKER_WORLD_PORT);
    life->is_ready = true;
}

static void life_on_failed(void *context, enum status why)
{
    struct sim_node *node = context;
    struct broker_world_host *host = node->options.context;
    host->failure_count += 1;
    sim_world_note(node->world, "node-%u gives itself up: %s", node->id, status_text(why));
    sim_node_exit(node);
}

static void exit_later(void *context, uint64_t value)
{
    (void)value;
    sim_node_exit(context);
}

static void life_on_closed(void *context)
{
    struct sim_node *node = context;
    struct broker_life *life = node->state;
    life->broker = NULL;
    life->is_closed = true;
    sim_node_after(node, 0, exit_later, node, 0);
}

static void set(struct broker_config *config, const char *key, const char *value)
{
    struct broker_config_error error = {.text = ""};
    if (broker_config_set(config, key, value, &error) != STATUS_OK) {
        fprintf(stderr, "broker_world: %s\n", error.text);
        abort();
    }
}

static void configure(const struct broker_world_host *host, struct broker_config *config)
{
    const struct broker_world *owner = host->owner;
    char text[128];
    broker_config_init(config);
    snprintf(text, sizeof text, "%d", host->broker_id);
    set(config, "node.id", text);
    set(config, "listeners", "0.0.0.0:9092");
    set(config, "insecure", "true");
    snprintf(text, sizeof text, "node-%d:9092", host->broker_id);
    set(config, "advertised.listeners", text);
    set(config, "journal.bytes", "4194304");
    set(config, "disk.free.bytes.min", "0");
    if (owner->broker_count >= 3) {
        set(config, "controller.quorum.voters", "1@node-1:9092,2@node-2:9092,3@node-3:9092");
    }
    for (const char *const *pair = owner->options.settings; pair != NULL && *pair != NULL; pair++) {
        const char *equals = strchr(*pair, '=');
        check(equals != NULL);
        snprintf(text, sizeof text, "%.*s", (int)(equals - *pair), *pair);
        set(config, text, equals + 1);
    }
    struct broker_config_error error = {.text = ""};
    if (broker_config_finish(config, &error) != STATUS_OK) {
        fprintf(stderr, "broker_world: %s\n", error.text);
        abort();
    }
}

static void boot(struct sim_node *node, struct loop *loops, uint32_t loop_count)
{
    struct broker_world_host *host = node->options.context;
    struct broker_life *life = calloc(1, sizeof *life);
    check(life != NULL);
    node->state = life;
    node->trace.level = TRACE_INFO;
    node->trace.write_line = note_line;
    configure(host, &life->config);
    struct broker_options options = {.config = &life->config,
                                     .shard_count = loop_count - 1,
                                     .quorum_loop = &loops[loop_count - 1],
                                     .on_ready = life_on_ready,
                                     .on_failed = life_on_failed,
                                     .on_closed = life_on_closed,
                                     .context = node};
    for (uint32_t i = 0; i + 1 < loop_count; i++) {
        options.shard_loops[i] = &loops[i];
    }
    enum status status = broker_open(&options, &life->broker);
    if (status != STATUS_OK) {
        life_on_failed(node, status);
    }
}

void broker_world_init(struct broker_world *self, const struct broker_world_options *options,
                       struct sim_world *world)
{
    *self = (struct broker_world){.options = *options};
    self->broker_count = options->broker_count == 0 ? 1 : options->broker_count;
    check(self->broker_count <= BROKER_WORLD_BROKERS_MAX);
    uint32_t shard_count = options->shard_count == 0 ? 1 : options->shard_count;
    struct sim_world_options made = {.seed = options->seed == 0 ? 1 : options->seed,
                                     .is_verbose = options->is_verbose};
    self->world = world != NULL ? world : sim_world_new(&made);
    for (uint32_t i = 0; i < self->broker_count; i++) {
        struct broker_world_host *host = &self->brokers[i];
        *host = (struct broker_world_host){.owner = self, .broker_id = (int32_t)i + 1};
        struct sim_node_options node = {
            .loop_count = shard_count + 1, .boot = boot, .context = host};
        host->node = sim_node_add(self->world, &node);
        check(host->node->id == (uint32_t)host->broker_id);
    }
    struct sim_node_options client = {.loop_count = 1};
    self->client_node = sim_node_add(self->world, &client);
    bool is_started = sim_node_start(self->client_node);
    check(is_started);
}

void broker_world_done(struct broker_world *self)
{
    if (self->world->has_failed) {
        die(self, self->world->failure);
    }
    broker_world_run_ms(self, 1000); /* Packets under way would be leaks. */
    sim_world_free(self->world);
}

void broker_world_start(struct broker_world *self, uint32_t index)
{
    if (!sim_node_start(self->brokers[index].node)) {
        sim_world_note(self->world, "node-%u did not start", index + 1);
    }
}

static bool is_ready(void *context)
{
    const struct broker_world_host *host = context;
    const struct broker_life *life = host->node->is_up ? host->node->state : NULL;
    return life != NULL && life->is_ready;
}

static bool is_down(void *context)
{
    const struct broker_world_host *host = context;
    return !host->node->is_up;
}

void broker_world_wait_ready(struct broker_world *self, uint32_t index)
{
    broker_world_until(self, is_ready, &self->brokers[index], WAIT_NS / SIM_MS);
}

void broker_world_start_all(struct broker_world *self)
{
    for (uint32_t i = 0; i < self->broker_count; i++) {
        broker_world_start(self, i);
    }
    for (uint32_t i = 0; i < self->broker_count; i++) {
        broker_world_wait_ready(self, i);
    }
}

static void close_broker(void *context)
{
    struct broker_life *life = context;
    broker_close(life->broker);
}

void broker_world_stop(struct broker_world *self, uint32_t index)
{
    struct sim_node *node = self->brokers[index].node;
    uint32_t failure_count = self->brokers[index].failure_count;
    check(node->is_up);
    (void)sim_node_run(node, close_broker, node->state);
    broker_world_until(self, is_down, &self->brokers[index], WAIT_NS / SIM_MS);
    check(self->brokers[index].failure_count == failure_count);
}

void broker_world_run_ms(struct broker_world *self, int64_t duration_ms)
{
    if (!sim_world_run_for(self->world, duration_ms * SIM_MS)) {
        die(self, self->world->failure);
    }
}

void broker_world_until(struct broker_world *self, bool (*is_done)(void *context), void *context,
                        int64_t timeout_ms)
{
    if (!sim_world_run_until(self->world, is_done, context, timeout_ms * SIM_MS)) {
        die(self, self->world->has_failed ? self->world->failure : "nothing came in time");
    }
}

struct sim_disk *broker_world_disk(struct broker_world *self, uint32_t index)
{
    return sim_disk_of(self->brokers[index].node);
}

/* ---- clients ---- */

static struct wire_client *client_of(struct socket *socket)
{
    return container_of(socket, struct wire_client, socket);
}

static void client_on_connected(struct socket *socket, enum status status)
{
    struct wire_client *self = client_of(socket);
    self->is_connected = status == STATUS_OK;
    self->has_ended = status != STATUS_OK;
    if (self->is_connected) {
        socket_read_start(socket);
    }
}

static void client_on_room(struct socket *socket, uint8_t **out_base, size_t *out_byte_count)
{
    struct wire_client *self = client_of(socket);
    *out_base = self->received + self->received_count;
    *out_byte_count = WIRE_CLIENT_BYTES_MAX - self->received_count;
}

static void client_on_read(struct socket *socket, size_t byte_count)
{
    client_of(socket)->received_count += byte_count;
}

static void client_on_end(struct socket *socket, enum status why)
{
    (void)why;
    client_of(socket)->has_ended = true;
    socket_close(socket);
}

static void client_on_closed(struct socket *socket)
{
    client_of(socket)->has_ended = true;
    client_of(socket)->is_closed = true;
}

static const struct socket_events client_events = {.on_connected = client_on_connected,
                                                   .on_room = client_on_room,
                                                   .on_read = client_on_read,
                                                   .on_end = client_on_end,
                                                   .on_closed = client_on_closed};

static void client_on_written(struct socket_write *write, enum status status)
{
    (void)status;
    container_of(write, struct wire_client, write)->is_written = true;
}

struct client_begin {
    struct wire_client *client;
    uint32_t node_id;
};

static void client_connect(void *context)
{
    const struct client_begin *begin = context;
    struct wire_client *self = begin->client;
    struct loop *loop = sim_node_loop(self->owner->client_node, 0);
    struct address address = {.port = BROKER_WORLD_PORT};
    snprintf(address.host, sizeof address.host, "node-%u", begin->node_id);
    enum status status = socket_connect(loop->sockets, &self->socket, &address, &client_events);
    check(status == STATUS_OK);
}

static bool client_is_connected(void *context)
{
    const struct wire_client *self = context;
    return self->is_connected || self->has_ended;
}

void wire_client_open(struct wire_client *self, struct broker_world *owner, uint32_t broker_index)
{
    *self = (struct wire_client){.owner = owner, .client_id = "test"};
    arena_init(&self->arena, CLIENT_ARENA_BYTES);
    self->received = malloc(WIRE_CLIENT_BYTES_MAX);
    check(self->received != NULL);
    struct client_begin begin = {.client = self, .node_id = owner->brokers[broker_index].node->id};
    (void)sim_node_run(owner->client_node, client_connect, &begin);
    broker_world_until(owner, client_is_connected, self, WAIT_NS / SIM_MS);
}

static void client_close(void *context)
{
    struct wire_client *self = context;
    socket_close(&self->socket);
}

static bool client_is_closed(void *context)
{
    const struct wire_client *self = context;
    return self->is_closed;
}

void wire_client_close(struct wire_client *self)
{
    if (!self->is_closed) {
        (void)sim_node_run(self->owner->client_node, client_close, self);
        broker_world_until(self->owner, client_is_closed, self, WAIT_NS / SIM_MS);
    }
    arena_done(&self->arena);
    free(self->received);
    self->received = NULL;
}

static void client_write(void *context)
{
    struct wire_client *self = context;
    self->write = (struct socket_write){
        .buffers = &self->buffer, .buffer_count = 1, .on_done = client_on_written};
    socket_write(&self->socket, &self->write);
}

static bool client_has_written(void *context)
{
    const struct wire_client *self = context;
    return self->is_written || self->is_closed;
}

void wire_client_send(struct wire_client *self, const void *bytes, size_t byte_count)
{
    if (self->has_ended) {
        return;
    }
    self->is_written = false;
    self->buffer = (struct socket_buffer){.base = bytes, .byte_count = byte_count};
    (void)sim_node_run(self->owner->client_node, client_write, self);
    broker_world_until(self->owner, client_has_written, self, WAIT_NS / SIM_MS);
}

static size_t frame_bytes(const struct wire_client *self)
{
    size_t left = self->received_count - self->taken_count;
    struct wire_reader reader;
    wire_reader_init(&reader, self->received + self->taken_count, left);
    int32_t byte_count = wire_read_int32(&reader);
    bool is_whole = wire_reader_status(&reader) == STATUS_OK && (size_t)byte_count + 4 <= left;
    return is_whole ? (size_t)byte_count + 4 : 0;
}

static bool client_has_frame(void *context)
{
    const struct wire_client *self = context;
    return frame_bytes(self) > 0 || self->has_ended;
}

bool wire_client_frame(struct wire_client *self, int64_t timeout_ms, const uint8_t **out_bytes,
                       size_t *out_byte_count)
{
    broker_world_until(self->owner, client_has_frame, self, timeout_ms);
    size_t byte_count = frame_bytes(self);
    if (byte_count == 0) {
        return false;
    }
    uint8_t *copy = arena_take(&self->arena, byte_count);
    check(copy != NULL);
    memcpy(copy, self->received + self->taken_count, byte_count);
    self->taken_count += byte_count;
    if (self->taken_count == self->received_count) {
        self->taken_count = 0;
        self->received_count = 0;
    }
    *out_bytes = copy + 4;
    *out_byte_count = byte_count - 4;
    return true;
}

bool wire_client_is_quiet_for(struct wire_client *self, int64_t duration_ms)
{
    size_t before = self->received_count;
    broker_world_run_ms(self->owner, duration_ms);
    return self->received_count == before && !self->has_ended;
}

static const struct message_entry *find_message(int16_t api_key, enum message_kind kind)
{
    for (uint32_t i = 0; i < message_table_count; i++) {
        if (message_table[i].key == api_key && message_table[i].kind == kind) {
            return &message_table[i];
        }
    }
    check_unreachable("no such API key");
}

static struct kafka_request_header header_of(const struct wire_client *self, int16_t api_key,
                                             int16_t version)
{
    return (struct kafka_request_header){.request_api_key = api_key,
                                         .request_api_version = version,
                                         .correlation_id = self->correlation_id,
                                         .client_id = wire_text_of(self->client_id)};
}

const uint8_t *wire_client_encode(struct wire_client *self, int16_t api_key, int16_t version,
                                  const void *in, size_t *out_byte_count)
{
    struct wire_writer writer;
    wire_writer_init(&writer, &self->arena);
    struct wire_mark length = wire_write_mark(&writer);
    struct kafka_request_header header = header_of(self, api_key, version);
    request_header_encode(&header, &writer);
    find_message(api_key, MESSAGE_REQ)->encode(in, version, &writer);
    wire_mark_set_length(&writer, length);
    const uint8_t *bytes = wire_writer_flatten(&writer, out_byte_count);
    check(bytes != NULL);
    return bytes;
}

void wire_client_ask(struct wire_client *self, int16_t api_key, int16_t version, const void *in)
{
    self->correlation_id += 1;
    size_t byte_count;
    const uint8_t *bytes = wire_client_encode(self, api_key, version, in, &byte_count);
    wire_client_send(self, bytes, byte_count);
}

bool wire_client_answer(struct wire_client *self, int16_t api_key, int16_t version,
                        int32_t correlation_id, void *out)
{
    const uint8_t *bytes;
    size_t byte_count;
    if (!wire_client_frame(self, 2 * WAIT_NS / SIM_MS, &bytes, &byte_count)) {
        return false;
    }
    struct wire_reader reader;
    wire_reader_init(&reader, bytes, byte_count);
    struct kafka_request_header header = header_of(self, api_key, version);
    header.correlation_id = correlation_id;
    enum status status = request_header_decode_response(&reader, &header);
    check(status == STATUS_OK);
    status = find_message(api_key, MESSAGE_RSP)->decode(&reader, version, &self->arena, out);
    if (status != STATUS_OK || wire_reader_left(&reader) > 0) {
        fprintf(stderr, "answer of key %d version %d: %s, %zu bytes left\n", api_key, version,
                status_text(status), wire_reader_left(&reader));
        check_unreachable("an answer is not of the version that was asked for");
    }
    return true;
}

bool wire_client_call(struct wire_client *self, int16_t api_key, int16_t version, const void *in,
                      void *out)
{
    wire_client_ask(self, api_key, version, in);
    return wire_client_answer(self, api_key, version, self->correlation_id, out);
}
