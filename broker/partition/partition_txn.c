#include "broker/partition/partition_txn.h"

#include "broker/partition/partition_state.h"
#include "proto/sys/check.h"

#include <stdlib.h>

bool partition_txn_is_open(const struct partition *self, int64_t producer_id,
                           int16_t producer_epoch)
{
    const struct producer_entry *entry = producer_state_find(self->producers, producer_id);
    return entry != NULL && entry->txn_first_offset >= 0 && entry->epoch == producer_epoch;
}

bool partition_txn_needs_pass(const struct partition *self, const uint8_t *batch, size_t byte_count)
{
    check(self->magic == PARTITION_MAGIC);
    struct producer_write write;
    if (self->role != PARTITION_ROLE_LEADER ||
        !partition_state_write_of(batch, byte_count, &write) || !write.is_transactional ||
        partition_txn_is_open(self, write.producer_id, write.epoch)) {
        return false;
    }
    struct producer_batch original;
    enum producer_verdict verdict = producer_state_check(self->producers, &write, &original);
    return verdict != PRODUCER_DUPLICATE && verdict != PRODUCER_DUPLICATE_OLD &&
           verdict != PRODUCER_STALE_EPOCH;
}

void partition_txn_begin_pass(struct partition *self, struct txn_pass *pass)
{
    check(self->magic == PARTITION_MAGIC);
    txn_pass_begin(pass, &self->passes);
}

struct txn_pass *partition_txn_find_asking(const struct partition *self, int64_t producer_id,
                                           int16_t producer_epoch)
{
    check(self->magic == PARTITION_MAGIC);
    list_for_each(link, &self->passes)
    {
        struct txn_pass *pass = container_of(link, struct txn_pass, link);
        if (pass->is_asking && !pass->is_spoiled && pass->producer_id == producer_id &&
            pass->producer_epoch == producer_epoch) {
            return pass;
        }
    }
    return NULL;
}

enum status partition_txn_list(const struct partition *self,
                               struct partition_txn_producer **out_rows, uint32_t *out_count)
{
    check(self->magic == PARTITION_MAGIC);
    size_t capacity = producer_state_count(self->producers);
    struct partition_txn_producer *rows = calloc(capacity + 1, sizeof *rows);
    if (rows == NULL) {
        return STATUS_NO_MEMORY;
    }
    uint32_t count = 0;
    for (const struct producer_entry *entry = producer_state_first(self->producers); entry != NULL;
         entry = producer_state_next(self->producers, entry)) {
        rows[count] = (struct partition_txn_producer){
            .producer_id = entry->producer_id,
            .epoch = entry->epoch,
            .last_sequence =
                entry->batch_count == 0 ? -1 : entry->batches[entry->batch_count - 1].last_sequence,
            .coordinator_epoch = entry->coordinator_epoch,
            .last_timestamp_ms = entry->last_timestamp_ms,
            .first_offset = entry->txn_first_offset};
        count += 1;
    }
    *out_rows = rows;
    *out_count = count;
    return STATUS_OK;
}
