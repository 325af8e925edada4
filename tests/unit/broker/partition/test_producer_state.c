/* Goal: a repeated batch is never written twice and a gap never passes, over epochs, wraps,
 * restarts and evictions.
 * Method: Kafka's rules one by one, a real snapshot, a seeded history against a plain model. */
#include "broker/partition/producer_state.h"

#include "broker/log/snapshot_file.h"
#include "tests/rig/golden_datadir.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define PRODUCER 7

static struct producer_state *state;
static int64_t end_offset;

static void set_up(void)
{
    cr_assert_eq(producer_state_new(100, &state), STATUS_OK);
    end_offset = 1000;
}

static void tear_down(void)
{
    producer_state_free(state);
}

static struct producer_write write_of(int16_t epoch, int32_t base_sequence, int32_t record_count)
{
    uint32_t last = (uint32_t)base_sequence + (uint32_t)record_count - 1;
    return (struct producer_write){.producer_id = PRODUCER,
                                   .epoch = epoch,
                                   .base_sequence = base_sequence,
                                   .last_sequence = (int32_t)(last & INT32_MAX),
                                   .base_offset = end_offset,
                                   .last_offset = end_offset + record_count - 1,
                                   .timestamp_ms = 5000 + end_offset,
                                   .coordinator_epoch = -1};
}

static struct producer_write marker_of(int16_t epoch, int32_t coordinator_epoch)
{
    struct producer_write write = write_of(epoch, 0, 1);
    write.base_sequence = -1;
    write.last_sequence = -1;
    write.is_transactional = true;
    write.is_marker = true;
    write.coordinator_epoch = coordinator_epoch;
    return write;
}

static enum producer_verdict judge(struct producer_write write)
{
    struct producer_batch original;
    return producer_state_check(state, &write, &original);
}

static void apply(struct producer_write write)
{
    cr_assert_eq(producer_state_apply(state, &write), STATUS_OK);
    end_offset = write.last_offset + 1;
}

static void accept(struct producer_write write)
{
    cr_expect_eq(judge(write), PRODUCER_ACCEPT);
    apply(write);
}

static struct producer_write transactional(struct producer_write write)
{
    write.is_transactional = true;
    return write;
}

static struct producer_write of_producer(int64_t producer_id, struct producer_write write)
{
    write.producer_id = producer_id;
    return write;
}

TestSuite(producer_state, .init = set_up, .fini = tear_down);

Test(producer_state, sequences_follow_each_other)
{
    accept(write_of(0, 0, 3));
    accept(write_of(0, 3, 1));
    accept(write_of(0, 4, 10));

    cr_expect_eq(judge(write_of(0, 13, 1)), PRODUCER_SEQUENCE_GAP);
    cr_expect_eq(judge(write_of(0, 15, 1)), PRODUCER_SEQUENCE_GAP);
    cr_expect_eq(judge(write_of(0, 0, 1)), PRODUCER_SEQUENCE_GAP);
    cr_expect_eq(judge(write_of(0, 14, 1)), PRODUCER_ACCEPT);
}

Test(producer_state, unknown_producer_may_begin_anywhere)
{
    accept(write_of(5, 1234, 2));

    cr_expect_eq(judge(write_of(5, 1236, 2)), PRODUCER_ACCEPT);
    cr_expect_eq(judge(write_of(5, 0, 2)), PRODUCER_SEQUENCE_GAP);
}

Test(producer_state, sequence_after_the_largest_is_zero)
{
    accept(write_of(0, INT32_MAX, 1));
    cr_expect_eq(judge(write_of(0, 1, 1)), PRODUCER_SEQUENCE_GAP);
    accept(write_of(0, 0, 1));

    apply(write_of(0, INT32_MAX - 1, 4));
    cr_expect_eq(producer_state_find(state, PRODUCER)->batches[2].last_sequence, 1);
    cr_expect_eq(judge(write_of(0, 2, 1)), PRODUCER_ACCEPT);
    cr_expect_eq(judge(write_of(0, INT32_MAX - 1, 4)), PRODUCER_DUPLICATE);
}

