/* Goal: arguments mean what people think they mean, and a mistake is named with a way out of it.
 * Method: a small table of commands, whole argument lists, and what the shell says on stderr. */
#include "client/shell/shell_options.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <string.h>

static enum shell_exit nothing_run(struct shell_call *call)
{
    (void)call;
    return SHELL_DONE;
}

static const struct shell_option bake_options[] = {
    {"--minutes", "N", "how long", false},
    {"--with", "WHAT", "what to add", true},
    {"--dry", NULL, "only say it", false},
    {NULL, NULL, NULL, false},
};

static const struct shell_command bread_commands[] = {
    {.words = "bread bake",
     .operands = "NAME",
     .operand_count = 1,
     .summary = "bake it",
     .options = bake_options,
     .examples = (const char *const[]){"millrace bread bake rye", NULL},
     .run = nothing_run},
    {.words = "bread list",
     .operands = "",
     .summary = "list it",
     .examples = (const char *const[]){"millrace bread list", NULL},
     .run = nothing_run},
    {.words = NULL},
};

static const struct shell_command *const tables[] = {bread_commands, NULL};
static struct shell_call call;
static struct shell_surroundings surroundings;

static void set_up(void)
{
    cr_redirect_stderr();
    cr_redirect_stdout();
    surroundings = (struct shell_surroundings){.is_terminal = true};
}

static void tear_down(void)
{
    shell_options_free(&call);
}

TestSuite(shell_options, .init = set_up, .fini = tear_down);

#define PARSE(...) parse((const char *const[]){"millrace", __VA_ARGS__, NULL})

static enum shell_exit parse(const char *const *arguments)
{
    int count = 0;
    while (arguments[count] != NULL) {
        count += 1;
    }
    return shell_options_parse(tables, count, arguments, &surroundings, &call);
}

static void expect_stderr(const char *expected)
{
    (void)fflush(stderr);
    cr_expect_stderr_eq_str(expected);
}

Test(shell_options, words_options_and_operands_may_be_mixed)
{
    cr_assert_eq(PARSE("--bootstrap", "a:1", "bread", "-o", "json", "bake", "--with", "salt", "rye",
                       "--with=seeds=many", "--dry", "--minutes", "45"),
                 SHELL_DONE);

    int64_t minutes = 0;
    cr_expect_eq(
        shell_options_number(&call, "--minutes", (struct shell_range){10, 1, 90}, &minutes),
        SHELL_DONE);
    cr_expect_eq(minutes, 45);
    cr_expect_str_eq(call.words, "bread bake");
    cr_expect_str_eq(call.bootstrap, "a:1");
    cr_expect_eq(call.format, SHELL_JSON);
    cr_expect_str_eq(call.operands[0], "rye");
    cr_expect(shell_options_has(&call, "--dry"));
    cr_expect_str_eq(shell_options_text_at(&call, "--with", 0), "salt");
    cr_expect_str_eq(shell_options_text_at(&call, "--with", 1), "seeds=many");
    cr_expect_null(shell_options_text_at(&call, "--with", 2));
}

Test(shell_options, two_dashes_end_the_options)
{
    cr_assert_eq(PARSE("bread", "bake", "--", "--dry"), SHELL_DONE);

    cr_expect_str_eq(call.operands[0], "--dry");
    cr_expect_not(shell_options_has(&call, "--dry"));
}

Test(shell_options, what_is_not_given_has_its_default)
{
    surroundings.bootstrap = "env:9092";
    cr_assert_eq(PARSE("bread", "bake", "rye"), SHELL_DONE);

    int64_t minutes = 0;
    cr_expect_eq(
        shell_options_number(&call, "--minutes", (struct shell_range){10, 1, 90}, &minutes),
        SHELL_DONE);
    cr_expect_eq(minutes, 10);
    cr_expect_str_eq(call.bootstrap, "env:9092");
    cr_expect_eq(call.format, SHELL_TABLE);
}

Test(shell_options, a_flag_beats_the_environment)
{
    surroundings.bootstrap = "env:9092";
    cr_assert_eq(PARSE("bread", "list", "--bootstrap", "flag:1"), SHELL_DONE);

    cr_expect_str_eq(call.bootstrap, "flag:1");
}

Test(shell_options, an_empty_environment_is_none)
{
    surroundings.bootstrap = "";
    cr_assert_eq(PARSE("bread", "list"), SHELL_DONE);

    cr_expect_null(call.bootstrap);
}

