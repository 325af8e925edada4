/* SQL and jobs: questions to processors, and their answers as the library's structs. */
#include "client/millrace/admin_wait.h"
#include "client/millrace/processor_wait.h"
#include "client/millrace/sql_answer.h"
#include "proto/sys/check.h"

#include <stdio.h>
#include <stdlib.h>

#define RESULT_BYTES_MAX ((size_t)64 << 20)
#define NAME_BYTES_MAX 256U
#define SQL_BYTES_MAX 65536U

/* An answer for the application: its arena goes with it. */
struct jobs_memory {
    struct millrace_jobs jobs;
    struct arena arena;
};

/* Empty gives null. */
static struct millrace_bytes keep(struct arena *arena, const char *text)
{
    return admin_wait_keep(arena, text == NULL || text[0] == '\0' ? (struct wire_text){NULL, -1}
                                                                  : wire_text_of(text));
}

/* ---- SQL ---- */

int millrace_sql_run(struct millrace_client *client, struct millrace_bytes text, int64_t timeout_ms,
                     struct millrace_sql_answer **out_answer, struct millrace_error *error)
{
    int64_t until_ns = session_until_ns(timeout_ms);
    *out_answer = NULL;
    if (text.data == NULL || text.size > SQL_BYTES_MAX) {
        return trouble_argument(error, "the SQL is missing or too long",
                                "give up to 64 KiB, in several calls if need be");
    }
    char *copy = strndup(text.data, text.size);
    if (copy == NULL) {
        return trouble_status(error, STATUS_NO_MEMORY, "cannot run the SQL");
    }
    Millrace__Control__Run run;
    millrace__control__run__init(&run);
    run.text = copy;
    const struct sql_question question = {&run, until_ns, "cannot run the SQL"};
    int code = sql_answer_ask(client, &question, out_answer, error);
    free(copy);
    return code;
}

void millrace_sql_free(struct millrace_sql_answer *answer)
{
    sql_answer_free(answer);
}

/* ---- jobs ---- */

static void keep_tasks(struct arena *arena, const Millrace__Control__JobStatus *from,
                       struct millrace_job *job)
{
    void **rows = admin_wait_rows(arena, from->n_tasks, sizeof(struct millrace_job_task));
    for (size_t i = 0; rows != NULL && i < from->n_tasks; i++) {
        struct millrace_job_task *row = rows[i];
        const Millrace__Control__TaskState *state = from->tasks[i];
        row->stage = (int32_t)state->stage;
        row->task = (int32_t)state->task;
        row->processor = keep(arena, state->processor);
        row->state = keep(arena, state->state);
        row->epoch = (int64_t)state->epoch;
        row->reason = keep(arena, state->reason);
    }
    job->tasks = (const struct millrace_job_task *const *)rows;
    job->running_task_count = rows == NULL ? 0 : from->n_tasks;
}

static void keep_job(struct arena *arena, const Millrace__Control__JobStatus *from,
                     struct millrace_job *job)
{
    job->name = keep(arena, from->name);
    job->state = keep(arena, from->state);
    job->id = keep(arena, from->query_id);
    job->text = keep(arena, from->text);
    job->source = keep(arena, from->source);
    job->sink = keep(arena, from->sink);
    job->output_mode = keep(arena, from->output_mode);
    job->created_ms = from->created_ms;
    job->stage_count = (int32_t)from->stage_count;
    job->task_count = (int32_t)from->task_count;
    job->plan = keep(arena, from->plan);
    if (from->fault != NULL) {
        char text[2048];
        (void)snprintf(text, sizeof text, "%s; %s; %s", from->fault->what, from->fault->why,
                       from->fault->fix);
        job->fault_code = keep(arena, from->fault->code);
        job->fault = keep(arena, text);
    }
    keep_tasks(arena, from, job);
}

static int keep_jobs(const Millrace__Control__Answer *answer, struct millrace_jobs **out_jobs,
                     struct millrace_error *error)
{
    struct jobs_memory *memory = calloc(1, sizeof *memory);
    if (memory == NULL) {
        return trouble_status(error, STATUS_NO_MEMORY, "cannot list the jobs");
    }
    arena_init(&memory->arena, RESULT_BYTES_MAX);
    void **rows = admin_wait_rows(&memory->arena, answer->n_jobs, sizeof(struct millrace_job));
    if (rows == NULL) {
        arena_done(&memory->arena);
        free(memory);
        return trouble_status(error, STATUS_NO_MEMORY, "cannot list the jobs");
    }
    for (size_t i = 0; i < answer->n_jobs; i++) {
        keep_job(&memory->arena, answer->jobs[i], rows[i]);
    }
    memory->jobs.jobs = (const struct millrace_job *const *)rows;
    memory->jobs.job_count = answer->n_jobs;
    *out_jobs = &memory->jobs;
    return MILLRACE_OK;
}

