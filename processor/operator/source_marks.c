#include "processor/operator/source_marks.h"

#include "proto/sys/check.h"

#include <stdlib.h>

enum status source_marks_init(struct source_marks *self, const struct source_marks_options *options)
{
    check(options->task < options->task_count);
    *self = (struct source_marks){
        .task = options->task, .task_count = options->task_count, .delay_us = options->delay_us};
    for (uint32_t i = options->task; i < options->partition_count; i += options->task_count) {
        self->mark_count += 1;
    }
    self->marks = calloc((size_t)self->mark_count + 1, sizeof *self->marks);
    if (self->marks == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < self->mark_count; i++) {
        self->marks[i].held.us = WATERMARK_NONE;
    }
    return watermark_init(&self->watermark, self->mark_count);
}

void source_marks_done(struct source_marks *self)
{
    watermark_done(&self->watermark);
    free(self->marks);
    *self = (struct source_marks){0};
}

struct source_mark *source_marks_find(const struct source_marks *self, int32_t partition)
{
    bool is_ours = partition >= 0 && (uint32_t)partition % self->task_count == self->task &&
                   (uint32_t)partition / self->task_count < self->mark_count;
    return is_ours ? &self->marks[(uint32_t)partition / self->task_count] : NULL;
}

int64_t source_marks_bound_us(const struct source_marks *self, const struct source_mark *mark)
{
    if (!mark->was_excluded) {
        return mark->held.us;
    }
    if (self->task_count > 1) {
        return INT64_MAX;
    }
    int64_t greatest_us = WATERMARK_NONE;
    for (uint32_t i = 0; i < self->mark_count; i++) {
        int64_t us = self->marks[i].held.us;
        greatest_us = us > greatest_us ? us : greatest_us;
    }
    return greatest_us;
}

void source_marks_resume(struct source_marks *self, int32_t partition, struct watermark_mark mark)
{
    struct source_mark *kept = source_marks_find(self, partition);
    check(kept != NULL);
    kept->held = mark;
    kept->state = mark.state;
    watermark_set(&self->watermark, (uint32_t)partition / self->task_count, mark);
}

void source_marks_set_state(struct source_marks *self, int32_t partition,
                            Millrace__Processor__MarkState state)
{
    struct source_mark *mark = source_marks_find(self, partition);
    check(mark != NULL);
    mark->state = state;
    /* From now on, not from the end of the epoch: the safe side costs no more than bytes. */
    if (state == MILLRACE__PROCESSOR__MARK_STATE__MARK_EMPTY ||
        state == MILLRACE__PROCESSOR__MARK_STATE__MARK_IDLE) {
        mark->was_excluded = true;
    }
}

void source_marks_take(struct source_marks *self, int32_t partition, int64_t time_max_us)
{
    struct source_mark *mark = source_marks_find(self, partition);
    check(mark != NULL);
    if (!mark->has_time || time_max_us > mark->time_max_us) {
        mark->time_max_us = time_max_us;
    }
    mark->has_time = true;
    mark->state = MILLRACE__PROCESSOR__MARK_STATE__MARK_ACTIVE;
}

static struct watermark_mark next_mark(const struct source_marks *self,
                                       const struct source_mark *mark)
{
    struct watermark_mark next = {.state = mark->state, .us = mark->held.us};
    if (mark->has_time) {
        int64_t us = watermark_of_time(mark->time_max_us, self->delay_us);
        next.us = us > next.us ? us : next.us;
    }
    return next;
}

static bool is_due(const struct source_marks *self, const struct source_mark *mark)
{
    struct watermark_mark next = next_mark(self, mark);
    return next.state != mark->held.state || next.us != mark->held.us;
}

bool source_marks_are_due(const struct source_marks *self)
{
    for (uint32_t i = 0; i < self->mark_count; i++) {
        if (is_due(self, &self->marks[i])) {
            return true;
        }
    }
    return false;
}

enum status source_marks_end_epoch(struct source_marks *self, struct route_record_writer *writer)
{
    for (uint32_t i = 0; i < self->mark_count; i++) {
        struct source_mark *mark = &self->marks[i];
        if (is_due(self, mark)) {
            mark->held = next_mark(self, mark);
            watermark_set(&self->watermark, i, mark->held);
            int32_t partition = (int32_t)(self->task + i * self->task_count);
            TRY(writer == NULL ? STATUS_OK : route_record_put_mark(writer, partition, mark->held));
        }
        mark->has_time = false;
    }
    return STATUS_OK;
}
