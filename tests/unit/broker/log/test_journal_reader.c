/* Goal: replay gives exactly what was acknowledged and perhaps more of what was put, and tells lost
 * acknowledged records from an ordinary end.
 * Method: journals cut by power, filled by earlier laps and lives, damaged by hand. */
#include "tests/rig/journal_rig.h"

#include <criterion/criterion.h>

static struct journal_rig rig;

static void set_up(void)
{
    journal_rig_init(&rig, 7);
    journal_rig_open(&rig, 1);
}

static void tear_down(void)
{
    cr_expect_not(rig.world->has_failed, "%s", rig.world->failure);
    journal_rig_done(&rig);
}

TestSuite(journal_reader, .init = set_up, .fini = tear_down);

/* `count` records, each flushed by itself. */
static void put_flushed(int64_t offset, int count, uint32_t byte_count)
{
    for (int i = 0; i < count; i++) {
        cr_assert_eq(journal_rig_put(&rig, offset + i, byte_count), STATUS_OK);
        cr_assert(journal_rig_flush(&rig));
    }
}

static void give_up(void)
{
    struct journal_cut cut = journal_cut(&rig.journal);
    journal_release(&rig.journal, &cut);
}

Test(journal_reader, unused_file_is_not_found)
{
    struct journal_reader reader;
    sim_node_enter(rig.node);
    struct disk *disk = sim_node_loop(rig.node, 0)->disk;
    cr_expect_eq(journal_reader_open(&reader, disk, "nothing"), STATUS_NOT_FOUND);
    struct disk_file *file = NULL;
    cr_assert_eq(disk_open(disk, "zeros", DISK_OPEN_WRITE | DISK_OPEN_CREATE, &file), STATUS_OK);
    cr_assert_eq(disk_file_allocate(disk, file, 0, 65536), STATUS_OK);
    disk_file_close(disk, file);
    cr_expect_eq(journal_reader_open(&reader, disk, "zeros"), STATUS_NOT_FOUND);
    sim_node_leave(rig.node);
}

Test(journal_reader, ends_at_the_first_zeros)
{
    put_flushed(0, 5, 3000);
    enum status end = STATUS_UNKNOWN;

    cr_expect_eq(journal_rig_replay(&rig, DISK_BLOCK_BYTES, 1, 0, &end), 5);
    cr_expect_eq(end, STATUS_OK);
}

Test(journal_reader, old_valid_records_of_an_earlier_lap_are_not_replayed)
{
    /* Sheets of one size, so that every place holds a valid sheet of the lap before. */
    put_flushed(0, 20, 4000);
    give_up();
    put_flushed(20, 9, 4000);
    give_up();
    for (int64_t offset = 29; offset < 100; offset++) {
        put_flushed(offset, 1, 4000);
        give_up();
    }
    struct journal_cut cut = journal_cut(&rig.journal);
    put_flushed(100, 3, 4000);
    journal_rig_lose_power(&rig);
    enum status end = STATUS_UNKNOWN;

    cr_expect_eq(journal_rig_replay(&rig, cut.position, cut.sequence, 100, &end), 3);
    cr_expect_eq(end, STATUS_OK);
}

Test(journal_reader, records_of_an_earlier_life_of_the_file_are_not_replayed)
{
    put_flushed(0, 12, 4000);
    journal_rig_lose_power(&rig);
    journal_rig_open(&rig, 2);
    put_flushed(1000, 2, 4000);
    journal_rig_lose_power(&rig);
    enum status end = STATUS_UNKNOWN;

    cr_expect_eq(journal_rig_replay(&rig, DISK_BLOCK_BYTES, 1, 1000, &end), 2);
    cr_expect_eq(end, STATUS_OK);
}

Test(journal_reader, torn_last_write_ends_the_replay_without_loss)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        journal_rig_done(&rig);
        journal_rig_init(&rig, seed);
        journal_rig_open(&rig, 1);
        put_flushed(0, 4, 5000);
        for (int i = 4; i < 14; i++) {
            cr_assert_eq(journal_rig_put(&rig, i, 3000), STATUS_OK);
        }
        sim_world_run_for(rig.world, (int64_t)(seed % 10) * 20 * SIM_US);
        bool was_flushed = rig.journal.flushed_sequence == 15;

        journal_rig_lose_power(&rig);

        enum status end = STATUS_UNKNOWN;
        int count = journal_rig_replay(&rig, DISK_BLOCK_BYTES, 1, 0, &end);
        cr_assert_geq(count, was_flushed ? 14 : 4, "seed %llu", (unsigned long long)seed);
        cr_assert_leq(count, 14);
        cr_assert_eq(end, STATUS_OK);
    }
}

Test(journal_reader, damage_below_an_acknowledged_record_is_corrupt)
{
    put_flushed(0, 6, 5000); /* Two blocks each. */
    cr_assert(sim_disk_flip_bit(rig.node->disk, JOURNAL_RIG_PATH,
                                DISK_BLOCK_BYTES + 2 * 2 * DISK_BLOCK_BYTES + 900, 3));
    enum status end = STATUS_UNKNOWN;

    cr_expect_eq(journal_rig_replay(&rig, DISK_BLOCK_BYTES, 1, 0, &end), 2);
    cr_expect_eq(end, STATUS_CORRUPT);
}

Test(journal_reader, damaged_sheet_header_below_an_acknowledged_record_is_corrupt)
{
    put_flushed(0, 6, 5000);
    cr_assert(sim_disk_flip_bit(rig.node->disk, JOURNAL_RIG_PATH, DISK_BLOCK_BYTES * 5 + 20, 0));
    enum status end = STATUS_UNKNOWN;

    cr_expect_eq(journal_rig_replay(&rig, DISK_BLOCK_BYTES, 1, 0, &end), 2);
    cr_expect_eq(end, STATUS_CORRUPT);
}

Test(journal_reader, what_the_checkpoint_saw_flushed_must_be_reached)
{
    put_flushed(0, 3, 1000);
    struct journal_reader reader;
    struct journal_record record;
    sim_node_enter(rig.node);
    struct disk *disk = sim_node_loop(rig.node, 0)->disk;
    cr_assert_eq(journal_reader_open(&reader, disk, JOURNAL_RIG_PATH), STATUS_OK);
    cr_assert_eq(journal_reader_start(&reader, DISK_BLOCK_BYTES, 1), STATUS_OK);
    while (journal_reader_next(&reader, &record) == STATUS_OK) {
    }
    cr_expect_eq(journal_reader_check_end(&reader, 4), STATUS_OK);
    cr_expect_eq(journal_reader_check_end(&reader, 5), STATUS_CORRUPT);
    journal_reader_close(&reader);
    sim_node_leave(rig.node);
}

Test(journal_reader, position_outside_the_ring_is_corrupt)
{
    put_flushed(0, 1, 100);
    enum status end = STATUS_UNKNOWN;
    cr_expect_eq(journal_rig_replay(&rig, 0, 1, 0, &end), -1);
    cr_expect_eq(end, STATUS_CORRUPT);
    cr_expect_eq(journal_rig_replay(&rig, DISK_BLOCK_BYTES + 512, 1, 0, &end), -1);
    cr_expect_eq(journal_rig_replay(&rig, UINT64_MAX - 4095, 1, 0, &end), -1);
    cr_expect_eq(end, STATUS_CORRUPT);
}
