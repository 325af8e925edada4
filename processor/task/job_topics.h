/* Names that a job's tasks and its keeper must agree on: internal topics, partitions, ids.
 *
 *     __millrace-JOB-route-K      rows from stage K to stage K + 1
 *     __millrace-JOB-changelog-K  state of stage K, which reads route K - 1; as many partitions
 *     __millrace-JOB-progress     a partition per task, tasks of stage 0 first
 *     JOB-QUERYID-sS-tT           a task's transactional id; the query id in hexadecimal
 *     millrace-JOB                the group whose offsets tell lag tools how far the job has read
 *
 * All are kept whole by the brokers (cleanup.policy=delete, retention.ms=-1, retention.bytes=-1):
 * tasks delete what nobody will read again. They take batches as large as a log can, since a record
 * of the source travels in a route with what was made of it. They belong to one query: before a job
 * of the same name and another query id starts, they must be deleted.
 *
 * Owner: nobody. Loop: any. Limits: JOB_TOPICS_JOB_BYTES_MAX of a job's name, of a topic's
 * characters; JOB_TOPICS_STAGES_MAX stages. */
#pragma once

#include "proto/internal/plan.pb-c.h"
#include "proto/sys/status.h"

#define JOB_TOPICS_JOB_BYTES_MAX 128U
#define JOB_TOPICS_STAGES_MAX 64U
#define JOB_TOPICS_PARTITIONS_MAX 10000U
/* Also of a transactional id. With its NUL. */
#define JOB_TOPICS_NAME_BYTES_MAX 256U

/* max.message.bytes of internal and late topics: the most that a log takes. */
#define JOB_TOPICS_MESSAGE_BYTES "16777216"
/* Of a table's own topic, where it is created: half of that, so that what a producer may write
 * there goes through a route and into a late topic. */
#define JOB_TOPICS_TABLE_MESSAGE_BYTES "8388608"

struct job_topic {
    char name[JOB_TOPICS_NAME_BYTES_MAX];
    uint32_t partition_count;
};

/* Whether the rest of this header can be asked: name, query id, and every count of the stages.
 * INVALID: it cannot be run. */
MUST_USE enum status job_topics_check(const Millrace__Plan__JobPlan *plan);

/* The internal topics, one after the other: 0 to job_topics_count() - 1. */
uint32_t job_topics_count(const Millrace__Plan__JobPlan *plan);
void job_topics_get(const Millrace__Plan__JobPlan *plan, uint32_t index,
                    struct job_topic *out_topic);

void job_topics_route(const Millrace__Plan__JobPlan *plan, uint32_t stage,
                      struct job_topic *out_topic);
/* `stage` is not 0. */
void job_topics_changelog(const Millrace__Plan__JobPlan *plan, uint32_t stage,
                          struct job_topic *out_topic);
void job_topics_progress(const Millrace__Plan__JobPlan *plan, struct job_topic *out_topic);

/* Over all stages. */
uint32_t job_topics_task_count(const Millrace__Plan__JobPlan *plan);
/* A task's number over all stages: its partition of the progress topic. */
uint32_t job_topics_task_number(const Millrace__Plan__JobPlan *plan, uint32_t stage, uint32_t task);
void job_topics_transactional_id(const Millrace__Plan__JobPlan *plan, uint32_t stage, uint32_t task,
                                 char out_id[static JOB_TOPICS_NAME_BYTES_MAX]);
void job_topics_group(const Millrace__Plan__JobPlan *plan,
                      char out_group[static JOB_TOPICS_NAME_BYTES_MAX]);
