/* `millrace sql`: statements for the processors, from a file or from the command line.
 *
 * Owner: main. Loop: none. Limits: the library's, 64 KiB. */
#pragma once

#include "client/shell/shell_command.h"

extern const struct shell_command shell_sql_commands[];
