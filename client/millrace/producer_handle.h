/* The inside of a producer handle, shared by sending and by transactions.
 *
 * Owner: the application. Loop: any thread, except where it says loop. */
#pragma once

#include "client/millrace/session.h"
#include "client/millrace/trouble.h"
#include "client/txn_core.h"

/* What senders have left for the loop. */
struct outbox {
    uint8_t *bytes; /* Owned. */
    size_t byte_count;
    size_t room;
};

struct millrace_producer {
    struct session_handle handle;
    struct host_gate gate;
    struct producer_core *core; /* The loop's, as the next two: whichever is in use. */
    union {
        struct producer_core plain;
        struct txn_core txn;
    };
    struct producer_call *closing; /* The loop's: waits for the core's end. */
    struct outbox taken;           /* The loop's: what it is unpacking. */
    millrace_on_delivery *on_delivery;
    void *context;
    size_t record_bytes_max;
    char transactional_id[SESSION_TEXT_BYTES_MAX]; /* Empty: none. */
    struct mail outbox_mail;
    struct mail hurry_mail;
    /* The gate guards what follows. */
    struct outbox outbox;
    bool is_outbox_posted;
    bool is_hurry_posted;
    bool is_in_transaction; /* Sends are welcome. */
    bool is_closing;
    bool has_closed;
    size_t buffered_bytes;
    size_t buffer_bytes_max;
    uint64_t next_number; /* Twice the count of records; the last bit marks a waiting sender. */
    uint64_t outstanding_count;
    struct list flushes;
    bool has_failed;
    struct producer_delivery failure; /* The first since the last flush. */
};

/* One call to the loop on behalf of a producer. */
struct producer_call {
    struct session_call call;
    struct millrace_producer *producer;
    const struct producer_core_options *options;
    bool is_unreachable;
};

/* Loop. The core is open. */
bool producer_handle_is_open(struct millrace_producer *self);
/* Nobody has answered as a broker. Any thread. */
bool producer_handle_is_unreachable(struct millrace_producer *self);
