#include "processor/parser/sql_context.h"

#include "proto/sys/check.h"

#include <string.h>

uint32_t sql_context_position(const struct sql_context *self, int32_t location)
{
    return location < 0 ? self->base : self->base + (uint32_t)location;
}

enum status sql_context_refuse(struct sql_context *self, int32_t location, const char *what,
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
