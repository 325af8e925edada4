/* TCP streams of one libuv loop.
 *
 * A listener accepts by itself (accept4), because a token must be able to move to another loop: it
 * is the bare descriptor. Any connected stream descriptor can be adopted, so a local pair works as
 * well. Streams have TCP_NODELAY and keep-alive set.
 * Without descriptors the listener closes what it cannot serve, one by one with a descriptor kept
 * in reserve, and otherwise rests for HOST_SOCKET_REST_MS: it never spins.
 *
 * Owner: its host_loop. Loop: that one. Limits: the process's descriptors. */
#pragma once

#include "proto/sys/socket.h"

#include <stdbool.h>
#include <uv.h>

#define HOST_SOCKET_CONNECT_DEADLINE_MS 10000
#define HOST_SOCKET_REST_MS 100
#define HOST_SOCKET_BACKLOG 4096

struct loop;

struct host_socket {
    struct socket_service service;
    struct loop *loop;           /* Borrowed for life. */
    uv_loop_t *uv;               /* Borrowed for life. */
    int64_t connect_deadline_ms; /* HOST_SOCKET_CONNECT_DEADLINE_MS but in tests. */
    uint32_t stream_count;
    uint32_t listener_count;
};

void host_socket_init(struct host_socket *self, struct loop *loop, uv_loop_t *uv);
/* All sockets and listeners must be closed. Accepts a zeroed one. */
void host_socket_done(struct host_socket *self);
