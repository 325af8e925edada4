/* How the shell says that something failed: code, what, why, fix, on stderr and for programs.
 *
 * Owner: nobody. Loop: the main thread. Limits: SHELL_WHAT_BYTES_MAX, longer texts are cut. */
#pragma once

#include "client/shell/shell_command.h"

#define SHELL_WHAT_BYTES_MAX 1024U

struct shell_cause {
    const char *code; /* As TOPIC_ALREADY_EXISTS; USAGE ends with SHELL_USAGE. */
    const char *why;
    const char *fix;
};

/* Prints `error CODE: what; why; fix` on stderr and, where the call answers in JSON, the error
 * object on stdout. Returns what the program shall end with. */
enum shell_exit shell_fail(const struct shell_call *call, struct shell_cause cause,
                           const char *what_format, ...) __attribute__((format(printf, 3, 4)));
