/* Byte streams as the world gives them: listen, connect, read into the user's own memory, write
 * from the user's own memory, close.
 *
 * A socket belongs to one loop. An accepted one is a token that any loop of the process may adopt,
 * which is how connections are spread over shards.
 * Reading starts stopped; while it is stopped the peer meets back-pressure.
 * After socket_close() no event but on_closed follows; all writes end first, with STATUS_CANCELED
 * where they had not left. on_closed comes exactly once, from the loop, and is the moment from
 * which the memory of the socket may be freed.
 *
 * Limits: the user bounds its writes; the service keeps no buffer of its own. */
#pragma once

#include "proto/sys/address.h"
#include "proto/sys/list.h"
#include "proto/sys/status.h"

#include <stddef.h>
#include <stdint.h>

struct socket;
struct socket_listener;
struct socket_service;

struct socket_token {
    int64_t value; /* The world's handle of an accepted stream that nobody has adopted yet. */
};

struct socket_events {
    /* After socket_connect() only. On failure the socket is already closing: on_closed follows. */
    void (*on_connected)(struct socket *self, enum status status);
    /* Where the next bytes go; 0 bytes of room means: stop reading (as socket_read_stop). Otherwise
     * on_read follows at once, before any other event of the loop (or on_end does), so that the
     * sockets of a loop can share their room. */
    void (*on_room)(struct socket *self, uint8_t **out_base, size_t *out_byte_count);
    /* 0: nothing was there after all. */
    void (*on_read)(struct socket *self, size_t byte_count);
    /* The peer closed or the stream broke. The user answers with socket_close(). */
    void (*on_end)(struct socket *self, enum status why);
    void (*on_closed)(struct socket *self);
};

/* Embedded by its user. */
struct socket {
    const struct socket_events *events; /* Borrowed for life. */
    struct socket_service *service;     /* Borrowed for life. */
    void *stream;                       /* Owned by the service; NULL after on_closed. */
    struct address peer;                /* Filled when connected or adopted. */
};

struct socket_buffer {
    const void *base; /* Borrowed until the write is done. */
    size_t byte_count;
};

/* Embedded by its user; stays put until on_done. Writes of one socket leave in order. */
struct socket_write {
    const struct socket_buffer *buffers; /* Borrowed until done. */
    uint32_t buffer_count;
    void (*on_done)(struct socket_write *self, enum status status);
    struct list link; /* The service's. */
    void *host;       /* The service's. */
};

struct socket_ops {
    enum status (*listen)(struct socket_service *self, const struct address *address,
                          void (*on_accept)(void *context, struct socket_token token),
                          void *context, struct socket_listener **out_listener);
    uint16_t (*listener_port)(const struct socket_listener *listener);
    void (*listener_close)(struct socket_listener *listener);
    enum status (*adopt)(struct socket_service *self, struct socket *socket,
                         struct socket_token token);
    void (*drop)(struct socket_service *self, struct socket_token token);
    enum status (*connect)(struct socket_service *self, struct socket *socket,
                           const struct address *address);
    void (*read_start)(struct socket *socket);
    void (*read_stop)(struct socket *socket);
    void (*write)(struct socket *socket, struct socket_write *write);
    void (*limit_silence)(struct socket *socket, int64_t limit_ms);
    void (*close)(struct socket *socket);
};

/* One per loop. */
struct socket_service {
    const struct socket_ops *ops;
};

/* `on_accept` runs on this loop. STATUS_EXISTS: the address is taken. */
MUST_USE enum status socket_listen(struct socket_service *self, const struct address *address,
                                   void (*on_accept)(void *context, struct socket_token token),
                                   void *context, struct socket_listener **out_listener);
uint16_t socket_listener_port(struct socket_service *self, const struct socket_listener *listener);
/* Synchronous for the user: no on_accept after it. Accepts NULL. */
void socket_listener_close(struct socket_service *self, struct socket_listener *listener);

/* Takes the token in every case. On failure there is no socket and no on_closed. */
MUST_USE enum status socket_adopt(struct socket_service *self, struct socket *socket,
                                  struct socket_token token, const struct socket_events *events);
/* Closes a stream that nobody will adopt. */
void socket_token_drop(struct socket_service *self, struct socket_token token);
/* Resolves and connects, within the service's own time limit of 10 s; on_connected tells. On
 * failure of the call itself there is no socket and no event. */
MUST_USE enum status socket_connect(struct socket_service *self, struct socket *socket,
                                    const struct address *address,
                                    const struct socket_events *events);
void socket_read_start(struct socket *socket);
void socket_read_stop(struct socket *socket);
/* Never calls on_done from inside. */
void socket_write(struct socket *socket, struct socket_write *write);
/* From on_connected on. A stream of which bytes wait, and whose peer takes none of them for that
 * long, breaks: on_end with STATUS_TIMEOUT. Without it a host that lost its power is noticed after
 * a quarter of an hour, or when it is back and the kernel happens to try again. */
void socket_limit_silence(struct socket *socket, int64_t limit_ms);
void socket_close(struct socket *socket); /* May be called twice. */
