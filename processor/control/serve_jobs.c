#include "processor/control/serve_jobs.h"

#include "processor/control/job_report.h"
#include "processor/control/job_stop.h"
#include "processor/job/job_wish.h"
#include "client/survey.h"
#include "processor/plan/explain.h"
#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

struct jobs_call {
    struct control_call *call;
    struct catalog_barrier barrier;
    struct survey survey;
    struct job_stop stop;
    const char *name; /* NULL: all. */
    void (*on_stopped)(struct control_call *call, Millrace__Plan__Fault *fault);
};

static void finish(struct jobs_call *self, Millrace__Control__Answer *answer)
{
    struct control_call *call = self->call;
    struct survey survey = self->survey; /* What it gathered is referred to until it is packed. */
    control_call_answer(call, answer);
    survey_done(&survey);
}

static void fail(struct jobs_call *self, Millrace__Plan__Fault *fault)
{
    survey_done(&self->survey);
    control_call_fail(self->call, fault);
}

static struct catalog_entry *find_job(struct jobs_call *self)
{
    return catalog_find(self->call->control->options.catalog, CATALOG_JOB, self->name);
}

/* ---- reports ---- */

/* False: no memory. */
static bool gather(struct jobs_call *self, const Millrace__Processor__Job *job,
                   struct job_report_tasks *out_tasks)
{
    struct arena *arena = &self->call->arena;
    uint32_t count = job_topics_task_count(job->plan);
    const Millrace__Control__TaskState **states =
        arena_take_array(arena, count, sizeof(const Millrace__Control__TaskState *));
    const Millrace__Processor__Progress **progress =
        arena_take_array(arena, count, sizeof(const Millrace__Processor__Progress *));
    if (states == NULL || progress == NULL) {
        return false;
    }
    for (uint32_t s = 0; s < job->plan->n_stages; s++) {
        for (uint32_t t = 0; t < job->plan->stages[s]->task_count; t++) {
            Millrace__Processor__TaskId id;
            millrace__processor__task_id__init(&id);
            id.query_id = job->plan->query_id;
            id.run = job->run;
            id.stage = s;
            id.task = t;
            uint32_t index = job_topics_task_number(job->plan, s, t);
            states[index] = survey_find(&self->survey, &id);
            progress[index] = states[index] == NULL ? NULL : states[index]->progress;
            if (progress[index] == NULL && index < job->n_last_progress) {
                progress[index] = job->last_progress[index];
            }
        }
    }
    *out_tasks = (struct job_report_tasks){states, progress, count};
    return true;
}

static bool fill_status(struct jobs_call *self, Millrace__Processor__Job *job,
                        Millrace__Control__JobStatus *status)
{
    struct control_call *call = self->call;
    struct job_report_tasks tasks;
    if (!gather(self, job, &tasks)) {
        return false;
    }
    char id[JOB_REPORT_ID_BYTES];
    job_report_id(job->plan->query_id.data, id);
    millrace__control__job_status__init(status);
    status->name = job->plan->name;
    status->state = control_call_print(call, "%s", job_report_state(job, &tasks));
    status->query_id = control_call_print(call, "%s", id);
    status->text = job->plan->text;
    status->created_ms = job->created_ms;
    status->fault =
        job_wish_is_drop(job) ? control_call_dropping(call, job->plan->name, 0) : job->fault;
    status->stage_count = (uint32_t)job->plan->n_stages;
    status->task_count = tasks.count;
    status->source = job->plan->source->name;
    status->sink = job->plan->sink->name;
    status->output_mode = control_call_print(
        call, "%s",
        job->plan->output_mode == MILLRACE__PLAN__OUTPUT_MODE__OUTPUT_UPDATE ? "update" : "append");
    if (self->name == NULL) {
        return true;
    }
    const char *text = NULL;
    if (explain_plan(job->plan, &call->arena, &text) == STATUS_OK) {
        status->plan = control_call_print(call, "%s", text);
    }
    status->tasks = arena_take_array(&call->arena, tasks.count, sizeof *status->tasks);
    for (uint32_t i = 0; status->tasks != NULL && i < tasks.count; i++) {
        if (tasks.states[i] != NULL) {
            Millrace__Control__TaskState *copy = arena_take(&call->arena, sizeof *copy);
            if (copy == NULL) {
                return false;
            }
            *copy = *tasks.states[i];
            copy->progress = NULL;
            status->tasks[status->n_tasks] = copy;
            status->n_tasks += 1;
        }
    }
    return true;
}

