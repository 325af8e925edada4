/* CALL drop_job('…'): a job that has ended goes for good, with its topics and its group.
 *
 * First the catalog says DROP, decided on its newest state: from then on nobody starts the job, and
 * what is deleted is nobody's. Then topics and group go, and last the entry. A drop that ended
 * anywhere on the way is finished by the next one.
 *
 * Owner: the run. Loop: the control's. Limits: the call's deadline. */
#pragma once

#include "processor/control/run_script.h"

/* `job_name` of the run is set. Ends by run_script_done() or run_script_fail(). */
void run_drop_job(struct run_script *self);
