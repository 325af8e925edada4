/* What people read of a job: its state and its progress, from what its tasks tell. Pure.
 *
 * Progress is one JSON object with the names of Spark's StreamingQueryProgress. Sums are over
 * tasks: rows read by stage 0, rows written by the last stage, of each task's last epoch;
 * `totals` are since the job was started for the first time.
 *
 * Owner: the caller. Loop: any. */
#pragma once

#include "proto/internal/control.pb-c.h"
#include "proto/internal/processor_record.pb-c.h"

#include <stdbool.h>
#include <stdint.h>

/* Of each task of the job, in order of stage and task; NULL where nobody tells. */
struct job_report_tasks {
    const Millrace__Control__TaskState *const *states;
    const Millrace__Processor__Progress *const *progress;
    uint32_t count;
};

/* "starting", "running", "restarting", "stopped" or "failed". */
const char *job_report_state(const Millrace__Processor__Job *job,
                             const struct job_report_tasks *tasks);
/* Have all tasks committed their last epoch? */
bool job_report_has_stopped(const struct job_report_tasks *tasks);
/* "01234567-89ab-…"; `id` of 16 bytes. */
#define JOB_REPORT_ID_BYTES 37U
void job_report_id(const uint8_t *id, char text[static JOB_REPORT_ID_BYTES]);
/* The caller frees; NULL: no memory. */
char *job_report_progress(const Millrace__Processor__Job *job,
                          const struct job_report_tasks *tasks);
