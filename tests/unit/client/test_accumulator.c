/* Goal: sequences are given once, kept over retries, renewed only when nothing can be doubled.
 * Method: batches of a few records taken, given back, failed by hand; the headers are read back. */
#include "client/accumulator.h"

#include <criterion/criterion.h>

static struct compressor compressor;
static struct accumulator subject;
static uint64_t next_number;

static void set_up(void)
{
    compressor_init(&compressor);
    struct accumulator_options options = {.batch_bytes_max = 200, .compressor = &compressor};
    accumulator_init(&subject, &options);
    accumulator_identify(&subject, 9, 0);
}

static void tear_down(void)
{
    struct accumulator_batch *batch;
    while (!list_is_empty(&subject.in_flight)) {
        batch = container_of(subject.in_flight.next, struct accumulator_batch, in_line);
        accumulator_remove(&subject, batch);
        accumulator_batch_free(batch);
    }
    while ((batch = accumulator_first(&subject)) != NULL) {
        accumulator_remove(&subject, batch);
        accumulator_batch_free(batch);
    }
    accumulator_done(&subject);
    compressor_done(&compressor);
}

TestSuite(accumulator, .init = set_up, .fini = tear_down);

/* Each record fills a batch. */
static void add(int64_t now_ns)
{
    static const uint8_t value[100];
    struct batch_builder_record record = {
        .timestamp_ms = 1, .key = {.byte_count = -1}, .value = {value, sizeof value}};
    struct accumulator_record entry = {.number = next_number++};
    cr_assert_eq(accumulator_append(&subject, &record, &entry, now_ns), STATUS_OK);
}

static struct accumulator_batch *take(void)
{
    struct accumulator_batch *batch = NULL;
    cr_assert_leq(accumulator_ready_ns(&subject), 1000);
    cr_assert_eq(accumulator_take(&subject, &batch), STATUS_OK);
    return batch;
}

static void expect_stamp(const struct accumulator_batch *batch, int16_t epoch, int32_t sequence)
{
    cr_expect_eq(batch_producer_id(&batch->view), 9);
    cr_expect_eq(batch_producer_epoch(&batch->view), epoch);
    cr_expect_eq(batch_base_sequence(&batch->view), sequence);
    cr_expect(batch_has_right_checksum(&batch->view));
}

static void done(struct accumulator_batch *batch)
{
    accumulator_remove(&subject, batch);
    accumulator_batch_free(batch);
}

static void fail(struct accumulator_batch *batch)
{
    accumulator_fail(&subject, batch);
    accumulator_batch_free(batch);
}

static uint32_t settle(void)
{
    struct list failed;
    list_init(&failed);
    accumulator_settle(&subject, &failed);
    uint32_t count = 0;
    struct list *link;
    while ((link = list_take_first(&failed)) != NULL) {
        accumulator_batch_free(container_of(link, struct accumulator_batch, in_line));
        count += 1;
    }
    return count;
}

Test(accumulator, no_more_than_five_are_in_flight)
{
    for (int i = 0; i < 7; i++) {
        add(0);
    }
    for (int i = 0; i < 5; i++) {
        expect_stamp(take(), 0, i);
    }

    cr_expect_eq(accumulator_ready_ns(&subject), INT64_MAX);
}

Test(accumulator, what_was_given_back_goes_out_again_alone_in_order_with_its_sequences)
{
    for (int i = 0; i < 4; i++) {
        add(0);
    }
    struct accumulator_batch *first = take();
    struct accumulator_batch *second = take();
    struct accumulator_batch *third = take();
    accumulator_give_back(&subject, second, true);
    cr_expect_eq(accumulator_ready_ns(&subject), INT64_MAX, "others are in flight");
    accumulator_give_back(&subject, third, false);
    cr_expect(accumulator_is_oldest(&subject, first));
    accumulator_give_back(&subject, first, false);

    cr_assert_eq(take(), first);
    expect_stamp(first, 0, 0);
    cr_expect_eq(accumulator_ready_ns(&subject), INT64_MAX, "one at a time");
    done(first);
    cr_assert_eq(take(), second);
    expect_stamp(second, 0, 1);
    done(second);
    cr_assert_eq(take(), third);
    done(third);
    expect_stamp(take(), 0, 3);
}

