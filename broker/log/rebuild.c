#include "broker/log/rebuild.h"

#include "proto/record/batch_check.h"
#include "proto/record/batch_iterator.h"
#include "proto/sys/check.h"

void rebuild_begin(struct rebuild *self)
{
    check(self->indexes != NULL);
    check(self->next_offset >= self->indexes->offsets.base_offset);
    check(self->position == 0 || self->next_offset > self->indexes->offsets.base_offset);
    offset_index_truncate(&self->indexes->offsets, self->next_offset);
    time_index_truncate(&self->indexes->times, self->next_offset);
    txn_index_truncate(&self->indexes->txns, self->next_offset);
}

static enum status check_batch(const struct rebuild *self, const struct batch_view *view,
                               const struct index_set_batch *batch)
{
    struct batch_verdict verdict;
    if (batch_check_stored(view, &verdict) != STATUS_OK || batch->base_offset < self->next_offset ||
        (batch->base_offset > self->next_offset && !self->has_gaps)) {
        return STATUS_CORRUPT;
    }
    return index_set_has_room(self->indexes, batch) ? STATUS_OK : STATUS_FULL;
}

static enum status follow_producer(struct rebuild *self, const struct batch_view *view)
{
    struct log_aborted_txn aborted;
    bool is_aborted = false;
    TRY(producer_rows_follow(self->producers, view, &aborted, &is_aborted));
    return is_aborted ? txn_index_append(&self->indexes->txns, &aborted) : STATUS_OK;
}

static enum status take(struct rebuild *self, const struct batch_view *view,
                        const int64_t *ingested_ms)
{
    struct index_set_batch batch = {.base_offset = batch_base_offset(view),
                                    .last_offset = batch_last_offset(view),
                                    .max_timestamp_ms = batch_max_timestamp(view),
                                    .position = self->position};
    TRY(check_batch(self, view, &batch));
    if (self->producers != NULL) {
        TRY(follow_producer(self, view));
    }
    if (ingested_ms == NULL) {
        TRY(index_set_add_again(self->indexes, &batch));
    } else {
        batch.ingested_ms = *ingested_ms;
        TRY(index_set_add(self->indexes, &batch));
    }
    if (self->epochs != NULL && batch_leader_epoch(view) > epoch_history_latest(self->epochs)) {
        (void)epoch_history_assign(self->epochs, batch_leader_epoch(view), batch.base_offset);
    }
    self->position += view->byte_count;
    self->next_offset = batch.last_offset + 1;
    return STATUS_OK;
}

enum status rebuild_walk(struct rebuild *self, const uint8_t *bytes, size_t byte_count,
                         size_t *out_byte_count)
{
    struct batch_iterator iterator;
    batch_iterator_init(&iterator, bytes, byte_count);
    enum status status = STATUS_OK;
    *out_byte_count = 0;
    while (status == STATUS_OK) {
        struct batch_view view;
        status = batch_iterator_next(&iterator, &view);
        if (status == STATUS_NOT_FOUND) {
            return STATUS_OK;
        }
        status = status == STATUS_OK ? take(self, &view, NULL) : STATUS_CORRUPT;
        if (status == STATUS_OK) {
            *out_byte_count += view.byte_count;
        }
    }
    return status;
}

enum status rebuild_add(struct rebuild *self, const uint8_t *bytes, size_t byte_count,
                        int64_t ingested_ms)
{
    struct batch_view view;
    if (batch_view_init(&view, bytes, byte_count) != STATUS_OK || view.byte_count != byte_count) {
        return STATUS_CORRUPT;
    }
    return take(self, &view, &ingested_ms);
}
