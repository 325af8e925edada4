/* libmillrace: processors, and SQL and jobs, asked of them.
 *
 * Processors are found through the brokers of the client's bootstrap addresses; any of them
 * answers. Results are read-only and freed as a whole; texts in them are NUL-terminated, too.
 *
 * Include client.h. Owner: the application. Loop: any thread. Limits: 64 KiB of SQL. */
#pragma once

#include "client.h"

#ifdef __cplusplus
extern "C" {
#endif

struct millrace_processor {
    struct millrace_bytes host;
    int32_t port;
    bool is_answering;
    int32_t task_count; /* That it runs now; -1: it does not answer. */
};

struct millrace_processors {
    const struct millrace_processor *const *processors; /* Sorted by host and port. */
    size_t processor_count;
};

/* The members of the cluster; one that has died stays a member for some seconds. Each is asked
 * itself; who does not answer in time fails nothing. */
MILLRACE_EXPORT int millrace_processors_list(struct millrace_client *client, int64_t timeout_ms,
                                             struct millrace_processors **out_processors,
                                             struct millrace_error *error);
MILLRACE_EXPORT void millrace_processors_free(struct millrace_processors *processors);

/* What a statement did. */
struct millrace_sql_result {
    struct millrace_bytes kind; /* table, job, set, explain, dropped, stopped */
    struct millrace_bytes name;
    struct millrace_bytes text; /* Of explain: the plan; else a remark, or null. */
};

struct millrace_sql_answer {
    const struct millrace_sql_result *const *results; /* Of the statements that were done. */
    size_t result_count;
    int64_t fault_position; /* Bytes from the start of the text; -1: there is no fault in it. */
};

/* Runs the statements in order, up to the first that fails. MILLRACE_REFUSED: `error` says what is
 * wrong with it, and `out_answer` is set, with what was done before. Other codes: nothing is known
 * about it, NULL. Statements are not undone. */
MILLRACE_EXPORT int millrace_sql_run(struct millrace_client *client, struct millrace_bytes text,
                                     int64_t timeout_ms, struct millrace_sql_answer **out_answer,
                                     struct millrace_error *error);
MILLRACE_EXPORT void millrace_sql_free(struct millrace_sql_answer *answer); /* Accepts NULL. */

struct millrace_job_task {
    int32_t stage;
    int32_t task;
    struct millrace_bytes processor; /* host:port */
    struct millrace_bytes state;
    int64_t epoch;
    struct millrace_bytes reason; /* Why it restarts or failed. */
};

struct millrace_job {
    struct millrace_bytes name;
    struct millrace_bytes state; /* starting running restarting stopped failed */
    struct millrace_bytes id;    /* UUID; stays over stops and starts. */
    struct millrace_bytes text;  /* The statement. */
    struct millrace_bytes source;
    struct millrace_bytes sink;
    struct millrace_bytes output_mode;
    int64_t created_ms;
    int32_t stage_count;
    int32_t task_count;
    /* Of a failed one, or JOB_DROPPING of one whose drop has not ended; as the next; else null. */
    struct millrace_bytes fault_code;
    struct millrace_bytes fault;
    struct millrace_bytes plan; /* Of millrace_job_describe(), as the next; else null. */
    const struct millrace_job_task *const *tasks;
    size_t running_task_count; /* Of `tasks`. */
};

struct millrace_jobs {
    const struct millrace_job *const *jobs;
    size_t job_count;
};

MILLRACE_EXPORT int millrace_jobs_list(struct millrace_client *client, int64_t timeout_ms,
                                       struct millrace_jobs **out_jobs,
                                       struct millrace_error *error);
/* One job. MILLRACE_REFUSED: there is none of this name. */
MILLRACE_EXPORT int millrace_job_describe(struct millrace_client *client,
                                          struct millrace_bytes name, int64_t timeout_ms,
                                          struct millrace_jobs **out_jobs,
                                          struct millrace_error *error);
MILLRACE_EXPORT void millrace_jobs_free(struct millrace_jobs *jobs); /* Accepts NULL. */

/* One JSON object with the names of Spark's StreamingQueryProgress; free it with
 * millrace_job_progress_free(). */
MILLRACE_EXPORT int millrace_job_progress(struct millrace_client *client,
                                          struct millrace_bytes name, int64_t timeout_ms,
                                          char **out_json, struct millrace_error *error);
MILLRACE_EXPORT void millrace_job_progress_free(char *json); /* Accepts NULL. */

/* Returns when the last epoch is committed. */
MILLRACE_EXPORT int millrace_job_stop(struct millrace_client *client, struct millrace_bytes name,
                                      int64_t timeout_ms, struct millrace_error *error);

#ifdef __cplusplus
}
#endif
