/* Goal: a reader never starts behind the batch it wants, and a damaged file is never believed.
 * Method: small indexes around their edges, Kafka's own files, every cut and flip of one, misuse.
 */
#include "broker/log/offset_index.h"

#include "broker/log/log_name.h"
#include "tests/rig/golden_datadir.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define BASE 1000

static struct offset_index index_under_test;

static void set_up(void)
{
    offset_index_init(&index_under_test, BASE, 4);
}

static void tear_down(void)
{
    offset_index_done(&index_under_test);
}

static enum status append(int64_t last_offset, uint64_t position)
{
    return offset_index_append(&index_under_test, last_offset, position);
}

TestSuite(offset_index, .init = set_up, .fini = tear_down);

Test(offset_index, floor_lands_at_or_before_the_offset)
{
    cr_assert_eq(append(1100, 4096), STATUS_OK);
    cr_assert_eq(append(1200, 8192), STATUS_OK);

    cr_expect_eq(offset_index_floor(&index_under_test, 0), 0);
    cr_expect_eq(offset_index_floor(&index_under_test, 1099), 0);
    cr_expect_eq(offset_index_floor(&index_under_test, 1100), 4096);
    cr_expect_eq(offset_index_floor(&index_under_test, 1199), 4096);
    cr_expect_eq(offset_index_floor(&index_under_test, 1200), 8192);
    cr_expect_eq(offset_index_floor(&index_under_test, INT64_MAX), 8192);
    int64_t last_offset = 0;
    cr_expect_eq(offset_index_floor_batch(&index_under_test, 1199, &last_offset), 4096);
    cr_expect_eq(last_offset, 1100);
    cr_expect_eq(offset_index_floor_batch(&index_under_test, 1099, &last_offset), 0);
    cr_expect_eq(last_offset, -1);
}

Test(offset_index, empty_index_sends_every_reader_to_the_start)
{
    cr_expect_eq(offset_index_floor(&index_under_test, BASE), 0);
    cr_expect_eq(offset_index_floor(&index_under_test, INT64_MAX), 0);
}

Test(offset_index, entry_is_due_after_more_than_the_interval)
{
    cr_expect_not(offset_index_is_due(&index_under_test, 0, 4096));
    cr_expect_not(offset_index_is_due(&index_under_test, 4096, 4096));
    cr_expect(offset_index_is_due(&index_under_test, 4097, 4096));

    cr_assert_eq(append(1100, 5000), STATUS_OK);

    cr_expect_not(offset_index_is_due(&index_under_test, 9096, 4096));
    cr_expect(offset_index_is_due(&index_under_test, 9097, 4096));
}

Test(offset_index, full_index_refuses_and_keeps_what_it_has)
{
    for (uint32_t i = 1; i <= 4; i++) {
        cr_expect(offset_index_has_room(&index_under_test, BASE + i * 10, i * 1000));
        cr_assert_eq(append(BASE + i * 10, i * 1000), STATUS_OK);
    }

    cr_expect_not(offset_index_has_room(&index_under_test, 1050, 5000));
    cr_expect_eq(append(1050, 5000), STATUS_FULL);
    cr_expect_eq(offset_index_floor(&index_under_test, 1050), 4000);
}

Test(offset_index, what_31_bits_cannot_tell_asks_for_a_roll)
{
    cr_expect_eq(append(BASE + (int64_t)INT32_MAX + 1, 4096), STATUS_FULL);
    cr_expect_eq(append(1100, (uint64_t)INT32_MAX + 1), STATUS_FULL);
    cr_expect_eq(append(BASE + (int64_t)INT32_MAX, INT32_MAX), STATUS_OK);
    cr_expect_eq(offset_index_floor(&index_under_test, BASE + (int64_t)INT32_MAX), INT32_MAX);
}

Test(offset_index, truncation_keeps_whole_batches_below_the_offset_only)
{
    cr_assert_eq(append(1100, 4096), STATUS_OK);
    cr_assert_eq(append(1200, 8192), STATUS_OK);
    cr_assert_eq(append(1300, 12288), STATUS_OK);

    offset_index_truncate(&index_under_test, 1301);
    cr_expect_eq(index_under_test.entry_count, 3);
    offset_index_truncate(&index_under_test, 1300);
    cr_expect_eq(index_under_test.entry_count, 2);
    offset_index_truncate(&index_under_test, 1101);
    cr_expect_eq(index_under_test.entry_count, 1);
    cr_expect_eq(append(1150, 8192), STATUS_OK);
    offset_index_truncate(&index_under_test, 0);
    cr_expect_eq(index_under_test.entry_count, 0);
}

Test(offset_index, encoded_tail_is_what_was_appended_last)
{
    cr_assert_eq(append(1001, 0x01020304), STATUS_OK);
    cr_assert_eq(append(0x11223344 + BASE, 0x55667788), STATUS_OK);
    uint8_t bytes[8];

    offset_index_encode(&index_under_test, 1, 1, bytes);

    static const uint8_t expected[8] = {0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88};
    cr_expect_arr_eq(bytes, expected, sizeof expected);
}

