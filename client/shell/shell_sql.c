#include "client/shell/shell_sql.h"

#include "client/shell/shell_client.h"
#include "client/shell/shell_error.h"
#include "client/shell/shell_options.h"
#include "client/shell/shell_output.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SQL_BYTES_MAX 65536U
#define UTF8_MARK "\xef\xbb\xbf"
#define SQL_MS_MAX 60000

/* Owned by the caller; NULL: said already. One byte more than the limit is read, to see it. */
static char *read_file(const struct shell_call *call, const char *path)
{
    bool is_input = strcmp(path, "-") == 0;
    FILE *file = is_input ? stdin : fopen(path, "rb");
    char *text = file == NULL ? NULL : malloc(SQL_BYTES_MAX + 2);
    if (text == NULL) {
        (void)shell_fail(call,
                         (struct shell_cause){"NO_FILE", strerror(errno),
                                              "name a file with SQL, or give it with -c"},
                         "the file '%.300s' cannot be read", path);
        return NULL;
    }
    size_t byte_count = fread(text, 1, SQL_BYTES_MAX + 1, file);
    bool has_failed = ferror(file) != 0;
    if (!is_input) {
        (void)fclose(file);
    }
    text[byte_count] = '\0';
    if (has_failed || byte_count > SQL_BYTES_MAX || strlen(text) != byte_count) {
        (void)shell_fail(call,
                         (struct shell_cause){"BAD_FILE",
                                              "it is above 64 KiB, no text, or not readable",
                                              "split it, or correct it"},
                         "the file '%.300s' cannot be used", path);
        free(text);
        return NULL;
    }
    return text;
}

/* Where a position is, for people: both from 1. */
static void find_place(const char *text, size_t position, size_t *out_line, size_t *out_column)
{
    *out_line = 1;
    *out_column = 1;
    for (size_t i = 0; i < position && text[i] != '\0'; i++) {
        *out_column += ((unsigned char)text[i] & 0xc0U) != 0x80U ? 1 : 0; /* Not inside a letter. */
        if (text[i] == '\n') {
            *out_line += 1;
            *out_column = 1;
        }
    }
}

/* The line with a caret below the place. */
static void print_place(const char *text, size_t position)
{
    size_t length = strlen(text);
    position = position < length ? position : length;
    size_t begin = position;
    while (begin > 0 && text[begin - 1] != '\n') {
        begin -= 1;
    }
    size_t end = position;
    while (text[end] != '\0' && text[end] != '\n') {
        end += 1;
    }
    (void)fprintf(stderr, "  %.*s\n  ", (int)(end - begin), text + begin);
    for (size_t i = begin; i < position; i++) {
        if (text[i] == '\t') {
            (void)fputc('\t', stderr);
        } else if (((unsigned char)text[i] & 0xc0U) != 0x80U) {
            (void)fputc(' ', stderr);
        }
    }
    (void)fputs("^\n", stderr);
}

static enum shell_exit fail(const struct shell_call *call, const char *text,
                            const struct millrace_sql_answer *answer,
                            const struct millrace_error *error)
{
    if (answer == NULL || answer->fault_position < 0) {
        return shell_client_fail(call, error);
    }
    size_t line = 0;
    size_t column = 0;
    find_place(text, (size_t)answer->fault_position, &line, &column);
    enum shell_exit exit =
        shell_fail(call, (struct shell_cause){error->name, error->why, error->fix},
                   "line %zu, column %zu: %s", line, column, error->what);
    print_place(text, (size_t)answer->fault_position);
    return exit;
}

static bool is_kind(const struct millrace_sql_result *result, const char *kind)
{
    return result->kind.size == strlen(kind) &&
           memcmp(result->kind.data, kind, result->kind.size) == 0;
}

static void print_result(const struct shell_call *call, const struct millrace_sql_result *result)
{
    if (call->format == SHELL_JSON) {
        json_t *row =
            json_pack("{s:o,s:o,s:o}", "kind", shell_output_bytes(result->kind), "name",
                      shell_output_bytes(result->name), "text", shell_output_bytes(result->text));
        (void)shell_output_json(call, row);
        return;
    }
    if (is_kind(result, "explain")) {
        printf("%.*s", (int)result->text.size, (const char *)result->text.data);
    } else if (!is_kind(result, "set")) {
        printf("%.*s %.*s\n", (int)result->kind.size, (const char *)result->kind.data,
               (int)result->name.size, (const char *)result->name.data);
    }
}

static enum shell_exit run_text(const struct shell_call *call, const char *text)
{
    struct millrace_client *client = NULL;
    enum shell_exit exit = shell_client_open(call, &client);
    if (exit != SHELL_DONE) {
        return exit;
    }
    struct millrace_sql_answer *answer = NULL;
    struct millrace_error error;
    int code = millrace_sql_run(client, millrace_text(text), SQL_MS_MAX, &answer, &error);
    for (size_t i = 0; answer != NULL && i < answer->result_count; i++) {
        print_result(call, answer->results[i]);
    }
    if (code != 0) {
        exit = fail(call, text, answer, &error);
    }
    millrace_sql_free(answer);
    (void)millrace_client_close(client, SHELL_CLIENT_MS_MAX, NULL);
    return exit;
}

static enum shell_exit sql_run(struct shell_call *call)
{
    const char *text = shell_options_text(call, "-c");
    bool has_file = call->operand_count == 1;
    if ((text != NULL) == has_file) {
        return shell_fail(call,
                          (struct shell_cause){"USAGE", "one of the two is needed",
                                               "millrace sql FILE, or millrace sql -c TEXT"},
                          "a file and -c are %s", has_file ? "both given" : "both missing");
    }
    if (!has_file) {
        return run_text(call, text);
    }
    char *content = read_file(call, call->operands[0]);
    if (content == NULL) {
        return SHELL_FAILED;
    }
    /* Some editors begin a file with the mark of UTF-8; it is no part of a statement. */
    bool is_marked = strncmp(content, UTF8_MARK, strlen(UTF8_MARK)) == 0;
    enum shell_exit exit = run_text(call, is_marked ? content + strlen(UTF8_MARK) : content);
    free(content);
    return exit;
}

static const struct shell_option sql_options[] = {
    {"-c", "TEXT", "the statements themselves", false},
    {NULL, NULL, NULL, false},
};

const struct shell_command shell_sql_commands[] = {
    {.words = "sql",
     .operands = "[FILE]",
     .operand_count = 1,
     .is_operand_optional = true,
     .summary = "run SQL statements: declare tables, start and explain jobs",
     .notes = "Statements run in order and stop at the first error. A table prints `table NAME`,\n"
              "a started job `job NAME`. FILE may be - for the standard input.\n",
     .options = sql_options,
     .examples =
         (const char *const[]){"millrace sql deploy/delays.sql",
                               "millrace sql -c 'EXPLAIN INSERT INTO delays SELECT a FROM flights'",
                               "millrace sql -c 'DROP TABLE IF EXISTS flights'", NULL},
     .run = sql_run},
    {.words = NULL},
};
