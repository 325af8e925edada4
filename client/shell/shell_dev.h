/* `millrace dev`: a local cluster of real processes, and single nodes of it.
 *
 * Owner: main. Loop: the main one. Limits: those of dev_cluster.h. */
#pragma once

#include "client/shell/shell_command.h"

extern const struct shell_command shell_dev_commands[];
