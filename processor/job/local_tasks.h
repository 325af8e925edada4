/* The tasks that this processor runs: what the group's leader gave it, as the catalog wishes it.
 *
 * A task that was given away is closed at once: the next owner's start fences it anyway. One whose
 * job shall stop commits what is under way and says so. One that fails for good fails its job in
 * the catalog, so that all others end as well. One that is fenced while it is still ours is opened
 * again after a pause.
 *
 * Owner: the processor. Loop: the options'. Limits: LOCAL_TASKS_MAX. */
#pragma once

#include "processor/job/catalog.h"
#include "processor/job/task_deal.h"
#include "processor/task/task.h"

#define LOCAL_TASKS_MAX 1024U

struct local_task {
    struct list in_set;
    struct local_tasks *set;
    Millrace__Processor__TaskId *id;         /* Owned. */
    Millrace__Processor__Job *job;           /* Owned: the task borrows its plan. */
    struct task *task;                       /* NULL: not open. */
    Millrace__Processor__Progress *progress; /* Owned: what was last committed; NULL: nothing. */
    char reason[256];                        /* Why it restarts or failed; empty: it does not. */
    bool is_wanted;
    bool has_stopped;
    bool has_failed;
    struct timer again;           /* Opens it again. */
    struct catalog_write write;   /* Of its failure. */
    Millrace__Plan__Fault *fault; /* Owned; what failed it. */
    bool is_writing;
};

struct local_tasks_options {
    struct loop *loop;
    const struct address *bootstrap; /* Copied. */
    uint32_t bootstrap_count;
    const char *client_id;   /* Borrowed for life. */
    struct catalog *catalog; /* Borrowed for life. */
    size_t state_bytes_max;  /* Of each task; 0: its default. */
    size_t output_bytes_max; /* The same. */
    /* May be NULL. */
    void (*on_point)(void *context, enum task_point point);
    void (*on_closed)(void *context);
    void *context;
};

struct local_tasks {
    uint32_t magic;
    struct local_tasks_options options;
    struct address bootstrap[CLUSTER_BOOTSTRAP_MAX];
    struct list tasks;
    bool is_closing;
};

void local_tasks_init(struct local_tasks *self, const struct local_tasks_options *options);
/* Closes all tasks, then on_closed. */
void local_tasks_close(struct local_tasks *self);

/* From now on these, and no others. */
void local_tasks_assign(struct local_tasks *self, Millrace__Processor__TaskId *const *ids,
                        size_t id_count);
/* The catalog has changed. */
void local_tasks_review(struct local_tasks *self);
/* "starting", "running", "restarting", "stopped" or "failed". */
const char *local_tasks_state(const struct local_task *task);
