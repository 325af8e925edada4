/* The configuration of a topic or broker, read into a result's memory.
 *
 * Owner: the caller. Loop: any thread but the session's. */
#pragma once

#include "client/millrace/admin_wait.h"

struct config_rows {
    struct arena *arena; /* Borrowed: the result's. */
    const struct millrace_config *const *configs;
    size_t config_count;
};

int config_rows_describe(struct millrace_client *client, enum millrace_config_of of,
                         struct millrace_bytes name, int64_t until_ns, struct config_rows *rows,
                         struct millrace_error *error);
