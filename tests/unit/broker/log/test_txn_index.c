/* Goal: a read_committed fetch learns of every aborted transaction that overlaps it.
 * Method: a row of overlapping transactions, Kafka's own files, every cut and flip of one, misuse.
 */
#include "broker/log/txn_index.h"

#include "tests/rig/golden_datadir.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static struct txn_index index_under_test;
static struct log_aborted_txn found[8];

static void set_up(void)
{
    txn_index_init(&index_under_test, 100);
}

static void tear_down(void)
{
    txn_index_done(&index_under_test);
}

static enum status append(int64_t producer_id, int64_t first, int64_t last, int64_t stable)
{
    struct log_aborted_txn aborted = {.producer_id = producer_id,
                                      .first_offset = first,
                                      .last_offset = last,
                                      .last_stable_offset = stable};
    return txn_index_append(&index_under_test, &aborted);
}

/* Three transactions: 90..110 and 105..120 overlap, 130..140 stands alone. */
static void append_three(void)
{
    cr_assert_eq(append(1, 90, 110, 105), STATUS_OK);
    cr_assert_eq(append(2, 105, 120, 121), STATUS_OK);
    cr_assert_eq(append(3, 130, 140, 141), STATUS_OK);
}

static struct txn_index_search search_of(int64_t offset, int64_t offset_limit)
{
    return (struct txn_index_search){
        .offset = offset, .offset_limit = offset_limit, .found = found, .found_count_max = 8};
}

TestSuite(txn_index, .init = set_up, .fini = tear_down);

