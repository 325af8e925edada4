/* What is wrong with a statement, in words a person can act on.
 *
 * Codes: UNKNOWN_TABLE UNKNOWN_COLUMN UNKNOWN_FUNCTION UNKNOWN_OPTION UNKNOWN_SETTING AMBIGUOUS
 * DUPLICATE BAD_OPTION BAD_SETTING BAD_LITERAL TYPE_MISMATCH GROUPING AGGREGATE WINDOW OUTPUT_MODE
 * COLUMN_COUNT UNSUPPORTED TOO_COMPLEX; the parser adds SYNTAX and TOO_LONG.
 *
 * Owner: who checks. Loop: its. Limits: PLAN_FAULT_TEXT_BYTES_MAX a sentence, longer ones are cut.
 */
#pragma once

#include "proto/internal/plan.pb-c.h"
#include "proto/sys/arena.h"
#include "proto/sys/status.h"

#include <stdbool.h>
#include <stddef.h>

#define PLAN_FAULT_TEXT_BYTES_MAX 1000U

struct plan_fault {
    struct arena *arena;           /* Borrowed; holds the sentences. */
    Millrace__Plan__Fault message; /* Set when a call returned INVALID. */
};

/* What is known of one mistake; each text may be NULL (then it is empty). */
struct plan_fault_text {
    const char *code;
    uint32_t position; /* Bytes from the start of the text. */
    const char *what;
    const char *why;
    const char *fix;
};

void plan_fault_init(struct plan_fault *self, struct arena *arena);
/* INVALID with the texts copied, or NO_MEMORY. */
MUST_USE enum status plan_fault_raise(struct plan_fault *self, const struct plan_fault_text *text);
/* A sentence in the arena, as printf; never NULL: without memory it is a fixed word. */
__attribute__((format(printf, 2, 3))) const char *plan_fault_print(struct plan_fault *self,
                                                                   const char *format, ...);
/* The one of `names` that `name` is most likely a misspelling of; NULL: none is near. */
const char *plan_fault_nearest(const char *name, const char *const *names, size_t count);
/* "did you mean NAME?" for the nearest, else "one of A, B, C"; in the arena. */
const char *plan_fault_choices(struct plan_fault *self, const char *name, const char *const *names,
                               size_t count);
