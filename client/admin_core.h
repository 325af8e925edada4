/* Questions to the cluster that are asked until they are answered: the engine under all admin
 * calls.
 *
 * An operation names its API, whom to ask, how to write the question and how to read the answer.
 * It is asked again, elsewhere where that helps, while the answer is retriable and time is left.
 *
 * Owner: whoever embeds it. Loop: the options'. Limits: none of its own; operations are their
 * owners'. */
#pragma once

#include "client/cluster.h"

#define ADMIN_CORE_LEADER (-3) /* Ask the leader of the operation's topic and partition. */
#define ADMIN_CORE_MESSAGE_BYTES 256U

struct admin_core;

struct admin_op {
    int16_t api_key;
    int16_t version_min;
    int16_t version_max;
    int32_t node;           /* A number, CLUSTER_ANY, CLUSTER_CONTROLLER or ADMIN_CORE_LEADER. */
    struct wire_text topic; /* For ADMIN_CORE_LEADER, as the next. */
    int32_t partition;
    void *subject; /* Of whoever wrote encode and take. */
    int64_t deadline_ns;
    void (*encode)(struct admin_op *self, struct wire_writer *writer);
    /* Reads the answer from ask.call.reader; what it keeps it copies. `error_code` gets what the
     * broker says; retriable ones are asked again. A broker's text goes to admin_core_say(). */
    enum status (*take)(struct admin_op *self);
    /* Once: OK, with error_code 0 or the broker's last word; else why there is no answer. */
    void (*on_done)(struct admin_op *self, enum status status);
    struct ask ask;
    int16_t error_code;
    char message[ADMIN_CORE_MESSAGE_BYTES];
    bool is_doubtful; /* An attempt ended without an answer: it may have been done. */
    /* The core's: */
    struct admin_core *core;
    struct list in_core;
    struct retry retry;
    struct timer timer;
    struct cluster_topic *known;
    bool is_asking;
};

struct admin_core {
    uint32_t magic;
    struct cluster cluster;
    struct loop *loop;
    int64_t request_timeout_ms;
    struct list ops;
    bool is_closing;
    void (*on_closed)(void *context);
    void *context;
};

struct admin_core_options {
    struct loop *loop;
    const struct address *bootstrap; /* Copied. */
    uint32_t bootstrap_count;
    const char *client_id; /* Borrowed for life. */
    int64_t request_timeout_ms;
};

void admin_core_init(struct admin_core *self, const struct admin_core_options *options);
/* Ends all operations (CANCELED), then on_closed. */
void admin_core_close(struct admin_core *self, void (*on_closed)(void *context), void *context);

/* The operation stays put until on_done, which never runs inside. */
void admin_core_run(struct admin_core *self, struct admin_op *op);
/* Keeps a broker's text for people; null is no text. */
void admin_core_say(struct admin_op *op, struct wire_text text);
