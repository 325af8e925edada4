#include "proto/sys/socket.h"

#include "proto/sys/check.h"

enum status socket_listen(struct socket_service *self, const struct address *address,
                          void (*on_accept)(void *context, struct socket_token token),
                          void *context, struct socket_listener **out_listener)
{
    check(on_accept != NULL);
    return self->ops->listen(self, address, on_accept, context, out_listener);
}

uint16_t socket_listener_port(struct socket_service *self, const struct socket_listener *listener)
{
    return self->ops->listener_port(listener);
}

void socket_listener_close(struct socket_service *self, struct socket_listener *listener)
{
    if (listener != NULL) {
        self->ops->listener_close(listener);
    }
}

static void check_events(const struct socket_events *events)
{
    check(events->on_room != NULL);
    check(events->on_read != NULL);
    check(events->on_end != NULL);
    check(events->on_closed != NULL);
}

enum status socket_adopt(struct socket_service *self, struct socket *socket,
                         struct socket_token token, const struct socket_events *events)
{
    check_events(events);
    *socket = (struct socket){.events = events, .service = self};
    return self->ops->adopt(self, socket, token);
}

void socket_token_drop(struct socket_service *self, struct socket_token token)
{
    self->ops->drop(self, token);
}

enum status socket_connect(struct socket_service *self, struct socket *socket,
                           const struct address *address, const struct socket_events *events)
{
    check_events(events);
    check(events->on_connected != NULL);
    *socket = (struct socket){.events = events, .service = self};
    return self->ops->connect(self, socket, address);
}

void socket_read_start(struct socket *socket)
{
    check(socket->stream != NULL);
    socket->service->ops->read_start(socket);
}

void socket_read_stop(struct socket *socket)
{
    check(socket->stream != NULL);
    socket->service->ops->read_stop(socket);
}

void socket_write(struct socket *socket, struct socket_write *write)
{
    check(socket->stream != NULL);
    check(write->on_done != NULL);
    check(write->buffer_count > 0);
    socket->service->ops->write(socket, write);
}

void socket_limit_silence(struct socket *socket, int64_t limit_ms)
{
    check(socket->stream != NULL);
    check(limit_ms > 0);
    socket->service->ops->limit_silence(socket, limit_ms);
}

void socket_close(struct socket *socket)
{
    if (socket->stream != NULL) {
        socket->service->ops->close(socket);
    }
}
