/* The inside of a client handle: its loop thread, and how other threads get work done there.
 *
 * A call runs one function on the loop and waits until somebody ends it, so it may live on the
 * caller's stack. Handles (producers, consumers) hang on the session: closing it closes them, and
 * the memory lasts until the last of them is freed.
 *
 * Owner: the application, counted. Loop: any thread, except where it says loop. */
#pragma once

#include "client/client.h"
#include "client/cluster.h"
#include "proto/sys/host/host_disk.h"
#include "proto/sys/host/host_gate.h"
#include "proto/sys/host/host_loop.h"

#define SESSION_TEXT_BYTES_MAX 256U

struct session_handle {
    struct list in_session;
    struct millrace_client *session; /* Counted. */
    /* Any thread but the loop's; called once, by the session's close. Returns by then. */
    int (*close)(struct session_handle *self, int64_t until_ns, struct millrace_error *error);
};

struct millrace_client {
    struct host_gate gate;
    struct host_loop host;
    struct host_disk disk;
    struct address bootstrap[CLUSTER_BOOTSTRAP_MAX];
    uint32_t bootstrap_count;
    char bootstrap_text[SESSION_TEXT_BYTES_MAX]; /* For people. */
    char client_id[SESSION_TEXT_BYTES_MAX];
    int64_t request_timeout_ms;
    /* The gate guards what follows. */
    bool is_open;
    uint32_t user_count; /* Handles and the application. */
    uint32_t call_count; /* On their way to the loop or there. */
    struct list handles;
    struct admin_core *admin;          /* The loop's; made at first use. */
    bool is_admin_closed;              /* The loop's. */
    struct processor_core *processors; /* The loop's; made at first use. */
};

struct session_call {
    struct mail mail;
    struct millrace_client *session;
    void (*run)(struct session_call *self); /* Loop. Ends it now or later. */
    bool is_done;
};

/* False: the client is closed, nothing ran. */
bool session_run(struct millrace_client *self, struct session_call *call);
/* Loop. `call` is gone behind it. */
void session_end(struct session_call *call);

/* False: the client is closed. */
bool session_attach(struct millrace_client *self, struct session_handle *handle);
/* False: the session's close has it, and has closed it or is about to. */
bool session_detach(struct session_handle *handle);
void session_unref(struct millrace_client *self);

/* Says that no broker answers at the bootstrap addresses; returns MILLRACE_UNREACHABLE. */
int session_nobody(const struct millrace_client *self, const char *what,
                   struct millrace_error *error);

/* When a wait of `timeout_ms` that begins now is over. */
int64_t session_until_ns(int64_t timeout_ms);
