/* Goal: the answers of OffsetForLeaderEpoch are Kafka's, over assignments and cuts at both ends.
 * Method: a history of three epochs asked around its borders, then growth to the limit. */
#include "broker/log/epoch_history.h"

#include <criterion/criterion.h>
#include <signal.h>

static struct epoch_history history;

/* Epoch 2 from 10, 4 from 20, 7 from 30. */
static void set_up(void)
{
    epoch_history_init(&history);
    cr_assert(epoch_history_assign(&history, 2, 10));
    cr_assert(epoch_history_assign(&history, 4, 20));
    cr_assert(epoch_history_assign(&history, 7, 30));
}

static void tear_down(void)
{
    epoch_history_done(&history);
}

static void expect_row(uint32_t row, int32_t epoch, int64_t start_offset)
{
    cr_assert_lt(row, history.entry_count);
    cr_expect_eq(epoch_history_entries(&history)[row].epoch, epoch);
    cr_expect_eq(epoch_history_entries(&history)[row].start_offset, start_offset);
}

static void expect_end(int32_t asked, int32_t epoch, int64_t end_offset)
{
    struct epoch_history_entry answer = epoch_history_end_of(&history, asked, 99);
    cr_expect_eq(answer.epoch, epoch, "epoch of the answer for %d", asked);
    cr_expect_eq(answer.start_offset, end_offset, "end in the answer for %d", asked);
}

TestSuite(epoch_history, .init = set_up, .fini = tear_down);

Test(epoch_history, end_of_an_epoch_is_the_start_of_the_next_known_one)
{
    expect_end(-1, -1, -1);
    expect_end(0, 0, 10);
    expect_end(1, 1, 10);
    expect_end(2, 2, 20);
    expect_end(3, 2, 20);
    expect_end(4, 4, 30);
    expect_end(6, 4, 30);
    expect_end(7, 7, 99);
    expect_end(8, -1, -1);
}

Test(epoch_history, empty_history_knows_no_end)
{
    cr_expect(epoch_history_clear(&history));
    cr_expect_not(epoch_history_clear(&history));

    expect_end(0, -1, -1);
    cr_expect_eq(epoch_history_latest(&history), EPOCH_HISTORY_NONE);
    cr_expect_eq(epoch_history_epoch_at(&history, 5), EPOCH_HISTORY_NONE);
}

Test(epoch_history, epoch_of_an_offset_is_the_one_that_wrote_it)
{
    cr_expect_eq(epoch_history_epoch_at(&history, 9), EPOCH_HISTORY_NONE);
    cr_expect_eq(epoch_history_epoch_at(&history, 10), 2);
    cr_expect_eq(epoch_history_epoch_at(&history, 19), 2);
    cr_expect_eq(epoch_history_epoch_at(&history, 20), 4);
    cr_expect_eq(epoch_history_epoch_at(&history, INT64_MAX), 7);
    cr_expect_eq(epoch_history_latest(&history), 7);
}

Test(epoch_history, epoch_that_goes_on_changes_nothing)
{
    cr_expect_not(epoch_history_assign(&history, 7, 30));
    cr_expect_not(epoch_history_assign(&history, 7, 45));
    cr_expect_eq(history.entry_count, 3);
}

Test(epoch_history, new_epoch_drops_the_ones_that_wrote_nothing)
{
    cr_expect(epoch_history_assign(&history, 9, 30));

    cr_expect_eq(history.entry_count, 3);
    expect_row(1, 4, 20);
    expect_row(2, 9, 30);
}

Test(epoch_history, older_epoch_drops_the_newer_ones_that_contradict_it)
{
    cr_expect(epoch_history_assign(&history, 3, 40));

    cr_expect_eq(history.entry_count, 2);
    expect_row(0, 2, 10);
    expect_row(1, 3, 40);
}

Test(epoch_history, same_epoch_that_began_earlier_moves_its_start)
{
    cr_expect(epoch_history_assign(&history, 7, 15));

    cr_expect_eq(history.entry_count, 2);
    expect_row(0, 2, 10);
    expect_row(1, 7, 15);
}

Test(epoch_history, cut_end_forgets_epochs_that_began_at_or_beyond_it)
{
    cr_expect_not(epoch_history_truncate_end(&history, 31));
    cr_expect(epoch_history_truncate_end(&history, 30));
    cr_expect_eq(history.entry_count, 2);
    cr_expect(epoch_history_truncate_end(&history, 0));
    cr_expect_eq(history.entry_count, 0);
}

Test(epoch_history, cut_start_moves_the_epoch_that_holds_it)
{
    cr_expect_not(epoch_history_truncate_start(&history, 9));
    cr_expect_not(epoch_history_truncate_start(&history, 10));
    cr_expect(epoch_history_truncate_start(&history, 25));

    cr_expect_eq(history.entry_count, 2);
    expect_row(0, 4, 25);
    expect_row(1, 7, 30);
    cr_expect(epoch_history_truncate_start(&history, 30));
    cr_expect_eq(history.entry_count, 1);
    expect_row(0, 7, 30);
    cr_expect(epoch_history_truncate_start(&history, 1000));
    expect_row(0, 7, 1000);
}

Test(epoch_history, batch_is_of_the_epoch_that_was_written_there)
{
    cr_expect(epoch_history_truncate_start(&history, 25));

    cr_expect(epoch_history_allows(&history, 29, 4));
    cr_expect_not(epoch_history_allows(&history, 29, 7));
    cr_expect_not(epoch_history_allows(&history, 29, 5));
    cr_expect_not(epoch_history_allows(&history, 29, -1));
    cr_expect(epoch_history_allows(&history, 30, 7));
    cr_expect_not(epoch_history_allows(&history, 30, 4));
}

Test(epoch_history, batch_before_the_history_is_of_no_epoch_or_of_one_that_is_not_newer)
{
    cr_expect(epoch_history_truncate_start(&history, 25));

    cr_expect(epoch_history_allows(&history, 24, -1));
    cr_expect(epoch_history_allows(&history, 24, 2), "it went with the start");
    cr_expect(epoch_history_allows(&history, 24, 4), "it goes on behind the start");
    cr_expect_not(epoch_history_allows(&history, 24, 5));
    cr_expect_not(epoch_history_allows(&history, 24, -2));
    cr_expect_not(epoch_history_allows(&history, 24, INT32_MIN));
}

Test(epoch_history, batch_of_an_epoch_is_not_in_an_empty_history)
{
    cr_expect(epoch_history_clear(&history));

    cr_expect(epoch_history_allows(&history, 24, -1));
    cr_expect_not(epoch_history_allows(&history, 24, 0));
    cr_expect_not(epoch_history_allows(&history, 24, -33554433));
}

Test(epoch_history, history_at_its_limit_gives_up_the_oldest)
{
    for (int32_t i = 1; i <= (int32_t)EPOCH_HISTORY_ENTRIES_MAX; i++) {
        cr_expect(epoch_history_assign(&history, 7 + i, 30 + i));
    }

    cr_expect_eq(history.entry_count, EPOCH_HISTORY_ENTRIES_MAX);
    cr_expect_eq(epoch_history_latest(&history), 7 + (int32_t)EPOCH_HISTORY_ENTRIES_MAX);
    expect_row(0, 8, 31);
    expect_end(7, 7, 31);
    expect_end(8, 8, 32);
}

Test(epoch_history, negative_epoch_aborts, .signal = SIGABRT)
{
    epoch_history_assign(&history, -1, 50);
}
