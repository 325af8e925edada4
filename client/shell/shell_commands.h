/* The list of all commands: one table a group, in the order of the help text.
 *
 * Owner: main. Loop: none. Limits: none. */
#pragma once

#include "client/shell/shell_command.h"

#define SHELL_VERSION "0.1.0"

extern const struct shell_command *const shell_commands[];
