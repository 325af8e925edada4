#include "processor/job/task_deal.h"

#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

bool task_deal_is_same(const Millrace__Processor__TaskId *left,
                       const Millrace__Processor__TaskId *right)
{
    return left->stage == right->stage && left->task == right->task && left->run == right->run &&
           left->query_id.len == right->query_id.len &&
           memcmp(left->query_id.data, right->query_id.data, left->query_id.len) == 0 &&
           strcmp(left->job, right->job) == 0;
}

static bool is_run_by(const Millrace__Processor__Member *member,
                      const Millrace__Processor__TaskId *id)
{
    for (size_t i = 0; i < member->n_tasks; i++) {
        if (task_deal_is_same(member->tasks[i], id)) {
            return true;
        }
    }
    return false;
}

static uint32_t least_loaded(const uint32_t *loads, uint32_t member_count)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < member_count; i++) {
        best = loads[i] < loads[best] ? i : best;
    }
    return best;
}

enum status task_deal(struct task_deal_task *tasks, uint32_t task_count,
                      const Millrace__Processor__Member *const *members, uint32_t member_count)
{
    for (uint32_t i = 0; i < task_count; i++) {
        tasks[i].member = TASK_DEAL_NOBODY;
    }
    if (member_count == 0 || task_count == 0) {
        return STATUS_OK;
    }
    uint32_t *loads = calloc(member_count, sizeof *loads);
    if (loads == NULL) {
        return STATUS_NO_MEMORY;
    }
    uint32_t share = (task_count + member_count - 1) / member_count;
    for (uint32_t i = 0; i < task_count; i++) {
        for (uint32_t m = 0; m < member_count && tasks[i].member == TASK_DEAL_NOBODY; m++) {
            if (loads[m] < share && is_run_by(members[m], tasks[i].id)) {
                tasks[i].member = m;
                loads[m] += 1;
            }
        }
    }
    for (uint32_t i = 0; i < task_count; i++) {
        if (tasks[i].member == TASK_DEAL_NOBODY) {
            tasks[i].member = least_loaded(loads, member_count);
            loads[tasks[i].member] += 1;
        }
    }
    free(loads);
    return STATUS_OK;
}
