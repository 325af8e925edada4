#include "processor/job/local_tasks.h"

#include "processor/job/job_wish.h"
#include "proto/internal/message_copy.h"
#include "proto/sys/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SET_MAGIC 0x10ca17a5U
#define AGAIN_MS 300
#define WRITE_MS 60000

static void review(struct local_task *self);

/* ---- memory ---- */

static void close_if_alone(struct local_tasks *set)
{
    if (set->is_closing && list_is_empty(&set->tasks)) {
        set->magic = 0;
        set->options.on_closed(set->options.context);
    }
}

/* When nothing runs for it any more. */
static void drop(struct local_task *self)
{
    struct local_tasks *set = self->set;
    if (self->task != NULL || self->is_writing) {
        return;
    }
    list_remove(&self->in_set);
    timer_done(&self->again);
    message_copy_free(self->id);
    message_copy_free(self->job);
    message_copy_free(self->progress);
    message_copy_free(self->fault);
    free(self);
    close_if_alone(set);
}

static struct catalog_entry *entry_of(const struct local_task *self)
{
    struct catalog_entry *entry =
        catalog_find(self->set->options.catalog, CATALOG_JOB, self->id->job);
    if (entry == NULL) {
        return NULL;
    }
    const Millrace__Processor__Job *job = entry->record->job;
    bool is_same =
        job->run == self->id->run && job->plan->query_id.len == self->id->query_id.len &&
        memcmp(job->plan->query_id.data, self->id->query_id.data, self->id->query_id.len) == 0;
    return is_same ? entry : NULL;
}

/* ---- what a task says ---- */

static void task_on_state(void *context, enum task_state state, const char *why)
{
    struct local_task *self = context;
    (void)snprintf(self->reason, sizeof self->reason, "%s", why == NULL ? "" : why);
    if (state == TASK_RESTARTING) {
        trace_line(self->set->options.loop->trace, TRACE_WARN, "task", "restarting",
                   "job=%s stage=%u task=%u why=\"%s\"", self->id->job, self->id->stage,
                   self->id->task, self->reason);
    }
}

static void task_on_progress(void *context, const Millrace__Processor__Progress *progress)
{
    struct local_task *self = context;
    Millrace__Processor__Progress *copy = message_copy(&progress->base);
    if (copy != NULL) {
        message_copy_free(self->progress);
        self->progress = copy;
    }
}

static void task_on_stopped(void *context)
{
    struct local_task *self = context;
    self->has_stopped = true;
    task_close(self->task);
}

static void task_on_fenced(void *context)
{
    struct local_task *self = context;
    trace_line(self->set->options.loop->trace, TRACE_INFO, "task", "fenced",
               "job=%s stage=%u task=%u", self->id->job, self->id->stage, self->id->task);
    task_close(self->task); /* Opened again behind a pause, if it is still ours. */
}

static void task_on_closed(void *context)
{
    struct local_task *self = context;
    self->task = NULL;
    bool is_over = self->has_stopped || self->has_failed;
    if (!self->is_wanted || self->set->is_closing) {
        drop(self);
    } else if (!is_over) {
        timer_start_after(&self->again, AGAIN_MS * CLOCK_NS_PER_MS);
    }
}

/* ---- a failure becomes the job's ---- */

static enum status failure_decide(struct catalog_write *write)
{
    struct local_task *self = container_of(write, struct local_task, write);
    struct catalog_entry *entry = entry_of(self);
    if (entry == NULL || !job_wish_is_alive(entry->record->job)) {
        return STATUS_OK; /* Gone or about to go, ended, or known already. */
    }
    Millrace__Processor__Job job = *entry->record->job;
    job.wish = MILLRACE__PROCESSOR__JOB_WISH__JOB_FAILED;
    job.fault = self->fault;
    job.changed_ms = clock_wall_ms(self->set->options.loop->clock);
    Millrace__Processor__CatalogRecord record = *entry->record;
    record.job = &job;
    return catalog_write_put(write, CATALOG_JOB, self->id->job, &record);
}

static void failure_on_done(struct catalog_write *write, enum status status)
{
    struct local_task *self = container_of(write, struct local_task, write);
    self->is_writing = false;
    if (!self->is_wanted || self->set->is_closing) {
        drop(self);
    } else if (status != STATUS_OK) {
        timer_start_after(&self->again, AGAIN_MS * CLOCK_NS_PER_MS); /* It must be told. */
    }
}

static void tell_failure(struct local_task *self)
{
    self->is_writing = true;
    self->write = (struct catalog_write){.deadline_ns = loop_now_ns(self->set->options.loop) +
                                                        WRITE_MS * CLOCK_NS_PER_MS,
                                         .decide = failure_decide,
                                         .on_done = failure_on_done};
    catalog_change(self->set->options.catalog, &self->write);
}

/* No attempt can mend it: the job fails with it. */
static void fail(struct local_task *self, const Millrace__Plan__Fault *fault)
{
    trace_line(self->set->options.loop->trace, TRACE_ERROR, "task", "failed",
               "job=%s stage=%u task=%u code=%s what=\"%s\"", self->id->job, self->id->stage,
               self->id->task, fault->code, fault->what);
    self->has_failed = true;
    (void)snprintf(self->reason, sizeof self->reason, "%s", fault->what);
    message_copy_free(self->fault);
    self->fault = message_copy(&fault->base);
    tell_failure(self);
}

static void task_on_failed(void *context, const Millrace__Plan__Fault *fault)
{
    struct local_task *self = context;
    fail(self, fault);
    task_close(self->task);
}

/* ---- opening ---- */

