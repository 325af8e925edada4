#include "client/shell/shell_client.h"

#include "client/shell/shell_error.h"

#include <signal.h>

enum shell_exit shell_client_open(const struct shell_call *call,
                                  struct millrace_client **out_client)
{
    struct millrace_error error;
    const struct millrace_client_options options = {.size = sizeof options,
                                                    .bootstrap = millrace_text(call->bootstrap),
                                                    .client_id = millrace_text("millrace-shell")};
    int code = millrace_client_open(&options, out_client, &error);
    /* The library ignores it for its own sockets, in a thread that takes no signals anyway; we
     * want to end quietly when the reader of our output has gone. */
    (void)signal(SIGPIPE, SIG_DFL);
    return code == 0 ? SHELL_DONE : shell_client_fail(call, &error);
}

enum shell_exit shell_client_run(struct shell_call *call)
{
    struct millrace_client *client = NULL;
    enum shell_exit exit = shell_client_open(call, &client);
    if (exit == SHELL_DONE) {
        exit = call->command->run_client(call, client);
        (void)millrace_client_close(client, SHELL_CLIENT_MS_MAX, NULL);
    }
    return exit;
}

enum shell_exit shell_client_fail(const struct shell_call *call, const struct millrace_error *error)
{
    enum shell_exit exit = shell_fail(
        call, (struct shell_cause){error->name, error->why, error->fix}, "%s", error->what);
    return error->code == MILLRACE_INVALID_ARGUMENT ? SHELL_USAGE : exit;
}
