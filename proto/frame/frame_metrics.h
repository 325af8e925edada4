/* What the frames of a node count, under the names that dashboards know.
 *
 * Owner: the node. Loop: any (atomics). */
#pragma once

#include "proto/sys/metric.h"

/* Borrowed from the table; copied freely. */
struct frame_metrics {
    struct metric *connection_count;
    struct metric *connection_refused_total;
    struct metric *connection_broken_total; /* Closed because of what the peer sent. */
    struct metric *frame_total;
    struct metric *read_bytes_total;
    struct metric *written_bytes_total;
};

void frame_metrics_register(struct frame_metrics *self, struct metric_table *table);

/* Accepts NULL: not counted. */
static inline void frame_metrics_add(struct metric *metric, int64_t delta)
{
    if (metric != NULL) {
        metric_add(metric, delta);
    }
}
