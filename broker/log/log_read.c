#include "broker/log/log.h"

#include "broker/log/cold_read.h"
#include "broker/log/log_store.h"
#include "broker/log/read_pin.h"
#include "proto/sys/check.h"

/* How much of the tail the read takes: counted first, then filled. */
struct take {
    uint32_t chunk_count;
    uint32_t batch_count;
    size_t byte_count;
    bool is_over;
};

/* Whether the next batch belongs to the answer. */
static bool take_batch(struct take *take, const struct log_read *read,
                       const struct tail_batch *batch)
{
    if (batch->base_offset >= read->offset_limit || batch->next_offset > read->offset_limit) {
        take->is_over = true;
        return false;
    }
    bool is_first = take->batch_count == 0;
    bool fits = take->byte_count + batch->byte_count <= read->byte_count_max;
    if (!fits && !(is_first && read->at_least_one)) {
        take->is_over = true;
        return false;
    }
    take->batch_count += 1;
    take->byte_count += batch->byte_count;
    return true;
}

static struct tail_chunk *next_chunk(const struct log *log, struct tail_chunk *chunk)
{
    return chunk->link.next == &log->tail.chunks
               ? NULL
               : container_of(chunk->link.next, struct tail_chunk, link);
}

static struct take count_tail(const struct log *log, const struct log_read *read,
                              struct tail_chunk *chunk, uint32_t batch)
{
    struct take take = {0};
    for (; chunk != NULL && !take.is_over; chunk = next_chunk(log, chunk), batch = 0) {
        uint32_t before = take.batch_count;
        while (batch < chunk->batch_count && take_batch(&take, read, &chunk->batches[batch])) {
            batch += 1;
        }
        take.chunk_count += take.batch_count > before;
    }
    return take;
}

static void fill_from_tail(const struct log *log, struct log_read *read, struct read_pin *pin,
                           struct tail_chunk *chunk, uint32_t batch)
{
    struct take take = {0};
    for (; chunk != NULL && !take.is_over; chunk = next_chunk(log, chunk), batch = 0) {
        uint32_t first = batch;
        while (batch < chunk->batch_count && take_batch(&take, read, &chunk->batches[batch])) {
            read->ingested_ms[read->batch_count] = chunk->batches[batch].ingested_ms;
            read->batch_count += 1;
            batch += 1;
        }
        if (batch == first) {
            continue;
        }
        /* Batches of a chunk lie one behind the other. */
        const struct tail_batch *last = &chunk->batches[batch - 1];
        uint32_t start = chunk->batches[first].start;
        pin->chunks[pin->chunk_count] = tail_chunk_ref(chunk);
        pin->chunk_count += 1;
        read->slices[read->slice_count] = (struct wire_slice){
            .base = chunk->bytes + start, .byte_count = last->start + last->byte_count - start};
        read->slice_count += 1;
        read->next_offset = last->next_offset;
    }
    read->byte_count = take.byte_count;
}

static enum status read_tail(struct log *log, struct log_read *read, struct tail_chunk *chunk,
                             uint32_t batch)
{
    struct take take = count_tail(log, read, chunk, batch);
    if (take.batch_count == 0) {
        return STATUS_OK;
    }
    struct read_pin *pin =
        read_pin_new(&log->store->pool, read, take.chunk_count, take.chunk_count, take.batch_count);
    if (pin == NULL) {
        return STATUS_BUSY;
    }
    fill_from_tail(log, read, pin, chunk, batch);
    check(read->batch_count == take.batch_count);
    check(read->byte_count == take.byte_count);
    read->pin = pin;
    return STATUS_OK;
}

enum status log_read(struct log *self, struct log_read *read)
{
    check(!self->is_deleted);
    read->slices = NULL;
    read->slice_count = 0;
    read->byte_count = 0;
    read->next_offset = read->offset;
    read->ingested_ms = NULL;
    read->batch_count = 0;
    read->log = self;
    read->pin = NULL;
    list_init(&read->link);
    return log_read_from(self, read);
}

enum status log_read_from(struct log *self, struct log_read *read)
{
    const struct log_state *state = &self->state;
    if (read->offset < state->start || read->offset > state->end) {
        return STATUS_OUT_OF_RANGE;
    }
    if (read->offset >= state->end || read->offset >= read->offset_limit) {
        return STATUS_OK;
    }
    struct tail_chunk *chunk = NULL;
    uint32_t batch = 0;
    if (tail_find(&self->tail, read->offset, &chunk, &batch)) {
        return read_tail(self, read, chunk, batch);
    }
    return cold_read_start(self, read);
}

void log_read_release(struct log_read *read)
{
    if (read->pin != NULL) {
        read_pin_free(read->pin);
        read->pin = NULL;
    }
    read->slices = NULL;
    read->slice_count = 0;
    read->ingested_ms = NULL;
    read->batch_count = 0;
}
