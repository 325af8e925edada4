/* Goal: people read the truth about a job, also when some of its tasks say nothing.
 * Method: a job of two stages with two tasks each, their states and progress made up. */
#include "processor/control/job_report.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TASKS 4U

static Millrace__Plan__JobPlan plan;
static Millrace__Plan__Stage stages[2];
static Millrace__Plan__Stage *stage_pointers[2] = {&stages[0], &stages[1]};
static Millrace__Plan__Table source;
static Millrace__Plan__Table sink;
static Millrace__Processor__Job job;
static Millrace__Control__TaskState states[TASKS];
static const Millrace__Control__TaskState *state_pointers[TASKS];
static Millrace__Processor__Progress progress[TASKS];
static Millrace__Processor__EpochStats stats[TASKS];
static const Millrace__Processor__Progress *progress_pointers[TASKS];
static struct job_report_tasks tasks = {state_pointers, progress_pointers, TASKS};
static uint8_t query_id[16] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};
static char name[] = "delays";
static char running[] = "running";
static char stopped[] = "stopped";
static char restarting[] = "restarting";

static void set_up(void)
{
    millrace__plan__job_plan__init(&plan);
    millrace__plan__table__init(&source);
    millrace__plan__table__init(&sink);
    source.topic = name;
    sink.topic = name;
    for (uint32_t i = 0; i < 2; i++) {
        millrace__plan__stage__init(&stages[i]);
        stages[i].task_count = 2;
    }
    plan.name = name;
    plan.query_id = (ProtobufCBinaryData){sizeof query_id, query_id};
    plan.source = &source;
    plan.sink = &sink;
    plan.stages = stage_pointers;
    plan.n_stages = 2;
    millrace__processor__job__init(&job);
    job.plan = &plan;
    for (uint32_t i = 0; i < TASKS; i++) {
        millrace__control__task_state__init(&states[i]);
        millrace__processor__progress__init(&progress[i]);
        millrace__processor__epoch_stats__init(&stats[i]);
        states[i].state = running;
        stats[i].input_rows = 10 + i;
        stats[i].output_rows = 100 + i;
        stats[i].late_rows = 1;
        progress[i].stats = &stats[i];
        progress[i].totals = &stats[i];
        progress[i].epoch = 5 + i;
        progress[i].watermark_us = INT64_C(978307200000000) + (int64_t)i * 1000000;
        state_pointers[i] = &states[i];
        progress_pointers[i] = &progress[i];
    }
}

TestSuite(job_report, .init = set_up);

Test(job_report, all_tasks_running_is_running)
{
    cr_expect_str_eq(job_report_state(&job, &tasks), "running");
}

Test(job_report, a_task_that_nobody_runs_is_a_start_until_it_has_run_once)
{
    state_pointers[1] = NULL;
    for (uint32_t i = 0; i < TASKS; i++) {
        progress_pointers[i] = NULL;
    }
    cr_expect_str_eq(job_report_state(&job, &tasks), "starting");

    progress_pointers[0] = &progress[0];
    cr_expect_str_eq(job_report_state(&job, &tasks), "restarting");
}

Test(job_report, one_task_that_restarts_shows)
{
    states[2].state = restarting;
    cr_expect_str_eq(job_report_state(&job, &tasks), "restarting");
}

Test(job_report, a_job_has_stopped_when_its_last_task_has)
{
    job.wish = MILLRACE__PROCESSOR__JOB_WISH__JOB_STOP;
    for (uint32_t i = 0; i + 1 < TASKS; i++) {
        states[i].state = stopped;
    }
    cr_expect_not(job_report_has_stopped(&tasks));
    cr_expect_str_eq(job_report_state(&job, &tasks), "running");

    states[TASKS - 1].state = stopped;
    cr_expect(job_report_has_stopped(&tasks));
    cr_expect_str_eq(job_report_state(&job, &tasks), "stopped");
}

Test(job_report, the_catalog_has_the_last_word)
{
    job.wish = MILLRACE__PROCESSOR__JOB_WISH__JOB_FAILED;
    cr_expect_str_eq(job_report_state(&job, &tasks), "failed");

    job.wish = MILLRACE__PROCESSOR__JOB_WISH__JOB_STOPPED;
    cr_expect_str_eq(job_report_state(&job, &tasks), "stopped");
}

Test(job_report, rows_are_counted_where_they_enter_and_where_they_leave)
{
    char *text = job_report_progress(&job, &tasks);
    cr_assert_neq(text, NULL);
    json_t *object = json_loads(text, 0, NULL);
    cr_assert_neq(object, NULL);

    const json_t *totals = json_object_get(object, "totals");
    cr_expect_eq(json_integer_value(json_object_get(object, "numInputRows")), 10 + 11);
    cr_expect_eq(json_integer_value(json_object_get(totals, "input_rows")), 10 + 11);
    cr_expect_eq(json_integer_value(json_object_get(totals, "output_rows")), 102 + 103);
    cr_expect_eq(json_integer_value(json_object_get(totals, "late_rows")), 4);
    cr_expect_eq(json_integer_value(json_object_get(object, "batchId")), 8);
    cr_expect_str_eq(json_string_value(json_object_get(object, "id")),
                     "01234567-89ab-cdef-0000-000000000000");
    /* The lowest of the last stage. */
    cr_expect_str_eq(
        json_string_value(json_object_get(json_object_get(object, "eventTime"), "watermark")),
        "2001-01-01T00:00:02.000Z");
    json_decref(object);
    free(text);
}

static void read_ids(char id[64], char run_id[64])
{
    char *text = job_report_progress(&job, &tasks);
    json_t *object = json_loads(text, 0, NULL);
    snprintf(id, 64, "%s", json_string_value(json_object_get(object, "id")));
    snprintf(run_id, 64, "%s", json_string_value(json_object_get(object, "runId")));
    json_decref(object);
    free(text);
}

Test(job_report, each_start_has_a_run_id_of_its_own)
{
    char ids[2][64];
    char run_ids[2][64];
    job.run = 1;
    read_ids(ids[0], run_ids[0]);
    job.run = 2;
    read_ids(ids[1], run_ids[1]);

    cr_expect_str_eq(ids[0], ids[1]);
    cr_expect_str_neq(run_ids[0], run_ids[1]);
}

static bool has_watermark(void)
{
    char *text = job_report_progress(&job, &tasks);
    json_t *object = json_loads(text, 0, NULL);
    bool has = json_object_get(json_object_get(object, "eventTime"), "watermark") != NULL;
    json_decref(object);
    free(text);
    return has;
}

Test(job_report, a_task_without_a_watermark_holds_that_of_the_job)
{
    cr_expect(has_watermark());
    progress[2].watermark_us = INT64_MIN;
    cr_expect_not(has_watermark());
}

Test(job_report, a_task_that_tells_nothing_is_passed_over_by_the_watermark)
{
    progress_pointers[0] = NULL; /* Of the first stage: the last one waits for what it sends. */
    cr_expect(has_watermark());
    progress_pointers[3] = NULL;
    cr_expect_not(has_watermark());
}
