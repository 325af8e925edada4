/* Goal: recovery derives from the batches alone what Kafka wrote beside them.
 * Method: every golden segment walked in pieces, its indexes and snapshots compared; then damage.
 */
#include "broker/log/rebuild.h"

#include "broker/log/checkpoint_file.h"
#include "broker/log/epoch_file.h"
#include "broker/log/log_name.h"
#include "tests/rig/golden_datadir.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INTERVAL_GOLDEN 1024
#define NAME_BYTES 128

static struct golden_datadir golden;
static struct index_set indexes;
static struct producer_rows producers;
static struct epoch_history epochs;

static void set_up(void)
{
    golden_datadir_open(&golden);
    producer_rows_init(&producers);
    epoch_history_init(&epochs);
}

static void tear_down(void)
{
    index_set_done(&indexes);
    producer_rows_done(&producers);
    epoch_history_done(&epochs);
    golden_datadir_close(&golden);
}

static struct golden_file file_of(const char *folder, int64_t offset, const char *suffix)
{
    static char name[NAME_BYTES];
    snprintf(name, sizeof name, "%s/%020lld%s", folder, (long long)offset, suffix);
    return golden_datadir_file(&golden, name);
}

/* As a recovery reads a segment: in pieces that cut batches anywhere. */
static enum status walk(struct rebuild *rebuild, const uint8_t *bytes, size_t byte_count,
                        size_t piece_bytes)
{
    size_t place = 0;
    size_t end = 0;
    while (end < byte_count) {
        end = end + piece_bytes > byte_count ? byte_count : end + piece_bytes;
        size_t taken = 0;
        enum status status = rebuild_walk(rebuild, bytes + place, end - place, &taken);
        place += taken;
        cr_assert_eq(place, rebuild->position);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

static bool has_gaps;

static struct rebuild begin_walk(int64_t base_offset, uint32_t interval_bytes)
{
    index_set_done(&indexes);
    index_set_init(&indexes, base_offset, interval_bytes);
    struct rebuild rebuild = {.indexes = &indexes,
                              .producers = &producers,
                              .epochs = &epochs,
                              .next_offset = base_offset,
                              .has_gaps = has_gaps};
    rebuild_begin(&rebuild);
    return rebuild;
}

/* The end of the segment. */
static int64_t walk_segment(const char *folder, int64_t base_offset, uint32_t interval_bytes)
{
    struct golden_file file = file_of(folder, base_offset, ".log");
    struct rebuild rebuild = begin_walk(base_offset, interval_bytes);
    cr_assert_eq(walk(&rebuild, file.bytes, file.byte_count, 700), STATUS_OK, "%s", file.name);
    cr_assert_eq(index_set_seal(&indexes), STATUS_OK);
    cr_expect_eq(rebuild.position, file.byte_count);
    return rebuild.next_offset;
}

static bool rows_are_equal(const struct snapshot_file_row *left,
                           const struct snapshot_file_row *right)
{
    return left->producer_id == right->producer_id && left->last_offset == right->last_offset &&
           left->timestamp_ms == right->timestamp_ms &&
           left->txn_first_offset == right->txn_first_offset &&
           left->last_sequence == right->last_sequence &&
           left->offset_delta == right->offset_delta &&
           left->coordinator_epoch == right->coordinator_epoch &&
           left->producer_epoch == right->producer_epoch;
}

static void expect_snapshot(const char *folder, int64_t offset)
{
    struct golden_file file = file_of(folder, offset, ".snapshot");
    struct snapshot_file_row *expected = NULL;
    uint32_t row_count = 0;
    cr_assert_eq(snapshot_file_decode(file.bytes, file.byte_count, &expected, &row_count),
                 STATUS_OK);
    cr_expect_eq(producers.row_count, row_count, "%s", file.name);
    for (uint32_t i = 0; i < row_count; i++) {
        const struct snapshot_file_row *row =
            producer_rows_find(&producers, expected[i].producer_id);
        cr_assert_not_null(row);
        cr_expect(rows_are_equal(row, &expected[i]), "producer %lld of %s",
                  (long long)row->producer_id, file.name);
    }
    free(expected);
}

static void expect_txns(const char *folder, int64_t base_offset)
{
    struct golden_file file = file_of(folder, base_offset, ".txnindex");
    struct txn_index expected;
    txn_index_init(&expected, base_offset);
    cr_assert_eq(txn_index_load(&expected, file.bytes, file.byte_count, 1000), STATUS_OK);
    cr_assert_eq(indexes.txns.entry_count, expected.entry_count, "%s", file.name);
    cr_expect_eq(memcmp(indexes.txns.entries, expected.entries,
                        expected.entry_count * sizeof *expected.entries),
                 0, "%s", file.name);
    txn_index_done(&expected);
}

static bool are_same_bytes(const void *left, const void *right, size_t byte_count)
{
    return byte_count == 0 || memcmp(left, right, byte_count) == 0;
}

/* What Kafka's index says of the segment must be batches of it, and its last time ours. */
static void expect_indexes(const char *folder, int64_t base_offset, bool is_same)
{
    struct golden_file file = file_of(folder, base_offset, ".index");
    struct offset_index offsets;
    offset_index_init(&offsets, base_offset, OFFSET_INDEX_ENTRIES_MAX);
    cr_assert_eq(offset_index_load(&offsets, file.bytes, file.byte_count, INT32_MAX), STATUS_OK);
    file = file_of(folder, base_offset, ".timeindex");
    struct time_index times;
    time_index_init(&times, base_offset, TIME_INDEX_ENTRIES_MAX);
    cr_assert_eq(time_index_load(&times, file.bytes, file.byte_count, INT64_MAX), STATUS_OK);

    cr_expect_eq(indexes.times.entries[indexes.times.entry_count - 1].timestamp_ms,
                 times.largest.timestamp_ms, "%s", file.name);
    if (is_same) {
        cr_expect_eq(indexes.offsets.entry_count, offsets.entry_count, "%s", file.name);
        cr_expect(are_same_bytes(indexes.offsets.entries, offsets.entries,
                                 offsets.entry_count * sizeof *offsets.entries),
                  "%s", file.name);
        cr_expect_eq(indexes.times.entry_count, times.entry_count, "%s", file.name);
        cr_expect_eq(
            memcmp(indexes.times.entries, times.entries, times.entry_count * sizeof *times.entries),
            0, "%s", file.name);
    }
    offset_index_done(&offsets);
    time_index_done(&times);
}

/* Our entries are batches of the segment, more than the interval apart. */
static void expect_entries_are_batches(const char *folder, int64_t base_offset)
{
    struct golden_file file = file_of(folder, base_offset, ".log");
    for (uint32_t i = 0; i < indexes.offsets.entry_count; i++) {
        bool is_found = false;
        for (size_t line = 0; line < json_array_size(golden.expected); line++) {
            const json_t *batch = json_array_get(golden.expected, line);
            is_found = is_found || (strcmp(golden_datadir_text(batch, "file"), file.name) == 0 &&
                                    golden_datadir_number(batch, "position") ==
                                        indexes.offsets.entries[i].position &&
                                    golden_datadir_number(batch, "lastOffset") ==
                                        base_offset + indexes.offsets.entries[i].relative_offset);
        }
        cr_expect(is_found, "entry %u of %s", i, file.name);
    }
}

TestSuite(rebuild, .init = set_up, .fini = tear_down);

Test(rebuild, segments_of_a_written_log_give_kafkas_side_files)
{
    static const int64_t bases[] = {0, 100, 174, 239};
    for (size_t i = 0; i < 4; i++) {
        (void)walk_segment("golden-0", bases[i], INTERVAL_GOLDEN);
        expect_entries_are_batches("golden-0", bases[i]);
        expect_indexes("golden-0", bases[i], bases[i] != 239); /* A restart lies in the last. */
        if (bases[i] > 0) {
            expect_txns("golden-0", bases[i]);
        } else {
            cr_expect_eq(indexes.txns.entry_count, 0);
        }
        expect_snapshot("golden-0", i < 3 ? bases[i + 1] : 314);
    }
}

Test(rebuild, epochs_come_from_the_batches)
{
    static const int64_t bases[] = {0, 100, 174, 239};
    for (size_t i = 0; i < 4; i++) {
        (void)walk_segment("golden-0", bases[i], INTERVAL_GOLDEN);
    }
    (void)epoch_history_truncate_start(&epochs, 7); /* As the log's start was moved. */

    struct golden_file file = golden_datadir_file(&golden, "golden-0/" EPOCH_FILE_NAME);
    uint8_t *bytes = NULL;
    size_t byte_count = 0;
    cr_assert_eq(epoch_file_encode(&epochs, &bytes, &byte_count), STATUS_OK);
    cr_expect_eq(byte_count, file.byte_count);
    cr_expect_arr_eq(bytes, file.bytes, byte_count);
    free(bytes);
}

Test(rebuild, ends_of_the_logs_are_kafkas_recovery_points)
{
    static const struct {
        const char *topic_name;
        const char *folder;
        int64_t last_base;
    } logs[] = {
        {"golden", "golden-0", 239},
        {"golden-compacted", "golden-compacted-0", 81},
        {"__consumer_offsets", "__consumer_offsets-0", 0},
        {"__transaction_state", "__transaction_state-0", 0},
        {"__share_group_state", "__share_group_state-0", 0},
    };
    struct golden_file file = golden_datadir_file(&golden, CHECKPOINT_FILE_RECOVERY_POINT);
    struct checkpoint_file_row *rows = NULL;
    uint32_t row_count = 0;
    cr_assert_eq(checkpoint_file_decode(file.bytes, file.byte_count, &rows, &row_count), STATUS_OK);
    cr_assert_eq(row_count, 6);
    for (uint32_t row = 0; row < row_count; row++) {
        rows[row].offset = 0; /* golden-changelog is empty, and its directory is left out. */
        for (size_t i = 0; i < 5; i++) {
            if (wire_text_equals(rows[row].topic_name, logs[i].topic_name)) {
                rows[row].offset = walk_segment(logs[i].folder, logs[i].last_base, 4096);
            }
        }
    }
    uint8_t *bytes = NULL;
    size_t byte_count = 0;
    cr_assert_eq(checkpoint_file_encode(rows, row_count, &bytes, &byte_count), STATUS_OK);
    cr_expect_eq(byte_count, file.byte_count);
    cr_expect_arr_eq(bytes, file.bytes, byte_count);
    free(bytes);
    free(rows);
}

Test(rebuild, internal_and_compacted_segments_give_kafkas_side_files)
{
    (void)walk_segment("__consumer_offsets-0", 0, 4096);
    expect_indexes("__consumer_offsets-0", 0, false);
    expect_entries_are_batches("__consumer_offsets-0", 0);
    expect_txns("__consumer_offsets-0", 0);
    expect_snapshot("__consumer_offsets-0", 93);

    producer_rows_done(&producers);
    producer_rows_init(&producers);
    (void)walk_segment("__transaction_state-0", 0, 4096);
    expect_indexes("__transaction_state-0", 0, false);
    expect_snapshot("__transaction_state-0", 115);
    (void)walk_segment("__share_group_state-0", 0, 4096);
    expect_indexes("__share_group_state-0", 0, true);
    expect_snapshot("__share_group_state-0", 4);

    has_gaps = true;
    (void)walk_segment("golden-compacted-0", 0, 512);
    expect_indexes("golden-compacted-0", 0, false);
    expect_entries_are_batches("golden-compacted-0", 0);
    (void)walk_segment("golden-compacted-0", 81, 512);
    expect_indexes("golden-compacted-0", 81, false);
    expect_entries_are_batches("golden-compacted-0", 81);
    expect_snapshot("golden-compacted-0", 144);
}

/* Bytes of the segment before the batch that begins at or after `offset`. */
static size_t position_of(const struct golden_file *file, int64_t offset)
{
    for (size_t line = 0; line < json_array_size(golden.expected); line++) {
        const json_t *batch = json_array_get(golden.expected, line);
        if (strcmp(golden_datadir_text(batch, "file"), file->name) == 0 &&
            golden_datadir_number(batch, "baseOffset") >= offset) {
            return (size_t)golden_datadir_number(batch, "position");
        }
    }
    return file->byte_count;
}

/* The rows as Kafka stored them at `offset`. */
static void load_snapshot(const char *folder, int64_t offset)
{
    struct golden_file file = file_of(folder, offset, ".snapshot");
    struct snapshot_file_row *rows = NULL;
    uint32_t row_count = 0;
    cr_assert_eq(snapshot_file_decode(file.bytes, file.byte_count, &rows, &row_count), STATUS_OK);
    cr_assert_eq(producer_rows_load(&producers, rows, row_count), STATUS_OK);
    free(rows);
}

Test(rebuild, walk_from_the_middle_goes_on_where_a_checkpoint_ended)
{
    struct golden_file file = file_of("golden-0", 239, ".log");
    size_t middle = position_of(&file, 269);
    load_snapshot("golden-0", 239);
    struct rebuild rebuild = begin_walk(239, INTERVAL_GOLDEN);
    cr_assert_eq(walk(&rebuild, file.bytes, file.byte_count, file.byte_count), STATUS_OK);
    cr_assert_eq(index_set_seal(&indexes), STATUS_OK);
    uint32_t offset_count = indexes.offsets.entry_count;
    int64_t largest_ms = indexes.times.largest.timestamp_ms;
    expect_txns("golden-0", 239);

    load_snapshot("golden-0", 269);
    struct rebuild again = {
        .indexes = &indexes, .producers = &producers, .position = middle, .next_offset = 269};
    rebuild_begin(&again);
    cr_expect_lt(indexes.offsets.entry_count, offset_count);
    cr_expect_lt(time_index_floor(&indexes.times, INT64_MAX).offset, 269);
    cr_expect_lt(indexes.times.largest.offset, 269);
    cr_assert_eq(walk(&again, file.bytes + middle, 0, 1), STATUS_OK);
    size_t taken = 0;
    cr_assert_eq(rebuild_walk(&again, file.bytes + middle, file.byte_count - middle, &taken),
                 STATUS_OK);

    cr_expect_eq(taken, file.byte_count - middle);
    cr_expect_eq(again.next_offset, 314);
    cr_expect_eq(indexes.offsets.entry_count, offset_count);
    cr_expect_eq(indexes.times.largest.timestamp_ms, largest_ms);
    expect_snapshot("golden-0", 314);
}

Test(rebuild, what_the_indexes_said_beyond_the_beginning_is_dropped)
{
    (void)walk_segment("golden-0", 100, INTERVAL_GOLDEN);
    struct golden_file file = file_of("golden-0", 100, ".log");
    struct rebuild again = {
        .indexes = &indexes, .position = position_of(&file, 146), .next_offset = 146};
    rebuild_begin(&again);

    cr_expect_eq(indexes.offsets.entry_count, 6);
    cr_expect_eq(indexes.times.entry_count, 4);
    cr_expect_eq(indexes.times.largest.offset, 145);
    cr_expect_eq(indexes.txns.entry_count, 1);
    cr_assert_eq(walk(&again, file.bytes + again.position, 0, 1), STATUS_OK);
    size_t taken = 0;
    cr_assert_eq(
        rebuild_walk(&again, file.bytes + again.position, file.byte_count - again.position, &taken),
        STATUS_OK);
    expect_indexes("golden-0", 100, true);
}

Test(rebuild, snapshot_in_the_middle_is_what_was_known_there)
{
    struct golden_file file = file_of("golden-0", 239, ".log");
    load_snapshot("golden-0", 239);
    struct rebuild rebuild = begin_walk(239, INTERVAL_GOLDEN);
    cr_assert_eq(walk(&rebuild, file.bytes, position_of(&file, 269), 1000), STATUS_OK);

    cr_expect_eq(rebuild.next_offset, 269);
    expect_snapshot("golden-0", 269);
}

Test(rebuild, walk_keeps_the_ingested_times_that_the_file_said)
{
    struct golden_file file = file_of("golden-0", 100, ".log");
    struct rebuild rebuild = begin_walk(100, INTERVAL_GOLDEN);
    cr_assert_eq(ingest_index_append(&indexes.ingests, 100, 7777), STATUS_OK);
    cr_assert_eq(ingest_index_append(&indexes.ingests, 116, 8888), STATUS_OK);

    cr_assert_eq(walk(&rebuild, file.bytes, file.byte_count, file.byte_count), STATUS_OK);

    cr_expect_eq(ingest_index_find(&indexes.ingests, 115), 7777);
    cr_expect_eq(ingest_index_find(&indexes.ingests, 173), 8888);
}

Test(rebuild, batches_of_the_journal_bring_their_ingested_time)
{
    struct golden_file file = file_of("golden-0", 0, ".log");
    struct rebuild rebuild = begin_walk(0, INTERVAL_GOLDEN);
    cr_assert_eq(rebuild_add(&rebuild, file.bytes, 620, 5000), STATUS_OK);
    cr_assert_eq(rebuild_add(&rebuild, file.bytes + 620, 1106, 5003), STATUS_OK);

    cr_expect_eq(rebuild.next_offset, 20);
    cr_expect_eq(rebuild.position, 1726);
    cr_expect_eq(ingest_index_find(&indexes.ingests, 0), 5000);
    cr_expect_eq(ingest_index_find(&indexes.ingests, 12), 5003);
    cr_expect_eq(rebuild_add(&rebuild, file.bytes + 1726, 980, 5004), STATUS_CORRUPT, "cut");
    cr_expect_eq(rebuild_add(&rebuild, file.bytes + 1726, 982, 5004), STATUS_CORRUPT, "too long");
    cr_expect_eq(rebuild_add(&rebuild, file.bytes + 620, 1106, 5004), STATUS_CORRUPT, "again");
    cr_expect_eq(rebuild.next_offset, 20);
}

Test(rebuild, damage_ends_the_walk_at_the_last_sound_batch)
{
    struct golden_file file = file_of("golden-0", 0, ".log");
    for (size_t bit = 0; bit < (size_t)(620 + 1106) * 8; bit += 3) {
        size_t byte = bit / 8;
        bool is_epoch = (byte >= 12 && byte < 16) || (byte >= 632 && byte < 636);
        if (is_epoch) {
            continue; /* Neither the checksum nor the other batches tell it. */
        }
        uint8_t *bytes = malloc(1726);
        memcpy(bytes, file.bytes, 1726);
        bytes[byte] ^= (uint8_t)(1U << bit % 8);
        struct rebuild rebuild = begin_walk(0, INTERVAL_GOLDEN);
        size_t taken = 0;
        enum status status = rebuild_walk(&rebuild, bytes, 1726, &taken);
        bool is_length = (byte >= 8 && byte < 12) || (byte >= 628 && byte < 632);
        cr_expect(status == STATUS_CORRUPT || (is_length && status == STATUS_OK), "bit %zu", bit);
        cr_expect_eq(taken, byte < 620 ? 0 : 620, "bit %zu", bit);
        cr_expect_eq(rebuild.next_offset, byte < 620 ? 0 : 12);
        free(bytes);
    }
}

Test(rebuild, batch_that_goes_back_is_damage)
{
    struct golden_file file = file_of("golden-0", 0, ".log");
    struct rebuild rebuild = begin_walk(0, INTERVAL_GOLDEN);
    size_t taken = 0;
    cr_assert_eq(rebuild_walk(&rebuild, file.bytes, 1726, &taken), STATUS_OK);

    cr_expect_eq(rebuild_walk(&rebuild, file.bytes + 620, 1106, &taken), STATUS_CORRUPT);
    cr_expect_eq(taken, 0);
}
