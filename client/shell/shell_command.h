/* A command of the shell: its words, options, help and what runs it; and one call of it.
 *
 * Each group of commands is a file with a table of these; main.c lists the tables. The parser, the
 * help texts and docs/commands.md all come from the tables, so none can differ from the others.
 *
 * Owner: main. Loop: none. Limits: SHELL_OPERANDS_MAX. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define SHELL_OPERANDS_MAX 4U

enum shell_exit { SHELL_DONE = 0, SHELL_FAILED = 1, SHELL_USAGE = 2 };
enum shell_format { SHELL_TABLE, SHELL_JSON };

struct shell_call;
struct millrace_client;

struct shell_option {
    const char *name;  /* As "--partitions"; NULL ends a list. */
    const char *value; /* What stands for the value in help; NULL: a flag. */
    const char *help;
    bool is_repeated;
};

struct shell_command {
    const char *words;    /* As "topic create"; NULL ends a table. */
    const char *operands; /* As "NAME", for help; "": none. */
    uint32_t operand_count;
    bool is_operand_optional; /* All or none; the command checks. */
    const char *summary;
    const char *notes; /* More to know, in lines that are ready to print; NULL: nothing. */
    const struct shell_option *options; /* NULL: none of its own. */
    const char *const *examples;        /* NULL-terminated, at least one. */
    /* One of the two: the second is for commands that begin with a client. */
    enum shell_exit (*run)(struct shell_call *call);
    enum shell_exit (*run_client)(struct shell_call *call, struct millrace_client *client);
};

/* The tables of all commands, NULL-terminated: what main.c hands to the parser and to help. */
typedef const struct shell_command *const *shell_tables;

struct shell_given {
    const struct shell_option *option;
    const char *value; /* Borrowed from the arguments; NULL for a flag. */
};

struct shell_call {
    const struct shell_command *command; /* NULL: the words end before a command does. */
    char words[64];                      /* The words understood so far, as "topic". */
    enum shell_format format;
    const char *bootstrap; /* NULL: the library's default. */
    bool is_help;
    bool is_version;
    const char *operands[SHELL_OPERANDS_MAX];
    uint32_t operand_count;
    struct shell_given *given; /* Owned; in the order of the arguments. */
    uint32_t given_count;
};
