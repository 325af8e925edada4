/* Whole brokers in the simulated world, and clients that speak raw frames to them.
 *
 * Each broker is a node with its shards' loops and one for the quorum; with three or more brokers
 * the first three are the voters. They listen on "node-<id>:9092", where id is the number of the
 * broker, from 1. Clients live on a node of their own, send any bytes, and read whole frames.
 * Functions run the world until what they wait for is there; a wait that ends without it aborts
 * with the world's story.
 *
 * Owner: the test. Loop: none, the world runs inside the calls. */
#pragma once

#include "broker/broker.h"
#include "proto/sys/arena.h"
#include "tests/sim/sim_disk.h"
#include "tests/sim/sim_network.h"
#include "tests/sim/sim_world.h"

#define BROKER_WORLD_BROKERS_MAX 5U
#define BROKER_WORLD_PORT 9092
#define WIRE_CLIENT_BYTES_MAX ((size_t)8 << 20)

struct broker_world_options {
    uint32_t broker_count; /* 0: one. */
    uint32_t shard_count;  /* 0: one. */
    uint64_t seed;         /* 0: 1. */
    /* "key=value" of every broker, ended by NULL. NULL: none. */
    const char *const *settings;
    bool is_verbose;
};

struct broker_world;

/* In the broker's own memory: node->state. */
struct broker_life {
    struct broker_config config;
    struct broker *broker; /* NULL after the stop. */
    bool is_ready;
    bool is_closed;
};

struct broker_world_host {
    struct broker_world *owner;
    int32_t broker_id;
    struct sim_node *node;
    uint32_t failure_count; /* Times it gave itself up. */
};

struct broker_world {
    struct sim_world *world;
    struct broker_world_options options;
    struct broker_world_host brokers[BROKER_WORLD_BROKERS_MAX];
    uint32_t broker_count;
    struct sim_node *client_node;
};

/* Brokers are added, not started. Also for a world that others made (workloads): they pass it. */
void broker_world_init(struct broker_world *self, const struct broker_world_options *options,
                       struct sim_world *world);
/* Powers everything off. The world goes with it unless it was passed. */
void broker_world_done(struct broker_world *self);
/* `index` from 0. Starts it without waiting. */
void broker_world_start(struct broker_world *self, uint32_t index);
void broker_world_wait_ready(struct broker_world *self, uint32_t index);
void broker_world_start_all(struct broker_world *self);
/* A stop in order; the node is down afterwards. */
void broker_world_stop(struct broker_world *self, uint32_t index);
void broker_world_run_ms(struct broker_world *self, int64_t duration_ms);
/* Aborts with the story unless `is_done` says so in time. */
void broker_world_until(struct broker_world *self, bool (*is_done)(void *context), void *context,
                        int64_t timeout_ms);
struct sim_disk *broker_world_disk(struct broker_world *self, uint32_t index);

struct wire_client {
    struct broker_world *owner;
    struct socket socket;
    struct socket_write write;
    struct socket_buffer buffer;
    uint8_t *received; /* Owned. WIRE_CLIENT_BYTES_MAX. */
    size_t received_count;
    size_t taken_count; /* Of those; frames that were given out. */
    bool is_connected;
    bool has_ended; /* The broker closed. */
    bool is_closed;
    bool is_written;
    int32_t correlation_id;
    const char *client_id;
    struct arena arena; /* Of requests and answers, until wire_client_close(). */
};

void wire_client_open(struct wire_client *self, struct broker_world *owner, uint32_t broker_index);
void wire_client_close(struct wire_client *self);
/* The bytes as they are; waits until they have left or the broker has closed. */
void wire_client_send(struct wire_client *self, const void *bytes, size_t byte_count);
/* The next whole frame without its length; false: the broker closed instead. */
bool wire_client_frame(struct wire_client *self, int64_t timeout_ms, const uint8_t **out_bytes,
                       size_t *out_byte_count);
/* True while nothing has come and nothing was closed for so long. */
bool wire_client_is_quiet_for(struct wire_client *self, int64_t duration_ms);
/* A request's frame with its length, in the client's arena. `in` is the generated struct. */
const uint8_t *wire_client_encode(struct wire_client *self, int16_t api_key, int16_t version,
                                  const void *in, size_t *out_byte_count);
void wire_client_ask(struct wire_client *self, int16_t api_key, int16_t version, const void *in);
/* The answer to the oldest question that is open; false: the broker closed. The whole frame must
 * be the answer in that version. */
bool wire_client_answer(struct wire_client *self, int16_t api_key, int16_t version,
                        int32_t correlation_id, void *out);
/* Both at once. */
bool wire_client_call(struct wire_client *self, int16_t api_key, int16_t version, const void *in,
                      void *out);
