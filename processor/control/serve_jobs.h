/* Jobs listed, described, followed and stopped.
 *
 * Each begins with the newest catalog and a survey of all processors. A stop first says so in the
 * catalog, then asks all processors again and again until every task has committed its last epoch,
 * and writes down what they had come to.
 *
 * Owner: the call. Loop: the control's. */
#pragma once

#include "processor/control/control_call.h"

void serve_jobs(struct control_call *call);
/* The stop alone, for CALL stop_job('…'): `on_done` gets NULL, or why not. `name` is borrowed. */
void serve_jobs_stop(struct control_call *call, const char *name,
                     void (*on_done)(struct control_call *call, Millrace__Plan__Fault *fault));
