/* One column of a batch: all values of a kind side by side, in Arrow's memory layout.
 *
 * Values of rows that are null are not defined (text: of no bytes). Memory belongs to the batch's
 * arena; a column may share its arrays with another one.
 *
 * Owner: the batch. Loop: the batch's. Limits: 2^31 - 1 bytes of text. */
#pragma once

#include "processor/row/row_bits.h"
#include "processor/row/value.h"
#include "proto/sys/arena.h"
#include "proto/sys/status.h"

#include <stdbool.h>
#include <stddef.h>

struct column {
    enum value_type type;
    uint32_t row_count;
    uint8_t *validity; /* A bit per row, lowest first, 1: not null. NULL: no row is null. */
    union {
        uint8_t *bools; /* A bit per row. */
        int32_t *ints;
        int64_t *bigints; /* Also timestamps. */
        double *doubles;
        struct interval *intervals;
        int32_t *text_ends; /* Row i is [text_ends[i], text_ends[i + 1]) of `text_bytes`. */
    } values;
    uint8_t *text_bytes;
};

static inline bool column_is_null(const struct column *self, uint32_t row)
{
    return self->validity != NULL && !row_bits_get(self->validity, row);
}

static inline bool column_bool(const struct column *self, uint32_t row)
{
    return row_bits_get(self->values.bools, row);
}

/* Values zeroed, nothing null; text has no bytes yet. NO_MEMORY: the arena. */
MUST_USE enum status column_init(struct column *self, enum value_type type, uint32_t row_count,
                                 struct arena *arena);
/* Makes room for marking nulls (all rows valid) unless it is there. */
MUST_USE enum status column_need_validity(struct column *self, struct arena *arena);
/* Marks one row as null. NO_MEMORY: the arena. */
MUST_USE enum status column_set_null(struct column *self, uint32_t row, struct arena *arena);
/* Rows `rows[0 .. row_count)` of `self`, in that order; one may come more than once. FULL: more
 * text than a column holds; NO_MEMORY: the arena. */
MUST_USE enum status column_gather(const struct column *self, const uint32_t *rows,
                                   uint32_t row_count, struct arena *arena,
                                   struct column *out_column);
/* Bytes of one value in `values`; 0 for bool and text. */
size_t column_value_bytes(enum value_type type);

struct column_text {
    const uint8_t *bytes;
    size_t byte_count;
};

/* A text's bytes; of a null row none. */
static inline struct column_text column_text(const struct column *self, uint32_t row)
{
    int32_t start = self->values.text_ends[row];
    return (struct column_text){.bytes = self->text_bytes + start,
                                .byte_count = (size_t)(self->values.text_ends[row + 1] - start)};
}