Test(offset_index, load_refuses_what_cannot_be)
{
    static const struct {
        uint8_t bytes[16];
        size_t byte_count;
        enum status expected;
    } cases[] = {
        {{0}, 0, STATUS_OK},
        {{0, 0, 0, 5, 0, 0, 0, 9}, 8, STATUS_OK},
        {{0, 0, 0, 5, 0, 0, 0, 9}, 7, STATUS_CORRUPT},
        {{0, 0, 0, 5, 0, 0, 0, 10}, 8, STATUS_CORRUPT},   /* Behind the segment. */
        {{0x80, 0, 0, 0, 0, 0, 0, 9}, 8, STATUS_CORRUPT}, /* Negative. */
        {{0, 0, 0, 5, 0, 0, 0, 8, 0, 0, 0, 5, 0, 0, 0, 9}, 16, STATUS_CORRUPT},
        {{0, 0, 0, 5, 0, 0, 0, 8, 0, 0, 0, 6, 0, 0, 0, 8}, 16, STATUS_CORRUPT},
        {{0, 0, 0, 5, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0}, 16, STATUS_CORRUPT}, /* Zero tail. */
        {{0, 0, 0, 5, 0, 0, 0, 8, 0, 0, 0, 6, 0, 0, 0, 9}, 16, STATUS_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum status status =
            offset_index_load(&index_under_test, cases[i].bytes, cases[i].byte_count, 10);
        cr_expect_eq(status, cases[i].expected, "case %zu", i);
    }
    uint8_t five[40] = {0};
    cr_expect_eq(offset_index_load(&index_under_test, five, sizeof five, 10), STATUS_FULL);
    cr_expect_eq(index_under_test.entry_count, 2, "a refused file changes nothing");
}

/* Its segment's size lets every position through. */
static void load_golden(const struct golden_file *file, struct offset_index *index)
{
    struct log_name_parts parts;
    cr_assert(log_name_parse_file(strchr(file->name, '/') + 1, &parts));
    offset_index_init(index, parts.offset, OFFSET_INDEX_ENTRIES_MAX);
    cr_assert_eq(offset_index_load(index, file->bytes, file->byte_count, INT32_MAX), STATUS_OK,
                 "%s", file->name);
}

Test(offset_index, kafkas_files_read_as_its_dump_tool_says_and_write_as_they_are)
{
    struct golden_datadir golden;
    golden_datadir_open(&golden);
    struct golden_file file;
    uint32_t file_count = 0;
    for (size_t i = 0; golden_datadir_file_at(&golden, i, &file); i++) {
        if (strstr(file.name, ".index") == NULL) {
            continue;
        }
        file_count += 1;
        struct offset_index index;
        load_golden(&file, &index);
        const json_t *rows =
            json_object_get(golden_datadir_expected(&golden, file.name), "entries");
        cr_assert_eq(json_array_size(rows), index.entry_count, "%s", file.name);
        for (uint32_t row = 0; row < index.entry_count; row++) {
            const json_t *expected = json_array_get(rows, row);
            cr_expect_eq(index.base_offset + index.entries[row].relative_offset,
                         golden_datadir_number(expected, "offset"));
            cr_expect_eq(index.entries[row].position, golden_datadir_number(expected, "position"));
        }
        uint8_t *written = malloc(file.byte_count + 1);
        offset_index_encode(&index, 0, index.entry_count, written);
        cr_expect_eq(memcmp(written, file.bytes, file.byte_count), 0, "%s", file.name);
        free(written);
        offset_index_done(&index);
    }
    cr_expect_eq(file_count, 9);
    golden_datadir_close(&golden);
}

Test(offset_index, no_cut_or_flipped_file_ends_in_an_index_out_of_order)
{
    struct golden_datadir golden;
    golden_datadir_open(&golden);
    struct golden_file file = golden_datadir_file(&golden, "golden-0/00000000000000000100.index");
    uint8_t *bytes = malloc(file.byte_count);
    for (size_t bit = 0; bit < file.byte_count * 8; bit++) {
        memcpy(bytes, file.bytes, file.byte_count);
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        struct offset_index index;
        offset_index_init(&index, 100, 100);
        enum status status = offset_index_load(&index, bytes, file.byte_count, 12215);
        cr_expect(status == STATUS_OK || status == STATUS_CORRUPT);
        for (uint32_t i = 1; i < index.entry_count; i++) {
            cr_expect_gt(index.entries[i].relative_offset, index.entries[i - 1].relative_offset);
            cr_expect_gt(index.entries[i].position, index.entries[i - 1].position);
        }
        offset_index_done(&index);
    }
    free(bytes);
    for (size_t cut = 0; cut < file.byte_count; cut++) {
        /* Exactly as large as it says, so that the sanitizer sees a read behind it. */
        uint8_t *cut_bytes = malloc(cut == 0 ? 1 : cut);
        memcpy(cut_bytes, file.bytes, cut);
        struct offset_index index;
        offset_index_init(&index, 100, 100);
        cr_expect_eq(offset_index_load(&index, cut_bytes, cut, 12215),
                     cut % 8 == 0 ? STATUS_OK : STATUS_CORRUPT);
        offset_index_done(&index);
        free(cut_bytes);
    }
    golden_datadir_close(&golden);
}

Test(offset_index, appending_backwards_aborts, .signal = SIGABRT)
{
    cr_assert_eq(append(1200, 8192), STATUS_OK);
    status_ignore(append(1100, 9000), "never returns");
}

Test(offset_index, use_after_done_aborts, .signal = SIGABRT)
{
    offset_index_done(&index_under_test);
    cr_expect_eq(offset_index_floor(&index_under_test, BASE), 0);
}
