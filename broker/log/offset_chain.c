#include "broker/log/offset_chain.h"

uint32_t offset_chain_begin(struct offset_chain *self, const struct offset_index *index,
                            int64_t offset)
{
    uint32_t position = offset_index_floor_batch(index, offset, &self->last_offset);
    self->next_offset = self->last_offset < 0 ? index->base_offset : -1;
    return position;
}

enum status offset_chain_add(struct offset_chain *self, const struct batch_view *batch)
{
    bool is_placed = self->next_offset < 0 ? batch_last_offset(batch) == self->last_offset
                                           : batch_base_offset(batch) == self->next_offset;
    if (!is_placed || batch_last_offset_delta(batch) < 0) {
        return STATUS_CORRUPT;
    }
    self->next_offset = batch_next_offset(batch);
    return STATUS_OK;
}
