/* `millrace job`: what runs on the processors.
 *
 * Owner: main. Loop: none. */
#pragma once

#include "client/shell/shell_command.h"

extern const struct shell_command shell_job_commands[];
