/* One column of a batch: all values of a kind side by side, in Arrow's memory layout.
 *
 * Values of rows that are null are not defined (text: of no bytes). Memory belongs to the batch's
 * arena; a column may share its arrays with another one.
 *
 * Owner: the batch. Loop: the batch's. Limits: 2^31 - 1 bytes of text. */
#pragma once

#include "processor/row/value.h"
#include "proto/sys/arena.h"
#include "proto/sys/status.h"

#include <stdbool.h>
#include <stddef.h>

struct column {
    enum value_type type;
    uint32_t row_count;
    uint8_t *validity; /* A bit per row, lowest first, 1: not null. NULL: none is. */
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
    return self->validity != NULL && (self->validity[row / 8] >> (row % 8) & 1U) == 0;
}

static inline bool column_bool(const struct column *self, uint32_t row)
{
    return (self->values.bools[row / 8] >> (row % 8) & 1U) != 0;
}

/* Values zeroed, nothing null; text has no bytes yet. NO_MEMORY: the arena. */
MUST_USE enum status column_init(struct column *self, enum value_type type, uint32_t row_count,
                                 struct arena *arena);
/* Makes room for marking nulls (all rows valid) unless it is there. */
MUST_USE enum status column_need_validity(struct column *self, struct arena *arena);
