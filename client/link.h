/* One connection to a broker that we opened: requests out, answers back, in order.
 *
 * The link connects, asks the broker for its versions (ApiVersions, with the fallback of KIP-511),
 * and is open then. Calls may be made at once; they wait until it is open. Answers come in the
 * order of the calls; a call that is not answered in time breaks the link, because nothing behind
 * it could be told apart any more. The memory of an answer belongs to its call.
 *
 * Owner: whoever opened it. Loop: the opener's. Limits: `in_flight_max` calls on the wire (others
 * wait in line up to `waiting_max`), answers of `frame_bytes_max`; an answer's memory grows with
 * the bytes that arrive, not with the length that the peer named. */
#pragma once

#include "proto/sys/loop.h"
#include "proto/wire/reader.h"

struct link;

struct link_options {
    struct loop *loop;
    struct address address;
    const char *client_id;  /* Copied. */
    size_t frame_bytes_max; /* 0: 128 MiB. */
    uint32_t in_flight_max; /* 0: 64. */
    uint32_t waiting_max;   /* 0: 1024. */
    /* OK once, when the broker's versions are known; may be NULL. */
    void (*on_open)(struct link *self, void *context);
    /* Once, when it is broken or closed; all calls have ended before. The link is gone behind it.
     */
    void (*on_closed)(struct link *self, void *context, enum status why);
    void *context;
};

/* One request and its answer. Embedded; stays put until on_done. */
struct link_call {
    int16_t api_key;
    int16_t api_version;
    const struct wire_slice *body; /* Behind the header. Borrowed until on_done. */
    uint32_t body_count;
    int64_t timeout_ms; /* From link_send(). */
    /* OK: `reader` stands behind the answer's header. CANCELED: surely not sent (the link closed,
     * or the time ran out while it waited in line). UNKNOWN: sent, and
     * the link broke; TIMEOUT: sent, and this call was the one that took too long. Never runs
     * inside link_send(). */
    void (*on_done)(struct link_call *self, enum status status);
    struct wire_reader reader;
    uint8_t *answer; /* Owned by the call from on_done on; link_call_done() frees it. */
    /* The link's: */
    struct link *link;
    struct list in_line;
    struct timer deadline;
    int32_t correlation_id;
    bool is_sent;
    uint8_t *header;               /* Owned. Length prefix and request header. */
    struct socket_buffer *buffers; /* Owned. */
    struct socket_write write;
    bool is_written;
    bool is_answered;
    enum status end;
};

MUST_USE enum status link_open(const struct link_options *options, struct link **out_self);
/* Ends all calls, then on_closed. May be called twice. */
void link_close(struct link *self);
bool link_is_open(const struct link *self);

/* The highest version that both sides speak, between the given ones; -1: none, or not open yet. */
int16_t link_version(const struct link *self, int16_t api_key, int16_t version_min,
                     int16_t version_max);
/* Does the broker name this finalized feature, and at which level? 0: no. */
int16_t link_feature_level(const struct link *self, const char *name);
/* The highest level of a feature that the broker itself could do; 0: it does not name it. */
int16_t link_supported_feature(const struct link *self, const char *name);

/* FULL: too many calls wait. CLOSED: the link is broken or closing. Then nothing was taken. */
MUST_USE enum status link_send(struct link *self, struct link_call *call);
/* Frees the answer. Accepts a zeroed call. */
void link_call_done(struct link_call *call);
