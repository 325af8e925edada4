/* What stays the same over a task's attempts: limits, names, partitions.
 *
 * Owner: the task. Loop: its. Limits: those of job_topics. */
#pragma once

#include "processor/task/task.h"

struct task_setup {
    struct task_options options; /* With defaults; pointers into this struct. */
    struct address *bootstrap;   /* Owned, as the client id. */
    char *client_id;
    const Millrace__Plan__JobPlan *plan; /* Borrowed. */
    const Millrace__Plan__Stage *stage;
    bool is_last;        /* It writes the sink. */
    int32_t *partitions; /* Owned. Those of the input that are the task's. */
    uint32_t partition_count;
    int32_t progress_partition;
    char transactional_id[JOB_TOPICS_NAME_BYTES_MAX];
    char group[JOB_TOPICS_NAME_BYTES_MAX]; /* Whose offsets tell the lag. */
    struct job_topic route_in;             /* Not of the first stage, as the changelog. */
    struct job_topic changelog;
    struct job_topic route_out; /* Not of the last one. */
    struct job_topic progress;
    const char **column_names; /* Owned; of the sink's table. */
};

/* INVALID: the plan has no such task. Whatever came, task_setup_done() frees it. */
MUST_USE enum status task_setup_init(struct task_setup *self, const struct task_options *options);
void task_setup_done(struct task_setup *self);

const char *task_setup_input_topic(const struct task_setup *self);
/* The place of a partition of the task's, which has every task_count-th. */
uint32_t task_setup_place(const struct task_setup *self, int32_t partition);
