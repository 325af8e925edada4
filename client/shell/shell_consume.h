/* `millrace consume`: records as lines.
 *
 * Owner: main. Loop: the main thread. Limits: those of the consumer. */
#pragma once

#include "client/shell/shell_command.h"

extern const struct shell_command shell_consume_commands[];
