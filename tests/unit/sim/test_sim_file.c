/* Goal: a power cut leaves any state that a real disk may leave, and no other.
 * Method: small files, each way of cutting, many seeds; counts show that torn and reordered states
 * really come up, a model per sector shows that nothing else does. */
#include "tests/sim/sim_file.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct sim_file file;
static struct prng prng;

static void set_up(void)
{
    sim_file_init(&file);
    prng_init(&prng, 1);
}

static void tear_down(void)
{
    sim_file_done(&file);
}

static void write_byte(uint64_t position, size_t byte_count, int byte, bool is_durable)
{
    uint8_t *bytes = malloc(byte_count + 1);
    cr_assert_not_null(bytes);
    memset(bytes, byte, byte_count);
    sim_file_write(&file, position, bytes, byte_count, is_durable);
}

static int byte_at(uint64_t position)
{
    uint8_t byte = 0;
    return sim_file_read(&file, position, &byte, 1) == 1 ? byte : -1;
}

TestSuite(sim_file, .init = set_up, .fini = tear_down);

Test(sim_file, reads_see_writes_before_any_flush)
{
    write_byte(1000, 5000, 'a', false);

    cr_expect_eq(file.byte_count, 6000);
    cr_expect_eq(byte_at(0), 0);
    cr_expect_eq(byte_at(1000), 'a');
    cr_expect_eq(byte_at(5999), 'a');
    cr_expect_eq(byte_at(6000), -1);
}

Test(sim_file, unflushed_append_loses_data_and_size)
{
    write_byte(0, 100, 'a', true);
    write_byte(100, 100, 'b', false);

    sim_file_cut_power(&file, SIM_CUT_LOSE_ALL, &prng);

    cr_expect_eq(file.byte_count, 100);
    cr_expect_eq(byte_at(99), 'a');
}

Test(sim_file, flushed_bytes_survive_every_cut)
{
    for (unsigned how = 0; how < SIM_CUT_COUNT; how++) {
        write_byte(how * 700, 700, 'x', false);
        sim_file_flush(&file, file.sequence);
        write_byte(how * 700 + 300, 5000, 'y', false);
        sim_file_cut_power(&file, (enum sim_cut)how, &prng);
        for (uint64_t i = 0; i < how * 700 + 300; i++) {
            cr_assert_eq(byte_at(i), 'x', "cut %u, byte %llu", how, (unsigned long long)i);
        }
        sim_file_truncate(&file, (how + 1) * 700);
        write_byte(how * 700, 700, 'x', true);
    }
}

Test(sim_file, durable_write_flushes_its_own_range_only)
{
    write_byte(0, 4096 * 4, 'a', true);
    write_byte(0, 4096, 'b', false);
    write_byte(8192, 4096, 'c', true);

    sim_file_cut_power(&file, SIM_CUT_LOSE_ALL, &prng);

    cr_expect_eq(byte_at(0), 'a');
    cr_expect_eq(byte_at(8192), 'c');
    cr_expect_eq(byte_at(12288), 'a');
}

Test(sim_file, flush_covers_only_what_was_written_before_it_began)
{
    write_byte(0, 4096, 'a', false);
    uint64_t sequence = file.sequence;
    write_byte(0, 512, 'b', false);
    write_byte(4096, 512, 'c', false);
    sim_file_flush(&file, sequence);

    sim_file_cut_power(&file, SIM_CUT_LOSE_ALL, &prng);

    cr_expect_eq(file.byte_count, 4096);
    cr_expect_eq(byte_at(0), 'a');
    cr_expect_eq(byte_at(4095), 'a');
}

Test(sim_file, allocated_space_reads_zeros_after_a_cut)
{
    sim_file_allocate(&file, 0, 65536);
    sim_file_flush(&file, file.sequence);
    write_byte(4096, 8192, 'a', false);

    sim_file_cut_power(&file, SIM_CUT_LOSE_ALL, &prng);

    cr_expect_eq(file.byte_count, 65536);
    cr_expect_eq(byte_at(4096), 0);
    cr_expect_eq(file.allocated_pages, 16);
}

Test(sim_file, lost_truncation_brings_the_old_bytes_back)
{
    write_byte(0, 8192, 'a', true);
    sim_file_truncate(&file, 100);
    write_byte(100, 200, 'b', false);

    sim_file_cut_power(&file, SIM_CUT_LOSE_ALL, &prng);

    cr_expect_eq(file.byte_count, 8192);
    cr_expect_eq(byte_at(100), 'a');
    cr_expect_eq(byte_at(8191), 'a');
}

