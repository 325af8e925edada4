/* The watermark that the marks of all source partitions make together.
 *
 * A partition's mark is its greatest event time less the delay. The watermark is the minimum over
 * active partitions; empty and idle ones do not count; one that nothing is known of yet holds
 * everything back. When no partition counts it stays. Neither a mark nor the watermark goes back,
 * and the watermark follows each single mark, so that it does not depend on when it is asked.
 *
 * Owner: the chain. Loop: its. Limits: `partition_count`, fixed at init. */
#pragma once

#include "proto/internal/processor_record.pb-c.h"
#include "proto/sys/status.h"

#include <stdbool.h>
#include <stdint.h>

#define WATERMARK_NONE INT64_MIN /* Nothing is late yet. */

struct watermark_mark {
    Millrace__Processor__MarkState state;
    int64_t us; /* WATERMARK_NONE: never had one. */
};

struct watermark {
    uint32_t magic;
    uint32_t partition_count;
    uint32_t unknown_count;
    int64_t us;
    struct watermark_mark *marks; /* Owned; one per partition. */
};

/* All unknown. On failure `self` may still be passed to watermark_done(). */
MUST_USE enum status watermark_init(struct watermark *self, uint32_t partition_count);
void watermark_done(struct watermark *self);

/* What was heard of `partition`; a mark that is behind the one it had leaves it. */
void watermark_set(struct watermark *self, uint32_t partition, struct watermark_mark mark);
/* What it was when the job stopped; from there it only rises. */
void watermark_resume(struct watermark *self, int64_t us);

/* The mark of `time_us` under a delay, within what can be said. */
int64_t watermark_of_time(int64_t time_us, int64_t delay_us);