Test(producer_state, last_five_batches_are_answered_with_their_offsets)
{
    for (int32_t i = 0; i < 7; i++) {
        accept(write_of(0, i * 10, 10));
    }
    for (int32_t i = 2; i < 7; i++) {
        struct producer_write repeat = write_of(0, i * 10, 10);
        struct producer_batch original = {0};
        cr_expect_eq(producer_state_check(state, &repeat, &original), PRODUCER_DUPLICATE);
        cr_expect_eq(original.base_offset, 1000 + i * 10);
        cr_expect_eq(original.last_offset, 1009 + i * 10);
        cr_expect_eq(original.timestamp_ms, 6000 + i * 10);
    }
    cr_expect_eq(judge(write_of(0, 10, 10)), PRODUCER_SEQUENCE_GAP);
    cr_expect_eq(judge(write_of(0, 60, 9)), PRODUCER_SEQUENCE_GAP, "another length");
    cr_expect_eq(judge(write_of(0, 61, 9)), PRODUCER_SEQUENCE_GAP);
}

Test(producer_state, new_epoch_begins_at_zero_and_shuts_out_the_old_one)
{
    accept(write_of(3, 0, 10));

    cr_expect_eq(judge(write_of(4, 10, 1)), PRODUCER_SEQUENCE_GAP);
    cr_expect_eq(judge(write_of(2, 10, 1)), PRODUCER_STALE_EPOCH);
    cr_expect_eq(judge(write_of(2, 0, 10)), PRODUCER_STALE_EPOCH);
    accept(write_of(4, 0, 10));
    cr_expect_eq(judge(write_of(3, 0, 10)), PRODUCER_STALE_EPOCH, "its duplicate is stale, too");
    cr_expect_eq(judge(write_of(4, 0, 10)), PRODUCER_DUPLICATE);
    cr_expect_eq(producer_state_find(state, PRODUCER)->batch_count, 1);
}

Test(producer_state, checking_changes_nothing)
{
    accept(write_of(0, 0, 10));
    cr_expect_eq(judge(write_of(1, 0, 10)), PRODUCER_ACCEPT);
    cr_expect_eq(judge(of_producer(8, write_of(1, 0, 10))), PRODUCER_ACCEPT);

    cr_expect_eq(producer_state_find(state, PRODUCER)->epoch, 0);
    cr_expect_eq(producer_state_count(state), 1);
}

Test(producer_state, plain_write_inside_a_transaction_is_refused)
{
    accept(transactional(write_of(0, 0, 10)));
    cr_expect_eq(producer_state_find(state, PRODUCER)->txn_first_offset, 1000);

    cr_expect_eq(judge(write_of(0, 10, 1)), PRODUCER_TXN_STATE);
    accept(transactional(write_of(0, 10, 1)));
    cr_expect_eq(producer_state_find(state, PRODUCER)->txn_first_offset, 1000);
    accept(marker_of(0, 1));
    cr_expect_eq(producer_state_find(state, PRODUCER)->txn_first_offset, -1);
    cr_expect_eq(judge(write_of(0, 11, 1)), PRODUCER_ACCEPT);
}

Test(producer_state, marker_needs_a_present_producer_and_coordinator)
{
    accept(transactional(write_of(5, 0, 10)));

    cr_expect_eq(judge(marker_of(4, 9)), PRODUCER_STALE_EPOCH);
    accept(marker_of(5, 9));
    cr_expect_eq(judge(marker_of(5, 8)), PRODUCER_COORDINATOR_FENCED);
    cr_expect_eq(judge(marker_of(4, 8)), PRODUCER_STALE_EPOCH);
    cr_expect_eq(judge(marker_of(5, 9)), PRODUCER_ACCEPT, "a repeat");
    cr_expect_eq(judge(marker_of(6, 10)), PRODUCER_ACCEPT);
    cr_expect_eq(judge(of_producer(99, marker_of(0, 0))), PRODUCER_ACCEPT);
}

