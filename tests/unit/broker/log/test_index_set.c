/* Goal: a segment's indexes are the same however their batches come in, and roll in time.
 * Method: a small set fed by hand, cut and fed again. */
#include "broker/log/index_set.h"

#include <criterion/criterion.h>

static struct index_set set;

static void set_up(void)
{
    index_set_init(&set, 100, 1000);
}

static void tear_down(void)
{
    index_set_done(&set);
}

/* Batches of ten offsets and 400 bytes; times step by 5 ms. */
static struct index_set_batch batch_at(int64_t number)
{
    return (struct index_set_batch){.base_offset = 100 + number * 10,
                                    .last_offset = 109 + number * 10,
                                    .max_timestamp_ms = 5000 + number * 5,
                                    .ingested_ms = 9000 + number,
                                    .position = (uint64_t)number * 400};
}

static void add_batches(int64_t first, int64_t end)
{
    for (int64_t i = first; i < end; i++) {
        struct index_set_batch batch = batch_at(i);
        cr_expect(index_set_has_room(&set, &batch));
        cr_assert_eq(index_set_add(&set, &batch), STATUS_OK);
    }
}

TestSuite(index_set, .init = set_up, .fini = tear_down);

Test(index_set, entries_come_after_more_than_the_interval)
{
    add_batches(0, 10);

    cr_expect_eq(set.offsets.entry_count, 3);
    cr_expect_eq(offset_index_floor(&set.offsets, 138), 0);
    cr_expect_eq(offset_index_floor(&set.offsets, 139), 1200);
    cr_expect_eq(offset_index_floor(&set.offsets, 169), 2400);
    cr_expect_eq(offset_index_floor(&set.offsets, 199), 3600);
    cr_expect_eq(set.times.entry_count, 3);
    cr_expect_eq(time_index_floor(&set.times, 5015).offset, 139);
    cr_expect_eq(ingest_index_find(&set.ingests, 170), 9007);
}

Test(index_set, seal_ends_with_the_largest_time)
{
    add_batches(0, 9);
    cr_expect_eq(time_index_floor(&set.times, INT64_MAX).offset, 169);

    cr_assert_eq(index_set_seal(&set), STATUS_OK);

    cr_expect_eq(time_index_floor(&set.times, INT64_MAX).offset, 189);
    cr_expect_eq(set.ingests.sealed_byte_count, set.ingests.byte_count);
}

Test(index_set, cut_batches_can_be_fed_again)
{
    add_batches(0, 10);
    struct log_aborted_txn aborted = {
        .producer_id = 1, .first_offset = 120, .last_offset = 159, .last_stable_offset = 160};
    cr_assert_eq(txn_index_append(&set.txns, &aborted), STATUS_OK);

    index_set_truncate(&set, 150);
    cr_expect_eq(set.offsets.entry_count, 1);
    cr_expect_eq(set.times.entry_count, 1);
    cr_expect_eq(set.txns.entry_count, 0);
    add_batches(5, 10);

    cr_expect_eq(set.offsets.entry_count, 3);
    cr_expect_eq(offset_index_floor(&set.offsets, 199), 3600);
    cr_expect_eq(ingest_index_find(&set.ingests, 150), 9005);
    cr_expect_eq(ingest_index_find(&set.ingests, 149), 9004);
}

Test(index_set, batch_beyond_31_bits_asks_for_a_roll)
{
    struct index_set_batch batch = batch_at(1);
    batch.position = (uint64_t)INT32_MAX + 1;
    cr_expect_not(index_set_has_room(&set, &batch));
    batch = batch_at(1);
    batch.last_offset = 101 + (int64_t)INT32_MAX;
    cr_expect_not(index_set_has_room(&set, &batch));
}
