/* Goal: no record newer than an entry's time lies at or before its offset.
 * Method: small indexes around their edges, Kafka's own files, every cut and flip of one, misuse.
 */
#include "broker/log/time_index.h"

#include "broker/log/log_name.h"
#include "tests/rig/golden_datadir.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define BASE 1000

static struct time_index index_under_test;

static void set_up(void)
{
    time_index_init(&index_under_test, BASE, 4);
}

static void tear_down(void)
{
    time_index_done(&index_under_test);
}

static enum status add(int64_t timestamp_ms, int64_t offset)
{
    time_index_observe(&index_under_test, timestamp_ms, offset);
    return time_index_append(&index_under_test);
}

static void expect_floor(int64_t timestamp_ms, int64_t expected_ms, int64_t expected_offset)
{
    struct time_index_entry entry = time_index_floor(&index_under_test, timestamp_ms);
    cr_expect_eq(entry.timestamp_ms, expected_ms);
    cr_expect_eq(entry.offset, expected_offset);
}

TestSuite(time_index, .init = set_up, .fini = tear_down);

Test(time_index, floor_lands_at_or_before_the_time)
{
    cr_assert_eq(add(500, 1010), STATUS_OK);
    cr_assert_eq(add(600, 1020), STATUS_OK);

    expect_floor(0, TIME_INDEX_NONE, BASE);
    expect_floor(499, TIME_INDEX_NONE, BASE);
    expect_floor(500, 500, 1010);
    expect_floor(599, 500, 1010);
    expect_floor(INT64_MAX, 600, 1020);
}

Test(time_index, entry_is_the_largest_time_so_far_and_where_it_was)
{
    time_index_observe(&index_under_test, 700, 1005);
    time_index_observe(&index_under_test, 650, 1010);
    time_index_observe(&index_under_test, 700, 1015);
    cr_assert_eq(time_index_append(&index_under_test), STATUS_OK);

    cr_expect_eq(index_under_test.entry_count, 1);
    expect_floor(700, 700, 1005);
}

Test(time_index, older_batches_add_nothing)
{
    cr_assert_eq(add(700, 1005), STATUS_OK);
    cr_assert_eq(add(699, 1010), STATUS_OK);
    cr_assert_eq(add(700, 1015), STATUS_OK);
    cr_assert_eq(add(-5, 1020), STATUS_OK);

    cr_expect_eq(index_under_test.entry_count, 1);
}

Test(time_index, batches_without_a_time_leave_it_empty)
{
    cr_assert_eq(add(TIME_INDEX_NONE, 1005), STATUS_OK);

    cr_expect_eq(index_under_test.entry_count, 0);
    cr_expect_eq(index_under_test.largest.timestamp_ms, TIME_INDEX_NONE);
}

Test(time_index, seal_writes_the_largest_time_into_the_room_kept_back)
{
    cr_assert_eq(add(1, 1001), STATUS_OK);
    cr_assert_eq(add(2, 1002), STATUS_OK);
    cr_assert_eq(add(3, 1003), STATUS_OK);
    cr_expect_not(time_index_has_room(&index_under_test));
    cr_expect_eq(add(4, 1004), STATUS_FULL);

    cr_expect_eq(time_index_seal(&index_under_test), STATUS_OK);
    cr_expect_eq(time_index_seal(&index_under_test), STATUS_OK, "sealing twice adds nothing");

    cr_expect_eq(index_under_test.entry_count, 4);
    expect_floor(4, 4, 1004);
}

Test(time_index, truncation_forgets_entries_and_the_largest_beyond)
{
    cr_assert_eq(add(500, 1010), STATUS_OK);
    cr_assert_eq(add(600, 1020), STATUS_OK);
    time_index_observe(&index_under_test, 900, 1030);

    time_index_truncate(&index_under_test, 1030);
    cr_expect_eq(index_under_test.entry_count, 2);
    cr_expect_eq(index_under_test.largest.timestamp_ms, 600);
    time_index_truncate(&index_under_test, 1020);
    cr_expect_eq(index_under_test.entry_count, 1);
    cr_expect_eq(index_under_test.largest.timestamp_ms, 500);
    time_index_truncate(&index_under_test, BASE);
    cr_expect_eq(index_under_test.largest.timestamp_ms, TIME_INDEX_NONE);
    cr_expect_eq(add(550, 1001), STATUS_OK);
}

Test(time_index, truncation_keeps_the_largest_below)
{
    time_index_observe(&index_under_test, 900, 1010);
    time_index_truncate(&index_under_test, 1011);

    cr_expect_eq(index_under_test.largest.timestamp_ms, 900);
    cr_expect_eq(index_under_test.largest.offset, 1010);
}