Test(producer_state, marker_of_a_raised_epoch_shuts_out_what_came_before)
{
    accept(transactional(write_of(5, 0, 10)));
    struct producer_write marker = marker_of(6, 1);
    marker.is_epoch_raised = true;
    accept(marker);

    cr_expect_eq(judge(marker), PRODUCER_ACCEPT, "a repeat while nothing is open");
    cr_expect_eq(judge(transactional(write_of(5, 10, 1))), PRODUCER_STALE_EPOCH);
    cr_expect_eq(judge(transactional(write_of(6, 10, 1))), PRODUCER_SEQUENCE_GAP);
    accept(transactional(write_of(6, 0, 1)));
    cr_expect_eq(judge(marker), PRODUCER_STALE_EPOCH, "a late repeat would end the next one");
    marker.is_epoch_raised = false;
    cr_expect_eq(judge(marker), PRODUCER_ACCEPT, "the first version's rule");
}

Test(producer_state, followers_take_what_a_leader_wrote)
{
    apply(write_of(0, 0, 10));
    apply(write_of(0, 50, 10));
    cr_expect_eq(judge(write_of(0, 60, 1)), PRODUCER_ACCEPT);
    apply(marker_of(0, 5));
    apply(marker_of(0, 4));
    cr_expect_eq(producer_state_find(state, PRODUCER)->coordinator_epoch, 4);
}

Test(producer_state, unused_producers_expire_unless_a_transaction_is_open)
{
    apply(of_producer(1, write_of(0, 0, 1)));                /* 6000 ms */
    apply(of_producer(2, transactional(write_of(0, 0, 1)))); /* 6001 ms */
    apply(of_producer(3, write_of(0, 0, 1)));                /* 6002 ms */

    producer_state_expire(state, 6000);
    cr_expect_eq(producer_state_count(state), 3);
    producer_state_expire(state, 6002);
    cr_expect_eq(producer_state_count(state), 2);
    cr_expect_null(producer_state_find(state, 1));
    cr_expect_not_null(producer_state_find(state, 2));
    cr_expect_not_null(producer_state_find(state, 3));
    apply(of_producer(2, marker_of(0, 0))); /* 6003 ms */
    producer_state_expire(state, 6004);
    cr_expect_eq(producer_state_count(state), 0);
}

Test(producer_state, full_state_forgets_the_one_unused_for_longest)
{
    for (int64_t i = 0; i < 100; i++) {
        apply(of_producer(i, i == 0 ? transactional(write_of(0, 0, 1)) : write_of(0, 0, 1)));
    }
    apply(of_producer(1, write_of(0, 1, 1)));
    cr_expect_eq(judge(of_producer(500, write_of(0, 0, 1))), PRODUCER_ACCEPT);
    apply(of_producer(500, write_of(0, 0, 1)));

    cr_expect_eq(producer_state_count(state), 100);
    cr_expect_not_null(producer_state_find(state, 0), "its transaction is open");
    cr_expect_not_null(producer_state_find(state, 1), "it was used again");
    cr_expect_null(producer_state_find(state, 2));
}

Test(producer_state, state_full_of_open_transactions_refuses_new_producers_only)
{
    for (int64_t i = 0; i < 100; i++) {
        accept(of_producer(i, transactional(write_of(0, 0, 1))));
    }
    cr_expect_eq(judge(of_producer(500, write_of(0, 0, 1))), PRODUCER_FULL);
    cr_expect_eq(judge(of_producer(500, marker_of(0, 0))), PRODUCER_FULL);
    cr_expect_eq(judge(of_producer(50, transactional(write_of(0, 1, 1)))), PRODUCER_ACCEPT);

    apply(of_producer(500, transactional(write_of(0, 0, 1)))); /* As a follower has to. */
    cr_expect_eq(producer_state_count(state), 101);
    apply(of_producer(50, marker_of(0, 0)));
    cr_expect_eq(judge(of_producer(600, write_of(0, 0, 1))), PRODUCER_ACCEPT);
}

Test(producer_state, entries_are_told_in_order_of_use)
{
    apply(of_producer(3, write_of(0, 0, 1)));
    apply(of_producer(1, write_of(0, 0, 1)));
    apply(of_producer(2, write_of(0, 0, 1)));
    apply(of_producer(3, write_of(0, 1, 1)));

    static const int64_t expected[] = {1, 2, 3};
    const struct producer_entry *entry = producer_state_first(state);
    for (size_t i = 0; i < 3; i++) {
        cr_assert_not_null(entry);
        cr_expect_eq(entry->producer_id, expected[i]);
        entry = producer_state_next(state, entry);
    }
    cr_expect_null(entry);
    producer_state_clear(state);
    cr_expect_null(producer_state_first(state));
    cr_expect_null(producer_state_find(state, 3));
}

