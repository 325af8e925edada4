/* Goal: the last stable offset never passes a transaction that may still be decided otherwise.
 * Method: overlapping transactions by hand, then a seeded history against a plain model. */
#include "broker/partition/txn_span.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct txn_span *span;
static struct txn_span_end end;

static void set_up(void)
{
    cr_assert_eq(txn_span_new(&span), STATUS_OK);
}

static void tear_down(void)
{
    txn_span_free(span);
}

static void begin(int64_t producer_id, int64_t first_offset)
{
    cr_assert_eq(txn_span_begin(span, producer_id, first_offset), STATUS_OK);
}

static void complete(int64_t producer_id, int64_t marker_offset, bool is_aborted)
{
    cr_assert_eq(txn_span_complete(span, producer_id, marker_offset, is_aborted, &end), STATUS_OK);
}

TestSuite(txn_span, .init = set_up, .fini = tear_down);

Test(txn_span, without_transactions_all_below_the_high_watermark_is_stable)
{
    cr_expect_eq(txn_span_last_stable_offset(span, 0), 0);
    cr_expect_eq(txn_span_last_stable_offset(span, 500), 500);
    cr_expect_eq(txn_span_open_count(span), 0);
}

Test(txn_span, open_transaction_holds_the_mark_at_its_first_record)
{
    begin(7, 100);

    cr_expect_eq(txn_span_last_stable_offset(span, 90), 90);
    cr_expect_eq(txn_span_last_stable_offset(span, 100), 100);
    cr_expect_eq(txn_span_last_stable_offset(span, 500), 100);
}

Test(txn_span, further_records_of_a_transaction_change_nothing)
{
    begin(7, 100);
    begin(7, 150);

    cr_expect_eq(txn_span_open_count(span), 1);
    cr_expect_eq(txn_span_last_stable_offset(span, 500), 100);
}

Test(txn_span, completed_transaction_is_undecided_until_its_marker_is_replicated)
{
    begin(7, 100);
    complete(7, 110, false);

    cr_expect_eq(txn_span_open_count(span), 0);
    cr_expect_eq(txn_span_last_stable_offset(span, 105), 100);
    cr_expect_eq(txn_span_last_stable_offset(span, 110), 100, "the marker is not below it");
    cr_expect_eq(txn_span_last_stable_offset(span, 111), 111);
    cr_expect_eq(txn_span_last_stable_offset(span, 120), 120);
}

Test(txn_span, earliest_undecided_one_holds_the_mark)
{
    begin(1, 100);
    begin(2, 105);
    begin(3, 110);
    complete(1, 120, false);
    complete(3, 121, false);

    cr_expect_eq(txn_span_last_stable_offset(span, 120), 100);
    cr_expect_eq(txn_span_last_stable_offset(span, 121), 105);
    complete(2, 130, false);
    cr_expect_eq(txn_span_last_stable_offset(span, 130), 105);
    cr_expect_eq(txn_span_last_stable_offset(span, 131), 131);
}

Test(txn_span, aborted_transaction_tells_its_index_entry)
{
    begin(1, 100);
    begin(2, 105);
    complete(1, 120, true);
    cr_expect(end.is_aborted);
    cr_expect_eq(end.first_offset, 100);
    cr_expect_eq(end.last_offset, 120);
    cr_expect_eq(end.last_stable_offset, 105);

    complete(2, 121, true);
    cr_expect_eq(end.first_offset, 105);
    cr_expect_eq(end.last_stable_offset, 122, "nothing is open, replicated or not");
}

Test(txn_span, stable_offset_of_an_entry_does_not_count_what_is_decided)
{
    begin(1, 100);
    begin(2, 105);
    begin(3, 110);
    complete(1, 120, false);
    complete(2, 121, true);

    cr_expect_eq(end.last_stable_offset, 110);
}

Test(txn_span, marker_without_data_decides_nothing)
{
    end.first_offset = -7;
    cr_expect_eq(txn_span_complete(span, 7, 100, true, &end), STATUS_NOT_FOUND);
    cr_expect_eq(end.first_offset, -7);
    cr_expect_eq(txn_span_last_stable_offset(span, 500), 500);
}

