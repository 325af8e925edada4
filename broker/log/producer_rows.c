#include "broker/log/producer_rows.h"

#include "broker/log/entry_room.h"
#include "proto/record/control_record.h"
#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

#define PRODUCER_ROWS_MAGIC 0x920d0c35U
#define SLOTS_FIRST 32U

void producer_rows_init(struct producer_rows *self)
{
    *self = (struct producer_rows){.magic = PRODUCER_ROWS_MAGIC};
}

void producer_rows_done(struct producer_rows *self)
{
    check(self->magic == PRODUCER_ROWS_MAGIC || self->rows == NULL);
    free(self->rows);
    free(self->slots);
    *self = (struct producer_rows){0};
}

/* The slot of `producer_id`, or the free one where it would be. */
static uint32_t find_slot(const struct producer_rows *self, int64_t producer_id)
{
    check(self->slot_count > self->row_count);
    uint64_t hash = (uint64_t)producer_id * UINT64_C(0x9e3779b97f4a7c15);
    uint32_t slot = (uint32_t)(hash >> 32) & (self->slot_count - 1);
    while (self->slots[slot] != 0 && self->rows[self->slots[slot] - 1].producer_id != producer_id) {
        slot = (slot + 1) & (self->slot_count - 1);
    }
    return slot;
}

/* At most half of the slots are taken. */
static enum status grow(struct producer_rows *self)
{
    void *rows = self->rows;
    TRY(entry_room_reserve(&rows, &self->room, self->row_count + 1, SNAPSHOT_FILE_ROWS_MAX,
                           sizeof *self->rows));
    self->rows = rows;
    if ((self->row_count + 1) * 2 <= self->slot_count) {
        return STATUS_OK;
    }
    uint32_t slot_count = self->slot_count == 0 ? SLOTS_FIRST : self->slot_count * 2;
    uint32_t *slots = calloc(slot_count, sizeof *slots);
    if (slots == NULL) {
        return STATUS_NO_MEMORY;
    }
    free(self->slots);
    self->slots = slots;
    self->slot_count = slot_count;
    for (uint32_t row = 0; row < self->row_count; row++) {
        self->slots[find_slot(self, self->rows[row].producer_id)] = row + 1;
    }
    return STATUS_OK;
}

static enum status find_or_add(struct producer_rows *self, int64_t producer_id, int16_t epoch,
                               struct snapshot_file_row **out_row)
{
    TRY(grow(self));
    uint32_t slot = find_slot(self, producer_id);
    if (self->slots[slot] == 0) {
        self->rows[self->row_count] = (struct snapshot_file_row){.producer_id = producer_id,
                                                                 .producer_epoch = epoch,
                                                                 .last_sequence = -1,
                                                                 .last_offset = -1,
                                                                 .timestamp_ms = -1,
                                                                 .coordinator_epoch = -1,
                                                                 .txn_first_offset = -1};
        self->row_count += 1;
        self->slots[slot] = self->row_count;
    }
    *out_row = &self->rows[self->slots[slot] - 1];
    return STATUS_OK;
}

enum status producer_rows_load(struct producer_rows *self, const struct snapshot_file_row *rows,
                               uint32_t row_count)
{
    check(self->magic == PRODUCER_ROWS_MAGIC);
    self->row_count = 0;
    if (self->slot_count > 0) {
        memset(self->slots, 0, self->slot_count * sizeof *self->slots);
    }
    for (uint32_t i = 0; i < row_count; i++) {
        struct snapshot_file_row *row = NULL;
        TRY(find_or_add(self, rows[i].producer_id, rows[i].producer_epoch, &row));
        check(self->row_count == i + 1);
        *row = rows[i];
    }
    return STATUS_OK;
}

