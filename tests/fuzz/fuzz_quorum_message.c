/* Goal: whatever a voter says, the decoder gives only whole messages, and a core that is given them
 * neither crashes nor forgets what it committed.
 * Method: the input is a role and some frames without header; header and checksum are put in front,
 * so that changed bytes get behind them. Decoded messages go into a core of three voters in the
 * simulated world, which may only die of being told that a committed entry has to change. */
#include "proto/sys/check.h"
#include "proto/wire/crc32c.h"
#include "raft/quorum_birth.h"
#include "raft/quorum_core.h"
#include "raft/quorum_envelope.h"
#include "raft/quorum_receive.h"
#include "tests/sim/sim_disk.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#define OWN 2
#define HEADER_BYTES 15U /* Of the frame behind its length: header and checksum. */
#define MESSAGES_MAX 8U
#define MESSAGE_BYTES_MAX 4096U

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count);

static struct quorum_meta meta;
static struct sim_world *world;
static struct sim_node *node;
static struct quorum_core *core;
static uint64_t applied_count;

/* --- A state machine that believes everything ------------------------------------------------- */

static void count_apply(struct quorum_fsm *fsm, uint64_t index, int64_t term, const void *bytes,
                        size_t byte_count)
{
    (void)fsm;
    (void)term;
    (void)bytes;
    (void)byte_count;
    check(index == applied_count + 1);
    applied_count = index;
}

static enum status count_snapshot(struct quorum_fsm *fsm, void **out_bytes, size_t *out_byte_count)
{
    (void)fsm;
    *out_bytes = calloc(1, 8);
    *out_byte_count = 8;
    return STATUS_OK;
}

static enum status count_restore(struct quorum_fsm *fsm, uint64_t index, const void *bytes,
                                 size_t byte_count)
{
    (void)fsm;
    (void)bytes;
    (void)byte_count;
    applied_count = index;
    return STATUS_OK;
}

static const struct quorum_fsm_ops count_ops = {
    .apply = count_apply, .snapshot = count_snapshot, .restore = count_restore};
static struct quorum_fsm machine = {.ops = &count_ops};

/* --- The core --------------------------------------------------------------------------------- */

static bool drop_sent(void *context, int32_t node_id, uint8_t *frame, size_t byte_count)
{
    (void)context;
    (void)node_id;
    struct quorum_message *message = NULL;
    check(quorum_message_decode(frame + 4, byte_count - 4, &message) == STATUS_OK);
    quorum_message_free(message);
    free(frame);
    return true;
}

static void on_turn(void *context)
{
    (void)context;
}

static void boot(struct sim_node *self, struct loop *loops, uint32_t loop_count)
{
    (void)self;
    (void)loop_count;
    core = calloc(1, sizeof *core);
    check(core != NULL);
    struct quorum_core_options options = {.loop = &loops[0],
                                          .directory = ".",
                                          .meta = &meta,
                                          .fsm = &machine,
                                          .election_ms = 200,
                                          .heartbeat_ms = 50,
                                          .snapshot_entries = 4,
                                          .trailing_entries = 2,
                                          .segment_bytes = 4096,
                                          .on_send = drop_sent,
                                          .on_turn = on_turn};
    check(quorum_birth_write(&meta, &loops[0], ".") == STATUS_OK);
    check(quorum_core_open(core, &options) == STATUS_OK);
}

static void begin(void)
{
    applied_count = 0;
    meta = (struct quorum_meta){.is_born = true, .node_id = OWN, .voter_count = 3};
    for (int32_t i = 1; i <= 3; i++) {
        meta.voters[i - 1].node_id = i;
        memset(meta.voters[i - 1].directory_id, i, 16);
    }
    memcpy(meta.directory_id, meta.voters[OWN - 1].directory_id, 16);
    world = sim_world_new(&(struct sim_world_options){.seed = 1});
    node = sim_node_add(world, &(struct sim_node_options){.loop_count = 1, .boot = boot});
    check(sim_node_start(node));
}

/* --- What it is told -------------------------------------------------------------------------- */

