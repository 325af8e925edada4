/* What `SET job.x = '…'` says about the next job: kept by the door while it runs one text.
 *
 *   job.name              word of letters, digits, `_`, `-`, `.`; default: the sink's name
 *   job.output_mode       append (default) | update
 *   job.epoch             how long an epoch takes rows, as '100 ms' (default); 1 ms to 1 hour
 *   job.route_partitions  partitions of each route, changelog; 1 to 256, default 4
 *   job.tasks             most tasks of a stage; 1 to 256, default 4
 *
 * The name is for one job; the others hold until the end of the text or the next SET. An empty
 * value
 * (`SET job.x = DEFAULT`, `RESET job.x`) takes a setting back.
 *
 * Owner: who runs a text. Loop: its. Limits: PLAN_SETTINGS_NAME_BYTES_MAX. */
#pragma once

#include "processor/plan/plan_fault.h"
#include "proto/internal/plan.pb-c.h"

/* As job_topics has it: with `__millrace-`, `-changelog-` and a number it is still a topic's. */
#define PLAN_SETTINGS_NAME_BYTES_MAX 128U

struct plan_settings {
    char job_name[PLAN_SETTINGS_NAME_BYTES_MAX + 1]; /* Empty: the sink's. */
    uint32_t job_name_position;                      /* Of the SET, for complaints. */
    Millrace__Plan__OutputMode output_mode;
    int64_t epoch_us;
    uint32_t route_partition_count;
    uint32_t task_count_max;
};

void plan_settings_init(struct plan_settings *self);
/* INVALID: `fault` says why, nothing changed. NO_MEMORY: the fault's arena. */
MUST_USE enum status plan_settings_apply(struct plan_settings *self,
                                         const Millrace__Plan__Setting *setting,
                                         struct plan_fault *fault);
/* After a job was started: its name is not the next one's. */
void plan_settings_next_job(struct plan_settings *self);
/* Letters, digits, `.`, `_`, `-`; not `.` or `..`; 1 to PLAN_SETTINGS_NAME_BYTES_MAX bytes. */
bool plan_settings_is_job_name(const char *name);
