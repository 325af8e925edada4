/* Goal: a snapshot is there whole or not at all, and damage is told from absence.
 * Method: the simulated disk, deaths at each operation, flipped bits, golden bytes. */
#include "raft/quorum_snapshot.h"
#include "tests/sim/sim_disk.h"
#include "tests/unit/raft/golden.h"

static struct sim_world *world;
static struct sim_node *node;
static struct loop *loop;
static struct quorum_snapshot_store store;
static struct quorum_snapshot_write writing;
static enum status written;
static uint32_t written_count;
static uint8_t *loaded_bytes;
static struct quorum_snapshot loaded;

static void open_store(void)
{
    loop = sim_node_loop(node, 0);
    store = (struct quorum_snapshot_store){0};
    cr_assert_eq(quorum_snapshot_open(&store, loop, "."), STATUS_OK);
}

static void set_up(void)
{
    world = sim_world_new(&(struct sim_world_options){.seed = 1});
    node = sim_node_add(world, &(struct sim_node_options){.loop_count = 1});
    cr_assert(sim_node_start(node));
    open_store();
}

static void tear_down(void)
{
    free(loaded_bytes);
    quorum_snapshot_close(&store);
    cr_expect_not(world->has_failed, "%s", world->failure);
    sim_world_free(world);
}

static void note_written(struct quorum_snapshot_write *self, enum status status)
{
    (void)self;
    written = status;
    written_count += 1;
}

static void write_one(void *context)
{
    static char payload[] = "the state";
    const uint64_t *index = context;
    struct quorum_snapshot snapshot = {.index = *index,
                                       .term = 3,
                                       .configuration_index = 1,
                                       .flushed_sequence = 77,
                                       .generation = 2,
                                       .configuration = (const uint8_t *)"config",
                                       .configuration_bytes = 6};
    struct disk_buffer buffer = {payload, sizeof payload};
    writing.on_done = note_written;
    quorum_snapshot_write_start(&store, &writing, &snapshot, &buffer, 1);
}

static void write_and_wait(uint64_t index)
{
    write_one(&index);
    sim_world_run_for(world, 50 * SIM_MS);
    cr_assert_eq(written, STATUS_OK);
}

static enum status load(void)
{
    free(loaded_bytes);
    loaded_bytes = NULL;
    return quorum_snapshot_load(&store, &loaded_bytes, &loaded);
}

static const char path_of_20[] = "snapshot-00000000000000000020-00000000000000000003";

TestSuite(quorum_snapshot, .init = set_up, .fini = tear_down);

Test(quorum_snapshot, there_is_none_at_first)
{
    cr_expect_eq(load(), STATUS_NOT_FOUND);
}

Test(quorum_snapshot, bytes_are_those_of_version_1)
{
    uint8_t bytes[128];
    write_and_wait(20);

    size_t byte_count = sim_disk_peek(node->disk, path_of_20, 0, bytes, sizeof bytes);

    expect_golden(bytes, byte_count,
                  "32a1c9ec01000000140000000000000003000000000000000100000000000000"
                  "4d0000000000000002000000060000000a000000000000000000000000000000"
                  "636f6e66696774686520737461746500");
}

Test(quorum_snapshot, newest_is_loaded_and_two_are_kept)
{
    for (uint64_t index = 10; index <= 50; index += 10) {
        write_and_wait(index);
    }
    quorum_snapshot_close(&store);
    open_store();

    cr_assert_eq(load(), STATUS_OK);

    cr_expect_eq(loaded.index, 50);
    cr_expect_eq(loaded.term, 3);
    cr_expect_eq(loaded.flushed_sequence, 77);
    cr_expect_arr_eq(loaded.payload, "the state", 10);
    cr_expect_eq(store.older_index, 40);
    uint8_t byte;
    cr_expect_eq(sim_disk_peek(node->disk, path_of_20, 0, &byte, 1), 0);
}

Test(quorum_snapshot, damaged_newest_gives_way_to_the_older_one)
{
    write_and_wait(10);
    write_and_wait(20);
    cr_assert(sim_disk_flip_bit(node->disk, path_of_20, 70, 0));

    cr_assert_eq(load(), STATUS_OK);

    cr_expect_eq(loaded.index, 10);
}

Test(quorum_snapshot, only_one_and_that_damaged_is_corrupt)
{
    write_and_wait(20);
    cr_assert(sim_disk_flip_bit(node->disk, path_of_20, 70, 0));

    cr_expect_eq(load(), STATUS_CORRUPT);
}

Test(quorum_snapshot, full_disk_is_told)
{
    sim_disk_fail(node->disk, SIM_DISK_FLUSH, 1, STATUS_NO_SPACE);
    uint64_t index = 20;
    write_one(&index);
    sim_world_run_for(world, 50 * SIM_MS);

    cr_expect_eq(written, STATUS_NO_SPACE);
    cr_expect_eq(load(), STATUS_NOT_FOUND);
}

static enum status read_status;
static uint64_t read_index;

static void note_read(struct quorum_snapshot_read *self, enum status status, uint8_t *bytes,
                      const struct quorum_snapshot *snapshot)
{
    (void)self;
    read_status = status;
    read_index = snapshot == NULL ? 0 : snapshot->index;
    free(bytes);
}

Test(quorum_snapshot, newest_is_read_beside)
{
    static struct quorum_snapshot_read reading;
    write_and_wait(20);
    reading.on_done = note_read;
    quorum_snapshot_read_start(&store, &reading);
    sim_world_run_for(world, 50 * SIM_MS);

    cr_expect_eq(read_status, STATUS_OK);
    cr_expect_eq(read_index, 20);
}

Test(quorum_snapshot, death_at_any_operation_leaves_the_old_or_the_new_one)
{
    uint32_t deaths = 0;
    for (uint64_t operation = 1; operation < 12; operation++) {
        for (uint64_t index = 10; index <= 30; index += 10) {
            write_and_wait(index + operation * 100);
        }
        sim_disk_die_at(node->disk, operation, SIM_NODE_POWERLESS);
        uint64_t index = 40 + operation * 100;
        written_count = 0;
        (void)sim_node_run(node, write_one, &index);
        sim_world_run_for(world, 50 * SIM_MS);
        sim_disk_spare(node->disk);
        deaths += node->is_up ? 0 : 1;
        sim_node_kill(node);
        cr_assert(sim_node_start(node));
        open_store();

        cr_assert_eq(load(), STATUS_OK);

        cr_expect(loaded.index == index || (written_count == 0 && loaded.index == index - 10),
                  "%lu", loaded.index);
    }
    cr_expect(deaths >= 6, "%u", deaths);
}
