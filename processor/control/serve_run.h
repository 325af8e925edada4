/* A text of statements, or a Script that somebody else made: run in order, up to the first fault.
 *
 * Owner: the call. Loop: the control's. Limits: those of the parser and of plan_check. */
#pragma once

#include "processor/control/control_call.h"

void serve_run(struct control_call *call);
