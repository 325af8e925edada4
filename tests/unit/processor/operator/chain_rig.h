/* A job's two stages without a broker: logs are arrays, an epoch's output is kept when it commits
 * and dropped when the task dies before.
 *
 * The query: SELECT window_start, k, count(*), sum(v), min(v), max(v), avg(v), max(s) FROM
 * tumble(t, ts, size) GROUP BY window_start, k over the table t (ts timestamptz, k text, v bigint,
 * s text), whose operators in front and behind a test may add. Times are in units of `unit_us`.
 *
 * Owner: the test. */
#pragma once

#include "processor/operator/chain.h"

#define CHAIN_RIG_PARTITIONS_MAX 8U
#define CHAIN_RIG_TASKS_MAX 4U

struct chain_rig_row {
    int64_t ts;    /* INT64_MIN: null. */
    const char *k; /* NULL: null. */
    int64_t v;
};

struct chain_rig_result {
    int64_t start; /* In units, as the end; INT64_MIN: null. */
    int64_t end;
    char k[24]; /* "<null>" */
    int64_t count, sum, min, max;
    double avg;
    int64_t created_max_ms, ingested_max_ms, record_time_ms;
    enum row_kind kind;
};

struct chain_rig_late {
    int32_t partition;
    int64_t offset;
};

struct chain_rig_change {
    struct wire_bytes key; /* Owned, as the value. */
    struct wire_bytes value;
};

struct chain_rig_log { /* One partition of route or changelog. */
    struct chain_rig_change *records;
    size_t record_count, record_capacity;
    size_t committed_count;
    size_t start; /* Where restoring begins. */
};

struct chain_rig_source {
    struct chain_rig_row *rows;
    size_t row_count, row_capacity;
};

struct chain_rig_task {
    struct chain *chain; /* NULL: not running. */
    uint8_t *progress;   /* Packed; NULL: none yet. */
    size_t progress_bytes;
};

struct chain_rig_options {
    uint32_t source_partition_count;
    uint32_t route_partition_count;
    uint32_t task_counts[2];
    int64_t unit_us;
    int64_t size;
    int64_t delay; /* -1: no watermark. */
    Millrace__Plan__OutputMode mode;
    bool has_window;
    size_t state_bytes_max;           /* 0: plenty. */
    Millrace__Plan__Operator *before; /* In front of the partial aggregation, or NULL. */
    Millrace__Plan__Operator *behind; /* Behind the merge, or NULL. */
};

struct chain_rig {
    struct chain_rig_options options;
    struct chain_rig_plan *plan;
    struct chain_rig_source sources[CHAIN_RIG_PARTITIONS_MAX];
    size_t next_offsets[2][CHAIN_RIG_PARTITIONS_MAX]; /* Per stage: what is committed. */
    size_t taken_offsets[2][CHAIN_RIG_PARTITIONS_MAX];
    struct chain_rig_log route[CHAIN_RIG_PARTITIONS_MAX];
    struct chain_rig_log changelog[CHAIN_RIG_PARTITIONS_MAX];
    struct chain_rig_task tasks[2][CHAIN_RIG_TASKS_MAX];
    struct chain_rig_result *results;
    size_t result_count, result_capacity, committed_result_count;
    struct chain_rig_late *late;
    size_t late_count, late_capacity, committed_late_count;
    uint64_t misfit_count;
    enum status misfit_status; /* What on_misfit returns. */
    char fault[200];
    Millrace__Processor__EpochStats stats[2];  /* Of the last epoch of any task. */
    Millrace__Processor__EpochStats totals[2]; /* Of what was committed. */
    int64_t watermark_us[2];
    struct arena arena;
};

void chain_rig_init(struct chain_rig *self, const struct chain_rig_options *options);
void chain_rig_done(struct chain_rig *self);

/* A row at the end of a source partition. */
void chain_rig_append(struct chain_rig *self, uint32_t partition, struct chain_rig_row row);
/* One epoch of a task over so many records of each of its partitions at the most (rows of stage 0,
 * route records of stage 1), in slices. `dies`: nothing of it is kept, and the task starts again
 * from what is committed. Faults of the chain are returned. */
enum status chain_rig_epoch(struct chain_rig *self, uint32_t stage, uint32_t task,
                            size_t record_count_max, bool dies);
/* Throws the chain away and makes it anew from progress and changelog. */
void chain_rig_restart(struct chain_rig *self, uint32_t stage, uint32_t task);
/* Deals the partitions of a stage out anew. */
void chain_rig_rescale(struct chain_rig *self, uint32_t stage, uint32_t task_count);
/* All epochs of all tasks until nothing is left. */
void chain_rig_drain(struct chain_rig *self);
/* Stage 1, in an epoch of its own: restoring begins behind here from now on. */
void chain_rig_snapshot(struct chain_rig *self, uint32_t partition);
/* What `from` has committed to its route, for reading it once more. */
void chain_rig_copy_route(struct chain_rig *self, const struct chain_rig *from);
/* The chain that has the partition. */
struct chain *chain_rig_chain(struct chain_rig *self, uint32_t stage, uint32_t partition);
