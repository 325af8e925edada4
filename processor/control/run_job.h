/* INSERT INTO … SELECT, EXPLAIN of one, and the calls that end jobs.
 *
 * A job's plan is made from the catalog's tables and their topics as they are now; its own topics
 * are created; then the catalog takes it, unless one of its name is there. A stopped or failed job
 * whose statement is the same goes on where it was; any other must be dropped first.
 *
 * Owner: the run. Loop: the control's. */
#pragma once

#include "processor/control/run_script.h"

void run_job_insert(struct run_script *self, const Millrace__Plan__Insert *insert);
void run_job_call(struct run_script *self);
