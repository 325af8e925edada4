/* The shell's use of libmillrace: opening a client for a call, and telling its errors.
 *
 * Owner: the command. Loop: the main thread. Limits: SHELL_CLIENT_MS_MAX for each call of the
 * library. */
#pragma once

#include "client/client.h"
#include "client/shell/shell_command.h"

#define SHELL_CLIENT_MS_MAX 10000

/* Says what is wrong itself. */
enum shell_exit shell_client_open(const struct shell_call *call,
                                  struct millrace_client **out_client);
/* The whole of a command that needs a client from its first step on: opens it, runs, closes it. */
enum shell_exit shell_client_run(struct shell_call *call);
/* What a failed call of the library becomes for the reader. */
enum shell_exit shell_client_fail(const struct shell_call *call,
                                  const struct millrace_error *error);
