/* Named points in the life of a task, so that a test can stop the world at each of them.
 *
 * A task tells its owner when it passes one; what happens then (nothing, as a rule) is the owner's.
 * With somebody listening, the parts of an epoch leave one after the other, each when the one
 * before is in the log, so that a point says what is there; otherwise they leave together.
 *
 * Owner: nobody. Loop: any. */
#pragma once

#include <stdbool.h>

#define TASK_POINT_TABLE(X)                                                                        \
    X(FENCED, "fenced")                   /* The id is ours; nothing was read. */                  \
    X(PROGRESS_READ, "progress_read")     /* What is committed is known. */                        \
    X(RESTORING, "restoring")             /* A part of the state is in memory. */                  \
    X(RESTORED, "restored")               /* All of it; no epoch has begun. */                     \
    X(BEFORE_READ, "before_read")         /* An epoch begins. */                                   \
    X(ROWS_COMPUTED, "rows_computed")     /* Its output is made, the most of it not sent. */       \
    X(OUTPUT_SENT, "output_sent")         /* Rows, late rows and routes are in the logs. */        \
    X(CHANGELOG_SENT, "changelog_sent")   /* So are the changes of state. */                       \
    X(PROGRESS_SENT, "progress_sent")     /* So is the progress record. */                         \
    X(END_TXN_SENT, "end_txn_sent")       /* The commit was asked for, its answer is not there. */ \
    X(COMMITTED, "committed")             /* The answer is there, nobody was told. */              \
    X(FINAL_COMMITTED, "final_committed") /* The same of the last epoch before a stop. */

enum task_point {
#define X(name, text) TASK_POINT_##name,
    TASK_POINT_TABLE(X)
#undef X
        TASK_POINT_COUNT,
};

/* Never NULL. */
const char *task_point_name(enum task_point point);
/* False: no point has this name. */
bool task_point_find(const char *name, enum task_point *out_point);