static int ask_jobs(struct millrace_client *client, const struct processor_wait *wait,
                    struct millrace_jobs **out_jobs, struct millrace_error *error)
{
    *out_jobs = NULL;
    Millrace__Control__Answer *answer = NULL;
    int code = processor_wait_ask(client, wait, &answer, error);
    if (code == MILLRACE_OK) {
        code = keep_jobs(answer, out_jobs, error);
    }
    millrace__control__answer__free_unpacked(answer, NULL);
    return code;
}

int millrace_jobs_list(struct millrace_client *client, int64_t timeout_ms,
                       struct millrace_jobs **out_jobs, struct millrace_error *error)
{
    Millrace__Control__ListJobs list;
    millrace__control__list_jobs__init(&list);
    Millrace__Control__Request request;
    millrace__control__request__init(&request);
    request.kind_case = MILLRACE__CONTROL__REQUEST__KIND_LIST_JOBS;
    request.list_jobs = &list;
    struct processor_wait wait = {&request, session_until_ns(timeout_ms), "cannot list the jobs",
                                  true};
    return ask_jobs(client, &wait, out_jobs, error);
}

/* Copies it, NUL-terminated. */
static int take_name(struct millrace_bytes name, char copy[static NAME_BYTES_MAX + 1],
                     struct millrace_error *error)
{
    if (name.data == NULL || name.size == 0 || name.size > NAME_BYTES_MAX) {
        return trouble_argument(error, "the job's name is missing or too long",
                                "give the name that millrace_jobs_list() shows");
    }
    memcpy(copy, name.data, name.size);
    copy[name.size] = '\0';
    return MILLRACE_OK;
}

int millrace_job_describe(struct millrace_client *client, struct millrace_bytes name,
                          int64_t timeout_ms, struct millrace_jobs **out_jobs,
                          struct millrace_error *error)
{
    *out_jobs = NULL;
    char copy[NAME_BYTES_MAX + 1];
    int code = take_name(name, copy, error);
    if (code != MILLRACE_OK) {
        return code;
    }
    Millrace__Control__DescribeJob describe;
    millrace__control__describe_job__init(&describe);
    describe.name = copy;
    Millrace__Control__Request request;
    millrace__control__request__init(&request);
    request.kind_case = MILLRACE__CONTROL__REQUEST__KIND_DESCRIBE_JOB;
    request.describe_job = &describe;
    struct processor_wait wait = {&request, session_until_ns(timeout_ms), "cannot describe the job",
                                  true};
    return ask_jobs(client, &wait, out_jobs, error);
}

void millrace_jobs_free(struct millrace_jobs *jobs)
{
    if (jobs != NULL) {
        struct jobs_memory *memory = container_of(jobs, struct jobs_memory, jobs);
        arena_done(&memory->arena);
        free(memory);
    }
}

int millrace_job_progress(struct millrace_client *client, struct millrace_bytes name,
                          int64_t timeout_ms, char **out_json, struct millrace_error *error)
{
    *out_json = NULL;
    char copy[NAME_BYTES_MAX + 1];
    int code = take_name(name, copy, error);
    if (code != MILLRACE_OK) {
        return code;
    }
    Millrace__Control__JobProgress progress;
    millrace__control__job_progress__init(&progress);
    progress.name = copy;
    Millrace__Control__Request request;
    millrace__control__request__init(&request);
    request.kind_case = MILLRACE__CONTROL__REQUEST__KIND_JOB_PROGRESS;
    request.job_progress = &progress;
    struct processor_wait wait = {&request, session_until_ns(timeout_ms),
                                  "cannot tell the job's progress", true};
    Millrace__Control__Answer *answer = NULL;
    code = processor_wait_ask(client, &wait, &answer, error);
    if (code == MILLRACE_OK) {
        *out_json = strdup(answer->json);
        code = *out_json == NULL ? trouble_status(error, STATUS_NO_MEMORY, wait.what) : code;
    }
    millrace__control__answer__free_unpacked(answer, NULL);
    return code;
}

void millrace_job_progress_free(char *json)
{
    free(json);
}

int millrace_job_stop(struct millrace_client *client, struct millrace_bytes name,
                      int64_t timeout_ms, struct millrace_error *error)
{
    char copy[NAME_BYTES_MAX + 1];
    int code = take_name(name, copy, error);
    if (code != MILLRACE_OK) {
        return code;
    }
    Millrace__Control__StopJob stop;
    millrace__control__stop_job__init(&stop);
    stop.name = copy;
    Millrace__Control__Request request;
    millrace__control__request__init(&request);
    request.kind_case = MILLRACE__CONTROL__REQUEST__KIND_STOP_JOB;
    request.stop_job = &stop;
    struct processor_wait wait = {&request, session_until_ns(timeout_ms), "cannot stop the job",
                                  true};
    Millrace__Control__Answer *answer = NULL;
    code = processor_wait_ask(client, &wait, &answer, error);
    millrace__control__answer__free_unpacked(answer, NULL);
    return code;
}
