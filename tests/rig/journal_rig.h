/* A journal on a simulated disk, and its reading back. Owner: the test. */
#pragma once

#include "broker/log/journal.h"
#include "broker/log/journal_reader.h"
#include "tests/sim/sim_disk.h"

#define JOURNAL_RIG_PATH "journal-0"

struct journal_rig {
    struct sim_world *world;
    struct sim_node *node;
    struct budget budget;
    struct block_pool pool;
    struct journal journal;
    uint32_t settled_count;
};

void journal_rig_init(struct journal_rig *self, uint64_t seed);
void journal_rig_done(struct journal_rig *self);
/* In the node; a file of 256 KiB. */
void journal_rig_open(struct journal_rig *self, uint64_t generation);
/* A record of `byte_count` bytes of batches, whose offset is `offset`. */
enum status journal_rig_put(struct journal_rig *self, int64_t offset, uint32_t byte_count);
bool journal_rig_flush(struct journal_rig *self);
void journal_rig_lose_power(struct journal_rig *self);
/* Replays from a cut; returns the number of records, whose offsets follow each other from
 * `offset` on, or -1. `out_end` is how journal_reader_check_end() found the end. */
int journal_rig_replay(struct journal_rig *self, uint64_t position, uint64_t sequence,
                       int64_t offset, enum status *out_end);
