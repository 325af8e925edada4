#include "client/shell/shell_job.h"

#include "client/shell/shell_client.h"
#include "client/shell/shell_output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STOP_MS_MAX 120000

/* ---- list ---- */

static enum shell_exit list_run(struct shell_call *call, struct millrace_client *client)
{
    struct millrace_jobs *jobs = NULL;
    struct millrace_error error;
    if (millrace_jobs_list(client, SHELL_CLIENT_MS_MAX, &jobs, &error) != 0) {
        return shell_client_fail(call, &error);
    }
    json_t *rows = json_array();
    for (size_t i = 0; i < jobs->job_count; i++) {
        const struct millrace_job *job = jobs->jobs[i];
        (void)json_array_append_new(
            rows,
            json_pack("{s:o,s:o,s:o,s:o,s:o,s:i,s:o,s:o}", "job", shell_output_bytes(job->name),
                      "state", shell_output_bytes(job->state), "source",
                      shell_output_bytes(job->source), "sink", shell_output_bytes(job->sink),
                      "output_mode", shell_output_bytes(job->output_mode), "tasks",
                      (int)job->task_count, "id", shell_output_bytes(job->id), "fault",
                      shell_output_bytes(job->fault)));
    }
    enum shell_exit exit = shell_output_rows(call, rows, "no jobs");
    millrace_jobs_free(jobs);
    return exit;
}

/* ---- describe ---- */

static json_t *tasks_of(const struct millrace_job *job)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < job->running_task_count; i++) {
        const struct millrace_job_task *task = job->tasks[i];
        (void)json_array_append_new(
            rows, json_pack("{s:i,s:i,s:o,s:o,s:I,s:o}", "stage", (int)task->stage, "task",
                            (int)task->task, "processor", shell_output_bytes(task->processor),
                            "state", shell_output_bytes(task->state), "epoch",
                            (json_int_t)task->epoch, "reason", shell_output_bytes(task->reason)));
    }
    return rows;
}

static enum shell_exit print_job(const struct shell_call *call, const struct millrace_job *job)
{
    if (call->format == SHELL_JSON) {
        return shell_output_json(
            call,
            json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:I,s:i,s:i,s:o,s:o,s:o,s:o}", "job",
                      shell_output_bytes(job->name), "state", shell_output_bytes(job->state), "id",
                      shell_output_bytes(job->id), "source", shell_output_bytes(job->source),
                      "sink", shell_output_bytes(job->sink), "output_mode",
                      shell_output_bytes(job->output_mode), "text", shell_output_bytes(job->text),
                      "created", (json_int_t)job->created_ms, "stages", (int)job->stage_count,
                      "task_count", (int)job->task_count, "fault_code",
                      shell_output_bytes(job->fault_code), "fault", shell_output_bytes(job->fault),
                      "plan", shell_output_bytes(job->plan), "tasks", tasks_of(job)));
    }
    printf("job %.*s, %.*s, id %.*s\n", (int)job->name.size, (const char *)job->name.data,
           (int)job->state.size, (const char *)job->state.data, (int)job->id.size,
           (const char *)job->id.data);
    if (job->fault.data != NULL) {
        printf("fault %.*s: %.*s\n", (int)job->fault_code.size, (const char *)job->fault_code.data,
               (int)job->fault.size, (const char *)job->fault.data);
    }
    if (job->plan.data != NULL) {
        printf("\n%.*s\n", (int)job->plan.size, (const char *)job->plan.data);
    }
    shell_output_table(tasks_of(job), stdout);
    return SHELL_DONE;
}

static enum shell_exit describe_run(struct shell_call *call, struct millrace_client *client)
{
    struct millrace_jobs *jobs = NULL;
    struct millrace_error error;
    if (millrace_job_describe(client, millrace_text(call->operands[0]), SHELL_CLIENT_MS_MAX, &jobs,
                              &error) != 0) {
        return shell_client_fail(call, &error);
    }
    enum shell_exit exit = SHELL_DONE;
    for (size_t i = 0; i < jobs->job_count; i++) {
        exit = print_job(call, jobs->jobs[i]);
    }
    millrace_jobs_free(jobs);
    return exit;
}

/* ---- progress and stop ---- */

static enum shell_exit progress_run(struct shell_call *call, struct millrace_client *client)
{
    char *text = NULL;
    struct millrace_error error;
    if (millrace_job_progress(client, millrace_text(call->operands[0]), SHELL_CLIENT_MS_MAX, &text,
                              &error) != 0) {
        return shell_client_fail(call, &error);
    }
    if (call->format == SHELL_JSON) {
        puts(text);
    } else {
        json_t *object = json_loads(text, 0, NULL);
        char *pretty = object == NULL ? NULL : json_dumps(object, JSON_INDENT(2));
        puts(pretty == NULL ? text : pretty);
        free(pretty);
        json_decref(object);
    }
    millrace_job_progress_free(text);
    return SHELL_DONE;
}

static enum shell_exit stop_run(struct shell_call *call, struct millrace_client *client)
{
    const char *name = call->operands[0];
    struct millrace_error error;
    if (millrace_job_stop(client, millrace_text(name), STOP_MS_MAX, &error) != 0) {
        return shell_client_fail(call, &error);
    }
    if (call->format == SHELL_JSON) {
        return shell_output_json(call, json_pack("{s:s,s:s}", "job", name, "state", "stopped"));
    }
    printf("job %s stopped\n", name);
    return SHELL_DONE;
}

#define EXAMPLES(...) ((const char *const[]){__VA_ARGS__, NULL})

const struct shell_command shell_job_commands[] = {
    {.words = "job list",
     .operands = "",
     .summary = "list all jobs and their states",
     .examples = EXAMPLES("millrace job list", "millrace job list -o json"),
     .run_client = list_run},
    {.words = "job describe",
     .operands = "NAME",
     .operand_count = 1,
     .summary = "show a job's plan, and which task runs where",
     .examples = EXAMPLES("millrace job describe delays"),
     .run_client = describe_run},
    {.words = "job progress",
     .operands = "NAME",
     .operand_count = 1,
     .summary = "show how far a job has come: rows, watermark, state, offsets",
     .notes = "One JSON object with the names of Spark's StreamingQueryProgress.\n",
     .examples = EXAMPLES("millrace job progress delays", "millrace job progress delays -o json"),
     .run_client = progress_run},
    {.words = "job stop",
     .operands = "NAME",
     .operand_count = 1,
     .summary = "stop a job; returns when its last epoch is committed",
     .notes = "The same statement run again goes on where the job stopped.\n",
     .examples = EXAMPLES("millrace job stop delays"),
     .run_client = stop_run},
    {.words = NULL},
};
