/* Expressions of tests, written as calls: `add(i,1)`, `case(gt(d,1.5),'x',s)`, `bigint(i)`.
 *
 * Literals: 1, 1L (bigint), 1.5 or 1e3 (double), 'text', @'2001-01-01 00:00:00+00', %'1 mon', true,
 * false, null:int. A name without parentheses is a column. A type's name is a cast. What cannot be
 * read aborts.
 * Owner: one test. Limits: the arena. */
#pragma once

#include "processor/row/value.h"
#include "proto/internal/plan.pb-c.h"
#include "proto/sys/arena.h"

struct expr_words_input {
    const char *name;
    enum value_type type;
};

Millrace__Plan__TypedExpr *expr_words_read(const char *text, const struct expr_words_input *inputs,
                                           uint32_t input_count, struct arena *arena);
enum value_type expr_words_type(const char *name);
/* A cast to text around it. */
Millrace__Plan__TypedExpr *expr_words_to_text(Millrace__Plan__TypedExpr *plan, struct arena *arena);