static void store_and_load(void)
{
    uint8_t *bytes = NULL;
    size_t byte_count = 0;
    cr_assert_eq(producer_state_store(state, &bytes, &byte_count), STATUS_OK);
    struct producer_state *loaded = NULL;
    cr_assert_eq(producer_state_new(100, &loaded), STATUS_OK);
    cr_assert_eq(producer_state_load(loaded, bytes, byte_count), STATUS_OK);
    producer_state_free(state);
    free(bytes);
    state = loaded;
}

Test(producer_state, snapshot_keeps_the_newest_batch_and_the_open_transaction)
{
    apply(of_producer(1, write_of(2, 0, 5)));
    apply(of_producer(1, write_of(2, INT32_MAX - 1, 5)));
    apply(of_producer(2, transactional(write_of(0, 0, 3))));
    apply(of_producer(3, marker_of(4, 8)));
    store_and_load();

    cr_assert_eq(producer_state_count(state), 3);
    const struct producer_entry *entry = producer_state_find(state, 1);
    cr_expect_eq(entry->epoch, 2);
    cr_expect_eq(entry->batch_count, 1);
    cr_expect_eq(entry->batches[0].base_sequence, INT32_MAX - 1);
    cr_expect_eq(entry->batches[0].last_sequence, 2);
    cr_expect_eq(entry->batches[0].base_offset, 1005);
    cr_expect_eq(entry->batches[0].last_offset, 1009);
    cr_expect_eq(entry->batches[0].timestamp_ms, 6005);
    cr_expect_eq(producer_state_find(state, 2)->txn_first_offset, 1010);
    cr_expect_eq(judge(of_producer(2, write_of(0, 3, 3))), PRODUCER_TXN_STATE);
    cr_expect_eq(producer_state_find(state, 3)->coordinator_epoch, 8);
    cr_expect_eq(producer_state_find(state, 3)->batch_count, 0);
    cr_expect_eq(judge(of_producer(3, write_of(4, 0, 1))), PRODUCER_ACCEPT);
    cr_expect_eq(judge(of_producer(3, write_of(4, 1, 1))), PRODUCER_SEQUENCE_GAP);
    end_offset = 1005;
    cr_expect_eq(judge(of_producer(1, write_of(2, INT32_MAX - 1, 5))), PRODUCER_DUPLICATE);
}

/* Of the five batches that a producer may have under way a snapshot has kept one. */
Test(producer_state, batch_in_front_of_a_loaded_snapshot_is_no_gap)
{
    for (int32_t i = 0; i < 5; i++) {
        accept(write_of(0, i * 10, 10));
    }
    int64_t newest_offset = end_offset - 10;
    uint8_t *bytes = NULL;
    size_t byte_count = 0;
    cr_assert_eq(producer_state_store(state, &bytes, &byte_count), STATUS_OK);
    cr_assert_eq(producer_state_load(state, bytes, byte_count), STATUS_OK);
    free(bytes);

    struct producer_batch original;
    struct producer_write oldest = write_of(0, 0, 10);
    cr_expect_eq(producer_state_check(state, &oldest, &original), PRODUCER_DUPLICATE_OLD);
    cr_expect_eq(original.base_offset, newest_offset, "it lies in front of what is known");
    cr_expect_eq(judge(write_of(0, 40, 10)), PRODUCER_DUPLICATE);
    cr_expect_eq(judge(write_of(0, 35, 10)), PRODUCER_SEQUENCE_GAP, "it lies across");
    cr_expect_eq(judge(write_of(0, 60, 10)), PRODUCER_SEQUENCE_GAP);
    cr_expect_eq(judge(write_of(0, 50, 10)), PRODUCER_ACCEPT);
    /* With five batches seen since, older ones are judged as ever. */
    for (int32_t i = 5; i < 10; i++) {
        accept(write_of(0, i * 10, 10));
    }
    cr_expect_eq(judge(write_of(0, 0, 10)), PRODUCER_SEQUENCE_GAP);
    /* Another epoch has no past. */
    accept(write_of(1, 0, 10));
    cr_expect_eq(judge(write_of(1, INT32_MAX - 9, 10)), PRODUCER_SEQUENCE_GAP);
}

