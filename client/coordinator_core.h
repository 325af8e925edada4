/* Questions to whoever coordinates one group or one transactional id.
 *
 * The coordinator is looked up when it is first needed, and again when a broker says that it is not
 * the one, or cannot be reached. An operation is asked again, with growing delays, while its answer
 * is retriable and time is left.
 *
 * Owner: whoever embeds it, on a cluster of his own. Loop: the cluster's. Limits: none of its own;
 * operations are their owners'. */
#pragma once

#include "client/cluster.h"

enum coordinator_core_kind { COORDINATOR_CORE_GROUP, COORDINATOR_CORE_TXN }; /* As on the wire. */

struct coordinator_core;

struct coordinator_op {
    int16_t api_key;
    int16_t version_min;
    int16_t version_max;
    enum cluster_lane lane; /* What waits long at the broker must not share one. */
    int64_t timeout_ms;     /* Of one attempt; 0: the core's. */
    int64_t deadline_ns;    /* Of all attempts; INT64_MAX: until the core closes. */
    void (*encode)(struct coordinator_op *self, struct wire_writer *writer);
    /* Reads the answer from ask.call.reader; what it keeps it copies. `error_code` gets what the
     * broker says; retriable ones are asked again. */
    enum status (*take)(struct coordinator_op *self);
    /* Once: OK, with error_code 0 or the broker's last word; else why there is no answer: TIMEOUT,
     * UNREACHABLE, CANCELED, UNSUPPORTED, MALFORMED, NO_MEMORY. */
    void (*on_done)(struct coordinator_op *self, enum status status);
    struct ask ask;
    int16_t error_code;
    bool is_doubtful; /* An attempt ended without an answer: it may have been done. */
    /* The core's: */
    struct coordinator_core *core;
    struct list in_core;
    struct retry retry;
    struct timer timer;
    bool is_asking;  /* On the wire. */
    bool is_waiting; /* For the coordinator to be found. */
};

struct coordinator_core_options {
    struct cluster *cluster; /* Borrowed for life. */
    enum coordinator_core_kind kind;
    const char *key;    /* Borrowed for life: the group or the transactional id. */
    int64_t timeout_ms; /* Of one attempt. */
};

struct coordinator_core {
    uint32_t magic;
    struct coordinator_core_options options;
    int32_t node; /* -1: not known. */
    struct list ops;
    struct ask find;
    bool is_finding;
    struct timer find_timer; /* Before it is looked up again. */
    struct retry find_retry;
    bool is_closing;
};

void coordinator_core_init(struct coordinator_core *self,
                           const struct coordinator_core_options *options);
/* Before the cluster's close: what is not on the wire ends (CANCELED), what is ends with the
 * cluster. */
void coordinator_core_close(struct coordinator_core *self);

/* The operation stays put until on_done, which never runs inside. */
void coordinator_core_run(struct coordinator_core *self, struct coordinator_op *op);
/* Takes it back: no on_done. False: it is on the wire and will end by itself. */
bool coordinator_core_take_back(struct coordinator_core *self, struct coordinator_op *op);
