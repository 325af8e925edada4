/* Help from the tables of commands: of the program, of a group of commands, of one, and all of it
 * as a page.
 *
 * Owner: main. Loop: none. Limits: none. */
#pragma once

#include "client/shell/shell_command.h"

#include <stdio.h>

/* Help on `words`, which is a command, the beginning of some, or "" for the program. */
void shell_help_print(shell_tables tables, const char *words, FILE *out);
/* docs/commands.md; a test compares. */
void shell_help_page(shell_tables tables, FILE *out);
