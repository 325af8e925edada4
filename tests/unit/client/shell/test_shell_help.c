/* Goal: every command has help with examples that can be typed, and the page in docs/ is true.
 * Method: the real tables; docs/commands.md is the golden text of all help, written anew when
 * MILLRACE_WRITE_GOLDEN is set. */
#include "client/shell/shell_help.h"

#include "client/shell/shell_commands.h"
#include "client/shell/shell_options.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_BYTES_MAX 65536U
#define WORDS_MAX 32

static void path_of_page(char *path, size_t path_bytes)
{
    const char *source = getenv("MILLRACE_SOURCE");
    cr_assert_not_null(source, "the build sets MILLRACE_SOURCE");
    (void)snprintf(path, path_bytes, "%s/docs/commands.md", source);
}

Test(shell_help, page_in_docs_is_what_the_program_says)
{
    char path[1024];
    path_of_page(path, sizeof path);
    if (getenv("MILLRACE_WRITE_GOLDEN") != NULL) {
        FILE *out = fopen(path, "w");
        cr_assert_not_null(out);
        shell_help_page(shell_commands, out);
        (void)fclose(out);
    }
    char *expected = NULL;
    size_t expected_bytes = 0;
    FILE *memory = open_memstream(&expected, &expected_bytes);
    shell_help_page(shell_commands, memory);
    (void)fclose(memory);
    static char page[PAGE_BYTES_MAX];
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s is missing", path);
    size_t page_bytes = fread(page, 1, sizeof page - 1, file);
    (void)fclose(file);

    cr_expect_eq(page_bytes, expected_bytes);
    cr_expect_str_eq(page, expected, "run with MILLRACE_WRITE_GOLDEN=1 and look at the change");
    free(expected);
}

/* Cuts at blanks; a quoted part of an example is one word. A pipe or redirection ends it. */
static int cut(char *text, char **words)
{
    int count = 0;
    char *next = text;
    while (*next != '\0' && *next != '|' && *next != '<' && count < WORDS_MAX) {
        char end = *next == '\'' ? '\'' : ' ';
        next += end == '\'' ? 1 : 0;
        words[count] = next;
        count += 1;
        next += strcspn(next, end == ' ' ? " " : "'");
        if (*next != '\0') {
            *next = '\0'; /* The blank, or the closing quote with the blank behind it. */
            next += 1;
        }
        while (*next == ' ') {
            next += 1;
        }
    }
    return count;
}

static void expect_example(const struct shell_command *command, const char *example)
{
    char text[256];
    const char *start = strstr(example, "millrace ");
    cr_assert_not_null(start, "%s", example);
    (void)snprintf(text, sizeof text, "%s", start);
    char *words[WORDS_MAX];
    int count = cut(text, words);
    struct shell_call call;
    struct shell_surroundings surroundings = {.is_terminal = true};

    cr_expect_eq(shell_options_parse(shell_commands, count, (const char *const *)words,
                                     &surroundings, &call),
                 SHELL_DONE, "%s", example);
    cr_expect_eq(call.command, command, "%s", example);
    shell_options_free(&call);
}

Test(shell_help, every_example_is_a_call_of_its_command)
{
    for (shell_tables table = shell_commands; *table != NULL; table++) {
        for (const struct shell_command *command = *table; command->words != NULL; command++) {
            cr_expect_not_null(command->examples[0], "%s", command->words);
            for (const char *const *example = command->examples; *example != NULL; example++) {
                expect_example(command, *example);
            }
        }
    }
}

Test(shell_help, no_command_shadows_an_option_of_all_commands)
{
    for (shell_tables table = shell_commands; *table != NULL; table++) {
        for (const struct shell_command *command = *table; command->words != NULL; command++) {
            const struct shell_option *option = command->options;
            for (; option != NULL && option->name != NULL; option++) {
                const struct shell_option *global = shell_options_global;
                for (; global->name != NULL; global++) {
                    cr_expect_str_neq(option->name, global->name, "%s", command->words);
                }
            }
        }
    }
}

Test(shell_help, help_on_a_group_lists_its_commands)
{
    char *text = NULL;
    size_t byte_count = 0;
    FILE *out = open_memstream(&text, &byte_count);
    shell_help_print(shell_commands, "dev", out);
    (void)fclose(out);

    cr_expect_not_null(strstr(text, "dev start NODE"));
    cr_expect_not_null(strstr(text, "examples:"));
    free(text);
}