Test(txn_index, collects_what_overlaps_and_nothing_else)
{
    append_three();
    static const struct {
        int64_t offset;
        int64_t offset_limit;
        uint32_t expected_count;
        int64_t expected_first_producer;
        bool is_complete;
    } cases[] = {
        {100, 105, 1, 1, true},  {100, 106, 2, 1, true},  {110, 111, 2, 1, true},
        {111, 115, 1, 2, true},  {120, 121, 1, 2, true},  {121, 130, 0, 0, true},
        {121, 131, 1, 3, true},  {100, 200, 3, 1, false}, {140, 200, 1, 3, false},
        {141, 200, 0, 0, false}, {130, 141, 1, 3, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct txn_index_search search = search_of(cases[i].offset, cases[i].offset_limit);
        cr_assert_eq(txn_index_collect(&index_under_test, &search), STATUS_OK);
        cr_expect_eq(search.found_count, cases[i].expected_count, "case %zu", i);
        cr_expect_eq(search.is_complete, cases[i].is_complete, "case %zu", i);
        if (search.found_count > 0) {
            cr_expect_eq(found[0].producer_id, cases[i].expected_first_producer, "case %zu", i);
        }
    }
}

Test(txn_index, collecting_goes_on_from_segment_to_segment)
{
    append_three();
    struct txn_index later;
    txn_index_init(&later, 200);
    struct log_aborted_txn aborted = {
        .producer_id = 9, .first_offset = 135, .last_offset = 210, .last_stable_offset = 211};
    cr_assert_eq(txn_index_append(&later, &aborted), STATUS_OK);

    struct txn_index_search search = search_of(125, 160);
    cr_assert_eq(txn_index_collect(&index_under_test, &search), STATUS_OK);
    cr_expect_not(search.is_complete);
    cr_assert_eq(txn_index_collect(&later, &search), STATUS_OK);

    cr_expect(search.is_complete);
    cr_expect_eq(search.found_count, 2);
    cr_expect_eq(found[1].producer_id, 9);
    txn_index_done(&later);
}

Test(txn_index, more_than_fit_is_told)
{
    append_three();
    struct txn_index_search search = search_of(100, 200);
    search.found_count_max = 2;

    cr_expect_eq(txn_index_collect(&index_under_test, &search), STATUS_FULL);
    cr_expect_eq(search.found_count, 2);
}

Test(txn_index, truncation_forgets_markers_at_or_beyond_the_offset)
{
    append_three();

    txn_index_truncate(&index_under_test, 141);
    cr_expect_eq(index_under_test.entry_count, 3);
    txn_index_truncate(&index_under_test, 140);
    cr_expect_eq(index_under_test.entry_count, 2);
    txn_index_truncate(&index_under_test, 100);
    cr_expect_eq(index_under_test.entry_count, 0);
}

Test(txn_index, many_entries_grow_and_come_back_from_their_bytes)
{
    for (int64_t i = 0; i < 1000; i++) {
        cr_assert_eq(append(i, 100 + i * 2, 101 + i * 2, 102 + i * 2), STATUS_OK);
    }
    uint8_t *bytes = malloc(1000 * TXN_INDEX_ENTRY_BYTES);
    txn_index_encode(&index_under_test, 0, 1000, bytes);
    struct txn_index loaded;
    txn_index_init(&loaded, 100);

    cr_assert_eq(txn_index_load(&loaded, bytes, 1000 * TXN_INDEX_ENTRY_BYTES, 2101), STATUS_OK);

    cr_expect_eq(loaded.entry_count, 1000);
    cr_expect_eq(memcmp(loaded.entries, index_under_test.entries, 1000 * sizeof *loaded.entries),
                 0);
    cr_expect_eq(txn_index_load(&loaded, bytes, 1000 * TXN_INDEX_ENTRY_BYTES, 2099), STATUS_CORRUPT,
                 "a marker behind the segment's end");
    txn_index_done(&loaded);
    free(bytes);
}

Test(txn_index, kafkas_files_read_as_its_dump_tool_says_and_write_as_they_are)
{
    struct golden_datadir golden;
    golden_datadir_open(&golden);
    struct golden_file file;
    uint32_t file_count = 0;
    for (size_t i = 0; golden_datadir_file_at(&golden, i, &file); i++) {
        if (strstr(file.name, ".txnindex") == NULL) {
            continue;
        }
        file_count += 1;
        struct txn_index index;
        txn_index_init(&index, 0);
        cr_assert_eq(txn_index_load(&index, file.bytes, file.byte_count, 1000), STATUS_OK, "%s",
                     file.name);
        const json_t *rows =
            json_object_get(golden_datadir_expected(&golden, file.name), "entries");
        cr_assert_eq(json_array_size(rows), index.entry_count, "%s", file.name);
        for (uint32_t row = 0; row < index.entry_count; row++) {
            const json_t *expected = json_array_get(rows, row);
            const struct log_aborted_txn *entry = &index.entries[row];
            cr_expect_eq(entry->producer_id, golden_datadir_number(expected, "producerId"));
            cr_expect_eq(entry->first_offset, golden_datadir_number(expected, "firstOffset"));
            cr_expect_eq(entry->last_offset, golden_datadir_number(expected, "lastOffset"));
            cr_expect_eq(entry->last_stable_offset,
                         golden_datadir_number(expected, "lastStableOffset"));
        }
        uint8_t *written = malloc(file.byte_count + 1);
        txn_index_encode(&index, 0, index.entry_count, written);
        cr_expect_eq(memcmp(written, file.bytes, file.byte_count), 0, "%s", file.name);
        free(written);
        txn_index_done(&index);
    }
    cr_expect_eq(file_count, 4);
    golden_datadir_close(&golden);
}

Test(txn_index, no_cut_or_flipped_file_ends_in_an_index_out_of_order)
{
    struct golden_datadir golden;
    golden_datadir_open(&golden);
    struct golden_file file =
        golden_datadir_file(&golden, "golden-0/00000000000000000174.txnindex");
    uint8_t *bytes = malloc(file.byte_count);
    for (size_t bit = 0; bit < file.byte_count * 8; bit++) {
        memcpy(bytes, file.bytes, file.byte_count);
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        struct txn_index index;
        txn_index_init(&index, 174);
        enum status status = txn_index_load(&index, bytes, file.byte_count, 239);
        cr_expect(status == STATUS_OK || status == STATUS_CORRUPT || status == STATUS_UNSUPPORTED);
        for (uint32_t i = 1; i < index.entry_count; i++) {
            cr_expect_gt(index.entries[i].last_offset, index.entries[i - 1].last_offset);
        }
        txn_index_done(&index);
    }
    free(bytes);
    for (size_t cut = 0; cut < file.byte_count; cut++) {
        uint8_t *cut_bytes = malloc(cut == 0 ? 1 : cut);
        memcpy(cut_bytes, file.bytes, cut);
        struct txn_index index;
        txn_index_init(&index, 174);
        cr_expect_eq(txn_index_load(&index, cut_bytes, cut, 239),
                     cut % 34 == 0 ? STATUS_OK : STATUS_CORRUPT);
        txn_index_done(&index);
        free(cut_bytes);
    }
    golden_datadir_close(&golden);
}

Test(txn_index, version_that_is_not_known_is_said_to_be_so)
{
    uint8_t bytes[TXN_INDEX_ENTRY_BYTES] = {0, 1};
    cr_expect_eq(txn_index_load(&index_under_test, bytes, sizeof bytes, 1000), STATUS_UNSUPPORTED);
}

static bool may_append(int64_t producer_id, int64_t first, int64_t last, int64_t stable)
{
    struct log_aborted_txn aborted = {.producer_id = producer_id,
                                      .first_offset = first,
                                      .last_offset = last,
                                      .last_stable_offset = stable};
    return txn_index_may_append(&index_under_test, &aborted);
}

Test(txn_index, what_no_marker_can_have_made_is_told_before)
{
    append_three();
    cr_expect(may_append(4, 135, 150, 151));
    cr_expect_not(may_append(4, 105, 140, 141), "not behind the last one");
    cr_expect_not(may_append(4, 150, 150, 151), "nothing in it");
    cr_expect_not(may_append(4, 135, 150, 152), "stable behind its marker");
    cr_expect_not(may_append(-1, 135, 150, 151));
}

Test(txn_index, marker_out_of_order_aborts, .signal = SIGABRT)
{
    append_three();
    status_ignore(append(4, 105, 120, 121), "never returns");
}
