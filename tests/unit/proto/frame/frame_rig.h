/* A server of frames and raw clients in the simulated world, for the units of proto/frame.
 *
 * The server node listens with listener_open(); its handler does with each frame what `mode` says.
 * Clients write and read plain bytes. Everything is static and belongs to one test process. */
#pragma once

#include "proto/frame/listener.h"
#include "proto/sys/check.h"
#include "tests/sim/sim_loop.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define FRAME_RIG_CLIENTS 8U
#define FRAME_RIG_HELD_MAX 128U
#define FRAME_RIG_BYTES_MAX ((size_t)8 << 20)

enum frame_rig_mode {
    FRAME_RIG_ECHO, /* Answers at once with the frame's own bytes. */
    FRAME_RIG_HOLD, /* Keeps frame and ticket for the test. */
    FRAME_RIG_FORGET,
    FRAME_RIG_BLOB, /* Answers at once with frame_rig.blob_bytes bytes. */
    FRAME_RIG_CLOSE_SECOND,
    FRAME_RIG_PAUSE, /* As ECHO, and pauses the connection for a second. */
};

/* A request that the handler took: lives on the server's heap. */
struct frame_rig_request {
    struct answer answer;
    struct wire_slice slices[2];
    struct frame *frame;
    struct ticket *ticket;
};

struct frame_rig_client {
    struct socket socket;
    struct socket_write write;
    struct socket_buffer buffer;
    uint8_t room[4096];
    uint8_t *received; /* FRAME_RIG_BYTES_MAX, wrapping is an error of the test. */
    size_t received_count;
    bool is_connected;
    bool has_ended;
    bool is_written;
};

struct frame_rig {
    struct sim_world *world;
    struct sim_node *server;
    struct sim_node *client_node;
    struct budget budget;
    struct metric_table metric_table;
    struct frame_metrics metrics;
    struct listener *listener;
    enum frame_rig_mode mode;
    size_t blob_bytes;
    uint32_t frame_count; /* Handed to the handler. */
    size_t frame_bytes_last;
    uint8_t *frame_last; /* Copy of the last frame. FRAME_RIG_BYTES_MAX. */
    uint32_t sent_count; /* on_sent. */
    uint32_t closed_count;
    uint32_t write_count; /* socket_write() of the server. */
    uint32_t loop_of_frame[FRAME_RIG_CLIENTS];
    struct connection *last_connection;
    struct frame_rig_request *held[FRAME_RIG_HELD_MAX];
    uint32_t held_count;
    struct frame_rig_client clients[FRAME_RIG_CLIENTS];
    char trace[4096]; /* The server's lines. */
    bool is_listener_closed;
    size_t block_count_at_start;
};

extern struct frame_rig frame_rig;

struct frame_rig_options {
    uint32_t shard_count;          /* 0: one. */
    uint32_t connection_count_max; /* 0: 100. */
    size_t frame_bytes_max;        /* 0: the default. */
    size_t budget_bytes;           /* 0: 256 MiB. */
};

void frame_rig_init(const struct frame_rig_options *options);
/* Everything closes; fails the test when the server kept memory or budget. */
void frame_rig_done(void);

struct frame_rig_client *frame_rig_connect(uint32_t index);
/* The bytes must stay until they are written; waits for that. */
void frame_rig_send(struct frame_rig_client *client, const void *bytes, size_t byte_count);
/* The same without waiting. */
void frame_rig_send_later(struct frame_rig_client *client, const void *bytes, size_t byte_count);
void frame_rig_close(struct frame_rig_client *client);
void frame_rig_run_ms(int64_t duration_ms);
/* A quarter of a second: everything that can happen without a deadline has happened. */
void frame_rig_settle(void);

/* On the server: answers a held request with its own frame, or forgets it. */
void frame_rig_answer(uint32_t held_index);
void frame_rig_forget(uint32_t held_index);
/* Runs on the server. */
void frame_rig_on_server(void (*run)(void));

/* Appends a frame with `byte_count` bytes of `fill` to `bytes`; returns the end. */
uint8_t *frame_rig_put(uint8_t *bytes, size_t byte_count, uint8_t fill);
/* The client has received exactly these frames: sizes and fills. */
void frame_rig_expect(const struct frame_rig_client *client, const uint8_t *expected,
                      size_t byte_count);
