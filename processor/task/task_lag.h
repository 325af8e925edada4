/* Tells the brokers, for lag tools, how far a task has read: the offsets behind its last committed
 * epoch, as those of a group without members that is named after the job (job_topics_group()).
 *
 * It says what is new, at most once a second and one question at a time; what fails is said again a
 * second later, with what has become new meanwhile. Every half minute, and behind the last epoch of
 * a stop, it says everything anew, so that the group outlives its retention while the job is quiet,
 * and what a former owner of the task said too late does not stay. It is told only what is
 * committed, nobody waits for it, and nothing is ever restored from it: the progress record is the
 * only truth.
 *
 * Owner: the task. Loop: its. Limits: the setup's partitions. */
#pragma once

#include "processor/task/task_setup.h"
#include "proto/internal/processor_record.pb-c.h"

struct task_lag;

/* `setup` of a task of stage 0; borrowed for life. */
MUST_USE enum status task_lag_open(const struct task_setup *setup, void (*on_closed)(void *context),
                                   void *context, struct task_lag **out_lag);
/* Says what is left to say, for a second at most; then on_closed, and it is freed. */
void task_lag_close(struct task_lag *self);
/* What is committed now. Offsets do not go back. */
void task_lag_note(struct task_lag *self, const Millrace__Processor__Progress *progress);
/* Somebody else has the task: nothing more is said. */
void task_lag_fall_silent(struct task_lag *self);
