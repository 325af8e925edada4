/* millrace: the command line. Finds the command, runs it, ends with what it says. */
#include "client/shell/shell_client.h"
#include "client/shell/shell_commands.h"
#include "client/shell/shell_help.h"
#include "client/shell/shell_options.h"
#include "client/shell/shell_output.h"
#include "proto/sys/host/host_streams.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static enum shell_exit run(struct shell_call *call)
{
    if (call->is_version) {
        puts("millrace " SHELL_VERSION);
        return SHELL_DONE;
    }
    if (call->is_help) {
        shell_help_print(shell_commands, call->words, stdout);
        return SHELL_DONE;
    }
    if (call->command == NULL) {
        shell_help_print(shell_commands, call->words, stderr);
        return SHELL_USAGE;
    }
    return call->command->run != NULL ? call->command->run(call) : shell_client_run(call);
}

int main(int argument_count, char **arguments)
{
    host_streams_hold();
    struct shell_surroundings surroundings = {.bootstrap = getenv("MILLRACE_BOOTSTRAP"),
                                              .is_terminal = isatty(STDOUT_FILENO) == 1};
    struct shell_call call;
    enum shell_exit exit = shell_options_parse(
        shell_commands, argument_count, (const char *const *)arguments, &surroundings, &call);
    if (exit == SHELL_DONE) {
        exit = run(&call);
        enum shell_exit written = shell_output_finish(&call);
        exit = exit == SHELL_DONE ? written : exit;
    }
    shell_options_free(&call);
    return exit;
}
