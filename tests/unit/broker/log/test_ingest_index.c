/* Goal: every batch's ingested time comes back exactly, over seals, loads, cuts and truncations.
 * Method: golden bytes, a seeded history against a plain array, every cut and flip of a file. */
#include "broker/log/ingest_index.h"

#include "proto/wire/crc32c.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define BASE 100

static struct ingest_index index_under_test;

static void set_up(void)
{
    ingest_index_init(&index_under_test, BASE, INGEST_INDEX_BYTES_MAX);
}

static void tear_down(void)
{
    ingest_index_done(&index_under_test);
}

static void append(int64_t offset, int64_t ingested_ms)
{
    cr_assert_eq(ingest_index_append(&index_under_test, offset, ingested_ms), STATUS_OK);
}

static int64_t find(int64_t offset)
{
    return ingest_index_find(&index_under_test, offset);
}

/* As a restart does: only what was sealed is in the file. */
static void load_own_bytes(void)
{
    struct ingest_index loaded;
    ingest_index_init(&loaded, BASE, INGEST_INDEX_BYTES_MAX);
    cr_assert_eq(
        ingest_index_load(&loaded, index_under_test.bytes, index_under_test.sealed_byte_count),
        STATUS_OK);
    ingest_index_done(&index_under_test);
    index_under_test = loaded;
}

TestSuite(ingest_index, .init = set_up, .fini = tear_down);

Test(ingest_index, each_batch_has_its_own_time)
{
    append(100, 5000);
    append(110, 5000);
    append(120, 5003);
    append(130, 5003);

    cr_expect_eq(find(99), INGEST_INDEX_UNKNOWN);
    cr_expect_eq(find(100), 5000);
    cr_expect_eq(find(110), 5000);
    cr_expect_eq(find(115), 5000);
    cr_expect_eq(find(120), 5003);
    cr_expect_eq(find(130), 5003);
}

Test(ingest_index, empty_index_knows_nothing)
{
    cr_expect_eq(find(100), INGEST_INDEX_UNKNOWN);
    ingest_index_seal(&index_under_test);
    cr_expect_eq(index_under_test.sealed_byte_count, 0);
}

Test(ingest_index, file_has_the_golden_bytes)
{
    append(100, 1795343260683);
    append(112, 1795343260683);
    append(300, 1795343260684);
    append(301, 1795343261684);
    append(302, INGEST_INDEX_UNKNOWN);
    append(309, 1795343261684);
    ingest_index_seal(&index_under_test);

    /* Made by a program of its own, not by this code. */
    static const uint8_t expected[] = {
        0x4d, 0x49,                                     /* magic "MI" */
        0x00, 0x01,                                     /* version */
        0xab, 0x0d, 0x7a, 0x15,                         /* CRC-32C of what follows */
        0x00, 0x00, 0x00, 0x30,                         /* 48 bytes */
        0x00, 0x00, 0x00, 0x05,                         /* 5 entries: 112 says what 100 said */
        0x00, 0x00, 0x00, 0x00,                         /* offset 100 + 0 */
        0x00, 0x00, 0x01, 0xa2, 0x02, 0xcc, 0x1c, 0x0b, /* its time */
        0xc8, 0x01, 0x02,                               /* + 200, + 1 ms */
        0x01, 0xd0, 0x0f,                               /* + 1, + 1000 ms */
        0x01, 0xe9, 0xff, 0xe0, 0xac, 0xc0, 0x68,       /* + 1, unknown */
        0x07, 0xea, 0xff, 0xe0, 0xac, 0xc0, 0x68,       /* + 7, known again */
    };
    cr_expect_eq(index_under_test.sealed_byte_count, sizeof expected);
    cr_expect_arr_eq(index_under_test.bytes, expected, sizeof expected);
    load_own_bytes();
    cr_expect_eq(find(299), 1795343260683);
    cr_expect_eq(find(300), 1795343260684);
    cr_expect_eq(find(302), INGEST_INDEX_UNKNOWN);
    cr_expect_eq(find(309), 1795343261684);
}

Test(ingest_index, batches_of_one_moment_cost_nothing)
{
    append(100, 5000);
    uint32_t byte_count = index_under_test.byte_count;
    for (int64_t offset = 101; offset < 10000; offset++) {
        append(offset, 5000);
    }

    cr_expect_eq(index_under_test.byte_count, byte_count);
    cr_expect_eq(find(9999), 5000);
}

