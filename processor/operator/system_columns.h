/* The columns that every table has besides its own, made of where a record came from.
 *
 * Owner: the chain. Loop: its. */
#pragma once

#include "processor/row/row_batch.h"
#include "proto/internal/plan.pb-c.h"

/* INVALID: no such column. */
MUST_USE enum status system_columns_type(uint32_t number, enum value_type *out_type);
struct system_columns_of {
    const char *topic;
    int64_t processed_ms;
};
/* For rows that have an origin. NO_MEMORY: the arena; FULL: more text than a column holds. */
MUST_USE enum status system_columns_make(uint32_t number, const struct row_batch *rows,
                                         const struct system_columns_of *of, struct arena *arena,
                                         struct column *out_column);
