#include "processor/control/job_stop.h"

#include "proto/sys/check.h"

#include <string.h>

#define AGAIN_MS 50

static void end(struct job_stop *self, Millrace__Plan__Fault *fault)
{
    timer_done(&self->again);
    survey_done(&self->survey);
    self->on_done(self, fault);
}

static struct catalog_entry *find_job(struct job_stop *self)
{
    return catalog_find(self->call->control->options.catalog, CATALOG_JOB, self->name);
}

/* The job as it was when its stop was decided, with what has become of it; NULL: it is gone, or was
 * started again, so that it has stopped. */
static Millrace__Processor__Job *find_run(struct job_stop *self)
{
    struct catalog_entry *entry = find_job(self);
    bool is_it = entry != NULL && job_wish_is_run(entry->record->job, &self->run);
    return is_it ? entry->record->job : NULL;
}

static int64_t now_ms(struct job_stop *self)
{
    return clock_wall_ms(self->call->control->options.loop->clock);
}

/* ---- the end: STOPPED, with the last progress of each task ---- */

static const Millrace__Control__TaskState *task_state_of(struct job_stop *self,
                                                         const Millrace__Processor__Job *job,
                                                         uint32_t stage, uint32_t task)
{
    Millrace__Processor__TaskId id;
    millrace__processor__task_id__init(&id);
    id.query_id = job->plan->query_id;
    id.run = job->run;
    id.stage = stage;
    id.task = task;
    return survey_find(&self->survey, &id);
}

/* Fills `out_progress` where that is not NULL. */
static bool have_all_stopped(struct job_stop *self, const Millrace__Processor__Job *job,
                             Millrace__Processor__Progress **out_progress)
{
    for (uint32_t s = 0; s < job->plan->n_stages; s++) {
        for (uint32_t t = 0; t < job->plan->stages[s]->task_count; t++) {
            const Millrace__Control__TaskState *state = task_state_of(self, job, s, t);
            if (state == NULL || strcmp(state->state, "stopped") != 0 || state->progress == NULL) {
                return false;
            }
            if (out_progress != NULL) {
                out_progress[job_topics_task_number(job->plan, s, t)] = state->progress;
            }
        }
    }
    return true;
}

static enum status stopped_decide(struct catalog_write *write)
{
    struct job_stop *self = container_of(write, struct job_stop, write);
    const Millrace__Processor__Job *found = find_run(self);
    if (found == NULL || found->wish != MILLRACE__PROCESSOR__JOB_WISH__JOB_STOP) {
        return STATUS_OK; /* Somebody else was faster. */
    }
    Millrace__Processor__Job job = *found;
    uint32_t count = job_topics_task_count(job.plan);
    job.last_progress = arena_take_array(&self->call->arena, count, sizeof *job.last_progress);
    if (job.last_progress == NULL || !have_all_stopped(self, &job, job.last_progress)) {
        return job.last_progress == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    }
    job.n_last_progress = count;
    job.wish = MILLRACE__PROCESSOR__JOB_WISH__JOB_STOPPED;
    job.changed_ms = now_ms(self);
    Millrace__Processor__CatalogRecord record = *find_job(self)->record;
    record.job = &job;
    return catalog_write_put(write, CATALOG_JOB, self->name, &record);
}

static void stopped_on_done(struct catalog_write *write, enum status status)
{
    struct job_stop *self = container_of(write, struct job_stop, write);
    if (status != STATUS_OK) {
        trace_line(self->call->control->options.loop->trace, TRACE_WARN, "job", "stop-not-noted",
                   "job=%s why=\"%s\"", self->name, status_text(status));
    }
    end(self, NULL); /* All tasks have ended; the note is for later readers. */
}

