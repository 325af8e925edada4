#include "broker/log/read_pin.h"

#include "proto/sys/check.h"

#include <stdlib.h>

#define READ_PIN_MAGIC 0x4ead9144U

struct read_pin *read_pin_new(struct block_pool *pool, struct log_read *read, uint32_t chunk_room,
                              uint32_t slice_room, uint32_t batch_room)
{
    /* All of them in one piece; every part is a multiple of eight bytes. */
    size_t chunks_bytes = chunk_room * sizeof(struct tail_chunk *);
    size_t slices_bytes = slice_room * sizeof(struct wire_slice);
    size_t ingested_bytes = batch_room * sizeof(int64_t);
    size_t byte_count = sizeof(struct read_pin) + chunks_bytes + slices_bytes + ingested_bytes;
    if (!budget_take(pool->budget, byte_count)) {
        return NULL;
    }
    struct read_pin *self = malloc(byte_count);
    if (self == NULL) {
        budget_give(pool->budget, byte_count);
        return NULL;
    }
    *self = (struct read_pin){
        .magic = READ_PIN_MAGIC, .pool = pool, .budget = pool->budget, .charged_bytes = byte_count};
    char *place = (char *)(self + 1);
    self->chunks = (struct tail_chunk **)(void *)place;
    read->slices = (struct wire_slice *)(void *)(place + chunks_bytes);
    read->ingested_ms = (int64_t *)(void *)(place + chunks_bytes + slices_bytes);
    read->slice_count = 0;
    read->batch_count = 0;
    read->byte_count = 0;
    return self;
}

void read_pin_free(struct read_pin *self)
{
    check(self->magic == READ_PIN_MAGIC);
    for (uint32_t i = 0; i < self->chunk_count; i++) {
        tail_chunk_unref(self->chunks[i]);
    }
    block_pool_give(self->pool, self->buffer, self->buffer_bytes);
    budget_give(self->budget, self->charged_bytes);
    self->magic = 0;
    free(self);
}
