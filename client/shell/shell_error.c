#include "client/shell/shell_error.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Bytes that are no UTF-8 (a file name may be anything) must not cost the whole answer. */
static json_t *text_of(const char *text)
{
    json_t *value = json_string(text);
    return value == NULL ? json_string("(not UTF-8)") : value;
}

static void print_json(struct shell_cause cause, const char *what)
{
    json_t *error = json_pack("{s:{s:o,s:o,s:o,s:o}}", "error", "code", text_of(cause.code), "what",
                              text_of(what), "why", text_of(cause.why), "fix", text_of(cause.fix));
    if (error == NULL) {
        return; /* Without memory; stderr has it. */
    }
    (void)json_dumpf(error, stdout, JSON_COMPACT);
    (void)putchar('\n');
    json_decref(error);
}

enum shell_exit shell_fail(const struct shell_call *call, struct shell_cause cause,
                           const char *what_format, ...)
{
    char what[SHELL_WHAT_BYTES_MAX];
    va_list arguments;
    va_start(arguments, what_format);
    (void)vsnprintf(what, sizeof what, what_format, arguments);
    va_end(arguments);

    (void)fflush(stdout); /* What was printed before stays before it on a shared terminal. */
    (void)fprintf(stderr, "error %s: %s; %s; %s\n", cause.code, what, cause.why, cause.fix);
    if (call->format == SHELL_JSON) {
        print_json(cause, what);
    }
    return strcmp(cause.code, "USAGE") == 0 ? SHELL_USAGE : SHELL_FAILED;
}