static void answer_statuses(struct jobs_call *self)
{
    struct catalog *catalog = self->call->control->options.catalog;
    struct arena *arena = &self->call->arena;
    Millrace__Control__Answer answer;
    millrace__control__answer__init(&answer);
    answer.jobs = arena_take_array(arena, catalog->entry_count, sizeof *answer.jobs);
    struct catalog_entry *entry = NULL;
    bool is_whole = answer.jobs != NULL;
    while (is_whole && (entry = catalog_next(catalog, CATALOG_JOB, entry)) != NULL) {
        bool is_asked = self->name == NULL || strcmp(self->name, entry->name) == 0;
        if (is_asked && job_topics_check(entry->record->job->plan) == STATUS_OK) {
            Millrace__Control__JobStatus *status = arena_take(arena, sizeof *status);
            is_whole = status != NULL && fill_status(self, entry->record->job, status);
            answer.jobs[answer.n_jobs] = status;
            answer.n_jobs += is_whole ? 1 : 0;
        }
    }
    if (!is_whole) {
        fail(self,
             control_call_trouble(self->call, STATUS_NO_MEMORY, 0, "cannot tell about the jobs"));
    } else {
        finish(self, &answer);
    }
}

static void answer_progress(struct jobs_call *self, Millrace__Processor__Job *job)
{
    struct job_report_tasks tasks;
    Millrace__Control__Answer answer;
    millrace__control__answer__init(&answer);
    char *text = gather(self, job, &tasks) ? job_report_progress(job, &tasks) : NULL;
    answer.json = text == NULL ? NULL : arena_copy_text(&self->call->arena, text, strlen(text));
    free(text);
    if (answer.json == NULL) {
        fail(self, control_call_trouble(self->call, STATUS_NO_MEMORY, 0,
                                        "cannot tell about the job's progress"));
    } else {
        finish(self, &answer);
    }
}

static void survey_on_done(struct survey *survey)
{
    struct jobs_call *self = container_of(survey, struct jobs_call, survey);
    struct catalog_entry *entry = self->name == NULL ? NULL : find_job(self);
    if (self->name != NULL && entry == NULL) {
        fail(self, control_call_unknown_job(self->call, self->name, 0));
    } else if (self->call->request->kind_case == MILLRACE__CONTROL__REQUEST__KIND_JOB_PROGRESS) {
        answer_progress(self, entry->record->job);
    } else {
        answer_statuses(self);
    }
}

static void barrier_on_done(struct catalog_barrier *barrier, enum status status)
{
    struct jobs_call *self = container_of(barrier, struct jobs_call, barrier);
    if (status != STATUS_OK) {
        fail(self, control_call_trouble(self->call, status, barrier->op.error_code,
                                        "cannot read the catalog of jobs"));
        return;
    }
    if (self->name != NULL && find_job(self) == NULL) {
        fail(self, control_call_unknown_job(self->call, self->name, 0));
        return;
    }
    self->survey = (struct survey){.peers = self->call->control->options.peers,
                                   .loop = self->call->control->options.loop,
                                   .on_done = survey_on_done};
    survey_start(&self->survey);
}

/* ---- stopping ---- */

static void stop_on_done(struct job_stop *stop, Millrace__Plan__Fault *fault)
{
    struct jobs_call *self = container_of(stop, struct jobs_call, stop);
    self->on_stopped(self->call, fault);
}

static struct jobs_call *make(struct control_call *call)
{
    struct jobs_call *self = arena_take_array(&call->arena, 1, sizeof *self);
    if (self != NULL) {
        self->call = call;
    }
    return self;
}

void serve_jobs_stop(struct control_call *call, const char *name,
                     void (*on_done)(struct control_call *call, Millrace__Plan__Fault *fault))
{
    struct jobs_call *self = make(call);
    if (self == NULL) {
        on_done(call, control_call_trouble(call, STATUS_NO_MEMORY, 0, "cannot stop the job"));
        return;
    }
    self->name = name;
    self->on_stopped = on_done;
    self->stop = (struct job_stop){.call = call, .name = name, .on_done = stop_on_done};
    job_stop_start(&self->stop);
}

static void answer_stopped(struct control_call *call, Millrace__Plan__Fault *fault)
{
    Millrace__Control__Answer answer;
    millrace__control__answer__init(&answer);
    answer.fault = fault;
    control_call_answer(call, &answer);
}

/* ---- entry ---- */

void serve_jobs(struct control_call *call)
{
    const Millrace__Control__Request *request = call->request;
    if (request->kind_case == MILLRACE__CONTROL__REQUEST__KIND_STOP_JOB) {
        serve_jobs_stop(call, request->stop_job->name, answer_stopped);
        return;
    }
    struct jobs_call *self = make(call);
    if (self == NULL) {
        control_call_fail(call, control_call_trouble(call, STATUS_NO_MEMORY, 0, "cannot answer"));
        return;
    }
    if (request->kind_case == MILLRACE__CONTROL__REQUEST__KIND_DESCRIBE_JOB) {
        self->name = request->describe_job->name;
    } else if (request->kind_case == MILLRACE__CONTROL__REQUEST__KIND_JOB_PROGRESS) {
        self->name = request->job_progress->name;
    }
    self->barrier =
        (struct catalog_barrier){.deadline_ns = call->deadline_ns, .on_done = barrier_on_done};
    catalog_wait(call->control->options.catalog, &self->barrier);
}
