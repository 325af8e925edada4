/* Walks the batches in a run of bytes, as a fetch answers them or a segment holds them.
 *
 * A batch that is cut short by the end of the run is no error: it is the end. The iterator looks at
 * lengths and magic only; ask batch_check.h before believing what a batch says.
 * Owner: the walker. Loop: any. The bytes are borrowed throughout. */
#pragma once

#include "proto/record/batch.h"

struct batch_iterator {
    const uint8_t *next;
    const uint8_t *end;
};

void batch_iterator_init(struct batch_iterator *self, const void *bytes, size_t byte_count);
/* NOT_FOUND: no further whole batch; else as batch_view_init(), and the iterator stays there. */
MUST_USE enum status batch_iterator_next(struct batch_iterator *self, struct batch_view *out_batch);
/* Bytes behind the last batch returned. */
static inline size_t batch_iterator_left(const struct batch_iterator *self)
{
    return (size_t)(self->end - self->next);
}
