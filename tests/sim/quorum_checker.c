#include "tests/sim/quorum_checker.h"

#include "proto/sys/check.h"
#include "raft/quorum_record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define RECORD_BYTES_MAX (1U << 20)
#define ull(value) ((unsigned long long)(value))

struct quorum_checker *quorum_checker_new(struct sim_world *world)
{
    struct quorum_checker *self = calloc(1, sizeof *self);
    check(self != NULL);
    self->world = world;
    return self;
}

void quorum_checker_free(struct quorum_checker *self)
{
    free(self);
}

/* --- What is durable -------------------------------------------------------------------------- */

static void take_record(struct quorum_checker_disk *disk, const struct quorum_record *record)
{
    switch (record->kind) {
    case QUORUM_RECORD_COMMAND:
    case QUORUM_RECORD_BARRIER:
    case QUORUM_RECORD_CHANGE:
        check(record->index < QUORUM_CHECKER_ENTRIES_MAX);
        disk->terms[record->index] = (uint32_t)record->term;
        disk->last_index = record->index;
        break;
    case QUORUM_RECORD_TRUNCATE:
        disk->last_index = record->index - 1;
        break;
    case QUORUM_RECORD_SEGMENT:
        if (record->generation != disk->generation) {
            disk->generation = record->generation; /* An installed snapshot replaced the log. */
            disk->start_index = record->index + 1;
            disk->last_index = record->index;
        }
        break;
    case QUORUM_RECORD_MARK:
        break;
    }
}

/* Reads the file from where it was left, up to `end`. */
static void read_records(struct quorum_checker_node *node, uint64_t end)
{
    static uint8_t bytes[RECORD_BYTES_MAX];
    struct quorum_checker_disk *disk = &node->disk;
    char path[64];
    (void)snprintf(path, sizeof path, "quorum/log-%020llu", ull(disk->file));
    while (disk->position < end) {
        size_t byte_count =
            sim_disk_peek(node->node->disk, path, disk->position, bytes, sizeof bytes);
        struct quorum_record record;
        if (quorum_record_read(bytes, byte_count, &record) != STATUS_OK) {
            sim_world_fail(node->node->world, "node-%u: no record at %llu of %s, which was flushed",
                           node->node->id, ull(disk->position), path);
            return;
        }
        take_record(disk, &record);
        disk->position += quorum_record_bytes(record.payload_bytes);
    }
}

static void look_at_disk(struct quorum_checker_node *node)
{
    const struct quorum_log *log = &node->core->log;
    struct quorum_checker_disk *disk = &node->disk;
    if (log->file_count == 0) {
        return;
    }
    uint64_t file = log->files[log->file_count - 1].sequence;
    if (file != disk->file) {
        disk->file = file;
        disk->position = 0;
    }
    if (log->position > disk->position) {
        read_records(node, log->position);
    }
    disk->snapshot_index = node->core->snapshots.index;
}

static uint64_t durable_term(const struct quorum_checker_disk *disk, uint64_t index)
{
    return index >= disk->start_index && index <= disk->last_index ? disk->terms[index] : 0;
}

/* --- Elections -------------------------------------------------------------------------------- */

static void look_at_votes(struct quorum_checker *self, struct quorum_checker_node *node)
{
    const struct quorum_vote *vote = &node->core->vote;
    if (vote->term >= QUORUM_CHECKER_TERMS_MAX || vote->voted_for == 0) {
        return;
    }
    uint64_t before = node->votes[vote->term];
    if (before != 0 && before != vote->voted_for) {
        sim_world_fail(self->world, "node-%u votes for %d in term %llu after voting for %d",
                       node->node->id, quorum_meta_node_id(vote->voted_for), ull(vote->term),
                       quorum_meta_node_id(before));
    }
    node->votes[vote->term] = vote->voted_for;
}

static void look_at_leader(struct quorum_checker *self, const struct quorum_checker_node *node)
{
    const struct quorum_core *core = node->core;
    uint64_t term = core->raft.current_term;
    self->leader_count += 1;
    check(term < QUORUM_CHECKER_TERMS_MAX);
    if (self->leaders[term] != 0 && self->leaders[term] != (int32_t)node->node->id) {
        sim_world_fail(self->world, "term %llu has two leaders, node-%d and node-%u", ull(term),
                       self->leaders[term], node->node->id);
    }
    self->leaders[term] = (int32_t)node->node->id;
    for (uint64_t index = core->raft.log.offset + 1; index <= self->commit_count; index++) {
        const struct quorum_checker_entry *entry = &self->entries[index];
        if (entry->committer_term < term && quorum_core_term_at(core, index) != entry->term) {
            sim_world_fail(self->world,
                           "node-%u leads term %llu with term %llu at index %llu, committed as %u",
                           node->node->id, ull(term), ull(quorum_core_term_at(core, index)),
                           ull(index), entry->term);
            return;
        }
    }
}

