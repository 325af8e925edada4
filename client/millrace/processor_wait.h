/* One question to a processor for a thread that waits, and the core that asks.
 *
 * Owner: the waiting thread. Loop: the session's. */
#pragma once

#include "client/millrace/session.h"
#include "client/millrace/trouble.h"
#include "client/processor_core.h"
#include "proto/internal/control.pb-c.h"

/* Loop. Makes it at first use; CLOSED: the client closes. */
MUST_USE enum status processor_wait_core(struct millrace_client *client,
                                         struct processor_core **out_core);

struct processor_wait {
    Millrace__Control__Request *request; /* Its deadline is filled in. */
    int64_t until_ns;
    const char *what;   /* As in "cannot stop the job x". */
    bool is_repeatable; /* Asking twice does no harm. */
};

/* OK: `out_answer`, to be freed with the message's own function, has no fault. REFUSED: it has one,
 * which is in `error`. Else there is none. */
int processor_wait_ask(struct millrace_client *client, const struct processor_wait *wait,
                       Millrace__Control__Answer **out_answer, struct millrace_error *error);
/* How the asking itself ended, in words; `what` as above. */
int processor_wait_tell(struct millrace_client *client, enum status status, const char *what,
                        struct millrace_error *error);