static void open_task(struct local_task *self)
{
    struct local_tasks *set = self->set;
    struct task_options options = {.loop = set->options.loop,
                                   .bootstrap = set->bootstrap,
                                   .bootstrap_count = set->options.bootstrap_count,
                                   .client_id = set->options.client_id,
                                   .plan = self->job->plan,
                                   .stage = self->id->stage,
                                   .task = self->id->task,
                                   .run = self->id->run,
                                   .state_bytes_max = set->options.state_bytes_max,
                                   .output_bytes_max = set->options.output_bytes_max,
                                   .on_state = task_on_state,
                                   .on_progress = task_on_progress,
                                   .on_failed = task_on_failed,
                                   .on_fenced = task_on_fenced,
                                   .on_stopped = task_on_stopped,
                                   .on_closed = task_on_closed,
                                   .on_point = set->options.on_point,
                                   .context = self};
    enum status status = task_open(&options, &self->task);
    if (status == STATUS_OK) {
        return;
    }
    self->task = NULL;
    if (status == STATUS_INVALID) {
        static char code[] = "PLAN_NOT_RUNNABLE";
        static char what[] = "this processor cannot run a task of the job's plan";
        static char why[] = "the plan was made by another version";
        static char fix[] = "bring all processors to one version, then run the statement again";
        Millrace__Plan__Fault fault;
        millrace__plan__fault__init(&fault);
        fault.code = code;
        fault.what = what;
        fault.why = why;
        fault.fix = fix;
        fail(self, &fault);
        return;
    }
    (void)snprintf(self->reason, sizeof self->reason, "it cannot be opened: %s",
                   status_text(status));
    timer_start_after(&self->again, AGAIN_MS * CLOCK_NS_PER_MS);
}

/* Makes the task what assignment and catalog want. */
static void review(struct local_task *self)
{
    struct catalog_entry *entry = entry_of(self);
    bool is_over = entry != NULL && !job_wish_is_alive(entry->record->job);
    if (!self->is_wanted || is_over || self->set->is_closing) {
        timer_stop(&self->again);
        if (self->task != NULL) {
            task_close(self->task);
        } else if (!self->is_wanted || self->set->is_closing) {
            drop(self);
        }
        return;
    }
    if (entry == NULL) {
        return; /* Our catalog is behind the leader's; or the job is gone, which he will tell. */
    }
    if (self->has_failed) {
        if (!self->is_writing && !self->again.is_armed) {
            tell_failure(self);
        }
        return;
    }
    if (self->job == NULL) {
        self->job = message_copy(&entry->record->job->base);
    }
    if (self->task == NULL && !self->has_stopped && self->job != NULL && !self->again.is_armed) {
        open_task(self);
    }
    bool must_stop = entry->record->job->wish == MILLRACE__PROCESSOR__JOB_WISH__JOB_STOP;
    if (must_stop && self->task != NULL) {
        task_stop(self->task);
    }
}

static void again_on_fire(struct timer *timer)
{
    review(container_of(timer, struct local_task, again));
}

/* ---- the set ---- */

static struct local_task *find(struct local_tasks *self, const Millrace__Processor__TaskId *id)
{
    list_for_each(link, &self->tasks)
    {
        struct local_task *task = container_of(link, struct local_task, in_set);
        if (task_deal_is_same(task->id, id)) {
            return task;
        }
    }
    return NULL;
}

static void add(struct local_tasks *self, const Millrace__Processor__TaskId *id)
{
    struct local_task *task = calloc(1, sizeof *task);
    if (task == NULL) {
        return; /* The next assignment tries again. */
    }
    task->id = message_copy(&id->base);
    if (task->id == NULL) {
        free(task);
        return;
    }
    task->set = self;
    task->is_wanted = true;
    timer_init(&task->again, &self->options.loop->timers, again_on_fire);
    list_append(&self->tasks, &task->in_set);
}

void local_tasks_assign(struct local_tasks *self, Millrace__Processor__TaskId *const *ids,
                        size_t id_count)
{
    check(self->magic == SET_MAGIC);
    list_for_each(link, &self->tasks)
    {
        container_of(link, struct local_task, in_set)->is_wanted = false;
    }
    for (size_t i = 0; i < id_count && i < LOCAL_TASKS_MAX; i++) {
        struct local_task *task = find(self, ids[i]);
        if (task != NULL) {
            task->is_wanted = true;
        } else {
            add(self, ids[i]);
        }
    }
    local_tasks_review(self);
}

void local_tasks_review(struct local_tasks *self)
{
    check(self->magic == SET_MAGIC);
    list_for_each_removable(link, &self->tasks)
    {
        review(container_of(link, struct local_task, in_set));
    }
}

const char *local_tasks_state(const struct local_task *task)
{
    if (task->has_failed) {
        return "failed";
    }
    if (task->has_stopped) { /* Not told before all it had to say is said. */
        return task_state_name(task->task == NULL ? TASK_ENDED : TASK_STOPPING);
    }
    if (task->task == NULL) {
        return task->reason[0] == '\0' ? "starting" : "restarting";
    }
    return task_state_name(task_state(task->task));
}

void local_tasks_init(struct local_tasks *self, const struct local_tasks_options *options)
{
    *self = (struct local_tasks){.magic = SET_MAGIC, .options = *options};
    list_init(&self->tasks);
    for (uint32_t i = 0; i < options->bootstrap_count && i < CLUSTER_BOOTSTRAP_MAX; i++) {
        self->bootstrap[i] = options->bootstrap[i];
    }
}

void local_tasks_close(struct local_tasks *self)
{
    check(self->magic == SET_MAGIC);
    check(!self->is_closing);
    self->is_closing = true;
    if (list_is_empty(&self->tasks)) {
        close_if_alone(self);
    } else {
        local_tasks_review(self);
    }
}
