/* An accepted connection: Kafka frames in, answers out in the order of the requests.
 *
 * One read brings many small frames, each of which gets memory of its own; the rest of a large
 * frame is read straight into it. A frame is handed to the handler with a ticket, whose place in
 * the line of answers it holds. Answers may be given in any order and leave in order; those that
 * are ready together leave in one write. Reading stops while `CONNECTION_TICKETS_MAX` answers are
 * owed, while the memory budget is exhausted, or while paused; it goes on by itself.
 * A size that is negative or above the limit closes the connection without an allocation; a frame
 * that is not whole after FRAME_DEADLINE closes it as well, and so does IDLE_DEADLINE without a
 * byte read or an answer sent while no handler owes one.
 *
 * Owner: the listener's shard. Loop: the shard's. */
#pragma once

#include "proto/frame/frame_metrics.h"
#include "proto/sys/budget.h"
#include "proto/sys/loop.h"
#include "proto/wire/reader.h"

#define CONNECTION_TICKETS_MAX 64U
#define CONNECTION_FRAME_DEADLINE_MS 30000
#define CONNECTION_IDLE_DEADLINE_MS 600000
#define CONNECTION_FRAME_BYTES_MAX_DEFAULT (100U << 20)

struct connection;
struct ticket;
struct complaint_table;

/* Taken from the budget when the size is known and the first bytes are there. Memory stays ahead of
 * the bytes that have arrived by at most 64 KiB, from 32 KiB on by a MiB or half of them: who names
 * a large size has to send it. Shared, counted. */
struct frame {
    uint8_t *bytes; /* Owned. Behind the length prefix. */
    size_t byte_count;
    size_t capacity; /* Of `bytes`. */
    struct budget *budget;
    _Atomic uint32_t reference_count;
};

struct frame *frame_ref(struct frame *self); /* Any thread. */
void frame_unref(struct frame *self);        /* Any thread. */

struct connection_options {
    struct loop *loop;
    struct budget *budget;
    size_t frame_bytes_max;
    /* One whole request. The frame is the handler's (one reference). The ticket is given back by
     * connection_answer() or connection_forget(), now or later, on this loop. */
    void (*on_frame)(struct connection *connection, struct frame *frame, struct ticket *ticket);
    /* The connection is gone; tickets still owed stay valid and are answered into the void. */
    void (*on_closed)(struct connection *connection);
    void *context; /* The handler's. */

    struct complaint_table *complaints; /* Borrowed for life; NULL: every complaint is traced. */
    struct frame_metrics metrics;       /* Zeroed: nothing is counted. */
    /* The listener's: after on_closed, with its own context. */
    void (*on_gone)(struct connection *connection, void *owner);
    void *owner;
};

/* An answer: slices without the length prefix (it is put in front). */
struct answer {
    struct wire_slice *slices; /* Borrowed until on_sent. */
    uint32_t slice_count;
    /* Once, on the loop, when the bytes have left or never will. */
    void (*on_sent)(struct answer *self);
};

/* Adopts `token`; frees itself after on_closed and the last ticket. */
MUST_USE enum status connection_open(const struct connection_options *options,
                                     struct socket_token token, struct connection **out_connection);
/* Never calls on_sent from inside. */
void connection_answer(struct ticket *ticket, struct answer *answer);
/* No answer is owed (acks=0). */
void connection_forget(struct ticket *ticket);
/* `why` goes to the trace; NULL for an ordinary end. */
void connection_close(struct connection *self, const char *why);
/* Frames that are not handed over yet wait until then (a client over its quota). */
void connection_pause_until(struct connection *self, int64_t until_ns);
/* The connection of a ticket; NULL when it is gone. */
struct connection *connection_of(const struct ticket *ticket);
void *connection_context(const struct connection *self);
const struct address *connection_peer(const struct connection *self);
/* A place for the handler's own per-connection data; NULL at first. */
void connection_set_data(struct connection *self, void *data);
void *connection_data(const struct connection *self);
