/* Goal: producer snapshots are Kafka's, and a damaged one is never believed.
 * Method: the golden files both ways, every cut and flip of one, rows that cannot be. */
#include "broker/log/snapshot_file.h"

#include "tests/rig/golden_datadir.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define ROW_OF_7                                                                                   \
    {                                                                                              \
        .producer_id = 7, .producer_epoch = 2, .last_sequence = 9, .last_offset = 30,              \
        .offset_delta = 4, .timestamp_ms = 5000, .coordinator_epoch = -1, .txn_first_offset = -1   \
    }

static int64_t number_or_none(const json_t *row, const char *member)
{
    const json_t *value = json_object_get(row, member);
    return json_is_integer(value) ? json_integer_value(value) : -1;
}

static void expect_row(const json_t *expected, const struct snapshot_file_row *row)
{
    cr_expect_eq(row->producer_id, golden_datadir_number(expected, "producerId"));
    cr_expect_eq(row->producer_epoch, golden_datadir_number(expected, "producerEpoch"));
    cr_expect_eq(row->coordinator_epoch, golden_datadir_number(expected, "coordinatorEpoch"));
    cr_expect_eq(row->timestamp_ms, golden_datadir_number(expected, "lastTimestamp"));
    cr_expect_eq(row->txn_first_offset, number_or_none(expected, "currentTxnFirstOffset"));
    cr_expect_eq(row->last_sequence, number_or_none(expected, "lastSequence"));
    cr_expect_eq(row->last_offset, number_or_none(expected, "lastOffset"));
    if (row->last_offset >= 0) {
        cr_expect_eq(row->offset_delta, golden_datadir_number(expected, "offsetDelta"));
        cr_expect_eq(row->last_sequence - row->offset_delta,
                     golden_datadir_number(expected, "firstSequence"));
    }
}

/* Every row of the tool is a row of ours; the file's own order is kept in its bytes only. */
static void expect_rows(const struct golden_file *file, const json_t *expected)
{
    struct snapshot_file_row *rows = NULL;
    uint32_t row_count = 0;
    cr_assert_eq(snapshot_file_decode(file->bytes, file->byte_count, &rows, &row_count), STATUS_OK,
                 "%s", file->name);
    cr_assert_eq(json_array_size(expected), row_count, "%s", file->name);
    for (uint32_t i = 0; i < row_count; i++) {
        uint32_t found_count = 0;
        for (uint32_t j = 0; j < row_count; j++) {
            const json_t *row = json_array_get(expected, j);
            if (golden_datadir_number(row, "producerId") == rows[i].producer_id) {
                expect_row(row, &rows[i]);
                found_count += 1;
            }
        }
        cr_expect_eq(found_count, 1);
        cr_expect(i == 0 || rows[i].producer_id > rows[i - 1].producer_id);
    }

    uint8_t *bytes = NULL;
    size_t byte_count = 0;
    cr_assert_eq(snapshot_file_encode(rows, row_count, &bytes, &byte_count), STATUS_OK);
    cr_assert_eq(byte_count, file->byte_count);
    struct snapshot_file_row *again = NULL;
    cr_assert_eq(snapshot_file_decode(bytes, byte_count, &again, &row_count), STATUS_OK);
    cr_expect(row_count == 0 || memcmp(rows, again, row_count * sizeof *rows) == 0);
    free(again);
    free(bytes);
    free(rows);
}

Test(snapshot_file, kafkas_files_read_as_its_dump_tool_says)
{
    struct golden_datadir golden;
    golden_datadir_open(&golden);
    struct golden_file file;
    uint32_t file_count = 0;
    for (size_t i = 0; golden_datadir_file_at(&golden, i, &file); i++) {
        if (strstr(file.name, ".snapshot") != NULL) {
            file_count += 1;
            expect_rows(&file,
                        json_object_get(golden_datadir_expected(&golden, file.name), "entries"));
        }
    }
    cr_expect_eq(file_count, 11);
    golden_datadir_close(&golden);
}

Test(snapshot_file, one_row_in_the_files_order_gives_kafkas_bytes)
{
    struct golden_datadir golden;
    golden_datadir_open(&golden);
    struct golden_file file =
        golden_datadir_file(&golden, "__consumer_offsets-0/00000000000000000093.snapshot");
    struct snapshot_file_row row = {.producer_id = 13,
                                    .producer_epoch = 4,
                                    .last_sequence = -1,
                                    .last_offset = -1,
                                    .offset_delta = 0,
                                    .timestamp_ms = 1795343266672,
                                    .coordinator_epoch = 0,
                                    .txn_first_offset = -1};
    uint8_t *bytes = NULL;
    size_t byte_count = 0;
    cr_assert_eq(snapshot_file_encode(&row, 1, &bytes, &byte_count), STATUS_OK);

    cr_expect_eq(byte_count, file.byte_count);
    cr_expect_arr_eq(bytes, file.bytes, byte_count);
    free(bytes);
    golden_datadir_close(&golden);
}

Test(snapshot_file, no_cut_or_flipped_file_is_believed)
{
    struct golden_datadir golden;
    golden_datadir_open(&golden);
    struct golden_file file =
        golden_datadir_file(&golden, "golden-compacted-0/00000000000000000144.snapshot");
    struct snapshot_file_row *rows = NULL;
    uint32_t row_count = 0;
    for (size_t bit = 0; bit < file.byte_count * 8; bit++) {
        uint8_t *bytes = malloc(file.byte_count);
        memcpy(bytes, file.bytes, file.byte_count);
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        cr_expect_eq(snapshot_file_decode(bytes, file.byte_count, &rows, &row_count),
                     bit < 16 ? STATUS_UNSUPPORTED : STATUS_CORRUPT, "bit %zu", bit);
        free(bytes);
    }
    for (size_t cut = 0; cut < file.byte_count; cut++) {
        uint8_t *bytes = malloc(cut == 0 ? 1 : cut);
        memcpy(bytes, file.bytes, cut);
        cr_expect_eq(snapshot_file_decode(bytes, cut, &rows, &row_count), STATUS_CORRUPT);
        free(bytes);
    }
    golden_datadir_close(&golden);
}

Test(snapshot_file, producer_that_is_there_twice_is_refused)
{
    struct snapshot_file_row rows[3] = {ROW_OF_7, ROW_OF_7, ROW_OF_7};
    rows[1].producer_id = 3;
    uint8_t *bytes = NULL;
    size_t byte_count = 0;
    cr_assert_eq(snapshot_file_encode(rows, 3, &bytes, &byte_count), STATUS_OK);
    struct snapshot_file_row *decoded = NULL;
    uint32_t row_count = 0;

    cr_expect_eq(snapshot_file_decode(bytes, byte_count, &decoded, &row_count), STATUS_CORRUPT);
    cr_expect_null(decoded);
    free(bytes);
}

Test(snapshot_file, row_that_cannot_be_is_not_written, .signal = SIGABRT)
{
    struct snapshot_file_row row = ROW_OF_7;
    row.offset_delta = 31;
    uint8_t *bytes = NULL;
    size_t byte_count = 0;
    status_ignore(snapshot_file_encode(&row, 1, &bytes, &byte_count), "never returns");
}
