#include "client/fetch_walk.h"

#include "proto/record/batch_check.h"
#include "proto/record/control_record.h"
#include "proto/sys/check.h"

#include <stdlib.h>

static int compare_aborted(const void *left, const void *right)
{
    const struct fetch_walk_aborted *one = left;
    const struct fetch_walk_aborted *other = right;
    if (one->producer_id != other->producer_id) {
        return one->producer_id < other->producer_id ? -1 : 1;
    }
    if (one->first_offset != other->first_offset) {
        return one->first_offset < other->first_offset ? -1 : 1;
    }
    return 0;
}

void fetch_walk_init(struct fetch_walk *self, const struct fetch_walk_source *source)
{
    *self =
        (struct fetch_walk){.source = *source, .ingested_ms = -1, .next_offset = source->position};
    batch_iterator_init(&self->batches, source->bytes, source->byte_count);
    if (source->is_committed && source->aborted_count > 0) {
        qsort(source->aborted, source->aborted_count, sizeof *source->aborted, compare_aborted);
    }
}

/* The producer's first aborted transaction that is not over; NULL: none. */
static struct fetch_walk_aborted *open_transaction(struct fetch_walk *self, int64_t producer_id)
{
    uint32_t low = 0;
    uint32_t high = self->source.aborted_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct fetch_walk_aborted *row = &self->source.aborted[middle];
        /* Rows of one producer are over from the first one on. */
        if (row->producer_id < producer_id || (row->producer_id == producer_id && row->is_over)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == self->source.aborted_count || self->source.aborted[low].producer_id != producer_id) {
        return NULL;
    }
    return &self->source.aborted[low];
}

static bool is_visible(struct fetch_walk *self, const struct batch_view *batch)
{
    if (batch_is_control(batch)) {
        struct control_record control;
        struct fetch_walk_aborted *open =
            self->source.is_committed ? open_transaction(self, batch_producer_id(batch)) : NULL;
        if (open != NULL && open->first_offset <= batch_base_offset(batch) &&
            control_record_of_batch(batch, &control) == STATUS_OK &&
            control.type == CONTROL_RECORD_ABORT) {
            open->is_over = true;
        }
        return false;
    }
    if (self->source.is_committed && batch_is_transactional(batch)) {
        const struct fetch_walk_aborted *open = open_transaction(self, batch_producer_id(batch));
        if (open != NULL && open->first_offset <= batch_base_offset(batch)) {
            return false;
        }
    }
    return batch_last_offset(batch) >= self->source.position && batch_record_count(batch) > 0;
}

enum status fetch_walk_batch(struct fetch_walk *self, struct decompressor *decompressor,
                             struct decompressor_output *output)
{
    for (;;) {
        struct batch_iterator before = self->batches;
        struct batch_view batch;
        TRY(batch_iterator_next(&self->batches, &batch));
        struct batch_verdict verdict;
        enum status status = batch_check_stored(&batch, &verdict);
        if (status != STATUS_OK && !batch_has_right_checksum(&batch)) {
            status = STATUS_CORRUPT; /* Damaged, not malformed by its writer. */
        }
        bool is_shown = status == STATUS_OK && is_visible(self, &batch);
        if (is_shown) {
            status = record_iterator_init(&self->records, &batch, decompressor, output);
        }
        if (status != STATUS_OK) {
            self->batches = before;
            return status;
        }
        uint32_t index = self->batch_index++;
        self->ingested_ms =
            index < self->source.ingested_count ? self->source.ingested_ms[index] : -1;
        if (batch_next_offset(&batch) > self->next_offset) {
            self->next_offset = batch_next_offset(&batch);
        }
        if (is_shown) {
            self->batch = batch;
            return STATUS_OK;
        }
    }
}

enum status fetch_walk_record(struct fetch_walk *self, struct record *out_record)
{
    for (;;) {
        struct record record;
        TRY(record_iterator_next(&self->records, &record));
        if (record.offset >= self->source.position) {
            *out_record = record;
            return STATUS_OK;
        }
    }
}

enum status fetch_walk_measure(const void *bytes, size_t byte_count, int64_t position,
                               int64_t *out_next_offset, int32_t *out_leader_epoch)
{
    struct batch_iterator batches;
    batch_iterator_init(&batches, bytes, byte_count);
    int64_t next_offset = position;
    int32_t leader_epoch = -1;
    struct batch_view batch;
    enum status status;
    bool is_first = true;
    while ((status = batch_iterator_next(&batches, &batch)) == STATUS_OK) {
        is_first = false;
        if (batch_next_offset(&batch) > next_offset) {
            next_offset = batch_next_offset(&batch);
            leader_epoch = batch_leader_epoch(&batch);
        }
    }
    if (status != STATUS_NOT_FOUND && is_first) {
        return status;
    }
    *out_next_offset = next_offset;
    *out_leader_epoch = leader_epoch;
    return STATUS_OK;
}
