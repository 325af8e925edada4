/* Goal: the log gives back what was flushed, ends where it ended, and never takes damage for an
 * end. Method: the simulated disk; entries are numbers; files are cut, flipped, copied and removed.
 */
#include "raft/quorum_log.h"
#include "tests/sim/sim_disk.h"
#include "tests/unit/raft/golden.h"

static const uint8_t directory_id[16] = "directory-id-16";
static struct sim_world *world;
static struct sim_node *node;
static struct loop *loop;
static struct quorum_log quorum_log;
static struct quorum_replay replay;
static struct quorum_replay_options replay_options;
static struct quorum_log_append append;
static uint32_t done_count;
static uint32_t segment_bytes = 1U << 16;

static void note_failed(void *context, enum status why)
{
    (void)context;
    cr_assert_fail("%s", status_text(why));
}

static void note_idle(void *context)
{
    (void)context;
}

static void note_done(struct quorum_log_append *self)
{
    (void)self;
    done_count += 1;
}

static struct quorum_log_options log_options(void)
{
    return (struct quorum_log_options){.loop = loop,
                                       .directory = ".",
                                       .directory_id = directory_id,
                                       .segment_bytes = segment_bytes,
                                       .on_failed = note_failed,
                                       .on_idle = note_idle};
}

static enum status read_log(void)
{
    quorum_replay_done(&replay);
    replay_options.loop = loop;
    replay_options.directory = ".";
    replay_options.directory_id = directory_id;
    return quorum_replay_read(&replay, &replay_options);
}

static void open_log(void)
{
    cr_assert_eq(read_log(), STATUS_OK);
    struct quorum_log_options options = log_options();
    cr_assert_eq(quorum_log_open(&quorum_log, &options, &replay), STATUS_OK);
}

static void set_up(void)
{
    world = sim_world_new(&(struct sim_world_options){.seed = 1});
    node = sim_node_add(world, &(struct sim_node_options){.loop_count = 1});
    cr_assert(sim_node_start(node));
    loop = sim_node_loop(node, 0);
    append.on_done = note_done;
    struct quorum_log_options options = log_options();
    cr_assert_eq(
        quorum_log_create(&options, &(struct quorum_log_entry){.kind = QUORUM_RECORD_CHANGE,
                                                               .term = 1,
                                                               .bytes = "12345678",
                                                               .byte_count = 8}),
        STATUS_OK);
}

static void tear_down(void)
{
    quorum_log_close(&quorum_log);
    quorum_replay_done(&replay);
    cr_expect_not(world->has_failed, "%s", world->failure);
    sim_world_free(world);
}

static void add(uint64_t term, uint64_t number)
{
    struct quorum_log_entry entry = {
        .kind = QUORUM_RECORD_COMMAND, .term = term, .bytes = &number, .byte_count = sizeof number};
    quorum_log_append(&quorum_log, &append, &entry, 1);
}

static void flush(void)
{
    sim_world_run_for(world, 20 * SIM_MS);
    cr_assert(quorum_log_is_idle(&quorum_log));
}

/* 5 batches of 4 entries behind the first, indexes 2 to 21, numbers the same. */
static void fill(void)
{
    open_log();
    for (uint64_t index = 2; index <= 21; index++) {
        add(2, index);
        if (index % 4 == 1) {
            flush();
        }
    }
}

static void expect_entries(uint64_t start_index, uint64_t last_index)
{
    cr_assert_eq(replay.start_index, start_index);
    cr_assert_eq(replay.start_index + replay.entry_count - 1, last_index, "%zu",
                 replay.entry_count);
    for (size_t i = 0; i < replay.entry_count; i++) {
        const struct quorum_record *record = &replay.entries[i];
        cr_expect_eq(record->index, start_index + i);
        if (record->index > 1) {
            uint64_t number = 0;
            memcpy(&number, record->payload, sizeof number);
            cr_expect_eq(number, record->index);
        }
    }
}

TestSuite(quorum_log, .init = set_up, .fini = tear_down);

Test(quorum_log, bytes_of_a_new_log_are_those_of_version_1)
{
    uint8_t bytes[136];
    cr_assert_eq(sim_disk_peek(node->disk, "log-00000000000000000001", 0, bytes, sizeof bytes),
                 136);

    expect_golden(bytes, sizeof bytes,
                  "74e504bc01001000010000001000000001000000000000000000000000000000"
                  "0000000000000000000000000000000000000000000000006469726563746f72"
                  "792d69642d313600d15465f00100030001000000080000000200000000000000"
                  "01000000000000000100000000000000010000000000000074e504bc00000000"
                  "3132333435363738");
}

Test(quorum_log, what_was_flushed_is_replayed)
{
    fill();
    cr_expect_eq(done_count, 20);
    quorum_log_close(&quorum_log);

    cr_assert_eq(read_log(), STATUS_OK);

    expect_entries(1, 21);
}