/* --- Commits ---------------------------------------------------------------------------------- */

static const struct raft_entry *entry_at(const struct quorum_core *core, uint64_t index)
{
    const struct raft_log *log = &core->raft.log;
    if (index <= log->offset || index > quorum_core_last_index(core)) {
        return NULL;
    }
    return &log->entries[(log->front + (size_t)(index - 1 - log->offset)) % log->size];
}

static void note_commit(struct quorum_checker *self, const struct quorum_checker_node *node,
                        uint64_t index)
{
    const struct raft_entry *entry = entry_at(node->core, index);
    if (entry == NULL) {
        return; /* Behind a snapshot. */
    }
    check(index < QUORUM_CHECKER_ENTRIES_MAX);
    uint64_t hash = XXH3_64bits_withSeed(entry->buf.base, entry->buf.len, entry->type);
    if (index <= self->commit_count) {
        const struct quorum_checker_entry *known = &self->entries[index];
        if (known->term != entry->term || known->hash != hash) {
            sim_world_fail(self->world,
                           "index %llu: node-%u commits term %llu, committed before as term %u",
                           ull(index), node->node->id, entry->term, known->term);
        }
        return;
    }
    if (index != self->commit_count + 1) {
        sim_world_fail(self->world, "node-%u commits %llu, known is %llu", node->node->id,
                       ull(index), ull(self->commit_count));
        return;
    }
    self->entries[index] =
        (struct quorum_checker_entry){.term = (uint32_t)entry->term,
                                      .committer_term = (uint32_t)node->core->raft.current_term,
                                      .hash = hash};
    self->commit_count = index;
}

static void look_at_majority(struct quorum_checker *self, const struct quorum_checker_node *leader)
{
    const struct raft *raft = &leader->core->raft;
    uint64_t index = raft->commit_index;
    uint64_t term = quorum_core_term_at(leader->core, index);
    uint32_t voter_count = 0;
    uint32_t durable_count = 0;
    for (unsigned i = 0; i < raft->configuration.n; i++) {
        if (raft->configuration.servers[i].role != RAFT_VOTER) {
            continue;
        }
        voter_count += 1;
        uint32_t place = (uint32_t)quorum_meta_node_id(raft->configuration.servers[i].id) - 1;
        const struct quorum_checker_disk *disk = &self->nodes[place].disk;
        durable_count += durable_term(disk, index) == term || disk->snapshot_index >= index ? 1 : 0;
    }
    if (durable_count <= voter_count / 2) {
        for (unsigned i = 0; i < raft->configuration.n; i++) {
            uint32_t place = (uint32_t)quorum_meta_node_id(raft->configuration.servers[i].id) - 1;
            const struct quorum_checker_disk *disk = &self->nodes[place].disk;
            sim_world_note(self->world,
                           "node-%u role %d match %llu, on disk %llu to %llu, term there %llu, "
                           "snapshot %llu",
                           place + 1, raft->configuration.servers[i].role,
                           raft->leader_state.progress[i].match_index, ull(disk->start_index),
                           ull(disk->last_index), ull(durable_term(disk, index)),
                           ull(disk->snapshot_index));
        }
        sim_world_fail(self->world,
                       "node-%u of term %llu commits %llu (term %llu), durable on %u of %u voters",
                       leader->node->id, raft->current_term, ull(index), ull(term), durable_count,
                       voter_count);
    }
}

static void look_at_commits(struct quorum_checker *self, struct quorum_checker_node *node)
{
    const struct raft *raft = &node->core->raft;
    if (raft->commit_index > node->seen_commit) {
        for (uint64_t index = node->seen_commit + 1; index <= raft->commit_index; index++) {
            note_commit(self, node, index);
        }
        if (raft->state == RAFT_LEADER) {
            look_at_majority(self, node);
        }
        node->seen_commit = raft->commit_index;
    }
    if (raft->last_applied > raft->commit_index && !node->core->is_installing) {
        sim_world_fail(self->world, "node-%u applied %llu, committed is %llu", node->node->id,
                       raft->last_applied, raft->commit_index);
    }
}

static void look_at_stored(struct quorum_checker *self, const struct quorum_checker_node *node)
{
    const struct quorum_core *core = node->core;
    uint64_t stored = core->raft.last_stored;
    if (stored > quorum_core_last_index(core)) {
        sim_world_fail(self->world, "node-%u believes %llu stored, its log ends at %llu",
                       node->node->id, ull(stored), ull(quorum_core_last_index(core)));
    }
    if (stored == 0 || core->is_installing || !quorum_log_is_idle(&core->log) ||
        stored <= node->disk.snapshot_index) {
        return;
    }
    uint64_t term = quorum_core_term_at(core, stored);
    if (term != 0 && durable_term(&node->disk, stored) != term) {
        sim_world_fail(self->world, "node-%u believes %llu of term %llu stored, the disk has %llu",
                       node->node->id, ull(stored), ull(term),
                       ull(durable_term(&node->disk, stored)));
    }
}

