/* Results on standard output: tables for people, JSON for programs.
 *
 * Results are jansson values: an array of flat objects with the same keys is a table, whose heads
 * come from the keys. Every function takes the value it is given.
 *
 * Owner: the command. Loop: the main thread. Limits: SHELL_COLUMNS_MAX. */
#pragma once

#include "client/client.h"
#include "client/shell/shell_command.h"

#include <jansson.h>
#include <stdio.h>

#define SHELL_COLUMNS_MAX 16U

/* `empty` is what people read, on stderr, instead of a table without rows. */
enum shell_exit shell_output_rows(const struct shell_call *call, json_t *rows, const char *empty);
/* One JSON value; only where the call answers in JSON. */
enum shell_exit shell_output_json(const struct shell_call *call, json_t *value);

/* As a table, whatever the format. The rows go with it, as what the two above are given. */
void shell_output_table(json_t *rows, FILE *out);
/* A JSON string or, where they are not UTF-8, {"base64": "..."}; NULL data gives null. */
json_t *shell_output_bytes(struct millrace_bytes bytes);
/* -1 stands for what is not known: null. */
json_t *shell_output_known(int64_t number);
/* Everything printed so far has left, or the error is told. */
enum shell_exit shell_output_finish(const struct shell_call *call);
