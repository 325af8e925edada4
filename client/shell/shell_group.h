/* `millrace group`: who reads what, and how far.
 *
 * Owner: main. Loop: the main thread. Limits: none of its own. */
#pragma once

#include "client/shell/shell_command.h"

extern const struct shell_command shell_group_commands[];
