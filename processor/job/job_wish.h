/* What a job's wish means to whoever decides about the job, and which start of it is meant.
 *
 * Between a look at a job and what is written about it, it may have been stopped, dropped and
 * started again by another door: a decision names the run that it is about.
 *
 * Owner: nobody. Loop: any. Limits: none. */
#pragma once

#include "proto/internal/processor_record.pb-c.h"

#include <stdbool.h>

#define JOB_WISH_QUERY_ID_BYTES 16U

/* One start of a job. */
struct job_wish_run {
    uint8_t query_id[JOB_WISH_QUERY_ID_BYTES];
    uint32_t run;
};

/* Its tasks are dealt out and run: RUN, STOP. */
bool job_wish_is_alive(const Millrace__Processor__Job *job);
/* Its drop has been decided: no start, no failure and no stop changes that any more. */
bool job_wish_is_drop(const Millrace__Processor__Job *job);

struct job_wish_run job_wish_run_of(const Millrace__Processor__Job *job);
bool job_wish_is_run(const Millrace__Processor__Job *job, const struct job_wish_run *run);