const struct snapshot_file_row *producer_rows_find(const struct producer_rows *self,
                                                   int64_t producer_id)
{
    check(self->magic == PRODUCER_ROWS_MAGIC);
    if (self->row_count == 0) {
        return NULL;
    }
    uint32_t row = self->slots[find_slot(self, producer_id)];
    return row == 0 ? NULL : &self->rows[row - 1];
}

/* Another epoch begins its sequences anew. */
static void move_epoch(struct snapshot_file_row *row, int16_t epoch)
{
    if (row->producer_epoch != epoch) {
        row->producer_epoch = epoch;
        row->last_sequence = -1;
        row->last_offset = -1;
        row->offset_delta = 0;
    }
}

static enum status follow_data(struct producer_rows *self, const struct batch_view *batch)
{
    struct snapshot_file_row *row = NULL;
    TRY(find_or_add(self, batch_producer_id(batch), batch_producer_epoch(batch), &row));
    move_epoch(row, batch_producer_epoch(batch));
    row->last_sequence = batch_last_sequence(batch);
    row->last_offset = batch_last_offset(batch);
    row->offset_delta = batch_last_offset_delta(batch);
    row->timestamp_ms = batch_max_timestamp(batch);
    if (batch_is_transactional(batch) && row->txn_first_offset < 0) {
        row->txn_first_offset = batch_base_offset(batch);
    }
    return STATUS_OK;
}

/* The first offset that is still undecided, the marker's own transaction being closed already. */
static int64_t stable_offset(const struct producer_rows *self, int64_t marker_offset)
{
    int64_t stable = marker_offset + 1;
    for (uint32_t i = 0; i < self->row_count; i++) {
        const struct snapshot_file_row *row = &self->rows[i];
        if (row->txn_first_offset >= 0 && row->txn_first_offset < stable) {
            stable = row->txn_first_offset;
        }
    }
    return stable;
}

static enum status follow_marker(struct producer_rows *self, const struct batch_view *batch,
                                 const struct control_record *control,
                                 struct log_aborted_txn *out_aborted, bool *out_is_aborted)
{
    struct snapshot_file_row *row = NULL;
    TRY(find_or_add(self, batch_producer_id(batch), batch_producer_epoch(batch), &row));
    int64_t first_offset = row->txn_first_offset;
    int64_t marker_offset = batch_base_offset(batch);
    if (first_offset >= marker_offset) {
        return STATUS_CORRUPT;
    }
    move_epoch(row, batch_producer_epoch(batch));
    row->coordinator_epoch = control->coordinator_epoch;
    row->timestamp_ms = batch_max_timestamp(batch);
    row->txn_first_offset = -1;
    if (first_offset < 0 || control->type != CONTROL_RECORD_ABORT) {
        return STATUS_OK;
    }
    *out_aborted = (struct log_aborted_txn){
        .producer_id = row->producer_id,
        .first_offset = first_offset,
        .last_offset = marker_offset,
        .last_stable_offset = stable_offset(self, marker_offset),
    };
    *out_is_aborted = true;
    return STATUS_OK;
}

enum status producer_rows_follow(struct producer_rows *self, const struct batch_view *batch,
                                 struct log_aborted_txn *out_aborted, bool *out_is_aborted)
{
    check(self->magic == PRODUCER_ROWS_MAGIC);
    *out_is_aborted = false;
    if (batch_producer_id(batch) < 0) {
        return STATUS_OK;
    }
    if (!batch_is_control(batch)) {
        return follow_data(self, batch);
    }
    struct control_record control;
    enum status status = control_record_of_batch(batch, &control);
    if (status == STATUS_NOT_FOUND) {
        return STATUS_OK; /* Compaction took the marker: the whole transaction is gone. */
    }
    if (status != STATUS_OK) {
        return STATUS_CORRUPT;
    }
    if (control.type != CONTROL_RECORD_ABORT && control.type != CONTROL_RECORD_COMMIT) {
        return STATUS_OK;
    }
    return follow_marker(self, batch, &control, out_aborted, out_is_aborted);
}
