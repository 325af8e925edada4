/* Goal: the rows follow each batch as Kafka's producer state does, and grow without losing one.
 * Method: batches made by our builder, one rule each; the golden logs are in test_rebuild.c. */
#include "broker/log/producer_rows.h"

#include "proto/record/batch_builder.h"
#include "proto/record/control_record.h"

#include <criterion/criterion.h>
#include <signal.h>

static struct producer_rows rows;
static struct log_aborted_txn aborted;
static bool is_aborted;

static void set_up(void)
{
    producer_rows_init(&rows);
}

static void tear_down(void)
{
    producer_rows_done(&rows);
}

struct data {
    int64_t producer_id;
    int16_t epoch;
    int32_t base_sequence;
    int64_t base_offset;
    bool is_transactional;
};

/* Three records at 1000 ms and later. */
static enum status follow_data(struct data data)
{
    uint8_t bytes[256];
    struct batch_builder builder;
    batch_builder_init_over(&builder, bytes, sizeof bytes);
    for (int64_t i = 0; i < 3; i++) {
        struct batch_builder_record record = {.timestamp_ms = 1000 + data.base_offset + i,
                                              .key = {.byte_count = -1},
                                              .value = {.byte_count = -1}};
        cr_assert_eq(batch_builder_append(&builder, &record), STATUS_OK);
    }
    struct batch_builder_finish finish = BATCH_BUILDER_FINISH_PLAIN;
    finish.base_offset = data.base_offset;
    finish.producer_id = data.producer_id;
    finish.producer_epoch = data.epoch;
    finish.base_sequence = data.base_sequence;
    finish.is_transactional = data.is_transactional;
    struct batch_view view;
    cr_assert_eq(batch_builder_finish(&builder, &finish, NULL, &view), STATUS_OK);
    enum status status = producer_rows_follow(&rows, &view, &aborted, &is_aborted);
    batch_builder_done(&builder);
    return status;
}

static enum status follow_marker(int64_t producer_id, int16_t epoch, int64_t offset, bool is_commit)
{
    struct control_record_marker marker = {.base_offset = offset,
                                           .leader_epoch = 0,
                                           .timestamp_ms = 5000 + offset,
                                           .producer_id = producer_id,
                                           .producer_epoch = epoch,
                                           .is_commit = is_commit,
                                           .coordinator_epoch = 9};
    uint8_t bytes[CONTROL_RECORD_MARKER_BYTES];
    control_record_encode_marker(&marker, bytes);
    struct batch_view view;
    cr_assert_eq(batch_view_init(&view, bytes, sizeof bytes), STATUS_OK);
    return producer_rows_follow(&rows, &view, &aborted, &is_aborted);
}

TestSuite(producer_rows, .init = set_up, .fini = tear_down);

Test(producer_rows, batch_without_a_producer_leaves_no_row)
{
    cr_assert_eq(follow_data((struct data){.producer_id = -1, .epoch = -1, .base_sequence = -1}),
                 STATUS_OK);

    cr_expect_eq(rows.row_count, 0);
    cr_expect_null(producer_rows_find(&rows, 1));
}

Test(producer_rows, row_holds_the_newest_batch)
{
    cr_assert_eq(follow_data((struct data){7, 2, 0, 100, false}), STATUS_OK);
    cr_assert_eq(follow_data((struct data){7, 2, 3, 110, false}), STATUS_OK);

    const struct snapshot_file_row *row = producer_rows_find(&rows, 7);
    cr_assert_not_null(row);
    cr_expect_eq(row->producer_epoch, 2);
    cr_expect_eq(row->last_sequence, 5);
    cr_expect_eq(row->last_offset, 112);
    cr_expect_eq(row->offset_delta, 2);
    cr_expect_eq(row->timestamp_ms, 1112);
    cr_expect_eq(row->coordinator_epoch, -1);
    cr_expect_eq(row->txn_first_offset, -1);
}

Test(producer_rows, sequence_wraps_behind_the_largest)
{
    cr_assert_eq(follow_data((struct data){7, 2, INT32_MAX, 100, false}), STATUS_OK);

    cr_expect_eq(producer_rows_find(&rows, 7)->last_sequence, 1);
}

