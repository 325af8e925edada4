#include "processor/parser/sql_context.h"

#include "proto/sys/check.h"

#include <string.h>
#include <strings.h>

uint32_t sql_context_position(const struct sql_context *self, int32_t location)
{
    return location < 0 ? self->base : self->base + (uint32_t)location;
}

enum status sql_context_refuse_missing(struct sql_context *self, int32_t location, const char *what,
                                       const char *fix)
{
    return plan_fault_raise(
        self->fault,
        &(struct plan_fault_text){.code = "UNSUPPORTED",
                                  .position = sql_context_position(self, location),
                                  .what = what,
                                  .why = "the grammar is PostgreSQL's, of which a part runs here",
                                  .fix = fix});
}

enum status sql_context_refuse(struct sql_context *self, int32_t location, const char *what,
                               const char *fix)
{
    return sql_context_refuse_missing(
        self, location, plan_fault_print(self->fault, "%s: not supported", what), fix);
}

static bool is_word_byte(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '_' || (byte & 0x80) != 0;
}

/* The end of what is quoted or commented at `text`; `text` itself where nothing is. */
static const char *skip_quoted(const char *text)
{
    const char *end = NULL;
    if (*text == '\'' || *text == '"') {
        end = strchr(text + 1, *text);
        return end == NULL ? text + 1 : end + 1;
    }
    if (strncmp(text, "--", 2) == 0) {
        return text + strcspn(text, "\n");
    }
    if (strncmp(text, "/*", 2) == 0) {
        end = strstr(text + 2, "*/");
        return end == NULL ? text + 2 : end + 2;
    }
    return text;
}

/* -1: it does not stand in the statement. */
static int32_t find_word(const char *text, const char *word)
{
    size_t bytes = strlen(word);
    const char *at = text;
    while (*at != '\0') {
        const char *after = skip_quoted(at);
        if (after != at) {
            at = after;
            continue;
        }
        size_t run = 0;
        while (is_word_byte(at[run])) {
            run++;
        }
        if (run == bytes && strncasecmp(at, word, bytes) == 0) {
            return (int32_t)(at - text);
        }
        at += run == 0 ? 1 : run;
    }
    return -1;
}

enum status sql_context_refuse_word(struct sql_context *self, const char *word, const char *what,
                                    const char *fix)
{
    return sql_context_refuse(self, find_word(self->text, word), what, fix);
}

enum status sql_context_copy(struct sql_context *self, const char *text, char **out_text)
{
    check(text != NULL);
    char *copy = arena_copy_text(self->arena, text, strlen(text));
    if (copy == NULL) {
        return STATUS_NO_MEMORY;
    }
    *out_text = copy;
    return STATUS_OK;
}

const char *sql_context_string(const PgQuery__Node *node)
{
    return node->node_case == PG_QUERY__NODE__NODE_STRING ? node->string->sval : NULL;
}
