/* One question to a broker: which API, how to write it, and what to do with the answer.
 *
 * The cluster finds or opens the link, agrees on a version, lets `encode` write the body, and calls
 * on_done with the answer's reader, or with the reason why there is none.
 *
 * Owner: whoever embeds it; stays put until on_done. Loop: the cluster's. Limits: its arena, for
 * the question's bytes and the decoded answer. */
#pragma once

#include "client/link.h"
#include "proto/sys/arena.h"
#include "proto/wire/writer.h"

struct ask {
    int16_t api_key;
    int16_t version_min;
    int16_t version_max;
    int64_t timeout_ms; /* From cluster_ask() to on_done. */
    /* `version` is agreed, and `is_millrace` known. Failures are the writer's. */
    void (*encode)(struct ask *self, struct wire_writer *writer);
    /* OK: `call.reader` stands at the answer's body. UNREACHABLE and CANCELED: surely not sent.
     * UNKNOWN and TIMEOUT: sent, fate not known. UNSUPPORTED: the broker lacks the API or every
     * version asked for. */
    void (*on_done)(struct ask *self, enum status status);
    /* The cluster's: */
    int16_t version;
    bool is_millrace;  /* The broker is a Millrace and knows our own fields. */
    int16_t txn_level; /* The cluster's finalized transaction.version; 0: none. */
    int32_t node;      /* Who was asked; below 0: a bootstrap address. */
    struct arena arena;
    struct link_call call;
    struct list in_line; /* Waiting for the link to open. */
    struct timer deadline;
    bool is_waiting;
    int64_t deadline_ns;
};

/* Frees question and answer; the ask may be used again. Accepts a zeroed one, not one under way. */
void ask_done(struct ask *self);
/* Encodes it for the open link and hands it over. On failure nothing was sent, and no on_done. */
MUST_USE enum status ask_send(struct ask *self, struct link *link, int64_t now_ns);