Test(quorum_log, truncation_is_replayed_in_its_place)
{
    fill();
    quorum_log_truncate(&quorum_log, 12, 2);
    add(3, 12);
    flush();
    quorum_log_close(&quorum_log);

    cr_assert_eq(read_log(), STATUS_OK);

    expect_entries(1, 12);
    cr_expect_eq(replay.entries[10].term, 2);
    cr_expect_eq(replay.entries[11].term, 3);
}

Test(quorum_log, batch_under_way_at_a_power_cut_ends_the_log_somewhere_inside)
{
    sim_node_enter(node);
    fill();
    for (uint64_t index = 22; index <= 60; index++) {
        add(2, index);
    }
    sim_node_leave(node);
    sim_node_lose_power(node);
    memset(&quorum_log, 0, sizeof quorum_log);
    memset(&replay, 0, sizeof replay);
    cr_assert(sim_node_start(node));
    loop = sim_node_loop(node, 0);

    cr_assert_eq(read_log(), STATUS_OK);

    cr_expect(replay.entry_count >= 21 && replay.entry_count <= 60);
    expect_entries(1, replay.entry_count);
}

/* Position of the record of entry `index`; all are of one size behind the first two. */
static uint64_t position_of(uint64_t index)
{
    return 72 + 64 * (index - 1);
}

Test(quorum_log, damage_below_a_later_batch_is_corrupt)
{
    fill();
    quorum_log_close(&quorum_log);

    for (uint64_t index = 1; index <= 17; index++) {
        cr_assert(
            sim_disk_flip_bit(node->disk, "log-00000000000000000001", position_of(index) + 58, 1));
        cr_expect_eq(read_log(), STATUS_CORRUPT, "entry %lu", index);
        cr_assert(
            sim_disk_flip_bit(node->disk, "log-00000000000000000001", position_of(index) + 58, 1));
    }
    cr_expect_eq(read_log(), STATUS_OK);
}

Test(quorum_log, damage_in_the_last_batch_is_an_end_until_the_log_was_quiet)
{
    fill();
    cr_assert(sim_disk_flip_bit(node->disk, "log-00000000000000000001", position_of(20) + 58, 1));
    cr_assert_eq(read_log(), STATUS_OK);
    expect_entries(1, 19);

    sim_world_run_for(world, 2 * SIM_S); /* Long enough for a MARK. */

    cr_expect_eq(read_log(), STATUS_CORRUPT);
}

Test(quorum_log, old_valid_records_behind_the_end_are_not_taken)
{
    uint8_t bytes[64 * 12];
    fill();
    quorum_log_close(&quorum_log);
    cr_assert_eq(
        sim_disk_peek(node->disk, "log-00000000000000000001", position_of(10), bytes, sizeof bytes),
        sizeof bytes);
    struct disk_file *file = NULL;
    cr_assert_eq(disk_open(loop->disk, "log-00000000000000000001", DISK_OPEN_WRITE, &file),
                 STATUS_OK);
    for (uint64_t lap = 0; lap < 10; lap++) {
        cr_assert_eq(
            disk_file_write(loop->disk, file, position_of(22 + 12 * lap), bytes, sizeof bytes),
            STATUS_OK);
    }
    disk_file_close(loop->disk, file);

    cr_assert_eq(read_log(), STATUS_OK);

    expect_entries(1, 21);
}

Test(quorum_log, what_lies_behind_the_end_is_cut_before_anything_is_added)
{
    fill();
    quorum_log_close(&quorum_log);
    /* Entry 19 was harmed in the unfinished last batch; 20 and 21 would be its successors. */
    cr_assert(sim_disk_flip_bit(node->disk, "log-00000000000000000001", position_of(19) + 58, 1));
    open_log();
    expect_entries(1, 18);
    quorum_log_close(&quorum_log);

    uint8_t bytes[64 * 3];
    static const uint8_t zeros[sizeof bytes];
    cr_assert_eq(
        sim_disk_peek(node->disk, "log-00000000000000000001", position_of(19), bytes, sizeof bytes),
        sizeof bytes);
    cr_expect_arr_eq(bytes, zeros, sizeof bytes);
}

static void fill_files(void)
{
    segment_bytes = 512;
    fill();
    cr_assert(quorum_log.file_count >= 4, "%u", quorum_log.file_count);
}

Test(quorum_log, files_are_chained)
{
    fill_files();
    quorum_log_close(&quorum_log);

    cr_assert_eq(read_log(), STATUS_OK);

    expect_entries(1, 21);
}

static void remove_file(uint32_t file)
{
    char path[64];
    (void)snprintf(path, sizeof path, "log-%020lu", replay.files[file].sequence);
    cr_assert_eq(disk_remove(loop->disk, path), STATUS_OK);
}

Test(quorum_log, missing_file_is_corrupt_unless_a_snapshot_covers_it)
{
    fill_files();
    quorum_log_close(&quorum_log);
    cr_assert_eq(read_log(), STATUS_OK);
    uint64_t covered = replay.files[2].base_index;
    remove_file(1);

    cr_expect_eq(read_log(), STATUS_CORRUPT);
    replay_options.snapshot_index = covered;
    replay_options.snapshot_term = 2;
    cr_expect_eq(read_log(), STATUS_OK);
    expect_entries(covered + 1, 21);
}