Test(producer_rows, aborted_transaction_yields_its_index_entry)
{
    cr_assert_eq(follow_data((struct data){7, 0, 0, 100, true}), STATUS_OK);
    cr_assert_eq(follow_data((struct data){8, 0, 0, 103, true}), STATUS_OK);
    cr_assert_eq(follow_data((struct data){7, 0, 3, 106, true}), STATUS_OK);
    cr_expect_eq(producer_rows_find(&rows, 7)->txn_first_offset, 100);

    cr_assert_eq(follow_marker(7, 0, 109, false), STATUS_OK);
    cr_expect(is_aborted);
    cr_expect_eq(aborted.producer_id, 7);
    cr_expect_eq(aborted.first_offset, 100);
    cr_expect_eq(aborted.last_offset, 109);
    cr_expect_eq(aborted.last_stable_offset, 103, "producer 8 is still open");
    cr_expect_eq(producer_rows_find(&rows, 7)->txn_first_offset, -1);
    cr_expect_eq(producer_rows_find(&rows, 7)->coordinator_epoch, 9);
    cr_expect_eq(producer_rows_find(&rows, 7)->timestamp_ms, 5109);
    cr_expect_eq(producer_rows_find(&rows, 7)->last_sequence, 5);

    cr_assert_eq(follow_marker(8, 0, 110, false), STATUS_OK);
    cr_expect(is_aborted);
    cr_expect_eq(aborted.last_stable_offset, 111);
}

Test(producer_rows, committed_or_empty_transaction_yields_none)
{
    cr_assert_eq(follow_data((struct data){7, 0, 0, 100, true}), STATUS_OK);
    cr_assert_eq(follow_marker(7, 0, 103, true), STATUS_OK);
    cr_expect_not(is_aborted);
    cr_assert_eq(follow_marker(7, 0, 104, false), STATUS_OK);
    cr_expect_not(is_aborted);
    cr_assert_eq(follow_marker(99, 3, 105, false), STATUS_OK);
    cr_expect_not(is_aborted);
    cr_expect_eq(producer_rows_find(&rows, 99)->last_sequence, -1);
    cr_expect_eq(producer_rows_find(&rows, 99)->last_offset, -1);
}

Test(producer_rows, marker_of_a_newer_epoch_ends_the_sequences)
{
    cr_assert_eq(follow_data((struct data){7, 0, 0, 100, true}), STATUS_OK);
    cr_assert_eq(follow_marker(7, 1, 103, false), STATUS_OK);

    cr_expect(is_aborted);
    const struct snapshot_file_row *row = producer_rows_find(&rows, 7);
    cr_expect_eq(row->producer_epoch, 1);
    cr_expect_eq(row->last_sequence, -1);
    cr_expect_eq(row->last_offset, -1);
    cr_expect_eq(row->offset_delta, 0);
}

Test(producer_rows, transaction_that_begins_behind_its_end_is_damage)
{
    struct snapshot_file_row row = {.producer_id = 7,
                                    .last_sequence = -1,
                                    .last_offset = -1,
                                    .coordinator_epoch = -1,
                                    .txn_first_offset = 500};
    cr_assert_eq(producer_rows_load(&rows, &row, 1), STATUS_OK);

    cr_expect_eq(follow_marker(7, 0, 500, false), STATUS_CORRUPT);
}

Test(producer_rows, thousands_of_producers_are_all_found_again)
{
    for (int64_t i = 0; i < 5000; i++) {
        cr_assert_eq(follow_data((struct data){i * 1000003, 1, 0, i * 3, false}), STATUS_OK);
    }
    cr_expect_eq(rows.row_count, 5000);
    for (int64_t i = 0; i < 5000; i++) {
        const struct snapshot_file_row *row = producer_rows_find(&rows, i * 1000003);
        cr_assert_not_null(row);
        cr_expect_eq(row->last_offset, i * 3 + 2);
    }
    cr_expect_null(producer_rows_find(&rows, 1));

    struct snapshot_file_row one = rows.rows[17];
    cr_assert_eq(producer_rows_load(&rows, &one, 1), STATUS_OK);
    cr_expect_eq(rows.row_count, 1);
    cr_expect_not_null(producer_rows_find(&rows, one.producer_id));
    cr_expect_null(producer_rows_find(&rows, 0));
}

Test(producer_rows, loading_a_producer_twice_aborts, .signal = SIGABRT)
{
    struct snapshot_file_row two[2] = {{.producer_id = 7}, {.producer_id = 7}};
    status_ignore(producer_rows_load(&rows, two, 2), "never returns");
}
