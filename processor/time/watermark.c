#include "processor/time/watermark.h"

#include "proto/sys/check.h"

#include <stdlib.h>

#define WATERMARK_MAGIC 0x3a7e12c5U

enum status watermark_init(struct watermark *self, uint32_t partition_count)
{
    *self = (struct watermark){.magic = WATERMARK_MAGIC, .us = WATERMARK_NONE};
    self->marks = calloc(partition_count == 0 ? 1 : partition_count, sizeof *self->marks);
    if (self->marks == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->partition_count = partition_count;
    self->unknown_count = partition_count;
    for (uint32_t i = 0; i < partition_count; i++) {
        self->marks[i] = (struct watermark_mark){
            .state = MILLRACE__PROCESSOR__MARK_STATE__MARK_UNKNOWN, .us = WATERMARK_NONE};
    }
    return STATUS_OK;
}

void watermark_done(struct watermark *self)
{
    free(self->marks);
    *self = (struct watermark){0};
}

static bool is_active(const struct watermark_mark *mark)
{
    return mark->state == MILLRACE__PROCESSOR__MARK_STATE__MARK_ACTIVE;
}

static bool is_unknown(const struct watermark_mark *mark)
{
    return mark->state == MILLRACE__PROCESSOR__MARK_STATE__MARK_UNKNOWN;
}

/* WATERMARK_NONE: no partition counts. */
static int64_t set_minimum(const struct watermark *self)
{
    int64_t minimum = INT64_MAX;
    bool is_found = false;
    for (uint32_t i = 0; i < self->partition_count; i++) {
        if (is_active(&self->marks[i])) {
            is_found = true;
            minimum = self->marks[i].us < minimum ? self->marks[i].us : minimum;
        }
    }
    return is_found ? minimum : WATERMARK_NONE;
}

void watermark_set(struct watermark *self, uint32_t partition, struct watermark_mark mark)
{
    check(self->magic == WATERMARK_MAGIC);
    check(partition < self->partition_count);
    struct watermark_mark *kept = &self->marks[partition];
    struct watermark_mark earlier = *kept;
    kept->us = mark.us > earlier.us ? mark.us : earlier.us;
    kept->state = mark.state;
    self->unknown_count += is_unknown(kept) ? 1U : 0U;
    self->unknown_count -= is_unknown(&earlier) ? 1U : 0U;
    if (self->unknown_count > 0) {
        return;
    }
    /* An active one that was ahead of the watermark did not hold it back: nothing moves. */
    if (is_active(&earlier) && is_active(kept) && earlier.us > self->us &&
        self->us != WATERMARK_NONE) {
        return;
    }
    int64_t minimum = set_minimum(self);
    self->us = minimum > self->us ? minimum : self->us;
}

void watermark_resume(struct watermark *self, int64_t us)
{
    check(self->magic == WATERMARK_MAGIC);
    self->us = us > self->us ? us : self->us;
}

int64_t watermark_of_time(int64_t time_us, int64_t delay_us)
{
    int64_t us = 0;
    if (__builtin_sub_overflow(time_us, delay_us, &us)) {
        return delay_us > 0 ? WATERMARK_NONE + 1 : INT64_MAX;
    }
    return us == WATERMARK_NONE ? WATERMARK_NONE + 1 : us;
}
