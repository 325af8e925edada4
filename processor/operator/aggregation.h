/* What the two halves of one aggregation have in common: windows, keys, aggregates, as planned.
 *
 * Owner: the operator that embeds it. Loop: its. */
#pragma once

#include "processor/state/state_codec.h"
#include "proto/internal/plan.pb-c.h"

struct aggregation {
    const Millrace__Plan__Aggregation *plan; /* Borrowed for life. */
    struct state_codec codec;
    uint32_t operator_id;
    bool has_window;
    bool is_update;
    int64_t size_us;
    int64_t slide_us; /* Tumbling: the size. */
};

/* INVALID: a plan that no version makes; UNSUPPORTED: a kind of window that is not known here. On
 * failure `self` may still be passed to aggregation_done(). */
MUST_USE enum status aggregation_init(struct aggregation *self, uint32_t operator_id,
                                      const Millrace__Plan__Aggregation *plan);
void aggregation_done(struct aggregation *self);
/* Of the rows that it makes: window_start, window_end, keys, results. */
uint32_t aggregation_column_count(const struct aggregation *self);
void aggregation_column_types(const struct aggregation *self, enum value_type *out_types);
/* Can a window begin there? */
bool aggregation_is_start(const struct aggregation *self, int64_t window_start);
/* Is the window over at this watermark? Without windows nothing ever is. */
bool aggregation_is_over(const struct aggregation *self, int64_t window_start,
                         int64_t watermark_us);
