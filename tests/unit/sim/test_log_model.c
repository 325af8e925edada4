/* Goal: the model of a log takes every state that a death may leave, and no other.
 * Method: a short history; for each prefix the state it leaves, with more or less of it durable. */
#include "tests/sim/log_model.h"

#include <criterion/criterion.h>
#include <string.h>

static struct log_model model;
static char why[200];

static void set_up(void)
{
    log_model_init(&model);
}

static void tear_down(void)
{
    log_model_done(&model);
}

static void apply(struct log_model_change change)
{
    static uint64_t sequence;
    sequence += 1;
    change.sequence = sequence;
    log_model_apply(&model, &change);
}

static struct log_model_batch batch_of(int64_t base_offset, int64_t last_offset, uint64_t content)
{
    return (struct log_model_batch){
        .base_offset = base_offset, .last_offset = last_offset, .content_hash = content};
}

static void append(int64_t last_offset, uint64_t content)
{
    apply((struct log_model_change){.kind = LOG_MODEL_APPEND,
                                    .batch = batch_of(model.now.end, last_offset, content)});
}

static void begin(void)
{
    apply((struct log_model_change){.kind = LOG_MODEL_CREATE});
    append(4, 100);
    append(9, 101);
    append(14, 102);
}

/* Found with the first `batch_count` batches of the history in begin(). */
static bool recover(size_t batch_count, int64_t start)
{
    struct log_model_batch batches[3] = {batch_of(0, 4, 100), batch_of(5, 9, 101),
                                         batch_of(10, 14, 102)};
    int64_t ingested_ms[3] = {0, 0, 0};
    struct log_model_found found = {.state = {.is_there = true,
                                              .start = start,
                                              .end = (int64_t)batch_count * 5,
                                              .batches = batches,
                                              .batch_count = batch_count},
                                    .ingested_ms = ingested_ms};
    return log_model_recover(&model, &found, why, sizeof why);
}

TestSuite(log_model, .init = set_up, .fini = tear_down);

Test(log_model, any_prefix_will_do_when_nothing_is_durable)
{
    for (size_t i = 0; i <= 3; i++) {
        tear_down();
        set_up();
        begin();
        cr_expect(recover(i, 0), "%zu batches: %s", i, why);
        cr_expect_eq(model.now.end, (int64_t)i * 5);
        cr_expect_eq(model.change_count, 0);
    }
}

Test(log_model, flushed_batches_must_be_there)
{
    begin();
    log_model_flush(&model, 10);
    cr_expect_eq(model.durable_count, 3);

    cr_expect_not(recover(1, 0));
    cr_expect_not_null(strstr(why, "ends at 5"), "%s", why);
    cr_expect(recover(2, 0));
}

Test(log_model, what_was_found_once_must_stay)
{
    begin();
    cr_expect(recover(2, 0));
    cr_expect_not(recover(1, 0));
    cr_expect_not(recover(3, 0), "the third was lost before");
    cr_expect(recover(2, 0));
}

Test(log_model, another_content_is_refused)
{
    begin();
    struct log_model_batch wrong = batch_of(0, 4, 999);
    int64_t ingested_ms = 0;
    struct log_model_found found = {
        .state = {.is_there = true, .start = 0, .end = 5, .batches = &wrong, .batch_count = 1},
        .ingested_ms = &ingested_ms};

    cr_expect_not(log_model_recover(&model, &found, why, sizeof why));
    cr_expect_not_null(strstr(why, "another batch at 0"), "%s", why);
}

Test(log_model, truncation_may_be_lost_until_something_behind_it_is_durable)
{
    begin();
    log_model_flush(&model, 15);
    apply((struct log_model_change){.kind = LOG_MODEL_TRUNCATE, .offset = 5});
    log_model_flush(&model, 5);
    cr_expect_eq(model.durable_count, 4, "the first batch says nothing about the truncation");
    append(9, 101);
    log_model_flush(&model, 10);
    cr_expect_eq(model.durable_count, 6);

    cr_expect_not(recover(3, 0));
    cr_expect(recover(2, 0));
}

Test(log_model, moved_start_must_stay_once_durable)
{
    begin();
    log_model_flush(&model, 15);
    apply((struct log_model_change){.kind = LOG_MODEL_MOVE_START, .offset = 5});
    log_model_flush_all(&model);

    cr_expect_not(recover(3, 0));
    cr_expect(recover(3, 5));
}

Test(log_model, retention_may_move_the_start_up_to_its_limit_only)
{
    begin();
    log_model_flush_all(&model);
    model.retention_limit_max = 5;

    cr_expect_not(recover(3, 10));
    cr_expect(recover(3, 5));
    cr_expect_not(recover(3, 0), "and never back");
}

Test(log_model, deletion_may_be_lost_until_the_log_is_closed)
{
    begin();
    apply((struct log_model_change){.kind = LOG_MODEL_DELETE});
    log_model_flush_sequence(&model, UINT64_MAX);
    cr_expect_eq(model.durable_count, 4, "what was before it is durable");
    log_model_flush_all(&model);

    cr_expect_not(recover(3, 0));
    cr_expect_not_null(strstr(why, "deleted"), "%s", why);
    cr_expect(recover(0, 0));
    cr_expect_not(model.now.is_there);
}

Test(log_model, empty_log_with_an_epoch_is_not_the_one_that_comes_after_a_deletion)
{
    apply((struct log_model_change){.kind = LOG_MODEL_CREATE});
    apply((struct log_model_change){.kind = LOG_MODEL_EPOCH, .epoch = 3});
    log_model_flush_sequence(&model, UINT64_MAX);
    apply((struct log_model_change){.kind = LOG_MODEL_DELETE});
    struct log_model_epoch epoch = {.epoch = 3};
    const struct log_model_found found = {
        .state = {.is_there = true, .epochs = &epoch, .epoch_count = 1}};

    cr_expect(log_model_recover(&model, &found, why, sizeof why), "%s", why);

    cr_expect(model.now.is_there, "its deletion was lost");
    cr_expect_eq(model.now.epoch_count, 1);
}

Test(log_model, reopened_log_must_be_as_it_was_left)
{
    begin();
    struct log_model_batch batches[2] = {batch_of(0, 4, 100), batch_of(5, 9, 101)};
    int64_t ingested_ms[2] = {0, 0};
    struct log_model_found found = {
        .state = {.is_there = true, .end = 10, .batches = batches, .batch_count = 2},
        .ingested_ms = ingested_ms};

    cr_expect_not(log_model_is_now(&model, &found, why, sizeof why));
    apply((struct log_model_change){.kind = LOG_MODEL_TRUNCATE, .offset = 10});
    cr_expect(log_model_is_now(&model, &found, why, sizeof why), "%s", why);
    cr_expect_eq(model.durable_count, 0);
}
