#include "processor/job/job_wish.h"

#include <string.h>

bool job_wish_is_alive(const Millrace__Processor__Job *job)
{
    switch (job->wish) {
    case MILLRACE__PROCESSOR__JOB_WISH__JOB_RUN:
    case MILLRACE__PROCESSOR__JOB_WISH__JOB_STOP:
        return true;
    case MILLRACE__PROCESSOR__JOB_WISH__JOB_FAILED:
    case MILLRACE__PROCESSOR__JOB_WISH__JOB_STOPPED:
    case MILLRACE__PROCESSOR__JOB_WISH__JOB_DROP:
    case _MILLRACE__PROCESSOR__JOB_WISH_IS_INT_SIZE:
    default:
        return false;
    }
}

bool job_wish_is_drop(const Millrace__Processor__Job *job)
{
    return job->wish == MILLRACE__PROCESSOR__JOB_WISH__JOB_DROP;
}

struct job_wish_run job_wish_run_of(const Millrace__Processor__Job *job)
{
    struct job_wish_run run = {.run = job->run};
    const ProtobufCBinaryData *id = &job->plan->query_id;
    if (id->len > 0) {
        memcpy(run.query_id, id->data,
               id->len < sizeof run.query_id ? id->len : sizeof run.query_id);
    }
    return run;
}

bool job_wish_is_run(const Millrace__Processor__Job *job, const struct job_wish_run *run)
{
    struct job_wish_run mine = job_wish_run_of(job);
    return mine.run == run->run && memcmp(mine.query_id, run->query_id, sizeof mine.query_id) == 0;
}
