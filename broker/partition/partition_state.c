#include "broker/partition/partition_state.h"

#include "proto/record/batch.h"
#include "proto/record/control_record.h"
#include "proto/sys/check.h"

#include <stdlib.h>

int64_t partition_state_stable_offset(const struct partition *self)
{
    int64_t offset = txn_span_last_stable_offset(self->txns, self->high_watermark);
    /* Retention may pass the first record of an open transaction. */
    return offset < log_start(self->log) ? log_start(self->log) : offset;
}

int64_t partition_state_limit(const struct partition *self, enum partition_isolation isolation)
{
    switch (isolation) {
    case PARTITION_READ_UNCOMMITTED:
        return self->high_watermark;
    case PARTITION_READ_COMMITTED:
        return partition_state_stable_offset(self);
    case PARTITION_READ_REPLICA:
        return log_end(self->log);
    }
    check_unreachable("isolation outside its table");
}

void partition_state_advance(struct partition *self)
{
    check(self->magic == PARTITION_MAGIC);
    if (self->role != PARTITION_ROLE_LEADER) {
        return;
    }
    check(self->replicas.high_watermark >= self->high_watermark);
    check(self->replicas.high_watermark <= log_end(self->log));
    self->high_watermark = self->replicas.high_watermark;
    partition_state_tell_mark(self);
}

void partition_state_tell_mark(struct partition *self)
{
    log_set_retention_limit(self->log, self->high_watermark);
    parked_line_wake(&self->high_watermark_line, self->high_watermark);
    parked_line_wake(&self->stable_line, partition_state_stable_offset(self));
}

enum partition_fault partition_state_fault(const struct partition *self, int32_t leader_epoch)
{
    if (self->role == PARTITION_ROLE_FAILED) {
        return PARTITION_FAULT_STORAGE;
    }
    if (leader_epoch >= 0 && leader_epoch < self->leader_epoch) {
        return PARTITION_FAULT_FENCED_LEADER_EPOCH;
    }
    if (leader_epoch > self->leader_epoch) {
        return PARTITION_FAULT_UNKNOWN_LEADER_EPOCH;
    }
    return self->role == PARTITION_ROLE_LEADER ? PARTITION_FAULT_NONE : PARTITION_FAULT_NOT_LEADER;
}

/* The log writes a marker and what it aborts as two records, and a crash may fall in between: only
 * what is aborted behind all that it knows is news. */
static enum status is_news(struct partition *self, const struct log_aborted_txn *aborted,
                           bool *out_is_news)
{
    struct log_aborted_txn row;
    uint32_t count = 0;
    enum status status =
        log_list_aborted_txns(self->log, aborted->last_offset, INT64_MAX, &row, 1, &count);
    bool are_more = status == STATUS_FULL;
    *out_is_news = count == 0 && !are_more;
    return are_more ? STATUS_OK : status;
}

static enum status follow_marker(struct partition *self, const struct producer_write *write,
                                 bool is_replay)
{
    struct txn_span_end end;
    enum status status = txn_span_complete(self->txns, write->producer_id, write->base_offset,
                                           !write->is_commit, &end);
    if (status == STATUS_NOT_FOUND) {
        return STATUS_OK; /* A marker without data decides nothing here. */
    }
    TRY(status);
    if (!end.is_aborted) {
        return STATUS_OK;
    }
    struct log_aborted_txn aborted = {.producer_id = write->producer_id,
                                      .first_offset = end.first_offset,
                                      .last_offset = end.last_offset,
                                      .last_stable_offset = end.last_stable_offset};
    bool must_tell = true;
    if (is_replay) {
        TRY(is_news(self, &aborted, &must_tell));
    }
    return must_tell ? log_append_aborted_txn(self->log, &aborted) : STATUS_OK;
}

enum status partition_state_follow(struct partition *self, const uint8_t *batch, size_t byte_count,
                                   bool is_replay)
{
    struct producer_write write;
    if (!partition_state_write_of(batch, byte_count, &write)) {
        return STATUS_OK;
    }
    TRY(producer_state_apply(self->producers, &write));
    if (write.is_marker) {
        txn_pass_spoil(&self->passes, write.producer_id);
        return follow_marker(self, &write, is_replay);
    }
    return write.is_transactional ? txn_span_begin(self->txns, write.producer_id, write.base_offset)
                                  : STATUS_OK;
}

