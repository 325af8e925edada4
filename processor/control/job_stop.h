/* Stops a job: wish, wait for every task's last commit, write down what they had come to.
 *
 * Owner: the call that embeds it. Loop: the control's. Limits: the call's deadline; behind it the
 * job goes on stopping by itself. */
#pragma once

#include "processor/control/control_call.h"
#include "processor/job/job_wish.h"
#include "client/survey.h"

struct job_stop {
    struct control_call *call; /* Borrowed. */
    const char *name;          /* Borrowed. */
    /* Once: NULL, or why not (in the call's arena). */
    void (*on_done)(struct job_stop *self, Millrace__Plan__Fault *fault);
    struct catalog_write write;
    struct survey survey;
    struct timer again;
    Millrace__Plan__Fault *fault;
    struct job_wish_run run; /* What is stopped: not a start that comes behind it. */
};

/* call, name and on_done are set, the rest is zero. */
void job_stop_start(struct job_stop *self);