/* The snapshot is older than the oldest batch that is left. */
Test(producer_state, producer_whose_batches_are_deleted_has_a_gap_behind_a_crash)
{
    uint8_t *bytes = NULL;
    size_t byte_count = 0;
    apply(write_of(3, 0, 5));
    apply(of_producer(8, write_of(0, 0, 5)));
    cr_assert_eq(producer_state_store(state, &bytes, &byte_count), STATUS_OK);
    cr_assert_eq(producer_state_load(state, bytes, byte_count), STATUS_OK);
    cr_assert_eq(judge(write_of(3, 90, 5)), PRODUCER_SEQUENCE_GAP);
    producer_state_doubt(state);

    cr_expect_eq(judge(write_of(2, 5, 1)), PRODUCER_STALE_EPOCH, "who took over is known");
    cr_expect_eq(judge(write_of(3, 0, 5)), PRODUCER_DUPLICATE);
    cr_expect_eq(judge(write_of(4, 90, 5)), PRODUCER_ACCEPT);
    accept(write_of(3, 90, 5));
    cr_expect_eq(judge(write_of(3, 96, 5)), PRODUCER_SEQUENCE_GAP, "once");
    cr_expect_eq(judge(write_of(3, 85, 5)), PRODUCER_SEQUENCE_GAP, "it may never have come");
    accept(write_of(3, 95, 5));
    free(bytes);
}

/* Its row would say that these are its newest batches. */
Test(producer_state, doubtful_producer_is_in_no_snapshot)
{
    uint8_t *bytes = NULL;
    size_t byte_count = 0;
    apply(write_of(0, 0, 5));
    apply(of_producer(8, write_of(0, 0, 5)));
    producer_state_doubt(state);
    apply(of_producer(8, write_of(0, 70, 5)));
    cr_assert_eq(producer_state_store(state, &bytes, &byte_count), STATUS_OK);
    cr_assert_eq(producer_state_load(state, bytes, byte_count), STATUS_OK);

    cr_expect_eq(producer_state_count(state), 1);
    cr_expect_eq(judge(of_producer(8, write_of(0, 75, 5))), PRODUCER_ACCEPT);
    cr_expect_eq(judge(of_producer(8, write_of(0, 80, 5))), PRODUCER_SEQUENCE_GAP);
    cr_expect_eq(judge(write_of(0, 90, 5)), PRODUCER_ACCEPT);
    free(bytes);
}

Test(producer_state, snapshot_that_knows_what_came_behind_it_is_told)
{
    apply(write_of(0, 0, 5));
    cr_expect(producer_state_is_below(state, end_offset));
    cr_expect_not(producer_state_is_below(state, end_offset - 1));
    apply(transactional(write_of(0, 5, 5)));
    cr_expect(producer_state_is_below(state, end_offset));
}

Test(producer_state, empty_state_is_a_snapshot_too)
{
    store_and_load();
    cr_expect_eq(producer_state_count(state), 0);
}

Test(producer_state, damaged_snapshot_leaves_the_state_empty)
{
    apply(write_of(0, 0, 1));
    uint8_t *bytes = NULL;
    size_t byte_count = 0;
    cr_assert_eq(producer_state_store(state, &bytes, &byte_count), STATUS_OK);
    bytes[byte_count - 1] ^= 1;

    cr_expect_eq(producer_state_load(state, bytes, byte_count), STATUS_CORRUPT);
    cr_expect_eq(producer_state_count(state), 0);
    cr_expect_eq(producer_state_load(state, bytes, 0), STATUS_CORRUPT);
    free(bytes);
}