Test(ingest_index, sealed_bytes_are_never_rewritten)
{
    append(100, 5000);
    append(110, 5001);
    ingest_index_seal(&index_under_test);
    uint32_t written_count = index_under_test.sealed_byte_count;
    uint8_t written[128];
    cr_assert_lt(written_count, sizeof written);
    memcpy(written, index_under_test.bytes, written_count);

    append(120, 5001);
    append(130, 5002);
    ingest_index_truncate(&index_under_test, 110);
    append(110, 6000);
    ingest_index_seal(&index_under_test);

    cr_expect_gt(index_under_test.sealed_byte_count, written_count);
    cr_expect_arr_eq(index_under_test.bytes, written, written_count);
}

Test(ingest_index, truncated_batches_are_overridden_also_after_a_restart)
{
    append(100, 5000);
    append(110, 5001);
    append(120, 5002);
    ingest_index_seal(&index_under_test);
    append(130, 5003);
    ingest_index_truncate(&index_under_test, 115);
    append(115, 7000);
    append(125, 7001);
    ingest_index_seal(&index_under_test);

    for (int round = 0; round < 2; round++) {
        cr_expect_eq(find(100), 5000);
        cr_expect_eq(find(110), 5001);
        cr_expect_eq(find(115), 7000);
        cr_expect_eq(find(120), 7000);
        cr_expect_eq(find(130), 7001);
        load_own_bytes();
    }
}

Test(ingest_index, batch_after_a_truncation_gets_an_entry_even_if_the_time_is_the_same)
{
    append(100, 5000);
    append(110, 6000);
    ingest_index_seal(&index_under_test);
    ingest_index_truncate(&index_under_test, 105);
    append(105, 5000);
    append(120, 5000);

    cr_expect_eq(find(120), 5000);
}

Test(ingest_index, truncating_all_leaves_an_index_that_knows_nothing)
{
    append(100, 5000);
    ingest_index_truncate(&index_under_test, 100);

    cr_expect_eq(find(100), INGEST_INDEX_UNKNOWN);
    append(100, 4000);
    cr_expect_eq(find(100), 4000);
}

Test(ingest_index, seeded_history_comes_back_batch_by_batch)
{
    enum { BATCHES = 5000 };
    static int64_t times[BATCHES];
    srand(7);
    int64_t now_ms = 1795343260683;
    for (int64_t i = 0; i < BATCHES; i++) {
        int chance = rand() % 100;
        now_ms += chance < 50 ? 0 : chance < 95 ? rand() % 5 : rand() % 1000000;
        times[i] = chance == 99 ? INGEST_INDEX_UNKNOWN : now_ms;
        append(BASE + i * 3, times[i]);
        if (rand() % 50 == 0) {
            ingest_index_seal(&index_under_test);
        }
    }
    ingest_index_seal(&index_under_test);
    load_own_bytes();

    for (int64_t i = 0; i < BATCHES; i++) {
        cr_expect_eq(find(BASE + i * 3), times[i], "batch %lld", (long long)i);
        cr_expect_eq(find(BASE + i * 3 + 2), times[i], "inside batch %lld", (long long)i);
    }
    cr_expect_lt(index_under_test.byte_count, (uint32_t)BATCHES * 5, "%u bytes",
                 index_under_test.byte_count);
}

Test(ingest_index, full_index_refuses_and_keeps_what_it_has)
{
    struct ingest_index small;
    ingest_index_init(&small, BASE, 100);
    int64_t offset = BASE;
    while (ingest_index_append(&small, offset, offset) == STATUS_OK) {
        offset += 1;
        cr_assert_lt(offset, BASE + 100);
    }

    cr_expect_leq(small.byte_count, 100);
    cr_expect_eq(ingest_index_append(&small, offset, offset), STATUS_FULL);
    cr_expect_eq(ingest_index_find(&small, offset - 1), offset - 1);
    cr_expect_not(ingest_index_has_room(&small));
    cr_expect_eq(ingest_index_append(&index_under_test, BASE + (int64_t)INT32_MAX + 1, 1),
                 STATUS_FULL);
    ingest_index_done(&small);
}

