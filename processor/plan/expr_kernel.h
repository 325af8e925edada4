/* What steps compute: a kernel fills the column of one call.
 *
 * Owner: nobody. Loop: any. */
#pragma once

#include "processor/plan/expr_call.h"

/* = <> < <= > >= of two values of one type. Order of text is that of its bytes; of doubles NaN is
 * the greatest and equal to itself; of intervals a month is 30 days and a day 24 hours. */
MUST_USE enum status expr_compare(struct expr_call *call);
/* + - * / % and the sign, of int, bigint and double. */
MUST_USE enum status expr_arithmetic(struct expr_call *call);
/* + - and the sign where a timestamptz or an interval takes part. */
MUST_USE enum status expr_time(struct expr_call *call);
/* and, or, not, is null, is not null. */
MUST_USE enum status expr_logic(struct expr_call *call);
/* case and coalesce. */
MUST_USE enum status expr_select(struct expr_call *call);
/* To any other type. */
MUST_USE enum status expr_cast(struct expr_call *call);
/* Casts from and to text. */
MUST_USE enum status expr_cast_text_from(struct expr_call *call);
MUST_USE enum status expr_cast_text_to(struct expr_call *call);
/* Rows of `outer` (NULL: all `row_count`) for which the argument is as the kind of mask says. */
MUST_USE enum status expr_logic_mask(enum expr_kind kind, const struct expr_vector *argument,
                                     const uint8_t *outer, uint32_t row_count, struct arena *arena,
                                     uint8_t **out_mask);