Test(producer_state, kafkas_snapshot_goes_in_and_comes_out)
{
    struct golden_datadir golden;
    golden_datadir_open(&golden);
    struct golden_file file =
        golden_datadir_file(&golden, "golden-0/00000000000000000314.snapshot");
    cr_assert_eq(producer_state_load(state, file.bytes, file.byte_count), STATUS_OK);
    cr_expect_eq(producer_state_count(state), 13);

    uint8_t *bytes = NULL;
    size_t byte_count = 0;
    cr_assert_eq(producer_state_store(state, &bytes, &byte_count), STATUS_OK);
    struct snapshot_file_row *expected = NULL;
    struct snapshot_file_row *rows = NULL;
    uint32_t row_count = 0;
    cr_assert_eq(snapshot_file_decode(file.bytes, file.byte_count, &expected, &row_count),
                 STATUS_OK);
    cr_assert_eq(snapshot_file_decode(bytes, byte_count, &rows, &row_count), STATUS_OK);
    for (uint32_t i = 0; i < row_count; i++) {
        cr_expect_eq(rows[i].producer_id, expected[i].producer_id);
        cr_expect_eq(rows[i].producer_epoch, expected[i].producer_epoch);
        cr_expect_eq(rows[i].last_sequence, expected[i].last_sequence);
        cr_expect_eq(rows[i].last_offset, expected[i].last_offset);
        cr_expect_eq(rows[i].offset_delta, expected[i].offset_delta);
        cr_expect_eq(rows[i].timestamp_ms, expected[i].timestamp_ms);
        cr_expect_eq(rows[i].coordinator_epoch, expected[i].coordinator_epoch);
        cr_expect_eq(rows[i].txn_first_offset, expected[i].txn_first_offset);
    }
    free(rows);
    free(expected);
    free(bytes);
    golden_datadir_close(&golden);
}

/* What a client may be told, by the whole history of its writes. */
struct model {
    int16_t epoch;
    int32_t next_sequence;
    uint32_t batch_count;
    struct producer_write batches[4000];
};

static enum producer_verdict expected_verdict(const struct model *model,
                                              const struct producer_write *write)
{
    uint32_t first = model->batch_count < 5 ? 0 : model->batch_count - 5;
    for (uint32_t i = first; i < model->batch_count; i++) {
        const struct producer_write *batch = &model->batches[i];
        if (batch->epoch == write->epoch && batch->base_sequence == write->base_sequence &&
            batch->last_sequence == write->last_sequence) {
            return model->epoch == write->epoch ? PRODUCER_DUPLICATE : PRODUCER_STALE_EPOCH;
        }
    }
    if (write->epoch < model->epoch) {
        return PRODUCER_STALE_EPOCH;
    }
    int32_t expected = write->epoch > model->epoch ? 0 : model->next_sequence;
    return write->base_sequence == expected ? PRODUCER_ACCEPT : PRODUCER_SEQUENCE_GAP;
}

Test(producer_state, seeded_retries_are_judged_as_the_whole_history_says)
{
    static struct model model = {.next_sequence = INT32_MAX - 300};
    srand(11);
    struct producer_write write = write_of(0, INT32_MAX - 300, 1);
    for (int round = 0; round < 20000; round++) {
        if (model.batch_count > 0) {
            int32_t count = 1 + rand() % 4;
            int32_t step = rand() % 10 == 0 ? rand() % 30 - 15 : 0;
            int16_t epoch = (int16_t)(model.epoch + (rand() % 50 == 0 ? rand() % 3 - 1 : 0));
            uint32_t base = epoch > model.epoch && rand() % 2 == 0
                                ? 0
                                : (uint32_t)model.next_sequence + (uint32_t)step;
            write = write_of(epoch, (int32_t)(base & INT32_MAX), count);
            if (rand() % 3 == 0) {
                uint32_t back = (uint32_t)(rand() % 8) % model.batch_count;
                write = model.batches[model.batch_count - 1 - back];
            }
        }
        enum producer_verdict expected =
            model.batch_count == 0 ? PRODUCER_ACCEPT : expected_verdict(&model, &write);
        enum producer_verdict verdict = judge(write);
        cr_assert_eq(verdict, expected, "round %d", round);
        if (verdict != PRODUCER_ACCEPT || model.batch_count == 4000) {
            continue;
        }
        write.base_offset = end_offset;
        write.last_offset = end_offset + 3;
        apply(write);
        model.epoch = write.epoch;
        model.next_sequence = (int32_t)(((uint32_t)write.last_sequence + 1) & INT32_MAX);
        model.batches[model.batch_count++] = write;
    }
    cr_expect_gt(model.batch_count, 1000);
}

Test(producer_state, write_without_a_producer_aborts, .signal = SIGABRT)
{
    judge(of_producer(-1, write_of(0, 0, 1)));
}
