/* What everything that reads the grammar's tree of one statement carries along.
 *
 * Owner: sql_script. Loop: the program's. Limits: the arena's. */
#pragma once

#include "processor/plan/plan_fault.h"

#include <pg_query/pg_query.pb-c.h>

struct sql_context {
    struct arena *arena;      /* Borrowed; what is made lives there. */
    struct plan_fault *fault; /* Borrowed. */
    const char *text;         /* Of the statement, NUL-terminated; borrowed. */
    uint32_t base;            /* Of the statement in the whole text: locations count from it. */
};

/* A place in the text; places that the grammar does not know are the statement's begin. */
uint32_t sql_context_position(const struct sql_context *self, int32_t location);
/* "WHAT: not supported". Always INVALID or NO_MEMORY. */
MUST_USE enum status sql_context_refuse(struct sql_context *self, int32_t location,
                                        const char *what, const char *fix);
/* The same where the grammar's tree does not say the place: at the first `word`. */
MUST_USE enum status sql_context_refuse_word(struct sql_context *self, const char *word,
                                             const char *what, const char *fix);
/* The same with `what` as it is. */
MUST_USE enum status sql_context_refuse_missing(struct sql_context *self, int32_t location,
                                                const char *what, const char *fix);
MUST_USE enum status sql_context_copy(struct sql_context *self, const char *text, char **out_text);
/* Of a node that is a string; NULL: it is something else. */
const char *sql_context_string(const PgQuery__Node *node);
