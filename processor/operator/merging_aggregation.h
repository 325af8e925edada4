/* The half of an aggregation behind the route: keeps the groups, judges what is late, gives rows.
 *
 * Entries of a partition are applied in order. A row whose window ends at or before the partition's
 * watermark of that moment is late, alone; a group can not be (partial_aggregation.h) and stops the
 * job. At the end of an epoch closed windows leave as rows, each group once (append), or touched
 * groups do (update); then the changelog is told.
 *
 * Owner: the chain. Loop: its. Limits: `state_bytes_max`. */
#pragma once

#include "processor/operator/aggregation.h"
#include "processor/operator/route_record.h"
#include "processor/row/row_batch.h"
#include "processor/state/store.h"

struct merging_aggregation_options {
    uint32_t operator_id;
    const Millrace__Plan__Aggregation *plan;
    uint32_t source_partition_count;
    uint32_t input_partition_count; /* Of the route. */
    uint32_t task;
    uint32_t task_count;
    size_t state_bytes_max;
    /* Groups in order, EMISSION_ROWS_MAX at the most. */
    enum status (*on_groups)(void *context, struct group *const *groups, uint32_t group_count);
    enum status (*on_change)(void *context, uint32_t partition, struct wire_bytes key,
                             struct wire_bytes value);
    enum status (*on_late)(void *context, const struct late_row *late);
    void *context;
};

struct merging_aggregation_stats {
    uint64_t input_rows;
    uint64_t late_rows;
    uint64_t updated_rows;
    uint64_t removed_rows;
};

struct merging_aggregation {
    struct merging_aggregation_options options;
    struct aggregation aggregation;
    struct store store;
    struct row_batch_room room;   /* Of what is given to on_groups; its taker may make it less. */
    struct watermark *watermarks; /* Owned; of the partitions task, task + task_count, … */
    uint32_t watermark_count;
    struct grow_buffer key;
    struct grow_buffer value;
    struct group **listed; /* Owned; scratch. */
    size_t listed_count;
    size_t listed_capacity;
    struct merging_aggregation_stats stats; /* Of the epoch; the chain clears them. */
    const char *fault;                      /* Why the last call failed, or NULL. */
};

/* On failure `self` may still be passed to _done. */
MUST_USE enum status merging_aggregation_init(struct merging_aggregation *self,
                                              const struct merging_aggregation_options *options);
void merging_aggregation_done(struct merging_aggregation *self);
/* NULL: the partition is another task's. */
struct watermark *merging_aggregation_watermark(const struct merging_aggregation *self,
                                                int32_t partition);
/* Of all its partitions: the least. */
int64_t merging_aggregation_watermark_us(const struct merging_aggregation *self);
MUST_USE enum status merging_aggregation_restore(struct merging_aggregation *self,
                                                 struct wire_bytes key, struct wire_bytes value);
MUST_USE enum status merging_aggregation_push(struct merging_aggregation *self, uint32_t partition,
                                              struct wire_bytes value);
/* Are there windows to close, or groups to tell of? */
bool merging_aggregation_is_due(const struct merging_aggregation *self);
MUST_USE enum status merging_aggregation_end_epoch(struct merging_aggregation *self);
MUST_USE enum status merging_aggregation_snapshot(struct merging_aggregation *self,
                                                  uint32_t partition);
