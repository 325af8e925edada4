/* Goal: marks move at the end of an epoch, only forwards, and are sent when something changed.
 * Method: task 1 of 2 over five partitions (1 and 3), marks captured from the route's bytes. */
#include "processor/operator/source_marks.h"

#include <criterion/criterion.h>
#include <signal.h>

#define ACTIVE MILLRACE__PROCESSOR__MARK_STATE__MARK_ACTIVE
#define EMPTY MILLRACE__PROCESSOR__MARK_STATE__MARK_EMPTY
#define IDLE MILLRACE__PROCESSOR__MARK_STATE__MARK_IDLE

static struct source_marks marks;
static struct state_codec codec;
static struct route_record_writer writer;
static struct route_record_entry sent[8];
static uint32_t sent_count;

static enum status on_record(void *context, uint32_t partition, struct wire_bytes value)
{
    (void)context;
    (void)partition;
    struct wire_reader reader;
    cr_assert_eq(route_record_open(&reader, value), STATUS_OK);
    while (route_record_next(&reader, &codec, &sent[sent_count]) == STATUS_OK) {
        sent_count += 1;
    }
    return STATUS_OK;
}

static void set_up(void)
{
    struct source_marks_options options = {
        .partition_count = 5, .task = 1, .task_count = 2, .delay_us = 10};
    cr_assert_eq(source_marks_init(&marks, &options), STATUS_OK);
    cr_assert_eq(state_codec_init(&codec, 0, 0), STATUS_OK);
    cr_assert_eq(route_record_writer_init(&writer, &codec, 1), STATUS_OK);
    writer.on_record = on_record;
}

static void tear_down(void)
{
    route_record_writer_done(&writer);
    state_codec_done(&codec);
    source_marks_done(&marks);
}

TestSuite(source_marks, .init = set_up, .fini = tear_down);

static void end_epoch(void)
{
    sent_count = 0;
    cr_assert_eq(source_marks_end_epoch(&marks, &writer), STATUS_OK);
    cr_assert_eq(route_record_flush(&writer), STATUS_OK);
}

Test(source_marks, partitions_are_those_of_the_task)
{
    cr_expect_null(source_marks_find(&marks, 0));
    cr_expect_not_null(source_marks_find(&marks, 1));
    cr_expect_not_null(source_marks_find(&marks, 3));
    cr_expect_null(source_marks_find(&marks, 5));
    cr_expect_null(source_marks_find(&marks, -1));
}

Test(source_marks, mark_moves_at_the_end_of_the_epoch_only)
{
    source_marks_take(&marks, 1, 100);
    source_marks_take(&marks, 1, 50);
    cr_expect_eq(source_marks_find(&marks, 1)->held.us, WATERMARK_NONE);
    cr_expect(source_marks_are_due(&marks));
    end_epoch();

    cr_expect_eq(source_marks_find(&marks, 1)->held.us, 90);
    cr_assert_eq(sent_count, 1);
    cr_expect_eq(sent[0].mark_partition, 1);
    cr_expect_eq(sent[0].mark.us, 90);
    cr_expect_eq(sent[0].mark.state, ACTIVE);
}

Test(source_marks, nothing_is_sent_when_nothing_moved)
{
    source_marks_take(&marks, 1, 100);
    end_epoch();
    source_marks_take(&marks, 1, 40);
    cr_expect(!source_marks_are_due(&marks));
    end_epoch();
    cr_expect_eq(sent_count, 0);
    cr_expect_eq(source_marks_find(&marks, 1)->held.us, 90);
}

Test(source_marks, idle_is_told_with_its_mark_and_remembered)
{
    source_marks_take(&marks, 3, 100);
    end_epoch();
    source_marks_set_state(&marks, 3, IDLE);
    end_epoch();
    cr_assert_eq(sent_count, 1);
    cr_expect_eq(sent[0].mark.state, IDLE);
    cr_expect_eq(sent[0].mark.us, 90);

    source_marks_take(&marks, 3, 60);
    end_epoch();
    cr_assert_eq(sent_count, 1);
    cr_expect_eq(sent[0].mark.state, ACTIVE);
    cr_expect_eq(sent[0].mark.us, 90);
    cr_expect(source_marks_find(&marks, 3)->was_excluded);
    cr_expect(!source_marks_find(&marks, 1)->was_excluded);
}

Test(source_marks, watermark_is_over_the_tasks_own_partitions)
{
    source_marks_take(&marks, 1, 100);
    end_epoch();
    cr_expect_eq(marks.watermark.us, WATERMARK_NONE);
    source_marks_set_state(&marks, 3, EMPTY);
    end_epoch();
    cr_expect_eq(marks.watermark.us, 90);
}

Test(source_marks, bound_of_an_excluded_partition_is_the_greatest_mark_if_all_are_known)
{
    source_marks_take(&marks, 1, 100);
    source_marks_take(&marks, 3, 50);
    end_epoch();
    const struct source_mark *mark = source_marks_find(&marks, 3);
    cr_expect_eq(source_marks_bound_us(&marks, mark), 40);
    source_marks_set_state(&marks, 3, IDLE);
    cr_expect_eq(source_marks_bound_us(&marks, mark), INT64_MAX);

    source_marks_done(&marks);
    struct source_marks_options options = {.partition_count = 2, .task_count = 1, .delay_us = 10};
    cr_assert_eq(source_marks_init(&marks, &options), STATUS_OK);
    mark = source_marks_find(&marks, 1);
    source_marks_set_state(&marks, 1, EMPTY);
    cr_expect_eq(source_marks_bound_us(&marks, mark), WATERMARK_NONE);
    source_marks_take(&marks, 0, 100);
    cr_expect_eq(source_marks_bound_us(&marks, mark), WATERMARK_NONE);
    end_epoch();
    cr_expect_eq(source_marks_bound_us(&marks, mark), 90);
    cr_expect_eq(source_marks_bound_us(&marks, source_marks_find(&marks, 0)), 90);
}

Test(source_marks, partition_of_another_task_aborts, .signal = SIGABRT)
{
    source_marks_take(&marks, 2, 100);
}