Test(accumulator, the_oldest_is_known_among_those_in_flight_and_those_that_wait)
{
    for (int i = 0; i < 3; i++) {
        add(0);
    }
    struct accumulator_batch *first = take();
    struct accumulator_batch *second = take();

    cr_expect(accumulator_is_oldest(&subject, first));
    cr_expect_not(accumulator_is_oldest(&subject, second));
    accumulator_give_back(&subject, first, false);
    cr_expect_not(accumulator_is_oldest(&subject, second));
}

Test(accumulator, sequences_wrap_behind_the_greatest)
{
    subject.next_sequence = INT32_MAX;
    add(0);
    add(0);
    add(0);
    struct accumulator_batch *before = take();
    struct accumulator_batch *behind = take();

    expect_stamp(before, 0, INT32_MAX);
    expect_stamp(behind, 0, 0);
    accumulator_give_back(&subject, behind, false);
    accumulator_give_back(&subject, before, false);
    cr_expect_eq(take(), before);
}

Test(accumulator, behind_a_batch_that_was_surely_refused_the_others_get_new_sequences)
{
    for (int i = 0; i < 4; i++) {
        add(0);
    }
    struct accumulator_batch *first = take();
    struct accumulator_batch *second = take();
    fail(first);
    cr_expect_eq(settle(), 0);
    cr_expect_eq(accumulator_ready_ns(&subject), INT64_MAX, "one is in flight still");
    accumulator_give_back(&subject, second, false);

    cr_expect_eq(settle(), 0);
    cr_assert_eq(take(), second);
    expect_stamp(second, 1, 0);
    done(second);
    expect_stamp(take(), 1, 1);
}

Test(accumulator, behind_a_batch_of_unknown_fate_those_of_unknown_fate_fail)
{
    for (int i = 0; i < 4; i++) {
        add(0);
    }
    struct accumulator_batch *first = take();
    struct accumulator_batch *second = take();
    struct accumulator_batch *third = take();
    accumulator_give_back(&subject, first, true);
    accumulator_give_back(&subject, second, true);
    accumulator_give_back(&subject, third, false);
    fail(first);

    cr_expect_eq(settle(), 1, "the second may be in the log under its old sequences");
    cr_assert_eq(take(), third);
    expect_stamp(third, 1, 0);
}

Test(accumulator, a_batch_that_was_never_sent_fails_without_a_gap)
{
    add(0);
    add(0);
    fail(accumulator_expired(&subject, 1));
    cr_expect_eq(settle(), 0);

    expect_stamp(take(), 0, 0);
}

Test(accumulator, nothing_expires_while_something_is_in_flight_or_young)
{
    add(100);
    cr_expect_null(accumulator_expired(&subject, 100));
    cr_expect_not_null(accumulator_expired(&subject, 101));
    add(100);
    struct accumulator_batch *first = take();
    cr_expect_null(accumulator_expired(&subject, 101));
    done(first);
    cr_expect_not_null(accumulator_expired(&subject, 101));
}

Test(accumulator, without_epochs_left_it_stops)
{
    add(0);
    add(0);
    accumulator_identify(&subject, 9, INT16_MAX);
    fail(take());

    cr_expect_eq(settle(), 0);
    cr_expect(subject.is_exhausted);
    cr_expect_eq(accumulator_ready_ns(&subject), INT64_MAX);
}

Test(accumulator, a_single_batch_lingers_unless_it_is_full_or_urgent)
{
    subject.options.linger_ns = 500;
    add(100);
    cr_expect_eq(accumulator_ready_ns(&subject), 600);
    add(100);
    cr_expect_eq(accumulator_ready_ns(&subject), 100);
    done(take());
    cr_expect_eq(accumulator_ready_ns(&subject), 600);
    accumulator_hurry(&subject);
    cr_expect_eq(accumulator_ready_ns(&subject), 100);
}
