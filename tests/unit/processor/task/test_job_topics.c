/* Goal: a job's keeper and its tasks mean the same topics, partitions and ids.
 * Method: a job of two stages, its names written out; plans that no task could run. */
#include "processor/task/job_topics.h"
#include "processor/task/task.h"

#include <criterion/criterion.h>
#include <string.h>

static uint8_t query_id[16] = {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07,
                               0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0xff};
static char job_name[256] = "delays";
static Millrace__Plan__Stage first;
static Millrace__Plan__Stage second;
static Millrace__Plan__Stage *stages[] = {&first, &second};
static Millrace__Plan__JobPlan plan;

static void set_up(void)
{
    millrace__plan__stage__init(&first);
    first.input_partition_count = 4;
    first.task_count = 3;
    first.route_partition_count = 8;
    millrace__plan__stage__init(&second);
    second.index = 1;
    second.input_partition_count = 8;
    second.task_count = 2;
    millrace__plan__job_plan__init(&plan);
    plan.name = job_name;
    plan.query_id.data = query_id;
    plan.query_id.len = sizeof query_id;
    plan.source_partition_count = 4;
    plan.n_stages = 2;
    plan.stages = stages;
}

TestSuite(job_topics, .init = set_up);

static void expect_topic(uint32_t index, const char *name, uint32_t partition_count)
{
    struct job_topic topic;
    job_topics_get(&plan, index, &topic);
    cr_expect_str_eq(topic.name, name);
    cr_expect_eq(topic.partition_count, partition_count);
}

Test(job_topics, two_stages_have_route_changelog_and_progress)
{
    cr_assert_eq(job_topics_check(&plan), STATUS_OK);

    cr_assert_eq(job_topics_count(&plan), 3);
    expect_topic(0, "__millrace-delays-route-0", 8);
    expect_topic(1, "__millrace-delays-changelog-1", 8);
    expect_topic(2, "__millrace-delays-progress", 5);
}

Test(job_topics, the_lag_s_group_is_named_after_the_job)
{
    char group[JOB_TOPICS_NAME_BYTES_MAX];
    job_topics_group(&plan, group);

    cr_expect_str_eq(group, "millrace-delays");
}

Test(job_topics, one_stage_has_progress_only)
{
    plan.n_stages = 1;
    first.route_partition_count = 0;
    cr_assert_eq(job_topics_check(&plan), STATUS_OK);

    cr_assert_eq(job_topics_count(&plan), 1);
    expect_topic(0, "__millrace-delays-progress", 3);
}

Test(job_topics, tasks_are_numbered_over_all_stages)
{
    cr_expect_eq(job_topics_task_count(&plan), 5);
    cr_expect_eq(job_topics_task_number(&plan, 0, 2), 2);
    cr_expect_eq(job_topics_task_number(&plan, 1, 0), 3);
    cr_expect_eq(job_topics_task_number(&plan, 1, 1), 4);
}

Test(job_topics, transactional_id_names_query_stage_and_task)
{
    char id[JOB_TOPICS_NAME_BYTES_MAX];
    job_topics_transactional_id(&plan, 1, 0, id);
    cr_expect_str_eq(id, "delays-000102030405060708090a0b0c0d0eff-s1-t0");
}

Test(job_topics, longest_name_fits)
{
    memset(job_name, 'j', JOB_TOPICS_JOB_BYTES_MAX);
    job_name[JOB_TOPICS_JOB_BYTES_MAX] = '\0';
    cr_assert_eq(job_topics_check(&plan), STATUS_OK);
    char id[JOB_TOPICS_NAME_BYTES_MAX];
    job_topics_transactional_id(&plan, 1, 1, id);
    struct job_topic topic;
    job_topics_changelog(&plan, 1, &topic);
    cr_expect_leq(strlen(topic.name), 249, "the brokers' limit");

    job_name[JOB_TOPICS_JOB_BYTES_MAX] = 'j';
    job_name[JOB_TOPICS_JOB_BYTES_MAX + 1] = '\0';
    cr_expect_eq(job_topics_check(&plan), STATUS_INVALID);
}

Test(job_topics, plan_that_no_task_can_run_is_refused)
{
    second.input_partition_count = 4;
    cr_expect_eq(job_topics_check(&plan), STATUS_INVALID, "not what the first one routes to");
    second.input_partition_count = 8;
    second.task_count = 9;
    cr_expect_eq(job_topics_check(&plan), STATUS_INVALID, "a task without partitions");
    second.task_count = 0;
    cr_expect_eq(job_topics_check(&plan), STATUS_INVALID);
    second.task_count = 2;
    second.index = 2;
    cr_expect_eq(job_topics_check(&plan), STATUS_INVALID);
    second.index = 1;
    second.route_partition_count = 4;
    cr_expect_eq(job_topics_check(&plan), STATUS_INVALID, "a route to nowhere");
    second.route_partition_count = 0;
    plan.query_id.len = 15;
    cr_expect_eq(job_topics_check(&plan), STATUS_INVALID);
    plan.query_id.len = 16;
    memcpy(job_name, "a/b", sizeof "a/b");
    cr_expect_eq(job_topics_check(&plan), STATUS_INVALID);
}
