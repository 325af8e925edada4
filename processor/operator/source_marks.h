/* Marks of the source partitions that a task of stage 0 reads.
 *
 * Within an epoch event times are only taken up; a mark moves, and is sent behind the epoch's rows,
 * at its end. Whatever decides how a row travels looks at the mark of the end before.
 *
 * Owner: the chain. Loop: its. */
#pragma once

#include "processor/operator/route_record.h"

struct source_mark {
    struct watermark_mark held;           /* As of the last end of an epoch. */
    Millrace__Processor__MarkState state; /* As it will be at the next one. */
    bool has_time;                        /* A row with an event time came in this epoch. */
    int64_t time_max_us;
    bool was_excluded; /* It did not hold the watermark back at some time. */
};

struct source_marks {
    struct source_mark *marks; /* Owned; of the partitions task, task + task_count, … */
    uint32_t mark_count;
    uint32_t task;
    uint32_t task_count;
    int64_t delay_us;
    struct watermark watermark; /* Over these partitions only. */
};

struct source_marks_options {
    uint32_t partition_count; /* Of the source. */
    uint32_t task;
    uint32_t task_count;
    int64_t delay_us;
};

/* On failure `self` may still be passed to source_marks_done(). */
MUST_USE enum status source_marks_init(struct source_marks *self,
                                       const struct source_marks_options *options);
void source_marks_done(struct source_marks *self);
/* NULL: not of this task. */
struct source_mark *source_marks_find(const struct source_marks *self, int32_t partition);
/* The watermark behind the route cannot be above this when rows of the partition come there: its
 * own mark, or, once it did not hold the watermark back, the greatest of all marks. INT64_MAX:
 * other tasks have marks that are not known here. */
int64_t source_marks_bound_us(const struct source_marks *self, const struct source_mark *mark);
void source_marks_resume(struct source_marks *self, int32_t partition, struct watermark_mark mark);
void source_marks_set_state(struct source_marks *self, int32_t partition,
                            Millrace__Processor__MarkState state);
/* A row of the partition had this event time at the most. */
void source_marks_take(struct source_marks *self, int32_t partition, int64_t time_max_us);
bool source_marks_are_due(const struct source_marks *self);
/* The epoch is over: marks move; those that did go to `writer` (NULL: there is no route). */
MUST_USE enum status source_marks_end_epoch(struct source_marks *self,
                                            struct route_record_writer *writer);
