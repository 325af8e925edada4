/* A broker that says what a test wants: frames in, handler, frames out, on any loop.
 *
 * It answers ApiVersions by itself from the table of keys; every other request goes to the test's
 * handler, which answers with one of the functions below, now or later, or never.
 * Owner: one test. Loop: the one given. Limits: SCRIPTED_CONNECTIONS_MAX; requests of
 * SCRIPTED_REQUEST_BYTES_MAX. */
#pragma once

#include "proto/kafka/request_header.h"
#include "proto/sys/loop.h"

#define SCRIPTED_CONNECTIONS_MAX 1024U
#define SCRIPTED_REQUEST_BYTES_MAX ((size_t)4 << 20)

struct scripted_broker;

struct scripted_connection {
    struct scripted_broker *broker;
    struct socket socket;
    uint8_t *bytes; /* Owned. Of the request that is being read. */
    size_t byte_count;
    bool is_open;
    uint32_t request_count;
};

/* One request that came in; the handler may copy it and answer later. */
struct scripted_request {
    struct scripted_connection *connection;
    struct kafka_request_header header; /* Its client id is gone after the handler. */
    struct wire_reader *body;           /* Valid in the handler only. */
};

struct scripted_range {
    int16_t api_key;
    int16_t version_min;
    int16_t version_max;
};

struct scripted_broker {
    struct loop *loop;
    const struct scripted_range *ranges; /* Of ApiVersions. */
    uint32_t range_count;
    int16_t txn_level;         /* Finalized transaction.version; 0: not named. */
    bool is_millrace;          /* Names the feature millrace.version. */
    bool refuses_new_versions; /* Answers ApiVersions above 0 with UNSUPPORTED_VERSION. */
    void (*handler)(struct scripted_broker *self, struct scripted_request *request);
    void *context;
    struct socket_listener *listener;
    uint16_t port;
    struct scripted_connection connections[SCRIPTED_CONNECTIONS_MAX];
    uint32_t connection_count; /* Ever accepted. */
};

/* Listens on `port` of the loop's host. */
void scripted_broker_start(struct scripted_broker *self, struct loop *loop, uint16_t port);
/* Listens no more, and breaks all connections. */
void scripted_broker_stop(struct scripted_broker *self);
void scripted_broker_break(struct scripted_broker *self);

typedef void scripted_encode(const void *message, int16_t version, struct wire_writer *writer);
/* `encode` is a generated kafka_*_response_encode(), `message` its struct. */
void scripted_answer(const struct scripted_request *request, scripted_encode *encode,
                     const void *message);
#define SCRIPTED_ENCODE(function) ((scripted_encode *)(void (*)(void))(function))
/* Any bytes, as they are. */
void scripted_raw(struct scripted_connection *connection, const void *bytes, size_t byte_count);