static void check_whole(const struct quorum_message *message)
{
    size_t position = 0;
    for (uint32_t i = 0; i < message->entry_count; i++) {
        const struct quorum_message_entry *entry = &message->entries[i];
        check(entry->position == position);
        check(entry->byte_count <= message->payload_bytes - position);
        position += entry->byte_count;
        struct quorum_envelope envelope;
        struct quorum_envelope_command command;
        if (entry->kind == RAFT_COMMAND) {
            check(quorum_envelope_read(message->payload + entry->position, entry->byte_count,
                                       &envelope) == STATUS_OK);
            while (quorum_envelope_next(&envelope, &command)) {
                check((const uint8_t *)command.bytes + command.byte_count <= envelope.end);
            }
        }
    }
}

struct piece {
    const uint8_t *bytes;
    size_t byte_count;
};

static void tell_inside(void *context)
{
    static const uint8_t header[11] = {0x75, 0x30, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0};
    const struct piece *piece = context;
    uint8_t frame[HEADER_BYTES + MESSAGE_BYTES_MAX];
    memcpy(frame, header, sizeof header);
    memcpy(frame + HEADER_BYTES, piece->bytes, piece->byte_count);
    uint32_t crc = htobe32(crc32c(0, piece->bytes, piece->byte_count));
    memcpy(frame + sizeof header, &crc, sizeof crc);
    struct quorum_message *message = NULL;
    if (quorum_message_decode(frame, HEADER_BYTES + piece->byte_count, &message) != STATUS_OK) {
        return;
    }
    check_whole(message);
    if (message->is_hello) {
        quorum_message_free(message);
        return;
    }
    quorum_receive(core, message);
}

static void elect_inside(struct quorum_core *self, void *argument)
{
    (void)argument;
    struct raft_message message = {.type = RAFT_IO_REQUEST_VOTE_RESULT,
                                   .server_id = quorum_meta_raft_id(3, meta.voters[2].directory_id),
                                   .server_address = "3"};
    for (int round = 0; round < 2; round++) {
        message.request_vote_result = (struct raft_request_vote_result){
            .term = self->raft.current_term + (round == 0),
            .vote_granted = true,
            .pre_vote = round == 0 ? raft_tribool_true : raft_tribool_false};
        self->on_receive(&self->io, &message);
    }
}

static void elect(void *context)
{
    (void)context;
    quorum_core_run(core, elect_inside, NULL);
}

/* 0: follower, 1: candidate, 2: leader. */
static void take_role(uint8_t role)
{
    if (role == 0) {
        return;
    }
    while (core->raft.state != RAFT_CANDIDATE) {
        sim_world_run_for(world, 10 * SIM_MS);
    }
    if (role == 2) {
        sim_node_run(node, elect, NULL);
        sim_world_run_for(world, 20 * SIM_MS);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
    if (byte_count == 0) {
        return 0;
    }
    begin();
    take_role(bytes[0] % 3);
    bool waits = bytes[0] >= 128;
    size_t at = 1;
    for (uint32_t i = 0; i < MESSAGES_MAX && at + 2 <= byte_count; i++) {
        size_t length = (size_t)bytes[at] << 8 | bytes[at + 1];
        at += 2;
        length = length < byte_count - at ? length : byte_count - at;
        struct piece piece = {bytes + at, length < MESSAGE_BYTES_MAX ? length : MESSAGE_BYTES_MAX};
        at += length;
        uint64_t commit = core->raft.commit_index;
        uint64_t term = quorum_core_term_at(core, commit);
        check(sim_node_run(node, tell_inside, &piece));
        if (waits) {
            sim_world_run_for(world, 20 * SIM_MS);
        }
        uint64_t term_now = quorum_core_term_at(core, commit);
        check(core->is_dead || term_now == term || term_now == 0);
    }
    sim_world_run_for(world, 300 * SIM_MS);
    check(!core->is_dead || core->death == STATUS_CORRUPT || core->death == STATUS_OUT_OF_RANGE);
    check(!world->has_failed);
    sim_world_free(world);
    return 0;
}
