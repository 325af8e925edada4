#include "proto/record/batch_iterator.h"

void batch_iterator_init(struct batch_iterator *self, const void *bytes, size_t byte_count)
{
    self->next = bytes;
    self->end = byte_count == 0 ? self->next : self->next + byte_count;
}

enum status batch_iterator_next(struct batch_iterator *self, struct batch_view *out_batch)
{
    TRY(batch_view_init(out_batch, self->next, batch_iterator_left(self)));
    self->next += out_batch->byte_count;
    return STATUS_OK;
}
