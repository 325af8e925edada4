#include "client/shell/shell_help.h"

#include "client/shell/shell_options.h"

#include <string.h>

#define NAME_COLUMNS 30

static void print_line(FILE *out, const char *name, const char *text)
{
    if (strlen(name) > NAME_COLUMNS) {
        (void)fprintf(out, "  %s\n  %-*s  %s\n", name, NAME_COLUMNS, "", text);
    } else {
        (void)fprintf(out, "  %-*s  %s\n", NAME_COLUMNS, name, text);
    }
}

static void print_options(FILE *out, const struct shell_option *options)
{
    for (const struct shell_option *option = options; option->name != NULL; option++) {
        char name[80];
        (void)snprintf(name, sizeof name, "%s%s%s%s", option->name,
                       option->value == NULL ? "" : " ", option->value == NULL ? "" : option->value,
                       option->is_repeated ? " ..." : "");
        print_line(out, name, option->help);
    }
}

static void print_command(FILE *out, const struct shell_command *command)
{
    (void)fprintf(out, "millrace %s%s%s%s\n\n%s\n", command->words,
                  command->operands[0] == '\0' ? "" : " ", command->operands,
                  command->options == NULL ? "" : " [OPTION]...", command->summary);
    if (command->notes != NULL) {
        (void)fprintf(out, "\n%s\n", command->notes);
    }
    if (command->options != NULL) {
        (void)fputs("\noptions:\n", out);
        print_options(out, command->options);
    }
    (void)fputs("\nof every command:\n", out);
    print_options(out, shell_options_global);
    (void)fputs("\nexamples:\n", out);
    for (const char *const *example = command->examples; *example != NULL; example++) {
        (void)fprintf(out, "  %s\n", *example);
    }
}

static bool begins_with_words(const char *text, const char *words)
{
    size_t byte_count = strlen(words);
    return byte_count == 0 || (strncmp(text, words, byte_count) == 0 &&
                               (text[byte_count] == ' ' || text[byte_count] == '\0'));
}

static void print_list(shell_tables tables, const char *words, FILE *out)
{
    for (shell_tables table = tables; *table != NULL; table++) {
        for (const struct shell_command *command = *table; command->words != NULL; command++) {
            if (begins_with_words(command->words, words)) {
                char name[80];
                (void)snprintf(name, sizeof name, "%s%s%s", command->words,
                               command->operands[0] == '\0' ? "" : " ", command->operands);
                print_line(out, name, command->summary);
            }
        }
    }
}

static void print_program(shell_tables tables, FILE *out)
{
    (void)fputs("millrace: a Kafka-compatible log and a stream processor, from the command line\n"
                "\n"
                "millrace [--bootstrap HOST:PORT,...] [-o table|json] COMMAND ...\n"
                "\n"
                "commands (each has --help with examples):\n",
                out);
    print_list(tables, "", out);
    (void)fputs("\nof every command:\n", out);
    print_options(out, shell_options_global);
    (void)fputs("\n"
                "Results go to standard output, everything else to standard error.\n"
                "Exit status: 0 done, 1 failed, 2 wrong usage.\n"
                "\n"
                "examples:\n"
                "  millrace dev --brokers 1\n"
                "  millrace topic create flights --partitions 4\n"
                "  millrace --bootstrap 127.0.0.1:9092 topic list\n",
                out);
}

static const struct shell_command *find(shell_tables tables, const char *words)
{
    for (shell_tables table = tables; *table != NULL; table++) {
        for (const struct shell_command *command = *table; command->words != NULL; command++) {
            if (strcmp(command->words, words) == 0) {
                return command;
            }
        }
    }
    return NULL;
}

/* Are there commands behind this one, as `dev start` behind `dev`? */
static bool has_followers(shell_tables tables, const char *words)
{
    size_t byte_count = strlen(words);
    for (shell_tables table = tables; *table != NULL; table++) {
        for (const struct shell_command *command = *table; command->words != NULL; command++) {
            if (strncmp(command->words, words, byte_count) == 0 &&
                command->words[byte_count] == ' ') {
                return true;
            }
        }
    }
    return false;
}

void shell_help_print(shell_tables tables, const char *words, FILE *out)
{
    if (words[0] == '\0') {
        print_program(tables, out);
        return;
    }
    const struct shell_command *command = find(tables, words);
    if (command != NULL) {
        print_command(out, command);
    }
    if (command == NULL || has_followers(tables, words)) {
        (void)fprintf(out, "%scommands:\n", command == NULL ? "" : "\n");
        print_list(tables, words, out);
    }
}

void shell_help_page(shell_tables tables, FILE *out)
{
    (void)fputs("# The commands of `millrace`\n"
                "\n"
                "What `--help` prints, command by command. The tests compare this page with the\n"
                "program; `MILLRACE_WRITE_GOLDEN=1` makes them write it.\n"
                "\n"
                "```text\n",
                out);
    print_program(tables, out);
    (void)fputs("```\n", out);
    for (shell_tables table = tables; *table != NULL; table++) {
        for (const struct shell_command *command = *table; command->words != NULL; command++) {
            (void)fprintf(out, "\n## millrace %s\n\n```text\n", command->words);
            print_command(out, command);
            (void)fputs("```\n", out);
        }
    }
}
