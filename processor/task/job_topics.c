#include "processor/task/job_topics.h"

#include "proto/sys/check.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define QUERY_ID_BYTES 16U

static bool is_name_right(const char *name)
{
    static const char legal[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t byte_count = strlen(name);
    return byte_count > 0 && byte_count <= JOB_TOPICS_JOB_BYTES_MAX &&
           strspn(name, legal) == byte_count;
}

static bool is_stage_right(const Millrace__Plan__JobPlan *plan, size_t index)
{
    const Millrace__Plan__Stage *stage = plan->stages[index];
    bool is_last = index + 1 == plan->n_stages;
    uint32_t input_count =
        index == 0 ? plan->source_partition_count : plan->stages[index - 1]->route_partition_count;
    return stage->index == index && stage->input_partition_count == input_count &&
           input_count > 0 && input_count <= JOB_TOPICS_PARTITIONS_MAX && stage->task_count > 0 &&
           stage->task_count <= input_count && (stage->route_partition_count == 0) == is_last;
}

enum status job_topics_check(const Millrace__Plan__JobPlan *plan)
{
    if (!is_name_right(plan->name) || plan->query_id.len != QUERY_ID_BYTES || plan->n_stages == 0 ||
        plan->n_stages > JOB_TOPICS_STAGES_MAX) {
        return STATUS_INVALID;
    }
    for (size_t i = 0; i < plan->n_stages; i++) {
        if (!is_stage_right(plan, i)) {
            return STATUS_INVALID;
        }
    }
    return STATUS_OK;
}

static void name_it(struct job_topic *topic, const char *job, const char *what, uint32_t stage)
{
    int length = snprintf(topic->name, sizeof topic->name, "__millrace-%s-%s-%u", job, what, stage);
    check(length > 0);
    check((size_t)length < sizeof topic->name);
}

void job_topics_route(const Millrace__Plan__JobPlan *plan, uint32_t stage,
                      struct job_topic *out_topic)
{
    check(stage + 1 < plan->n_stages);
    name_it(out_topic, plan->name, "route", stage);
    out_topic->partition_count = plan->stages[stage]->route_partition_count;
}

void job_topics_changelog(const Millrace__Plan__JobPlan *plan, uint32_t stage,
                          struct job_topic *out_topic)
{
    check(stage > 0);
    check(stage < plan->n_stages);
    name_it(out_topic, plan->name, "changelog", stage);
    out_topic->partition_count = plan->stages[stage]->input_partition_count;
}

void job_topics_progress(const Millrace__Plan__JobPlan *plan, struct job_topic *out_topic)
{
    int length =
        snprintf(out_topic->name, sizeof out_topic->name, "__millrace-%s-progress", plan->name);
    check(length > 0);
    check((size_t)length < sizeof out_topic->name);
    out_topic->partition_count = job_topics_task_count(plan);
}

uint32_t job_topics_count(const Millrace__Plan__JobPlan *plan)
{
    check(plan->n_stages > 0);
    return 2 * ((uint32_t)plan->n_stages - 1) + 1;
}

void job_topics_get(const Millrace__Plan__JobPlan *plan, uint32_t index,
                    struct job_topic *out_topic)
{
    check(index < job_topics_count(plan));
    uint32_t routes = (uint32_t)plan->n_stages - 1;
    if (index < routes) {
        job_topics_route(plan, index, out_topic);
    } else if (index < 2 * routes) {
        job_topics_changelog(plan, index - routes + 1, out_topic);
    } else {
        job_topics_progress(plan, out_topic);
    }
}

uint32_t job_topics_task_count(const Millrace__Plan__JobPlan *plan)
{
    uint32_t count = 0;
    for (size_t i = 0; i < plan->n_stages; i++) {
        count += plan->stages[i]->task_count;
    }
    return count;
}

uint32_t job_topics_task_number(const Millrace__Plan__JobPlan *plan, uint32_t stage, uint32_t task)
{
    check(stage < plan->n_stages);
    check(task < plan->stages[stage]->task_count);
    uint32_t number = task;
    for (uint32_t i = 0; i < stage; i++) {
        number += plan->stages[i]->task_count;
    }
    return number;
}

void job_topics_transactional_id(const Millrace__Plan__JobPlan *plan, uint32_t stage, uint32_t task,
                                 char out_id[static JOB_TOPICS_NAME_BYTES_MAX])
{
    char hexadecimal[2 * QUERY_ID_BYTES + 1];
    check(plan->query_id.len == QUERY_ID_BYTES);
    for (size_t i = 0; i < QUERY_ID_BYTES; i++) {
        (void)snprintf(&hexadecimal[2 * i], 3, "%02x", plan->query_id.data[i]);
    }
    int length = snprintf(out_id, JOB_TOPICS_NAME_BYTES_MAX, "%s-%s-s%u-t%u", plan->name,
                          hexadecimal, stage, task);
    check(length > 0);
    check((size_t)length < JOB_TOPICS_NAME_BYTES_MAX);
}

void job_topics_group(const Millrace__Plan__JobPlan *plan,
                      char out_group[static JOB_TOPICS_NAME_BYTES_MAX])
{
    int length = snprintf(out_group, JOB_TOPICS_NAME_BYTES_MAX, "millrace-%s", plan->name);
    check(length > 0);
    check((size_t)length < JOB_TOPICS_NAME_BYTES_MAX);
}
