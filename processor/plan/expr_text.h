/* A TypedExpr as SQL again, with the fewest parentheses that read well; PostgreSQL's grammar takes
 * it back.
 *
 * Owner: explain. Loop: any. Limits: the arena of the builder. */
#pragma once

#include "processor/text/text_builder.h"
#include "proto/internal/plan.pb-c.h"

#include <stdint.h>

/* `names`: of the columns of the row that it works on, as SQL, which may be whole expressions; one
 * that is not there is written as `$N`. */
void expr_text_add(struct text_builder *text, const Millrace__Plan__TypedExpr *expr,
                   const char *const *names, uint32_t name_count);
/* A name, in quotes where it needs them. */
void expr_text_add_name(struct text_builder *text, const char *name);
/* `interval '3 hours'` without the word: the largest units that divide it. */
void expr_text_add_span(struct text_builder *text, int64_t us);
