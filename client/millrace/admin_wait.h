/* One admin operation run for a thread that waits, and the memory of its result.
 *
 * Owner: the waiting thread; it may live on its stack. Loop: the session's. */
#pragma once

#include "client/admin_core.h"
#include "client/millrace/session.h"
#include "client/millrace/trouble.h"

struct admin_wait {
    struct admin_op op;  /* encode, take, whom to ask: the caller's. */
    struct arena *arena; /* The result's; the caller's. May be NULL. */
    struct session_call call;
    enum status status;
};

/* Until the answer or `until_ns`; `what` as in "cannot create topic x". */
int admin_wait_run(struct millrace_client *client, struct admin_wait *self, int64_t until_ns,
                   const char *what, struct millrace_error *error);
/* Copies into the result. A null text gives null; without memory the whole call fails. */
struct millrace_bytes admin_wait_keep(struct arena *arena, struct wire_text text);
/* What the application gave, borrowed; null stays null. */
struct wire_text admin_wait_text(struct millrace_bytes bytes);
/* As strcmp(); null is as empty. */
int admin_wait_compare(struct millrace_bytes one, struct millrace_bytes other);
/* An array of `count` pointers to elements of `size`, all cleared. NULL: no memory. */
void **admin_wait_rows(struct arena *arena, size_t count, size_t size);
