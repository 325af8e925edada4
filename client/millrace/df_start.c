/* A data frame sent to a processor. */
#include "client/millrace/df_frame.h"
#include "client/millrace/processor_wait.h"
#include "client/millrace/sql_answer.h"
#include "proto/sys/check.h"

/* The mistake that spoilt the frame, as the caller's error. */
static int tell_spoilt(const struct millrace_df *df, struct millrace_error *error)
{
    if (df->error.code == MILLRACE_OK) { /* The frame that there was no memory for. */
        return trouble_status(error, STATUS_NO_MEMORY, "cannot build the query");
    }
    if (error != NULL) {
        *error = df->error;
    }
    return df->error.code;
}

static int run(struct millrace_df *df, struct millrace_client *client,
               const struct sql_question *question, struct millrace_sql_answer **out_answer,
               struct millrace_error *error)
{
    *out_answer = NULL;
    if (question->run->script == NULL) {
        return tell_spoilt(df, error);
    }
    if (client == NULL) {
        return trouble_argument(error, "the client is NULL", "open it first");
    }
    return sql_answer_ask(client, question, out_answer, error);
}

int millrace_df_start(struct millrace_df *df, struct millrace_client *client, int64_t timeout_ms,
                      struct millrace_sql_answer **out_answer, struct millrace_error *error)
{
    Millrace__Control__Run message;
    millrace__control__run__init(&message);
    message.script = df_frame_script(df, false);
    const struct sql_question question = {&message, session_until_ns(timeout_ms),
                                          "cannot start the query"};
    return run(df, client, &question, out_answer, error);
}

int millrace_df_explain(struct millrace_df *df, struct millrace_client *client, int64_t timeout_ms,
                        struct millrace_sql_answer **out_answer, struct millrace_error *error)
{
    Millrace__Control__Run message;
    millrace__control__run__init(&message);
    message.script = df_frame_script(df, true);
    const struct sql_question question = {&message, session_until_ns(timeout_ms),
                                          "cannot explain the query"};
    return run(df, client, &question, out_answer, error);
}

int millrace_df_script(struct millrace_df *df, struct millrace_bytes *out_script,
                       struct millrace_error *error)
{
    Millrace__Plan__Script *script = df_frame_script(df, false);
    size_t byte_count = script == NULL ? 0 : millrace__plan__script__get_packed_size(script);
    uint8_t *bytes = script == NULL ? NULL : df_frame_take(df, byte_count);
    if (bytes == NULL) {
        return tell_spoilt(df, error);
    }
    check(millrace__plan__script__pack(script, bytes) == byte_count);
    *out_script = (struct millrace_bytes){bytes, byte_count};
    return trouble_none(error);
}