Test(time_index, load_refuses_what_cannot_be)
{
    static const struct {
        uint8_t bytes[24];
        size_t byte_count;
        enum status expected;
    } cases[] = {
        {{0}, 0, STATUS_OK},
        {{0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 9}, 12, STATUS_OK},
        {{0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 9}, 11, STATUS_CORRUPT},
        {{0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 10}, 12, STATUS_CORRUPT}, /* Behind the segment. */
        {{0, 0, 0, 0, 0, 0, 0, 7, 0xff, 0, 0, 0}, 12, STATUS_CORRUPT},
        {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 9}, 12, STATUS_CORRUPT},
        {{0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 6},
         24,
         STATUS_CORRUPT},
        {{0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 5},
         24,
         STATUS_CORRUPT},
        {{0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 5}, 24, STATUS_CORRUPT}, /* Zero tail. */
        {{0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 6}, 24, STATUS_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum status status =
            time_index_load(&index_under_test, cases[i].bytes, cases[i].byte_count, BASE + 10);
        cr_expect_eq(status, cases[i].expected, "case %zu", i);
    }
    uint8_t five[60] = {0};
    cr_expect_eq(time_index_load(&index_under_test, five, sizeof five, 9999), STATUS_FULL);
    cr_expect_eq(index_under_test.entry_count, 2, "a refused file changes nothing");
    cr_expect_eq(index_under_test.largest.timestamp_ms, 8);
}

Test(time_index, base_offset_at_the_end_of_numbers_is_survived)
{
    struct time_index index;
    time_index_init(&index, INT64_MAX, 4);
    static const uint8_t bytes[12] = {0, 0, 0, 0, 0, 0, 0, 7, 0x7f, 0xff, 0xff, 0xff};

    cr_expect_eq(time_index_load(&index, bytes, sizeof bytes, INT64_MAX), STATUS_CORRUPT);
    time_index_done(&index);
}

Test(time_index, kafkas_files_read_as_its_dump_tool_says_and_write_as_they_are)
{
    struct golden_datadir golden;
    golden_datadir_open(&golden);
    struct golden_file file;
    uint32_t file_count = 0;
    for (size_t i = 0; golden_datadir_file_at(&golden, i, &file); i++) {
        if (strstr(file.name, ".timeindex") == NULL) {
            continue;
        }
        file_count += 1;
        struct log_name_parts parts;
        cr_assert(log_name_parse_file(strchr(file.name, '/') + 1, &parts));
        struct time_index index;
        time_index_init(&index, parts.offset, TIME_INDEX_ENTRIES_MAX);
        cr_assert_eq(time_index_load(&index, file.bytes, file.byte_count, 1000), STATUS_OK, "%s",
                     file.name);
        const json_t *rows =
            json_object_get(golden_datadir_expected(&golden, file.name), "entries");
        cr_assert_eq(json_array_size(rows), index.entry_count, "%s", file.name);
        for (uint32_t row = 0; row < index.entry_count; row++) {
            const json_t *expected = json_array_get(rows, row);
            cr_expect_eq(index.entries[row].offset, golden_datadir_number(expected, "offset"));
            cr_expect_eq(index.entries[row].timestamp_ms,
                         golden_datadir_number(expected, "timestamp"));
        }
        uint8_t *written = malloc(file.byte_count + 1);
        time_index_encode(&index, 0, index.entry_count, written);
        cr_expect_eq(memcmp(written, file.bytes, file.byte_count), 0, "%s", file.name);
        free(written);
        time_index_done(&index);
    }
    cr_expect_eq(file_count, 9);
    golden_datadir_close(&golden);
}

Test(time_index, no_cut_or_flipped_file_ends_in_an_index_out_of_order)
{
    struct golden_datadir golden;
    golden_datadir_open(&golden);
    struct golden_file file =
        golden_datadir_file(&golden, "golden-0/00000000000000000174.timeindex");
    uint8_t *bytes = malloc(file.byte_count);
    for (size_t bit = 0; bit < file.byte_count * 8; bit++) {
        memcpy(bytes, file.bytes, file.byte_count);
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        struct time_index index;
        time_index_init(&index, 174, 100);
        enum status status = time_index_load(&index, bytes, file.byte_count, 239);
        cr_expect(status == STATUS_OK || status == STATUS_CORRUPT);
        for (uint32_t i = 1; i < index.entry_count; i++) {
            cr_expect_gt(index.entries[i].timestamp_ms, index.entries[i - 1].timestamp_ms);
            cr_expect_gt(index.entries[i].offset, index.entries[i - 1].offset);
        }
        time_index_done(&index);
    }
    free(bytes);
    for (size_t cut = 0; cut < file.byte_count; cut++) {
        uint8_t *cut_bytes = malloc(cut == 0 ? 1 : cut);
        memcpy(cut_bytes, file.bytes, cut);
        struct time_index index;
        time_index_init(&index, 174, 100);
        cr_expect_eq(time_index_load(&index, cut_bytes, cut, 239),
                     cut % 12 == 0 ? STATUS_OK : STATUS_CORRUPT);
        time_index_done(&index);
        free(cut_bytes);
    }
    golden_datadir_close(&golden);
}

Test(time_index, observing_before_the_segment_aborts, .signal = SIGABRT)
{
    time_index_observe(&index_under_test, 1, BASE - 1);
}