Test(ingest_index, no_cut_or_flipped_file_is_believed)
{
    append(100, 5000);
    append(110, 5001);
    ingest_index_seal(&index_under_test);
    uint32_t first_block = index_under_test.sealed_byte_count;
    append(130, 9001);
    append(140, 9007);
    ingest_index_seal(&index_under_test);
    uint32_t byte_count = index_under_test.sealed_byte_count;

    for (uint32_t bit = 0; bit < byte_count * 8; bit++) {
        uint8_t *bytes = malloc(byte_count);
        memcpy(bytes, index_under_test.bytes, byte_count);
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        struct ingest_index loaded;
        ingest_index_init(&loaded, BASE, 1000);
        enum status status = ingest_index_load(&loaded, bytes, byte_count);
        bool is_version = bit / 8 % first_block == 2 || bit / 8 % first_block == 3;
        cr_expect_eq(status, is_version ? STATUS_UNSUPPORTED : STATUS_CORRUPT, "bit %u", bit);
        cr_expect_eq(loaded.block_count, 0);
        ingest_index_done(&loaded);
        free(bytes);
    }
    for (uint32_t cut = 0; cut < byte_count; cut++) {
        uint8_t *bytes = malloc(cut == 0 ? 1 : cut);
        memcpy(bytes, index_under_test.bytes, cut);
        struct ingest_index loaded;
        ingest_index_init(&loaded, BASE, 1000);
        bool is_whole = cut == 0 || cut == first_block;
        cr_expect_eq(ingest_index_load(&loaded, bytes, cut), is_whole ? STATUS_OK : STATUS_CORRUPT,
                     "cut %u", cut);
        ingest_index_done(&loaded);
        free(bytes);
    }
}

/* A block with a right checksum around `entries` whose header claims `entry_count`. */
static enum status load_crafted(uint32_t relative_offset, uint32_t entry_count,
                                const uint8_t *entries, size_t entries_bytes)
{
    uint8_t block[64] = {0x4d, 0x49, 0, 1};
    uint32_t byte_count = INGEST_INDEX_BLOCK_HEADER_BYTES + (uint32_t)entries_bytes;
    block[11] = (uint8_t)byte_count;
    block[15] = (uint8_t)entry_count;
    for (uint32_t i = 0; i < 4; i++) {
        block[16 + i] = (uint8_t)(relative_offset >> (24 - 8 * i));
    }
    memcpy(block + INGEST_INDEX_BLOCK_HEADER_BYTES, entries, entries_bytes);
    uint32_t crc = crc32c(0, block + 8, byte_count - 8);
    for (uint32_t i = 0; i < 4; i++) {
        block[4 + i] = (uint8_t)(crc >> (24 - 8 * i));
    }
    return ingest_index_load(&index_under_test, block, byte_count);
}

Test(ingest_index, block_whose_entries_cannot_be_is_refused_despite_its_checksum)
{
    static const uint8_t one[] = {0x01, 0x02};
    static const uint8_t no_step[] = {0x00, 0x02};
    static const uint8_t below_unknown[] = {0x01, 0x03};

    cr_expect_eq(load_crafted(5, 2, one, sizeof one), STATUS_OK);
    cr_expect_eq(load_crafted(5, 3, one, sizeof one), STATUS_CORRUPT, "an entry too few");
    cr_expect_eq(load_crafted(5, 1, one, sizeof one), STATUS_CORRUPT, "bytes left over");
    cr_expect_eq(load_crafted(5, 0, one, 0), STATUS_CORRUPT, "no entry");
    cr_expect_eq(load_crafted(5, 2, no_step, sizeof no_step), STATUS_CORRUPT);
    cr_expect_eq(load_crafted(5, 2, below_unknown, sizeof below_unknown), STATUS_CORRUPT);
    cr_expect_eq(load_crafted(INT32_MAX, 2, one, sizeof one), STATUS_CORRUPT);
    cr_expect_eq(load_crafted(0x80000000, 1, one, 0), STATUS_CORRUPT);
    cr_expect_eq(find(BASE + 6), 1, "the good one is still there");
}

Test(ingest_index, appending_backwards_aborts, .signal = SIGABRT)
{
    append(110, 5000);
    append(109, 5001);
}
