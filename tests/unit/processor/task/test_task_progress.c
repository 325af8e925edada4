/* Goal: a task goes on only from a progress record that is its own, and totals add up.
 * Method: packed records with one thing wrong each; two epochs added. */
#include "processor/task/task_progress.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static uint8_t query_id[16] = {1};
static uint8_t other_id[16] = {2};
static Millrace__Plan__JobPlan plan;
static struct task_setup setup;
static Millrace__Processor__Progress made;
static Millrace__Processor__Progress *got;

static void set_up(void)
{
    millrace__plan__job_plan__init(&plan);
    plan.query_id = (ProtobufCBinaryData){sizeof query_id, query_id};
    setup = (struct task_setup){.plan = &plan, .options = {.run = 3}};
    millrace__processor__progress__init(&made);
    made.version = 1;
    made.query_id = (ProtobufCBinaryData){sizeof query_id, query_id};
    made.run = 3;
    made.epoch = 12;
}

TestSuite(task_progress, .init = set_up);

static enum status unpack(void)
{
    size_t byte_count = millrace__processor__progress__get_packed_size(&made);
    uint8_t *bytes = malloc(byte_count);
    (void)millrace__processor__progress__pack(&made, bytes);
    enum status status = task_progress_unpack(&setup, bytes, byte_count, &got);
    free(bytes);
    return status;
}

Test(task_progress, own_record_is_read)
{
    Millrace__Processor__InputProgress input;
    millrace__processor__input_progress__init(&input);
    input.partition = 4;
    input.next_offset = 99;
    Millrace__Processor__InputProgress *inputs[] = {&input};
    made.n_inputs = 1;
    made.inputs = inputs;
    made.run = 2; /* An older run's progress is where a younger one goes on. */

    cr_assert_eq(unpack(), STATUS_OK);

    cr_expect_eq(got->epoch, 12);
    cr_assert_not_null(task_progress_input(got, 4));
    cr_expect_eq(task_progress_input(got, 4)->next_offset, 99);
    cr_expect_null(task_progress_input(got, 5));
    cr_expect_null(task_progress_input(NULL, 4));
    cr_expect_eq(task_progress_changelog_start(got, 4), 0);
    millrace__processor__progress__free_unpacked(got, NULL);
}

Test(task_progress, foreign_and_newer_records_are_refused)
{
    made.query_id.data = other_id;
    cr_expect_eq(unpack(), STATUS_INVALID);
    made.query_id.data = query_id;
    made.version = 2;
    cr_expect_eq(unpack(), STATUS_UNSUPPORTED);
    made.version = 0;
    cr_expect_eq(unpack(), STATUS_MALFORMED);
    made.version = 1;
    made.run = 4;
    cr_expect_eq(unpack(), STATUS_FENCED);
    cr_expect_eq(task_progress_unpack(&setup, (const uint8_t *)"\xff\xff", 2, &got),
                 STATUS_MALFORMED);
}

Test(task_progress, totals_add_sums_and_take_over_what_is_a_state)
{
    Millrace__Processor__EpochStats totals;
    Millrace__Processor__EpochStats epoch;
    millrace__processor__epoch_stats__init(&totals);
    millrace__processor__epoch_stats__init(&epoch);
    epoch.input_rows = 10;
    epoch.state_rows = 7;
    epoch.event_time_min_us = 100;
    epoch.event_time_max_us = 200;
    epoch.event_time_avg_us = 150;
    task_progress_add(&totals, &epoch);
    epoch.input_rows = 30;
    epoch.state_rows = 2;
    epoch.event_time_min_us = 300;
    epoch.event_time_max_us = 400;
    epoch.event_time_avg_us = 350;
    task_progress_add(&totals, &epoch);

    cr_expect_eq(totals.input_rows, 40);
    cr_expect_eq(totals.state_rows, 2);
    cr_expect_eq(totals.event_time_min_us, 100);
    cr_expect_eq(totals.event_time_max_us, 400);
    cr_expect_float_eq(totals.event_time_avg_us, 300, 1e-9);
}
