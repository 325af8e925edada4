/* Groups as rows: window_start, window_end, keys, results, with what a sink must know besides.
 *
 * Owner: the merging operator. Loop: its. Limits: EMISSION_ROWS_MAX rows of a batch. */
#pragma once

#include "processor/operator/aggregation.h"
#include "processor/row/row_batch.h"

#define EMISSION_ROWS_MAX 4096U

/* How many of the groups make one batch within `room`: fewer if their keys and texts are long, but
 * one at least. */
uint32_t emission_count(const struct aggregation *aggregation, struct group *const *groups,
                        size_t group_count, struct row_batch_room room);
/* The room of batches of which `column_count` columns are made besides the rows themselves. */
struct row_batch_room emission_room(const struct aggregation *aggregation, uint64_t column_count);

/* Kinds are told in update mode only: INSERT for a group of which no row has left, else
 * UPDATE_AFTER. INVALID: the result of row `out_row` does not fit its type (call `out_call`).
 * NO_MEMORY: the arena; FULL: more text than a column holds. */
struct emission_fault {
    uint32_t row;
    uint32_t call;
};
MUST_USE enum status emission_make_rows(const struct aggregation *aggregation,
                                        struct group *const *groups, uint32_t group_count,
                                        struct arena *arena, struct row_batch *out_rows,
                                        struct emission_fault *out_fault);
