/* The line of answers of one connection: tickets in the order of the requests, answers in any order
 * in, in order out, as many as are ready in one gathered write.
 *
 * One write is under way at a time; what becomes ready meanwhile leaves in the next. A ticket is
 * taken back when its bytes have left, so the bound covers what waits in the socket, too.
 * Owner: the connection, which embeds it. Loop: its. Limits: CONNECTION_TICKETS_MAX tickets. */
#pragma once

#include "proto/frame/connection.h"
#include "proto/sys/list.h"

#define REPLY_QUEUE_BUFFERS_OWN 16U
/* A write takes no further answer once it has this much, so that memory comes back in steps. */
#define REPLY_QUEUE_WRITE_BYTES ((size_t)256 << 10)

struct reply_queue {
    struct socket *socket; /* Borrowed for life. */
    struct list line;      /* Of tickets, oldest first. */
    struct list leaving;   /* Tickets whose bytes are in the write. */
    struct list spare;     /* Tickets for later use. */
    uint32_t owed_count;   /* In line and leaving. */
    uint32_t silent_count; /* Of those, not answered yet. */
    bool is_writing;
    bool is_void; /* The stream is gone: answers lead nowhere. */
    struct socket_write write;
    size_t write_bytes;
    struct socket_buffer own_buffers[REPLY_QUEUE_BUFFERS_OWN];
    struct socket_buffer *buffers; /* `own_buffers`, or owned. */
    /* After answers have left (`byte_count` of them), or failed to. May free the queue. */
    void (*on_left)(struct reply_queue *self, enum status status, size_t byte_count);
};

struct ticket {
    uint32_t magic;
    struct reply_queue *queue; /* Borrowed; lives as long as its tickets. */
    struct list link;
    struct answer *answer; /* Borrowed until on_sent; NULL: owed still. */
    uint8_t prefix[4];
};

void reply_queue_init(struct reply_queue *self, struct socket *socket,
                      void (*on_left)(struct reply_queue *self, enum status status,
                                      size_t byte_count));
/* No ticket may be owed. */
void reply_queue_done(struct reply_queue *self);

/* The next place in line; NULL without memory. Asked only below the bound. */
struct ticket *reply_queue_take(struct reply_queue *self);
/* Only notes it; it leaves with reply_queue_flush(). */
void reply_queue_answer(struct ticket *ticket, struct answer *answer);
void reply_queue_forget(struct ticket *ticket);
/* Starts a write when an answer is due and none is under way. False: without memory. */
bool reply_queue_flush(struct reply_queue *self);
/* The stream is gone: gives every answer its on_sent now. Answers given later need another call. */
void reply_queue_void(struct reply_queue *self);
