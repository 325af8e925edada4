/* `millrace produce`: lines of standard input become records.
 *
 * Owner: main. Loop: the main thread; reports come on the client's. Limits: those of line_reader
 * and of the producer. */
#pragma once

#include "client/shell/shell_command.h"

extern const struct shell_command shell_produce_commands[];
