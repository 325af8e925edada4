/* The job that workload_job plays: count and sum per window of ten seconds and key, in two stages.
 *
 * Rows are {"t": a time of 2001-01-01, "k": a letter, "v": a number}; the sink gets
 * {"window_start", "k", "n", "total"}. All memory is static and never changes.
 *
 * Owner: nobody. Loop: any. */
#pragma once

#include "proto/internal/plan.pb-c.h"

#define JOB_PLAN_PARTITIONS 3
#define JOB_PLAN_ROUTES 4
#define JOB_PLAN_FIRST_TASKS 2U
#define JOB_PLAN_TASKS 4U /* Of both stages. */
#define JOB_PLAN_SOURCE "in"
#define JOB_PLAN_SINK "out"
#define JOB_PLAN_LATE "late"
#define JOB_PLAN_WINDOW_S 10

const Millrace__Plan__JobPlan *job_plan(void);
