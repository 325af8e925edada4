/* The half of an aggregation in front of the route: rows into groups, as far as that may be.
 *
 * Rows of one window and key become one group for the route. A row that might be late must be
 * judged alone, by who keeps the groups: a row of a window that is over by its own partition's mark
 * of the last end of an epoch travels by itself, with the record that it came from. For all others
 * the watermark cannot have passed their window, since it is not above that mark. A partition that
 * did not hold the watermark back at some time has no such mark: the greatest of all partitions
 * takes its place where this task knows them all, else each of its rows travels alone.
 *
 * Owner: the chain. Loop: its. Limits: PARTIAL_AGGREGATION_BYTES of groups, then they leave early.
 */
#pragma once

#include "processor/operator/aggregation.h"
#include "processor/operator/route_record.h"
#include "processor/operator/row_steps.h"

#define PARTIAL_AGGREGATION_BYTES ((size_t)32 << 20)

struct partial_call {
    struct expr *argument; /* Owned, as the filter; NULL: none. */
    struct expr *filter;
};

struct partial_aggregation {
    struct aggregation aggregation;
    struct expr *time;  /* Owned; NULL: there are no windows. */
    struct expr **keys; /* Owned. */
    struct partial_call *calls;
    struct group_table groups;
    struct group **sorted; /* Owned; of the last flush. */
    size_t sorted_capacity;
};

/* `inputs`: types of the rows that it will see. On failure `self` may still be passed to _done. */
MUST_USE enum status partial_aggregation_init(struct partial_aggregation *self,
                                              uint32_t operator_id,
                                              const Millrace__Plan__Aggregation *plan,
                                              const enum value_type *inputs, uint32_t input_count);
void partial_aggregation_done(struct partial_aggregation *self);
/* How many columns are made of one batch. */
uint64_t partial_aggregation_column_count(const struct partial_aggregation *self);
/* Rows of one partition. `bound_us`: the watermark that meets them cannot be above it
 * (source_marks_bound_us). */
MUST_USE enum status partial_aggregation_push(struct partial_aggregation *self,
                                              const struct row_batch *rows, int64_t bound_us,
                                              struct row_steps_report *report,
                                              struct route_record_writer *writer);
/* All groups into the route; the epoch is over. */
MUST_USE enum status partial_aggregation_flush(struct partial_aggregation *self,
                                               struct route_record_writer *writer);
