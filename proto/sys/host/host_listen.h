/* The accepting half of host_socket. Owner: host_socket. Loop: its. */
#pragma once

#include "proto/sys/host/host_socket.h"

/* As struct socket_ops says. */
enum status host_listen_open(struct socket_service *service, const struct address *address,
                             void (*on_accept)(void *context, struct socket_token token),
                             void *context, struct socket_listener **out_listener);
uint16_t host_listen_port(const struct socket_listener *listener);
void host_listen_close(struct socket_listener *listener);
