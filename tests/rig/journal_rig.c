#include "tests/rig/journal_rig.h"

#include "tests/sim/sim_loop.h"

#include <stdlib.h>
#include <string.h>

void journal_rig_init(struct journal_rig *self, uint64_t seed)
{
    memset(self, 0, sizeof *self);
    self->world = sim_world_new(&(struct sim_world_options){.seed = seed});
    self->node = sim_node_add(self->world, &(struct sim_node_options){.loop_count = 1});
    sim_node_start(self->node);
}

void journal_rig_done(struct journal_rig *self)
{
    sim_world_free(self->world);
}

static void settled_on_event(struct journal *journal)
{
    container_of(journal, struct journal_rig, journal)->settled_count += 1;
}

void journal_rig_open(struct journal_rig *self, uint64_t generation)
{
    if (!self->node->is_up) {
        sim_node_start(self->node);
    }
    struct loop *loop = sim_node_loop(self->node, 0);
    budget_init(&self->budget, 64U << 20);
    block_pool_init(&self->pool, &self->budget);
    const struct journal_options options = {.loop = loop,
                                            .pool = &self->pool,
                                            .path = JOURNAL_RIG_PATH,
                                            .generation = generation,
                                            .byte_count = JOURNAL_BYTES_MIN,
                                            .on_settled = settled_on_event};
    sim_node_enter(self->node);
    enum status status = journal_open(&self->journal, &options);
    if (status == STATUS_OK) {
        status = disk_sync_directory(loop->disk, ".");
    }
    sim_node_leave(self->node);
    if (status != STATUS_OK) {
        abort();
    }
}

enum status journal_rig_put(struct journal_rig *self, int64_t offset, uint32_t byte_count)
{
    static uint8_t bytes[1 << 20];
    static const uint8_t ingested[8];
    memset(bytes, (int)offset & 0xff, byte_count);
    struct journal_record record = {.kind = JOURNAL_BATCHES,
                                    .partition = 1,
                                    .offset = offset,
                                    .next_offset = offset + 1,
                                    .batch_count = 1,
                                    .ingested_count = 1,
                                    .ingested = ingested,
                                    .bytes = bytes,
                                    .byte_count = byte_count};
    if (!journal_has_room(&self->journal, journal_format_record_bytes(&record), false)) {
        return STATUS_BUSY;
    }
    sim_node_enter(self->node);
    enum status status = journal_put(&self->journal, &record);
    sim_node_leave(self->node);
    return status;
}

static bool is_flushed(void *context)
{
    const struct journal_rig *self = context;
    return self->journal.failure != STATUS_OK ||
           self->journal.flushed_sequence == self->journal.next_sequence;
}

bool journal_rig_flush(struct journal_rig *self)
{
    return sim_world_run_until(self->world, is_flushed, self, 10 * SIM_S) &&
           self->journal.failure == STATUS_OK;
}

void journal_rig_lose_power(struct journal_rig *self)
{
    sim_node_lose_power(self->node);
    memset(&self->journal, 0, sizeof self->journal);
    sim_node_start(self->node);
}

int journal_rig_replay(struct journal_rig *self, uint64_t position, uint64_t sequence,
                       int64_t offset, enum status *out_end)
{
    struct journal_reader reader;
    int count = 0;
    sim_node_enter(self->node);
    enum status status =
        journal_reader_open(&reader, sim_node_loop(self->node, 0)->disk, JOURNAL_RIG_PATH);
    if (status == STATUS_OK) {
        status = journal_reader_start(&reader, position, sequence);
    }
    while (status == STATUS_OK) {
        struct journal_record record;
        status = journal_reader_next(&reader, &record);
        if (status == STATUS_OK && record.offset != offset + count) {
            status = STATUS_MALFORMED;
        }
        count += status == STATUS_OK;
    }
    *out_end = status == STATUS_NOT_FOUND ? journal_reader_check_end(&reader, 1) : status;
    journal_reader_close(&reader);
    sim_node_leave(self->node);
    return status == STATUS_NOT_FOUND ? count : -1;
}
