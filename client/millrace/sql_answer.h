/* What a processor answers to statements, whether they were sent as text or as a data frame.
 *
 * Owner: the waiting thread. Loop: the session's. */
#pragma once

#include "client/client.h"
#include "proto/internal/control.pb-c.h"

#include <stdint.h>

struct sql_question {
    Millrace__Control__Run *run;
    int64_t until_ns;
    const char *what; /* As in "cannot run the SQL". */
};

/* As millrace_sql_run(). */
int sql_answer_ask(struct millrace_client *client, const struct sql_question *question,
                   struct millrace_sql_answer **out_answer, struct millrace_error *error);
void sql_answer_free(struct millrace_sql_answer *answer); /* Accepts NULL. */
