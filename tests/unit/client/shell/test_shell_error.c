/* Goal: people and programs are told the same four parts of an error.
 * Method: one failure in both formats, read from the redirected streams. */
#include "client/shell/shell_error.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>

static const struct shell_cause cause = {"NO_FLOUR", "the mill \"stands\"", "wait for rain"};

static void set_up(void)
{
    cr_redirect_stderr();
    cr_redirect_stdout();
}

TestSuite(shell_error, .init = set_up);

Test(shell_error, people_read_one_line)
{
    struct shell_call call = {.format = SHELL_TABLE};

    cr_expect_eq(shell_fail(&call, cause, "%d loaves cannot be baked", 3), SHELL_FAILED);

    (void)fflush(stdout);
    (void)fflush(stderr);
    cr_expect_stderr_eq_str(
        "error NO_FLOUR: 3 loaves cannot be baked; the mill \"stands\"; wait for rain\n");
    cr_expect_stdout_eq_str("");
}

Test(shell_error, programs_get_an_object_on_stdout_too)
{
    struct shell_call call = {.format = SHELL_JSON};

    cr_expect_eq(shell_fail(&call, cause, "%d loaves cannot be baked", 3), SHELL_FAILED);

    (void)fflush(stdout);
    cr_expect_stdout_eq_str(
        "{\"error\":{\"code\":\"NO_FLOUR\",\"what\":\"3 loaves cannot be baked\","
        "\"why\":\"the mill \\\"stands\\\"\",\"fix\":\"wait for rain\"}}\n");
}

Test(shell_error, wrong_usage_has_an_exit_status_of_its_own)
{
    struct shell_call call = {.format = SHELL_TABLE};

    cr_expect_eq(shell_fail(&call, (struct shell_cause){"USAGE", "why", "fix"}, "what"),
                 SHELL_USAGE);
}

Test(shell_error, bytes_that_are_not_utf8_do_not_cost_the_answer)
{
    struct shell_call call = {.format = SHELL_JSON};

    cr_expect_eq(shell_fail(&call, cause, "'\xff'"), SHELL_FAILED);

    (void)fflush(stdout);
    cr_expect_stdout_eq_str("{\"error\":{\"code\":\"NO_FLOUR\",\"what\":\"(not UTF-8)\","
                            "\"why\":\"the mill \\\"stands\\\"\",\"fix\":\"wait for rain\"}}\n");
}
