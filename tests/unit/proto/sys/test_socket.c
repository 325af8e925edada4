/* Goal: the thin layer over a socket service keeps a socket's life in order whatever service runs
 * below: fields are set before the service sees it, and a closed one is left alone.
 * Method: a service that counts calls. What they do is the business of host_socket's tests. */
#include "proto/sys/socket.h"

#include <criterion/criterion.h>
#include <signal.h>

static int close_count;
static int stream;
static struct socket_service service;

static void give_room(struct socket *self, uint8_t **out_base, size_t *out_byte_count)
{
    (void)self;
    *out_base = NULL;
    *out_byte_count = 0;
}

static void ignore_read(struct socket *self, size_t byte_count)
{
    (void)self;
    (void)byte_count;
}

static void ignore_end(struct socket *self, enum status why)
{
    (void)self;
    (void)why;
}

static void ignore_closed(struct socket *self)
{
    (void)self;
}

static const struct socket_events events = {
    .on_room = give_room, .on_read = ignore_read, .on_end = ignore_end, .on_closed = ignore_closed};

static enum status adopt_odd_tokens(struct socket_service *self, struct socket *socket,
                                    struct socket_token token)
{
    cr_assert_eq(self, &service);
    cr_assert_eq(socket->events, &events);
    cr_assert_eq(socket->service, &service);
    cr_assert_null(socket->stream);
    if (token.value % 2 == 0) {
        return STATUS_CLOSED;
    }
    socket->stream = &stream;
    return STATUS_OK;
}

static void count_close(struct socket *socket)
{
    cr_assert_eq(socket->stream, &stream);
    close_count += 1;
}

static const struct socket_ops ops = {.adopt = adopt_odd_tokens, .close = count_close};
static struct socket_service service = {.ops = &ops};

Test(socket, adopted_socket_is_cleared_before_the_service_sees_it)
{
    struct socket socket = {.stream = &close_count};

    cr_expect_eq(socket_adopt(&service, &socket, (struct socket_token){1}, &events), STATUS_OK);
    cr_expect_eq(socket_adopt(&service, &socket, (struct socket_token){2}, &events), STATUS_CLOSED);
}

Test(socket, closing_a_socket_that_is_gone_does_nothing)
{
    struct socket socket;
    cr_assert_eq(socket_adopt(&service, &socket, (struct socket_token){1}, &events), STATUS_OK);

    socket_close(&socket);
    socket.stream = NULL;
    socket_close(&socket);

    cr_expect_eq(close_count, 1);
}

Test(socket, reading_from_a_socket_that_is_gone_aborts, .signal = SIGABRT)
{
    struct socket socket;
    cr_assert_eq(socket_adopt(&service, &socket, (struct socket_token){1}, &events), STATUS_OK);
    socket.stream = NULL;

    socket_read_start(&socket);
}

Test(socket, connecting_without_a_connect_callback_aborts, .signal = SIGABRT)
{
    struct socket socket;
    struct address address = {.host = "localhost", .port = 1};

    status_ignore(socket_connect(&service, &socket, &address, &events), "never returns");
}