Test(sim_file, kept_truncation_never_shows_old_bytes_behind_it)
{
    write_byte(0, 8192, 'a', true);
    sim_file_truncate(&file, 100);
    sim_file_truncate(&file, 8192);
    sim_file_flush(&file, file.sequence);

    sim_file_cut_power(&file, SIM_CUT_LOSE_ALL, &prng);

    cr_expect_eq(file.byte_count, 8192);
    cr_expect_eq(byte_at(99), 'a');
    cr_expect_eq(byte_at(100), 0);
    cr_expect_eq(byte_at(5000), 0);
}

Test(sim_file, failed_flush_is_never_made_good_by_a_later_one)
{
    write_byte(0, 512, 'a', true);
    write_byte(0, 512, 'b', false);
    sim_file_fail_flush(&file, file.sequence);
    write_byte(512, 512, 'c', false);
    sim_file_flush(&file, file.sequence);
    cr_expect_eq(byte_at(0), 'b', "reads show what the disk does not have");

    sim_file_cut_power(&file, SIM_CUT_LOSE_ALL, &prng);

    cr_expect_eq(byte_at(0), 'a');
    cr_expect_eq(byte_at(512), 'c');
}

Test(sim_file, torn_and_reordered_writes_come_up)
{
    uint32_t torn = 0;
    uint32_t reordered = 0;
    for (uint64_t seed = 0; seed < 1000; seed++) {
        tear_down();
        sim_file_init(&file);
        prng_init(&prng, seed);
        sim_file_allocate(&file, 0, 16384);
        sim_file_flush(&file, file.sequence);
        write_byte(0, 4096, 'a', false);
        write_byte(4096, 4096, 'b', false);
        sim_file_cut_power(&file, (enum sim_cut)prng_below(&prng, SIM_CUT_COUNT), &prng);
        uint32_t kept[2] = {0, 0};
        for (uint64_t sector = 0; sector < 16; sector++) {
            int byte = byte_at(sector * 512);
            cr_assert(byte == 0 || byte == (sector < 8 ? 'a' : 'b'));
            cr_assert_eq(byte_at(sector * 512 + 511), byte, "a sector is whole");
            kept[sector / 8] += byte != 0;
        }
        torn += (kept[0] > 0 && kept[0] < 8) || (kept[1] > 0 && kept[1] < 8);
        reordered += kept[0] == 0 && kept[1] == 8;
    }
    cr_expect_gt(torn, 100);
    cr_expect_gt(reordered, 50);
}

/* One sector, written in small parts: what is left must be a state that the sector once had. */
Test(sim_file, sector_is_left_in_a_state_it_once_had)
{
    for (uint64_t seed = 0; seed < 2000; seed++) {
        tear_down();
        sim_file_init(&file);
        prng_init(&prng, seed);
        write_byte(0, 512, '.', true);
        uint8_t states[9][512];
        sim_file_read(&file, 0, states[0], 512);
        for (size_t i = 1; i < 9; i++) {
            size_t start = (size_t)prng_below(&prng, 512);
            size_t byte_count = (size_t)prng_below(&prng, 512 - start) + 1;
            write_byte(start, byte_count, 'a' + (int)i, prng_below(&prng, 8) == 0);
            sim_file_read(&file, 0, states[i], 512);
            if (prng_below(&prng, 8) == 0) {
                sim_file_flush(&file, file.sequence);
            }
        }
        sim_file_cut_power(&file, (enum sim_cut)prng_below(&prng, SIM_CUT_COUNT), &prng);
        uint8_t left[512];
        sim_file_read(&file, 0, left, 512);
        bool is_known = false;
        for (size_t i = 0; i < 9; i++) {
            is_known |= memcmp(left, states[i], 512) == 0;
        }
        cr_assert(is_known, "seed %llu", (unsigned long long)seed);
    }
}

Test(sim_file, flipped_bit_is_seen_and_stays)
{
    write_byte(0, 512, 0x40, true);

    cr_expect(sim_file_flip_bit(&file, 7, 0));
    cr_expect_not(sim_file_flip_bit(&file, 512, 0));

    cr_expect_eq(byte_at(7), 0x41);
    sim_file_cut_power(&file, SIM_CUT_LOSE_ALL, &prng);
    cr_expect_eq(byte_at(7), 0x41);
}
