/* One stage of a job over some of its partitions: takes its place, restores, runs epochs, stops.
 *
 * A task runs in attempts. Each begins by taking over the task's transactional id, which fences
 * whoever used it and ends his transaction; then the last committed progress is read, the state is
 * restored, and epochs follow, each one transaction. Whatever breaks an attempt without saying that
 * it makes no sense (a leader that moved, a time that passed, an end of a transaction that nobody
 * knows) ends it, and the next one starts, after a pause, from what is committed.
 *
 *     STARTING -> RESTORING -> RUNNING -stop-> STOPPING -> ENDED: on_stopped
 *         ^-------- RESTARTING <--'  any time                     on_failed: the job makes no sense
 *                                                                 on_fenced: another one has the id
 *
 * After the end only task_close() is left. A broker may also fence an id whose transaction took
 * too long, so who is fenced and still owns the task opens it again.
 *
 * Owner: the job's keeper. Loop: the options'. Limits: those of the options. */
#pragma once

#include "processor/task/job_topics.h"
#include "processor/task/task_point.h"
#include "proto/internal/plan.pb-c.h"
#include "proto/internal/processor_record.pb-c.h"
#include "proto/sys/address.h"
#include "proto/sys/loop.h"

struct task;

enum task_state {
    TASK_STARTING,
    TASK_RESTORING,
    TASK_RUNNING,
    TASK_RESTARTING, /* An attempt has broken; the next one waits for its time. */
    TASK_STOPPING,
    TASK_ENDED,
};

struct task_options {
    struct loop *loop;
    const struct address *bootstrap; /* Copied. */
    uint32_t bootstrap_count;
    const char *client_id;               /* Copied. */
    const Millrace__Plan__JobPlan *plan; /* Borrowed until on_closed. */
    uint32_t stage;
    uint32_t task;
    uint32_t run;            /* Of the job. A task that finds a younger run's progress is fenced. */
    size_t state_bytes_max;  /* As all limits, 0: the default. 1 GiB. */
    size_t input_bytes_max;  /* Fetched and not computed yet. 32 MiB. */
    size_t epoch_bytes_max;  /* As fetched, of one epoch. 8 MiB. */
    size_t output_bytes_max; /* Made and not acknowledged yet. 256 MiB; beyond it the task fails. */
    int64_t transaction_timeout_ms; /* 60,000. */
    int64_t request_timeout_ms;     /* 10,000. */
    int64_t trim_interval_ms;       /* Between deletions of what nobody will read. 60,000. */
    /* A changelog partition gets a snapshot when what a restore would read is longer than this and
     * four times the groups that there are. 20,000. */
    uint64_t changelog_rows_min;
    /* None is called from inside task_open() or task_close(); in each the task may be stopped or
     * closed. What they are given is borrowed for the call. */
    /* `why` is NULL but for RESTARTING. Not for ENDED. */
    void (*on_state)(void *context, enum task_state state, const char *why);
    /* What is committed: once after it was read (if there is any), then with each epoch. */
    void (*on_progress)(void *context, const Millrace__Processor__Progress *progress);
    /* No attempt can mend it. `fault` names partition and offset in `what`. */
    void (*on_failed)(void *context, const Millrace__Plan__Fault *fault);
    void (*on_fenced)(void *context);
    /* The last epoch is committed, its progress says is_final. */
    void (*on_stopped)(void *context);
    void (*on_closed)(void *context); /* The task is freed. */
    /* NULL: nobody listens. It may end the process. */
    void (*on_point)(void *context, enum task_point point);
    void *context;
};

/* INVALID: the plan has no such task, or is none that this version can run. */
MUST_USE enum status task_open(const struct task_options *options, struct task **out_task);
/* Commits what is under way, a last progress record with it, then on_stopped. An attempt that
 * breaks meanwhile is repeated, for only a committed stop is one. Twice is once. */
void task_stop(struct task *self);
/* Now: what is open is aborted by the next owner, or by its time. The lag's last word may take a
 * second. Then on_closed. */
void task_close(struct task *self);

enum task_state task_state(const struct task *self);
/* "starting", "running" …, as CONTRACT names a job's states. */
const char *task_state_name(enum task_state state);
