#include "processor/control/run_drop.h"

#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

#include <stdio.h>
#include <string.h>

#define GROUP_MS 5000

static void drop_next_topic(struct run_script *self);

/* The job whose drop was decided; NULL: somebody else has finished it. */
static struct catalog_entry *find_dropped(struct run_script *self)
{
    struct catalog_entry *entry =
        catalog_find(run_script_catalog(self), CATALOG_JOB, self->job_name);
    bool is_it = entry != NULL && job_wish_is_drop(entry->record->job) &&
                 job_wish_is_run(entry->record->job, &self->dropped);
    return is_it ? entry : NULL;
}

/* ---- the end: no entry ---- */

static enum status remove_decide(struct catalog_write *write)
{
    struct run_script *self = container_of(write, struct run_script, write);
    if (find_dropped(self) == NULL) {
        return STATUS_OK;
    }
    return catalog_write_put(write, CATALOG_JOB, self->job_name, NULL);
}

static void remove_on_done(struct catalog_write *write, enum status status)
{
    struct run_script *self = container_of(write, struct run_script, write);
    if (status == STATUS_OK) {
        run_script_done(self, "dropped", self->job_name, NULL);
    } else {
        run_script_trouble(self, status, 0, "cannot drop the job");
    }
}

static void remove_entry(struct run_script *self)
{
    self->write = (struct catalog_write){
        .deadline_ns = self->call->deadline_ns, .decide = remove_decide, .on_done = remove_on_done};
    catalog_change(run_script_catalog(self), &self->write);
}

/* ---- what belongs to it ---- */

static void group_on_done(void *context, enum status status, int16_t error_code)
{
    struct run_script *self = context;
    if (run_script_is_over(self)) {
        return;
    }
    /* Who has joined a group of this name is no part of the job, and is left alone. */
    bool is_gone = error_code == ERROR_CODE_NONE || error_code == ERROR_CODE_GROUP_ID_NOT_FOUND ||
                   error_code == ERROR_CODE_NON_EMPTY_GROUP;
    if (status == STATUS_OK && is_gone) {
        remove_entry(self);
    } else {
        run_script_trouble(
            self, status, error_code,
            control_call_print(self->call, "cannot delete the job's group '%s'", self->group));
    }
}

static void drop_group(struct run_script *self, const Millrace__Plan__JobPlan *plan)
{
    struct loop *loop = self->call->control->options.loop;
    const struct cluster_options *brokers = &self->call->control->options.admin->cluster.options;
    int64_t until_ns = loop_now_ns(loop) + GROUP_MS * CLOCK_NS_PER_MS;
    job_topics_group(plan, self->group);
    struct group_delete_options options = {
        .loop = loop,
        .bootstrap = brokers->bootstrap,
        .bootstrap_count = brokers->bootstrap_count,
        .client_id = brokers->client_id,
        .group = self->group,
        .request_timeout_ms = brokers->request_timeout_ms,
        .deadline_ns = until_ns < self->call->deadline_ns ? until_ns : self->call->deadline_ns,
        .on_done = group_on_done,
        .context = self};
    group_delete_start(&self->group_delete, &options);
}

static void topic_on_done(struct topic_wish *wish, enum status status)
{
    struct run_script *self = container_of(wish, struct run_script, wish);
    if (status != STATUS_OK) {
        run_script_trouble(
            self, status, wish->op.error_code,
            control_call_print(self->call, "cannot delete the job's topic '%s'", wish->name));
        return;
    }
    self->internal_index += 1;
    drop_next_topic(self);
}

/* Looks at the entry each time: behind another drop's end the names may be a new job's. */
static void drop_next_topic(struct run_script *self)
{
    if (run_script_is_over(self)) {
        return;
    }
    struct catalog_entry *entry = find_dropped(self);
    if (entry == NULL) {
        run_script_done(self, "dropped", self->job_name, NULL);
        return;
    }
    const Millrace__Plan__JobPlan *plan = entry->record->job->plan;
    if (self->internal_index < job_topics_count(plan)) {
        struct job_topic topic;
        job_topics_get(plan, self->internal_index, &topic);
        self->wish =
            (struct topic_wish){.deadline_ns = self->call->deadline_ns, .on_done = topic_on_done};
        (void)snprintf(self->wish.name, sizeof self->wish.name, "%s", topic.name);
        topic_maker_delete(self->call->control->options.admin, &self->wish);
    } else {
        drop_group(self, plan);
    }
}

/* ---- the beginning: DROP ---- */

static Millrace__Plan__Fault *runs(struct run_script *self)
{
    return control_call_fault(self->call,
                              (struct control_fault){"JOB_RUNS", self->statement->position,
                                                     "only a stopped job can be dropped",
                                                     "stop it first: CALL stop_job('…')"},
                              "the job '%.200s' runs", self->job_name);
}

static enum status drop_decide(struct catalog_write *write)
{
    struct run_script *self = container_of(write, struct run_script, write);
    struct catalog_entry *entry =
        catalog_find(run_script_catalog(self), CATALOG_JOB, self->job_name);
    if (entry == NULL) {
        self->fault =
            control_call_unknown_job(self->call, self->job_name, self->statement->position);
        return STATUS_NOT_FOUND;
    }
    Millrace__Processor__Job job = *entry->record->job;
    if (job_wish_is_alive(&job)) {
        self->fault = runs(self);
        return STATUS_BUSY;
    }
    TRY(job_topics_check(job.plan)); /* Another version's: we do not know what belongs to it. */
    self->dropped = job_wish_run_of(&job);
    if (job_wish_is_drop(&job)) {
        return STATUS_OK; /* One that ended half way; or another one is at it. */
    }
    job.wish = MILLRACE__PROCESSOR__JOB_WISH__JOB_DROP;
    job.changed_ms = clock_wall_ms(self->call->control->options.loop->clock);
    Millrace__Processor__CatalogRecord record = *entry->record;
    record.job = &job;
    return catalog_write_put(write, CATALOG_JOB, self->job_name, &record);
}

static void drop_on_done(struct catalog_write *write, enum status status)
{
    struct run_script *self = container_of(write, struct run_script, write);
    if (status == STATUS_OK) {
        self->internal_index = 0;
        drop_next_topic(self);
    } else if (self->fault != NULL) {
        run_script_fail(self, self->fault);
    } else {
        run_script_trouble(self, status, 0, "cannot drop the job");
    }
}

void run_drop_job(struct run_script *self)
{
    self->write = (struct catalog_write){
        .deadline_ns = self->call->deadline_ns, .decide = drop_decide, .on_done = drop_on_done};
    catalog_change(run_script_catalog(self), &self->write);
}
