/* One request on its way through the broker: header, context, memory, answer.
 *
 * request_new() takes a frame from a connection; a serve function decodes the body into the
 * request's arena, does its work (perhaps on other shards, perhaps for a long time), writes the
 * body of the answer and ends with request_send() or request_drop(), exactly once. What an answer
 * refers to instead of copying is released in on_sent.
 *
 * Owner: the connection's shard. Loop: the shard's. Limits: one arena of REQUEST_ARENA_BYTES_MAX,
 * charged to the process's budget together with the frame; tickets bound the number. */
#pragma once

#include "broker/access/access.h"
#include "proto/frame/connection.h"
#include "proto/kafka/request_header.h"
#include "proto/sys/arena.h"
#include "proto/wire/writer.h"

#define REQUEST_ARENA_BYTES_MAX (64U << 20)

struct api_shard;

struct request {
    uint32_t magic;
    struct api_shard *shard;
    struct ticket *ticket; /* Owned until sent or dropped. */
    struct frame *frame;   /* Owned (one reference); NULL after request_release_frame(). */
    struct access_context context;
    struct kafka_request_header header; /* Its client id points into the frame. */
    /* Another broker hands on a client's request; `forward_header` is that broker's own. */
    bool is_forwarded;
    struct kafka_request_header forward_header;
    int64_t received_ns;
    struct wire_reader body;
    struct arena arena;
    struct wire_writer writer;
    void *state; /* The handler's, in the arena. */
    /* When the answer has left or never will: gives back what the answer referred to, and ends, now
     * or later, with request_done(). NULL: nothing was referred to. */
    void (*on_sent)(struct request *self);
    struct answer answer;
    struct list link; /* The shard's free list. */
};

/* STATUS_MALFORMED: the header cannot be read; the caller closes the connection. Takes the frame
 * and the ticket only with STATUS_OK. */
MUST_USE enum status request_new(struct api_shard *shard, struct frame *frame,
                                 struct ticket *ticket, struct request **out_self);
/* Writes the answer's header; the body follows into `writer`. */
void request_begin_answer(struct request *self);
/* Sends what was written. A body that did not fit its limits closes the connection. */
void request_send(struct request *self);
/* Sends bytes that are a whole answer already: header and body. They live until on_sent. */
void request_send_raw(struct request *self, const void *bytes, size_t byte_count);
/* Goes on with the client's request inside a forwarded one. MALFORMED: the caller closes. */
MUST_USE enum status request_unwrap(struct request *self);
/* Answers a forwarded request with "not the active controller". */
void request_refuse_forwarded(struct request *self);
/* No answer at all (acks=0). */
void request_drop(struct request *self);
/* The peer broke the format: drops the request and closes its connection with `why`. */
void request_close(struct request *self, const char *why);
/* The end of on_sent: the request and its frame are gone. */
void request_done(struct request *self);
/* Work that ends before the shard's logs may: requests count by themselves. */
void request_enter_shard(struct api_shard *shard);
void request_leave_shard(struct api_shard *shard);
/* At the end: frees what the shard keeps for later requests. */
void request_free_all(struct api_shard *shard);
/* The same bytes of the request's own frame, writable: a batch is stamped where it was received. */
uint8_t *request_bytes_at(struct request *self, const void *bytes);
/* Moves a text out of the frame into the arena. False: no memory; it stays where it is. */
bool request_keep_text(struct request *self, struct wire_text *text);
/* The handler has kept what its answer needs of the frame, so that the frame's memory is free
 * before the answer is due. */
void request_release_frame(struct request *self);
/* Decoding is done: true when the body was whole and nothing followed it, else the request is
 * closed and gone. */
bool request_body_is_whole(struct request *self, enum status decoded);