Test(quorum_log, trimming_removes_whole_files_only)
{
    fill_files();
    uint32_t count = quorum_log.file_count;
    cr_assert_eq(quorum_log_trim(&quorum_log, quorum_log.files[2].base_index), STATUS_OK);
    cr_expect_eq(quorum_log.file_count, count - 2);
    uint64_t base = quorum_log.files[0].base_index;
    quorum_log_close(&quorum_log);

    replay_options.snapshot_index = base + 1;
    replay_options.snapshot_term = 2;
    cr_assert_eq(read_log(), STATUS_OK);

    expect_entries(base + 1, 21);
}

Test(quorum_log, log_that_starts_above_the_snapshot_is_corrupt)
{
    fill_files();
    cr_assert_eq(quorum_log_trim(&quorum_log, quorum_log.files[2].base_index), STATUS_OK);
    quorum_log_close(&quorum_log);

    cr_expect_eq(read_log(), STATUS_CORRUPT);
}

Test(quorum_log, reset_starts_a_new_generation_behind_the_snapshot)
{
    fill_files();
    cr_assert_eq(quorum_log_reset(&quorum_log, 100, 7), STATUS_OK);
    add(7, 101);
    flush();
    quorum_log_close(&quorum_log);

    replay_options.snapshot_index = 100;
    replay_options.snapshot_term = 7;
    cr_assert_eq(read_log(), STATUS_OK);

    expect_entries(101, 101);
    cr_expect_eq(replay.file_count, 1);
    cr_expect_eq(replay.chain.generation, 2);
}

/* A process that is the first to see a new generation, in memory that is not on disk, must leave
 * the old one alone until it has made the new one safe. */
Test(quorum_log, older_generation_is_removed_by_opening_and_not_by_reading)
{
    uint8_t head[72];
    fill();
    quorum_log_close(&quorum_log);
    struct quorum_chain chain = {.generation = 2, .sequence = 99};
    quorum_record_write(head, &(struct quorum_record){.kind = QUORUM_RECORD_SEGMENT,
                                                      .index = 100,
                                                      .term = 7,
                                                      .payload = directory_id,
                                                      .payload_bytes = sizeof directory_id});
    (void)quorum_record_seal(head, &chain, 99);
    struct disk_file *file = NULL;
    cr_assert_eq(disk_open(loop->disk, "log-00000000000000000100",
                           DISK_OPEN_WRITE | DISK_OPEN_CREATE, &file),
                 STATUS_OK);
    cr_assert_eq(disk_file_write(loop->disk, file, 0, head, sizeof head), STATUS_OK);
    disk_file_close(loop->disk, file);
    replay_options.snapshot_index = 100;
    replay_options.snapshot_term = 7;
    uint8_t byte;

    cr_assert_eq(read_log(), STATUS_OK);
    cr_expect_eq(replay.start_index, 101);
    cr_expect_eq(sim_disk_peek(node->disk, "log-00000000000000000001", 0, &byte, 1), 1);

    open_log();
    cr_expect_eq(sim_disk_peek(node->disk, "log-00000000000000000001", 0, &byte, 1), 0);
}

Test(quorum_log, log_that_does_not_reach_an_installed_snapshot_is_dropped)
{
    fill();
    quorum_log_close(&quorum_log);
    replay_options.snapshot_index = 100;
    replay_options.snapshot_term = 7;

    open_log();

    cr_expect(replay.is_dropped);
    cr_expect_eq(replay.entry_count, 0);
    cr_expect_eq(replay.start_index, 101);
    add(7, 101);
    flush();
    quorum_log_close(&quorum_log);
    cr_assert_eq(read_log(), STATUS_OK);
    expect_entries(101, 101);
}

Test(quorum_log, log_that_conflicts_with_an_installed_snapshot_is_dropped)
{
    fill();
    quorum_log_close(&quorum_log);
    replay_options.snapshot_index = 20;
    replay_options.snapshot_term = 7; /* The entry here is of term 2. */

    cr_assert_eq(read_log(), STATUS_OK);

    cr_expect(replay.is_dropped);
}

Test(quorum_log, log_shorter_than_a_snapshot_of_its_own_saw_it_is_corrupt)
{
    fill();
    quorum_log_close(&quorum_log);
    replay_options.snapshot_index = 20;
    replay_options.snapshot_term = 2;
    replay_options.snapshot_generation = 1;
    replay_options.snapshot_flushed_sequence = 30;

    cr_expect_eq(read_log(), STATUS_CORRUPT);
}

Test(quorum_log, files_of_another_directory_are_corrupt)
{
    static const uint8_t other_id[16] = "another-direct-";
    replay_options =
        (struct quorum_replay_options){.loop = loop, .directory = ".", .directory_id = other_id};

    cr_expect_eq(quorum_replay_read(&replay, &replay_options), STATUS_CORRUPT);
}

Test(quorum_log, lost_log_is_corrupt)
{
    cr_assert_eq(disk_remove(loop->disk, "log-00000000000000000001"), STATUS_OK);

    cr_expect_eq(read_log(), STATUS_CORRUPT);
}