Test(txn_span, producer_may_begin_again_before_the_marker_is_replicated)
{
    begin(7, 100);
    complete(7, 110, true);
    begin(7, 111);

    cr_expect_eq(txn_span_last_stable_offset(span, 110), 100);
    cr_expect_eq(txn_span_last_stable_offset(span, 111), 111);
    cr_expect_eq(txn_span_last_stable_offset(span, 120), 111);
    complete(7, 112, false);
    cr_expect_eq(end.first_offset, 111);
}

Test(txn_span, transactions_of_a_snapshot_may_come_in_any_order)
{
    begin(1, 300);
    begin(2, 100);
    begin(3, 200);

    cr_expect_eq(txn_span_last_stable_offset(span, 500), 100);
    complete(2, 400, true);
    cr_expect_eq(end.last_stable_offset, 200);
    cr_expect_eq(txn_span_last_stable_offset(span, 500), 200);
    complete(1, 401, true);
    cr_expect_eq(end.last_stable_offset, 200);
}

Test(txn_span, cleared_span_knows_nothing)
{
    begin(1, 100);
    begin(2, 105);
    complete(1, 120, false);
    txn_span_clear(span);

    cr_expect_eq(txn_span_open_count(span), 0);
    cr_expect_eq(txn_span_last_stable_offset(span, 500), 500);
    begin(1, 50);
    cr_expect_eq(txn_span_last_stable_offset(span, 500), 50);
}

enum { PRODUCERS = 200, TXNS = 20000 };
struct model_txn {
    int64_t first_offset;
    int64_t marker_offset; /* -1: open. */
};
static struct model_txn model[TXNS];
static int model_count;
static int open_of[PRODUCERS]; /* -1: none. */

static int64_t model_stable_offset(int64_t high_watermark)
{
    int64_t stable = high_watermark;
    for (int i = 0; i < model_count; i++) {
        bool is_undecided = model[i].marker_offset < 0 || model[i].marker_offset >= high_watermark;
        if (is_undecided && model[i].first_offset < stable) {
            stable = model[i].first_offset;
        }
    }
    return stable;
}

static int64_t model_first_open(int64_t otherwise)
{
    for (int i = 0; i < model_count; i++) {
        if (model[i].marker_offset < 0) {
            return model[i].first_offset;
        }
    }
    return otherwise;
}

Test(txn_span, seeded_history_agrees_with_a_plain_model)
{
    srand(5);
    for (int i = 0; i < PRODUCERS; i++) {
        open_of[i] = -1;
    }
    int64_t offset = 0;
    int64_t high_watermark = 0;
    for (int round = 0; round < 6000 && model_count < TXNS; round++) {
        int producer = rand() % PRODUCERS;
        if (open_of[producer] < 0) {
            begin(producer, offset);
            open_of[producer] = model_count;
            model[model_count++] = (struct model_txn){offset, -1};
        } else {
            complete(producer, offset, true);
            model[open_of[producer]].marker_offset = offset;
            cr_assert_eq(end.first_offset, model[open_of[producer]].first_offset);
            open_of[producer] = -1;
            cr_assert_eq(end.last_stable_offset, model_first_open(offset + 1));
        }
        offset += 1 + rand() % 5;
        high_watermark += rand() % (int)(offset - high_watermark + 1);
        cr_assert_eq(txn_span_last_stable_offset(span, high_watermark),
                     model_stable_offset(high_watermark), "round %d", round);
    }
}

/* A damaged snapshot can say where a transaction began. */
Test(txn_span, marker_before_its_data_ends_the_process)
{
    begin(7, 100);
    begin(8, 101);
    cr_expect_eq(txn_span_complete(span, 7, 100, true, &end), STATUS_CORRUPT);
    complete(7, 110, true);
    cr_expect_eq(txn_span_complete(span, 8, 110, true, &end), STATUS_CORRUPT);
    cr_expect_eq(txn_span_open_count(span), 1);
}
