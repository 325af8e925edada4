/* Goal: whatever stands in the quorum's directory, loading it ends in an answer: it is good,
 * damaged or newer; and what is good is consistent. Method: the first byte chooses a file and
 * whether checksums are made good, so that changed bytes get behind them; the rest is the file, on
 * a simulated disk. */
#include "proto/sys/check.h"
#include "proto/wire/crc32c.h"
#include "raft/quorum_bytes.h"
#include "raft/quorum_configuration.h"
#include "raft/quorum_envelope.h"
#include "raft/quorum_meta.h"
#include "raft/quorum_record.h"
#include "raft/quorum_replay.h"
#include "raft/quorum_snapshot.h"
#include "raft/quorum_vote.h"
#include "tests/sim/sim_disk.h"

#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX 16384U

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count);

static const uint8_t directory_id[16] = "directory-id-16";
static struct sim_world *world;
static struct loop *loop;

static void check_answer(enum status status)
{
    check(status == STATUS_OK || status == STATUS_CORRUPT || status == STATUS_UNSUPPORTED);
}

static void write_file(const char *name, const uint8_t *bytes, size_t byte_count)
{
    struct disk_file *file = NULL;
    check(disk_open(loop->disk, name, DISK_OPEN_WRITE | DISK_OPEN_CREATE, &file) == STATUS_OK);
    if (byte_count > 0) {
        check(disk_file_write(loop->disk, file, 0, bytes, byte_count) == STATUS_OK);
    }
    disk_file_close(loop->disk, file);
}

/* Makes one checksum over all that follows good, as in meta, vote and snapshot files. */
static void seal_file(uint8_t *bytes, size_t byte_count)
{
    if (byte_count >= 4) {
        quorum_bytes_put32(bytes, crc32c(0, bytes + 4, byte_count - 4));
    }
}

/* --- Log -------------------------------------------------------------------------------------- */

/* Chains whatever looks like records. */
static void seal_records(uint8_t *bytes, size_t byte_count)
{
    struct quorum_chain chain = {.generation = 1};
    size_t at = 0;
    while (byte_count - at >= QUORUM_RECORD_HEADER_BYTES) {
        uint32_t payload_bytes = quorum_bytes_get32(bytes + at + 12);
        if (payload_bytes > byte_count || quorum_record_bytes(payload_bytes) > byte_count - at) {
            return;
        }
        at += quorum_record_seal(bytes + at, &chain, chain.sequence);
    }
}

static void load_log(const uint8_t *bytes, size_t byte_count)
{
    write_file("log-00000000000000000001", bytes, byte_count);
    struct quorum_replay_options options = {
        .loop = loop, .directory = ".", .directory_id = directory_id};
    if (byte_count > 0 && bytes[byte_count - 1] % 2 == 1) {
        options.snapshot_index = bytes[byte_count - 1];
        options.snapshot_term = 2;
    }
    struct quorum_replay *replay = malloc(sizeof *replay);
    check(replay != NULL);
    enum status status = quorum_replay_read(replay, &options);
    check_answer(status);
    for (size_t i = 0; status == STATUS_OK && i < replay->entry_count; i++) {
        const struct quorum_record *entry = &replay->entries[i];
        check(entry->index == replay->start_index + i);
        check(entry->kind <= QUORUM_RECORD_CHANGE);
        check(entry->payload + entry->payload_bytes <= replay->bytes[0] + replay->byte_counts[0]);
    }
    quorum_replay_done(replay);
    free(replay);
}

/* --- The others ------------------------------------------------------------------------------- */

static void load_vote(const uint8_t *bytes, size_t byte_count)
{
    uint8_t file[QUORUM_VOTE_COPY_BYTES + 64] = {0};
    memcpy(file, bytes, byte_count < 64 ? byte_count : 64);
    if (byte_count > 64) {
        size_t rest = byte_count - 64;
        memcpy(file + QUORUM_VOTE_COPY_BYTES, bytes + 64, rest < 64 ? rest : 64);
    }
    seal_file(file, 64);
    seal_file(file + QUORUM_VOTE_COPY_BYTES, 64);
    write_file("vote", file, sizeof file);
    struct quorum_vote vote = {0};
    enum status status = quorum_vote_load(&vote, loop->disk, ".", directory_id);
    check_answer(status);
    check(status != STATUS_OK || vote.term <= QUORUM_VOTE_TERM_MAX);
    quorum_vote_done(&vote);
}

static void load_meta(const uint8_t *bytes, size_t byte_count)
{
    write_file("meta", bytes, byte_count);
    struct quorum_meta meta = {0};
    enum status status = quorum_meta_load(loop->disk, ".", &meta);
    check_answer(status);
    if (status == STATUS_OK) {
        uint8_t again[QUORUM_META_BYTES_MAX];
        check(meta.node_id > 0 && meta.voter_count <= QUORUM_META_VOTERS_MAX);
        check(quorum_meta_encode(&meta, again) == byte_count);
    }
}

static void load_snapshot(const uint8_t *bytes, size_t byte_count)
{
    struct quorum_snapshot snapshot = {0};
    struct quorum_envelope_state state = {0};
    enum status status = quorum_snapshot_decode(bytes, byte_count, &snapshot);
    check_answer(status);
    if (status == STATUS_OK) {
        check(snapshot.payload + snapshot.payload_bytes == bytes + byte_count);
        status_ignore(
            quorum_configuration_check(snapshot.configuration, snapshot.configuration_bytes),
            "only that it reads nothing beyond them");
    }
    if (status == STATUS_OK &&
        quorum_envelope_read_state(snapshot.payload, snapshot.payload_bytes, &state) == STATUS_OK) {
        check((const uint8_t *)state.bytes + state.byte_count <= bytes + byte_count);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
    if (byte_count == 0 || byte_count > FILE_BYTES_MAX) {
        return 0;
    }
    world = sim_world_new(&(struct sim_world_options){.seed = 1});
    struct sim_node *node = sim_node_add(world, &(struct sim_node_options){.loop_count = 1});
    check(sim_node_start(node));
    loop = sim_node_loop(node, 0);

    uint8_t choice = bytes[0];
    byte_count -= 1;
    uint8_t *file = malloc(byte_count + 1);
    check(file != NULL);
    memcpy(file, bytes + 1, byte_count);
    bool seals = choice < 128;
    if (choice % 4 == 0) {
        if (seals) {
            seal_records(file, byte_count);
        }
        load_log(file, byte_count);
    } else if (choice % 4 == 1) {
        load_vote(file, byte_count);
    } else {
        if (seals) {
            seal_file(file, byte_count);
        }
        (choice % 4 == 2 ? load_meta : load_snapshot)(file, byte_count);
    }
    free(file);
    sim_world_free(world);
    return 0;
}
