/* Questions to processors: finds them through their group on the brokers, asks one, hears it out.
 *
 * Processors are members of one group of type `millrace`; what each tells about itself holds its
 * address. Any of them answers any question, so an ask goes to whichever can be reached, and to the
 * next one where surely nothing was sent. The bytes are messages of proto/internal/control.proto,
 * carried as they are under a private API key. While the group shares out anew, those of the look
 * before are listed; a first look waits for its end.
 *
 * Owner: whoever embeds it. Loop: the options'. Limits: PROCESSOR_CORE_PEERS_MAX processors, and
 * for as long as they owe us an answer those that a later look did not find. */
#pragma once

#include "client/coordinator_core.h"

#define PROCESSOR_CORE_GROUP "__millrace_processors"
#define PROCESSOR_CORE_PROTOCOL "millrace" /* The group's type, and the name of its protocol. */
#define PROCESSOR_CORE_PEERS_MAX 256U

/* API key of a question, version 0: behind the header nothing but the message, both ways. */
int16_t processor_core_api_key(void);

struct processor_core;

struct processor_ask {
    struct wire_bytes question;   /* Borrowed until on_done. */
    const struct address *target; /* Borrowed; NULL: any. */
    int64_t deadline_ns;
    bool is_repeatable; /* Asked again also where its fate is not known. */
    /* Once, never from inside processor_core_run(). OK: `answer`. NOT_FOUND: no processor is a
     * member of the group. UNREACHABLE: none could be reached. UNKNOWN: sent, fate not known.
     * TIMEOUT: no answer in time. CANCELED: the core closes. */
    void (*on_done)(struct processor_ask *self, enum status status);
    struct wire_bytes answer; /* Until processor_core_ask_done(). */
    /* The core's: */
    struct processor_core *core;
    struct list in_core;
    struct link_call call;
    struct wire_slice body;
    struct timer timer;
    struct retry retry;
    enum status last_status;
    bool is_calling;
    bool waits_for_look;
};

void processor_core_ask_done(struct processor_ask *ask); /* Accepts a zeroed one. */

/* A look at who is there. */
struct processor_look {
    int64_t deadline_ns; /* 0: the core's request timeout from now. */
    /* Once. OK: processor_core_address() tells. */
    void (*on_done)(struct processor_look *self, enum status status);
    /* The core's: */
    struct list in_core;
    struct timer timer;
};

struct processor_peer {
    struct list in_core;
    struct processor_core *core;
    struct address address;
    struct link *link; /* NULL: not open. */
    bool is_listed;    /* In the last look. */
};

struct processor_core_options {
    struct loop *loop;
    const struct address *bootstrap; /* Copied. */
    uint32_t bootstrap_count;
    const char *client_id; /* Borrowed for life. */
    int64_t request_timeout_ms;
};

struct processor_core {
    uint32_t magic;
    struct processor_core_options options;
    struct cluster cluster;
    struct coordinator_core coordinator;
    struct coordinator_op describe;
    bool is_looking;
    bool is_between; /* As of the last look the group is between two generations. */
    struct timer look_timer;
    bool is_known; /* Peers are as of a look that nothing has contradicted. */
    enum status look_status;
    int64_t look_not_before_ns;
    struct list peers;
    uint32_t peer_count; /* Listed. */
    uint32_t turn;
    struct list asks;
    struct list looks;
    bool is_closing;
    void (*on_closed)(void *context);
    void *context;
};

void processor_core_init(struct processor_core *self, const struct processor_core_options *options);
/* Ends all asks (CANCELED, UNKNOWN where sent), then on_closed. */
void processor_core_close(struct processor_core *self, void (*on_closed)(void *context),
                          void *context);
/* The ask stays put until on_done. */
void processor_core_run(struct processor_core *self, struct processor_ask *ask);
/* A fresh look at the group's members. It stays put until on_done. */
void processor_core_look(struct processor_core *self, struct processor_look *look);
/* The `index`-th of those that the last look found; NULL: there are not so many. */
const struct address *processor_core_address(const struct processor_core *self, uint32_t index);