bool partition_state_write_of(const uint8_t *batch, size_t byte_count,
                              struct producer_write *out_write)
{
    struct batch_view view;
    enum status status = batch_view_init(&view, batch, byte_count);
    check(status == STATUS_OK); /* Checked when it came in. */
    if (batch_producer_id(&view) < 0) {
        return false;
    }
    *out_write = (struct producer_write){.producer_id = batch_producer_id(&view),
                                         .epoch = batch_producer_epoch(&view),
                                         .base_sequence = batch_base_sequence(&view),
                                         .last_sequence = batch_last_sequence(&view),
                                         .base_offset = batch_base_offset(&view),
                                         .last_offset = batch_last_offset(&view),
                                         .timestamp_ms = batch_max_timestamp(&view),
                                         .is_transactional = batch_is_transactional(&view),
                                         .coordinator_epoch = -1};
    if (!batch_is_control(&view)) {
        return batch_record_count(&view) > 0 || out_write->base_sequence >= 0;
    }
    struct control_record control;
    if (control_record_of_batch(&view, &control) != STATUS_OK ||
        (control.type != CONTROL_RECORD_ABORT && control.type != CONTROL_RECORD_COMMIT)) {
        return false;
    }
    out_write->is_marker = true;
    out_write->is_commit = control.type == CONTROL_RECORD_COMMIT;
    out_write->coordinator_epoch = control.coordinator_epoch;
    return true;
}

static enum status replay_on_batch(void *context, const uint8_t *batch, size_t byte_count,
                                   int64_t ingested_ms)
{
    struct partition *self = context;
    struct batch_view view;
    (void)ingested_ms;
    TRY(batch_view_init(&view, batch, byte_count));
    self->rebuilt_to = batch_base_offset(&view);
    if (batch_producer_id(&view) >= 0 && batch_base_sequence(&view) < -1) {
        return STATUS_CORRUPT; /* No leader takes it. */
    }
    TRY(partition_state_follow(self, batch, byte_count, true));
    self->rebuilt_to = batch_next_offset(&view);
    return STATUS_OK;
}

/* Transactions that were open when the snapshot was taken are open still. */
static enum status begin_snapshot_txns(struct partition *self)
{
    for (const struct producer_entry *entry = producer_state_first(self->producers); entry != NULL;
         entry = producer_state_next(self->producers, entry)) {
        if (entry->txn_first_offset >= 0) {
            TRY(txn_span_begin(self->txns, entry->producer_id, entry->txn_first_offset));
        }
    }
    return STATUS_OK;
}

/* What lies below the log's start counts as long as it is there: transactions that the snapshot
 * has open may have ended in it. */
enum status partition_state_rebuild(struct partition *self)
{
    producer_state_clear(self->producers);
    txn_span_clear(self->txns);
    int64_t offset = log_start(self->log);
    uint8_t *bytes = NULL;
    size_t byte_count = 0;
    TRY(log_load_snapshot(self->log, &offset, &bytes, &byte_count));
    if (bytes != NULL) {
        enum status status = producer_state_load(self->producers, bytes, byte_count);
        free(bytes);
        bool is_of_this_log = status == STATUS_OK && offset <= log_end(self->log) &&
                              producer_state_is_below(self->producers, offset);
        if (!is_of_this_log) {
            /* A snapshot is only a shortcut: what it held is in the log as well. */
            producer_state_clear(self->producers);
            offset = log_start(self->log);
        } else if (offset < log_oldest(self->log)) {
            producer_state_doubt(self->producers);
        }
    }
    TRY(begin_snapshot_txns(self));
    self->rebuilt_to = offset;
    enum status status = log_replay(self->log, offset, replay_on_batch, self);
    /* A file that should be there, and what its log refuses to hold, are damage, too. */
    bool is_damage = status == STATUS_NOT_FOUND || status == STATUS_INVALID;
    return is_damage ? STATUS_CORRUPT : status;
}
