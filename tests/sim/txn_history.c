#include "tests/sim/txn_history.h"

#include "proto/sys/check.h"
#include "tests/sim/sim_node.h"

#include <stdlib.h>
#include <string.h>

void txn_history_init(struct txn_history *self, struct sim_world *world)
{
    *self = (struct txn_history){.world = world};
}

void txn_history_done(struct txn_history *self)
{
    free(self->txns);
    free(self->records);
}

/* The workload's memory, whoever calls. */
static void *grown(void *rows, uint64_t *room, size_t row_bytes)
{
    struct sim_heap *heap = sim_node_step_out();
    *room = *room == 0 ? 256 : *room * 2;
    void *moved = realloc(rows, *room * row_bytes);
    check(moved != NULL);
    sim_node_step_in(heap);
    return moved;
}

uint64_t txn_history_begin(struct txn_history *self, uint32_t producer)
{
    check(producer < TXN_HISTORY_PRODUCERS_MAX);
    if (self->txn_count == self->txn_room) {
        self->txns = grown(self->txns, &self->txn_room, sizeof *self->txns);
    }
    self->txns[self->txn_count] = (struct txn_history_txn){.producer = producer};
    self->txn_count += 1;
    return self->txn_count;
}

uint64_t txn_history_add(struct txn_history *self, uint64_t txn, int32_t partition)
{
    check(txn > 0 && txn <= self->txn_count);
    check(self->txns[txn - 1].fate == TXN_HISTORY_OPEN);
    check(partition >= 0 && partition < (int32_t)TXN_HISTORY_PARTITIONS_MAX);
    if (self->record_count == self->record_room) {
        self->records = grown(self->records, &self->record_room, sizeof *self->records);
    }
    self->records[self->record_count] =
        (struct txn_history_record){.txn = txn, .partition = partition, .seen_offset = -1};
    self->record_count += 1;
    self->txns[txn - 1].record_count += 1;
    return self->record_count;
}

void txn_history_take_back(struct txn_history *self, uint64_t value)
{
    check(value == self->record_count);
    self->txns[self->records[value - 1].txn - 1].record_count -= 1;
    self->record_count -= 1;
}

static void reach(struct txn_history *self, int32_t partition, int64_t offset)
{
    int64_t *end = &self->ends[partition];
    *end = offset >= *end ? offset + 1 : *end;
}

void txn_history_acknowledge(struct txn_history *self, uint64_t value, int64_t offset)
{
    check(value > 0 && value <= self->record_count);
    reach(self, self->records[value - 1].partition, offset);
}

void txn_history_end(struct txn_history *self, uint64_t txn, enum txn_history_fate fate)
{
    check(txn > 0 && txn <= self->txn_count);
    enum txn_history_fate *known = &self->txns[txn - 1].fate;
    check(*known == TXN_HISTORY_OPEN || *known == TXN_HISTORY_UNKNOWN || *known == fate);
    *known = fate;
}

/* --- Reading ---------------------------------------------------------------------------------- */

void txn_history_begin_read(struct txn_history *self, int32_t partition)
{
    memset(self->newest[partition], 0, sizeof self->newest[partition]);
}

void txn_history_see(struct txn_history *self, int32_t partition, int64_t offset, uint64_t value)
{
    struct txn_history_record *record =
        value > 0 && value <= self->record_count ? &self->records[value - 1] : NULL;
    if (record == NULL || record->partition != partition) {
        sim_world_fail(self->world, "partition %d: value %llu at %lld was never sent there",
                       partition, (unsigned long long)value, (long long)offset);
        return;
    }
    struct txn_history_txn *txn = &self->txns[record->txn - 1];
    if (txn->fate == TXN_HISTORY_ABORTED || txn->fate == TXN_HISTORY_OPEN) {
        sim_world_fail(self->world,
                       "partition %d: value %llu at %lld is of transaction %llu, which %s",
                       partition, (unsigned long long)value, (long long)offset,
                       (unsigned long long)record->txn,
                       txn->fate == TXN_HISTORY_OPEN ? "is open" : "was aborted");
        return;
    }
    if (record->seen_offset >= 0 && record->seen_offset != offset) {
        sim_world_fail(self->world, "partition %d: value %llu is at %lld and at %lld", partition,
                       (unsigned long long)value, (long long)record->seen_offset,
                       (long long)offset);
        return;
    }
    uint64_t *newest = &self->newest[partition][txn->producer];
    if (value <= *newest) {
        sim_world_fail(self->world, "partition %d: value %llu at %lld comes behind %llu", partition,
                       (unsigned long long)value, (long long)offset, (unsigned long long)*newest);
        return;
    }
    *newest = value;
    record->seen_offset = offset;
    reach(self, partition, offset);
    if (self->is_final && !record->is_seen_finally) {
        record->is_seen_finally = true;
        txn->seen_count += 1;
    }
}

void txn_history_begin_final(struct txn_history *self)
{
    self->is_final = true;
}

void txn_history_finish(struct txn_history *self)
{
    check(self->is_final);
    for (uint64_t i = 0; i < self->txn_count; i++) {
        const struct txn_history_txn *txn = &self->txns[i];
        bool may_miss = txn->fate != TXN_HISTORY_COMMITTED && txn->seen_count == 0;
        if (txn->seen_count != txn->record_count && !may_miss) {
            sim_world_fail(
                self->world, "transaction %llu of producer %u (%s): %llu of %llu records",
                (unsigned long long)i + 1, txn->producer,
                txn->fate == TXN_HISTORY_COMMITTED ? "committed" : "end not known",
                (unsigned long long)txn->seen_count, (unsigned long long)txn->record_count);
        }
    }
    for (uint64_t i = 0; i < self->record_count; i++) {
        if (self->records[i].seen_offset >= 0 && !self->records[i].is_seen_finally) {
            sim_world_fail(self->world, "partition %d: value %llu was seen and is gone",
                           self->records[i].partition, (unsigned long long)i + 1);
        }
    }
}

uint64_t txn_history_count(const struct txn_history *self, enum txn_history_fate fate)
{
    uint64_t count = 0;
    for (uint64_t i = 0; i < self->txn_count; i++) {
        count += self->txns[i].fate == fate;
    }
    return count;
}
