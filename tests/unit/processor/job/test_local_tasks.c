/* Goal: a task's failure fails the run that it belongs to, and nothing else.
 * Method: a catalog with real brokers in a simulated world, and a task whose plan cannot be run, so
 * that it fails at once; what others write about the job meanwhile stands in line before it. */
#include "processor/job/local_tasks.h"
#include "tests/unit/client/cluster_rig.h"

#define WAIT_MS 60000
#define WRITES_MAX 2U

struct put {
    struct catalog_write write;
    Millrace__Processor__JobWish wish;
    uint32_t run;
    bool is_done;
};

static struct admin_core admin;
static struct catalog catalog;
static struct local_tasks subject;
static struct put written[WRITES_MAX];
static int closed_count;
static char name[] = "x";
static uint8_t query_id[16] = {7, 7};

static void on_closed(void *context)
{
    (void)context;
    closed_count += 1;
}

static void on_changed(void *context)
{
    (void)context;
    local_tasks_review(&subject);
}

static bool is_ready(void *context)
{
    (void)context;
    return catalog.is_ready;
}

static bool are_closed(void *context)
{
    return closed_count == *(int *)context;
}

static void wait_closed(int count)
{
    cr_assert(rig_until(are_closed, &count, WAIT_MS));
}

static void set_up(void)
{
    closed_count = 0;
    rig_begin(3, 1);
    struct admin_core_options options = {.loop = rig_loop,
                                         .bootstrap = rig_bootstrap,
                                         .bootstrap_count = 3,
                                         .client_id = "test",
                                         .request_timeout_ms = 5000};
    admin_core_init(&admin, &options);
    struct local_tasks_options tasks = {.loop = rig_loop,
                                        .bootstrap = rig_bootstrap,
                                        .bootstrap_count = 3,
                                        .client_id = "test",
                                        .catalog = &catalog,
                                        .on_closed = on_closed};
    local_tasks_init(&subject, &tasks);
    struct catalog_options catalog_options = {.loop = rig_loop,
                                              .bootstrap = rig_bootstrap,
                                              .bootstrap_count = 3,
                                              .client_id = "test",
                                              .admin = &admin,
                                              .on_changed = on_changed,
                                              .on_closed = on_closed};
    catalog_init(&catalog, &catalog_options);
    cr_assert(rig_until(is_ready, NULL, WAIT_MS));
}

static void tear_down(void)
{
    local_tasks_close(&subject);
    wait_closed(1);
    catalog_close(&catalog);
    wait_closed(2);
    admin_core_close(&admin, on_closed, NULL);
    wait_closed(3);
    rig_end();
}

TestSuite(local_tasks, .init = set_up, .fini = tear_down, .timeout = 120);

static enum status put_decide(struct catalog_write *write)
{
    struct put *self = container_of(write, struct put, write);
    Millrace__Plan__JobPlan plan; /* Without stages: no task of it can be opened. */
    millrace__plan__job_plan__init(&plan);
    plan.name = name;
    plan.query_id = (ProtobufCBinaryData){sizeof query_id, query_id};
    Millrace__Processor__Job job;
    millrace__processor__job__init(&job);
    job.plan = &plan;
    job.wish = self->wish;
    job.run = self->run;
    Millrace__Processor__CatalogRecord record;
    millrace__processor__catalog_record__init(&record);
    record.version = 1;
    record.kind_case = MILLRACE__PROCESSOR__CATALOG_RECORD__KIND_JOB;
    record.job = &job;
    return catalog_write_put(write, CATALOG_JOB, name, &record);
}

static void put_on_done(struct catalog_write *write, enum status status)
{
    cr_assert_eq(status, STATUS_OK);
    container_of(write, struct put, write)->is_done = true;
}

static struct put *put(uint32_t index, Millrace__Processor__JobWish wish, uint32_t run)
{
    written[index] =
        (struct put){.write = {.deadline_ns = loop_now_ns(rig_loop) + WAIT_MS * CLOCK_NS_PER_MS,
                               .decide = put_decide,
                               .on_done = put_on_done},
                     .wish = wish,
                     .run = run};
    catalog_change(&catalog, &written[index].write);
    return &written[index];
}

static bool is_put(void *context)
{
    return ((struct put *)context)->is_done;
}

static bool is_told(void *context)
{
    (void)context;
    list_for_each(link, &subject.tasks)
    {
        const struct local_task *task = container_of(link, struct local_task, in_set);
        return task->has_failed && !task->is_writing;
    }
    return false;
}

/* The job runs; the task fails, and comes to the catalog behind `wish` of `run`. */
static const Millrace__Processor__Job *fail_behind(Millrace__Processor__JobWish wish, uint32_t run)
{
    struct put *first = put(0, MILLRACE__PROCESSOR__JOB_WISH__JOB_RUN, 1);
    cr_assert(rig_until(is_put, first, WAIT_MS));
    struct put *second = put(1, wish, run);
    Millrace__Processor__TaskId id;
    millrace__processor__task_id__init(&id);
    id.job = name;
    id.query_id = (ProtobufCBinaryData){sizeof query_id, query_id};
    id.run = 1;
    Millrace__Processor__TaskId *ids[] = {&id};

    local_tasks_assign(&subject, ids, 1);

    cr_assert_not(second->is_done);
    cr_assert(rig_until(is_told, NULL, WAIT_MS));
    cr_assert(second->is_done);
    return catalog_find(&catalog, CATALOG_JOB, name)->record->job;
}

Test(local_tasks, a_task_that_cannot_be_run_fails_its_job)
{
    const Millrace__Processor__Job *job = fail_behind(MILLRACE__PROCESSOR__JOB_WISH__JOB_RUN, 1);

    cr_expect_eq(job->wish, MILLRACE__PROCESSOR__JOB_WISH__JOB_FAILED);
    cr_assert_not_null(job->fault);
    cr_expect_str_eq(job->fault->code, "PLAN_NOT_RUNNABLE");
}

Test(local_tasks, a_failure_that_comes_late_leaves_the_next_run_alone)
{
    const Millrace__Processor__Job *job = fail_behind(MILLRACE__PROCESSOR__JOB_WISH__JOB_RUN, 2);

    cr_expect_eq(job->wish, MILLRACE__PROCESSOR__JOB_WISH__JOB_RUN);
    cr_expect_null(job->fault);
}

Test(local_tasks, a_failure_that_comes_late_undoes_no_drop_and_no_stop)
{
    const Millrace__Processor__Job *job = fail_behind(MILLRACE__PROCESSOR__JOB_WISH__JOB_DROP, 1);

    cr_expect_eq(job->wish, MILLRACE__PROCESSOR__JOB_WISH__JOB_DROP);

    tear_down();
    set_up();
    job = fail_behind(MILLRACE__PROCESSOR__JOB_WISH__JOB_STOPPED, 1);
    cr_expect_eq(job->wish, MILLRACE__PROCESSOR__JOB_WISH__JOB_STOPPED);
}