Test(shell_options, a_pipe_gets_json)
{
    surroundings.is_terminal = false;
    cr_assert_eq(PARSE("bread", "list"), SHELL_DONE);

    cr_expect_eq(call.format, SHELL_JSON);
}

Test(shell_options, help_needs_no_operands)
{
    cr_assert_eq(PARSE("bread", "bake", "--help"), SHELL_DONE);

    cr_expect(call.is_help);
    cr_expect_str_eq(call.command->words, "bread bake");
}

Test(shell_options, help_is_found_by_other_names_as_well)
{
    cr_assert_eq(PARSE("bread", "bake", "-h"), SHELL_DONE);
    cr_expect(call.is_help);
    shell_options_free(&call);
    cr_assert_eq(PARSE("help", "bread", "bake"), SHELL_DONE);
    cr_expect(call.is_help);
    cr_expect_not_null(call.command);
    shell_options_free(&call);
    cr_assert_eq(PARSE("-h"), SHELL_DONE);
    cr_expect(call.is_help);
}

Test(shell_options, an_unknown_option_before_any_command_has_no_blank_behind_millrace)
{
    cr_assert_eq(PARSE("--helpp"), SHELL_USAGE);
    expect_stderr("error USAGE: '--helpp' is not an option of 'millrace'; there is no such option; "
                  "did you mean --help? see millrace --help\n");
}

Test(shell_options, a_group_alone_is_no_command)
{
    cr_assert_eq(PARSE("bread"), SHELL_DONE);

    cr_expect_null(call.command);
    cr_expect_str_eq(call.words, "bread");
}

Test(shell_options, misspelt_command_is_guessed)
{
    cr_expect_eq(PARSE("bread", "bkae"), SHELL_USAGE);

    expect_stderr("error USAGE: 'millrace bread bkae' is not a command; there is no such command; "
                  "did you mean 'millrace bread bake'? see millrace bread --help\n");
}

Test(shell_options, misspelt_first_word_is_guessed)
{
    cr_expect_eq(PARSE("bred", "bake"), SHELL_USAGE);

    expect_stderr("error USAGE: 'millrace bred' is not a command; there is no such command; "
                  "did you mean 'millrace bread'? see millrace --help\n");
}

Test(shell_options, misspelt_option_is_guessed)
{
    cr_expect_eq(PARSE("bread", "bake", "rye", "--minuts", "3"), SHELL_USAGE);

    expect_stderr("error USAGE: '--minuts' is not an option of 'millrace bread bake'; there is no "
                  "such option; did you mean --minutes? see millrace bread bake --help\n");
}

Test(shell_options, missing_operand_is_asked_for_by_example)
{
    cr_expect_eq(PARSE("bread", "bake"), SHELL_USAGE);

    expect_stderr("error USAGE: 'millrace bread bake' needs NAME; a word is missing; "
                  "for example: millrace bread bake rye\n");
}

Test(shell_options, operand_too_many_is_refused)
{
    cr_expect_eq(PARSE("bread", "bake", "rye", "wheat"), SHELL_USAGE);
}

Test(shell_options, option_at_the_end_needs_its_value)
{
    cr_expect_eq(PARSE("bread", "bake", "rye", "--minutes"), SHELL_USAGE);

    expect_stderr("error USAGE: --minutes needs a value: --minutes N; the arguments end behind it; "
                  "put the value behind it\n");
}

Test(shell_options, a_flag_takes_no_value)
{
    cr_expect_eq(PARSE("bread", "bake", "rye", "--dry=yes"), SHELL_USAGE);
}

Test(shell_options, an_option_with_one_value_is_not_given_twice)
{
    cr_expect_eq(PARSE("bread", "bake", "rye", "--minutes", "1", "--minutes", "2"), SHELL_USAGE);
}

Test(shell_options, unknown_format_is_refused)
{
    cr_expect_eq(PARSE("bread", "list", "-o", "xml"), SHELL_USAGE);
}

Test(shell_options, numbers_are_whole_and_within_bounds)
{
    const char *const bad[] = {
        "", "ten", "1x", "+1", " 1", "-", "1.5", "91", "0", "-1", "99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "%s", bad[i]);
        cr_assert_eq(PARSE("bread", "bake", "rye", "--minutes", text), SHELL_DONE);
        int64_t minutes = 7;
        cr_expect_eq(
            shell_options_number(&call, "--minutes", (struct shell_range){10, 1, 90}, &minutes),
            SHELL_USAGE, "%s", bad[i]);
        cr_expect_eq(minutes, 7);
        shell_options_free(&call);
    }
}
