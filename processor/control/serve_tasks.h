/* What this processor runs, and the tables that it knows: questions answered at once.
 *
 * Owner: the call. Loop: the control's. */
#pragma once

#include "processor/control/control_call.h"

void serve_tasks(struct control_call *call);
void serve_tasks_tables(struct control_call *call);
