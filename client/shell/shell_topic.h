/* `millrace topic`: create, list, describe, delete.
 *
 * Owner: main. Loop: the main thread. Limits: 64 settings of one topic. */
#pragma once

#include "client/shell/shell_command.h"

extern const struct shell_command shell_topic_commands[];