void quorum_checker_look(struct quorum_checker *self)
{
    for (uint32_t i = 0; i < self->node_count; i++) {
        if (self->nodes[i].core != NULL && !self->nodes[i].core->is_dead) {
            look_at_disk(&self->nodes[i]);
        }
    }
    for (uint32_t i = 0; i < self->node_count; i++) {
        struct quorum_checker_node *node = &self->nodes[i];
        if (node->core == NULL || node->core->is_dead || node->core->is_closing) {
            continue;
        }
        const struct raft *raft = &node->core->raft;
        look_at_votes(self, node);
        if (raft->state == RAFT_LEADER &&
            (node->seen_state != RAFT_LEADER || node->seen_term != raft->current_term)) {
            look_at_leader(self, node);
        }
        node->seen_state = raft->state;
        node->seen_term = raft->current_term;
        look_at_commits(self, node);
        look_at_stored(self, node);
    }
}

/* --- Lives ------------------------------------------------------------------------------------ */

void quorum_checker_meet(struct quorum_checker *self, uint32_t place, struct quorum_core *core)
{
    struct quorum_checker_node *node = &self->nodes[place];
    node->core = core;
    node->seen_state = -1;
    node->seen_term = 0;
    /* What was loaded is durable. */
    struct quorum_checker_disk *disk = &node->disk;
    disk->start_index = core->raft.log.offset + 1;
    disk->last_index = quorum_core_last_index(core);
    for (uint64_t index = disk->start_index; index <= core->raft.last_stored; index++) {
        disk->terms[index] = (uint32_t)quorum_core_term_at(core, index);
    }
    disk->last_index = core->raft.last_stored;
    disk->snapshot_index = core->snapshots.index;
    disk->file = core->log.files[core->log.file_count - 1].sequence;
    disk->position = core->log.position;
    disk->generation = core->log.chain.generation;
    if (self->commit_count == 0) {
        note_commit(self, node, 1);
    }
    node->seen_commit = core->raft.commit_index;
    if (core->raft.state == RAFT_LEADER) {
        node->seen_commit = 0; /* A single voter commits what it finds. */
    }
}

/* What a voter flushed, acknowledged and died behind within one event is durable, too. */
void quorum_checker_forget(struct quorum_checker *self, uint32_t place)
{
    struct quorum_checker_node *node = &self->nodes[place];
    if (node->core != NULL && !node->core->is_dead) {
        look_at_disk(node);
    }
    node->core = NULL;
}

/* --- Commands --------------------------------------------------------------------------------- */

void quorum_checker_apply(struct quorum_checker *self, uint64_t index, uint64_t value,
                          uint64_t state_hash)
{
    check(index > 0 && index < QUORUM_CHECKER_ENTRIES_MAX);
    check(value > 0 && value <= self->value_count);
    struct quorum_checker_command *command = &self->commands[index];
    if (index > self->command_count) {
        if (index != self->command_count + 1) {
            sim_world_fail(self->world, "command %llu is applied, known is %llu", ull(index),
                           ull(self->command_count));
            return;
        }
        if (self->indexes[value] != 0) {
            sim_world_fail(self->world, "value %llu is command %llu and command %llu", ull(value),
                           ull(self->indexes[value]), ull(index));
        }
        *command = (struct quorum_checker_command){.value = value, .state_hash = state_hash};
        self->command_count = index;
        self->indexes[value] = index;
        return;
    }
    if (command->value != value || command->state_hash != state_hash) {
        sim_world_fail(self->world, "command %llu is %llu here and %llu elsewhere", ull(index),
                       ull(value), ull(command->value));
    }
}

void quorum_checker_restore(struct quorum_checker *self, uint64_t index, uint64_t state_hash)
{
    if (index > self->command_count ||
        (index > 0 && self->commands[index].state_hash != state_hash)) {
        sim_world_fail(self->world, "a state that never was is restored at command %llu",
                       ull(index));
    }
}

void quorum_checker_acknowledge(struct quorum_checker *self, uint64_t value, uint64_t index)
{
    if (index == 0 || index > self->command_count || self->commands[index].value != value) {
        sim_world_fail(self->world, "value %llu is acknowledged as command %llu, which it is not",
                       ull(value), ull(index));
    }
    self->acknowledged_count += 1;
}