static void survey_on_done(struct survey *survey)
{
    struct job_stop *self = container_of(survey, struct job_stop, survey);
    struct loop *loop = self->call->control->options.loop;
    const Millrace__Processor__Job *job = find_run(self);
    bool has_stopped = job == NULL || job->wish == MILLRACE__PROCESSOR__JOB_WISH__JOB_STOPPED ||
                       job_wish_is_drop(job);
    if (self->call->control->is_closing) {
        end(self, control_call_trouble(self->call, STATUS_CLOSED, 0,
                                       "the processor is stopping; ask another one"));
    } else if (has_stopped) {
        end(self, NULL);
    } else if (job->wish == MILLRACE__PROCESSOR__JOB_WISH__JOB_FAILED) {
        end(self, control_call_fault(self->call,
                                     (struct control_fault){"JOB_FAILED", 0, "see the job's fault",
                                                            "millrace job describe"},
                                     "the job '%.200s' failed while it was stopped", self->name));
    } else if (have_all_stopped(self, job, NULL)) {
        self->write = (struct catalog_write){.deadline_ns = self->call->deadline_ns,
                                             .decide = stopped_decide,
                                             .on_done = stopped_on_done};
        catalog_change(self->call->control->options.catalog, &self->write);
    } else if (loop_now_ns(loop) + AGAIN_MS * CLOCK_NS_PER_MS >= self->call->deadline_ns) {
        end(self, control_call_fault(
                      self->call,
                      (struct control_fault){"TIMEOUT", 0, "some tasks have not ended yet",
                                             "see millrace job describe; the job goes on stopping"},
                      "the job '%.200s' has not stopped in time", self->name));
    } else {
        timer_start_after(&self->again, AGAIN_MS * CLOCK_NS_PER_MS);
    }
}

static void again_on_fire(struct timer *timer)
{
    struct job_stop *self = container_of(timer, struct job_stop, again);
    survey_start(&self->survey);
}

/* ---- the beginning: STOP ---- */

static enum status stop_decide(struct catalog_write *write)
{
    struct job_stop *self = container_of(write, struct job_stop, write);
    struct catalog_entry *entry = find_job(self);
    if (entry == NULL) {
        self->fault = control_call_unknown_job(self->call, self->name, 0);
        return STATUS_NOT_FOUND;
    }
    Millrace__Processor__Job job = *entry->record->job;
    if (job.wish == MILLRACE__PROCESSOR__JOB_WISH__JOB_FAILED) {
        self->fault = control_call_fault(
            self->call,
            (struct control_fault){"JOB_FAILED", 0, "it has ended already, with a fault",
                                   "see millrace job describe"},
            "the job '%.200s' has failed", self->name);
        return STATUS_INVALID;
    }
    self->run = job_wish_run_of(&job);
    if (job.wish != MILLRACE__PROCESSOR__JOB_WISH__JOB_RUN) {
        return STATUS_OK; /* It stops or has stopped already, or is being dropped. */
    }
    job.wish = MILLRACE__PROCESSOR__JOB_WISH__JOB_STOP;
    job.changed_ms = now_ms(self);
    Millrace__Processor__CatalogRecord record = *entry->record;
    record.job = &job;
    return catalog_write_put(write, CATALOG_JOB, self->name, &record);
}

static void stop_on_done(struct catalog_write *write, enum status status)
{
    struct job_stop *self = container_of(write, struct job_stop, write);
    if (status != STATUS_OK) {
        end(self, self->fault != NULL
                      ? self->fault
                      : control_call_trouble(self->call, status, 0, "cannot stop the job"));
        return;
    }
    survey_start(&self->survey);
}

void job_stop_start(struct job_stop *self)
{
    struct control *control = self->call->control;
    timer_init(&self->again, &control->options.loop->timers, again_on_fire);
    self->survey = (struct survey){
        .peers = control->options.peers, .loop = control->options.loop, .on_done = survey_on_done};
    self->write = (struct catalog_write){
        .deadline_ns = self->call->deadline_ns, .decide = stop_decide, .on_done = stop_on_done};
    catalog_change(control->options.catalog, &self->write);
}
