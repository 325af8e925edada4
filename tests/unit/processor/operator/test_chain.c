/* Goal: both stages of an aggregation together give what Spark's worked examples say, and what is
 * late, idle, unfit or too much is treated as promised.
 * Method: the two-stage rig without a broker; windows of 5 and a delay of 10 in seconds where the
 * examples have them. */
#include "chain_rig.h"
#include "processor/time/watermark.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND 1000000
#define IDLE MILLRACE__PROCESSOR__MARK_STATE__MARK_IDLE
#define EMPTY MILLRACE__PROCESSOR__MARK_STATE__MARK_EMPTY

static struct chain_rig rig;

static struct chain_rig_options options_of(uint32_t source_partition_count, bool is_update)
{
    return (struct chain_rig_options){
        .source_partition_count = source_partition_count,
        .route_partition_count = 1,
        .task_counts = {1, 1},
        .unit_us = SECOND,
        .size = 5,
        .delay = 10,
        .mode = is_update ? MILLRACE__PLAN__OUTPUT_MODE__OUTPUT_UPDATE
                          : MILLRACE__PLAN__OUTPUT_MODE__OUTPUT_APPEND,
        .has_window = true,
    };
}

static void set_up(void)
{
    struct chain_rig_options options = options_of(1, false);
    chain_rig_init(&rig, &options);
}

static void set_up_again(const struct chain_rig_options *options)
{
    chain_rig_done(&rig);
    chain_rig_init(&rig, options);
}

static void tear_down(void)
{
    chain_rig_done(&rig);
}

TestSuite(chain, .init = set_up, .fini = tear_down);

static void append(uint32_t partition, size_t count, const int64_t *times)
{
    for (size_t i = 0; i < count; i++) {
        chain_rig_append(&rig, partition, (struct chain_rig_row){times[i], "a", times[i] + 1000});
    }
}

/* A batch of the example: one epoch of stage 0 over the rows, then all of stage 1. */
static void batch(size_t count, const int64_t *times)
{
    append(0, count, times);
    rig.result_count = 0;
    rig.committed_result_count = 0;
    chain_rig_drain(&rig);
}

static void expect_row(size_t index, int64_t start, int64_t count)
{
    cr_assert_gt(rig.result_count, index);
    cr_expect_eq(rig.results[index].start, start, "starts %ld", (long)rig.results[index].start);
    cr_expect_eq(rig.results[index].end, start + 5);
    cr_expect_eq(rig.results[index].count, count, "counts %ld", (long)rig.results[index].count);
}

#define BATCH(...)                                                                                 \
    batch(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (int64_t[]){__VA_ARGS__})

/* ---- facts/streaming 2.4 and 2.5 */

Test(chain, append_emits_when_the_window_leaves_and_drops_at_its_end)
{
    BATCH(10, 11, 12, 13, 14, 15);
    cr_expect_eq(rig.result_count, 0);
    cr_expect_eq(rig.watermark_us[1], 5 * SECOND);
    cr_expect_eq(rig.stats[1].state_rows, 2);

    BATCH(25);
    cr_expect_eq(rig.watermark_us[1], 15 * SECOND);
    cr_assert_eq(rig.result_count, 1);
    expect_row(0, 10, 5);
    cr_expect_eq(rig.stats[1].state_rows, 2);
    cr_expect_eq(rig.stats[1].open_input_rows, 2);

    BATCH(10); /* 15 <= 15: late. */
    cr_expect_eq(rig.result_count, 0);
    cr_expect_eq(rig.watermark_us[1], 15 * SECOND);
    cr_assert_eq(rig.late_count, 1);
    cr_expect_eq(rig.late[0].offset, 7);
    cr_expect_eq(rig.stats[1].late_rows, 1);
}

Test(chain, update_emits_touched_groups_once_and_evicts_in_silence)
{
    struct chain_rig_options options = options_of(1, true);
    set_up_again(&options);

    BATCH(10, 11, 12, 13, 14, 15);
    cr_assert_eq(rig.result_count, 2);
    expect_row(0, 10, 5);
    expect_row(1, 15, 1);

    BATCH(25);
    cr_assert_eq(rig.result_count, 1);
    expect_row(0, 25, 1);
    cr_expect_eq(rig.results[0].kind, ROW_INSERT);

    BATCH(10, 25);
    cr_assert_eq(rig.result_count, 1);
    expect_row(0, 25, 2);
    cr_expect_eq(rig.results[0].kind, ROW_UPDATE_AFTER);
    cr_expect_eq(rig.late_count, 1);
    cr_expect_eq(rig.stats[1].state_rows, 2);
}

/* facts/streaming 2.7, Trigger.Once: here marks work with the epoch that brings them. */
Test(chain, windows_close_with_the_epoch_whose_marks_pass_them)
{
    BATCH(15);
    cr_expect_eq(rig.result_count, 0);
    BATCH(10, 12, 14);
    cr_expect_eq(rig.result_count, 0);
    BATCH(25);
    cr_assert_eq(rig.result_count, 1);
    expect_row(0, 10, 3);
    BATCH(50);
    cr_assert_eq(rig.result_count, 2);
    expect_row(0, 15, 1);
    expect_row(1, 25, 1);
    BATCH(50);
    cr_expect_eq(rig.result_count, 0);
    cr_expect_eq(rig.stats[1].open_input_rows, 2);
}

Test(chain, late_row_of_an_open_window_of_its_own_is_kept)
{
    BATCH(25);
    BATCH(16, 15); /* Ends at 20, the watermark is 15. */
    BATCH(40);
    cr_assert_eq(rig.result_count, 2);
    expect_row(0, 15, 2);
    expect_row(1, 25, 1);
    cr_expect_eq(rig.late_count, 0);
}

Test(chain, windows_before_the_epoch_are_aligned_too)
{
    BATCH(-1, -5, -6);
    BATCH(20);
    cr_assert_eq(rig.result_count, 2);
    expect_row(0, -10, 1);
    expect_row(1, -5, 2);
    cr_expect_eq(rig.results[0].record_time_ms, -5000);
}

/* ---- rows */

Test(chain, row_carries_results_and_greatest_times)
{
    static const int64_t values[] = {7, -3, 8};
    for (int i = 0; i < 3; i++) {
        chain_rig_append(&rig, 0, (struct chain_rig_row){1, "a", values[i] + 100});
    }
    chain_rig_append(&rig, 0, (struct chain_rig_row){2, NULL, 5});
    chain_rig_append(&rig, 0, (struct chain_rig_row){100, "z", 5});
    chain_rig_drain(&rig);

    cr_assert_eq(rig.result_count, 2);
    const struct chain_rig_result *row = &rig.results[0];
    cr_expect_str_eq(row->k, "a");
    cr_expect_eq(row->count, 3);
    cr_expect_eq(row->sum, 312);
    cr_expect_eq(row->min, 97);
    cr_expect_eq(row->max, 108);
    cr_expect_eq(row->avg, 104.0);
    cr_expect_eq(row->created_max_ms, 1002);
    cr_expect_eq(row->ingested_max_ms, 2002);
    cr_expect_eq(row->record_time_ms, 5000);
    cr_expect_eq(row->kind, ROW_INSERT);
    cr_expect_str_eq(rig.results[1].k, "<null>"); /* Nulls are one group, behind the others. */
}

Test(chain, null_event_time_is_a_misfit_that_is_skipped_or_stops)
{
    chain_rig_append(&rig, 0, (struct chain_rig_row){1, "a", 1});
    chain_rig_append(&rig, 0, (struct chain_rig_row){INT64_MIN, "a", 1});
    cr_assert_eq(chain_rig_epoch(&rig, 0, 0, 100, false), STATUS_OK);
    cr_expect_eq(rig.misfit_count, 1);
    cr_expect_eq(rig.stats[0].misfit_rows, 1);
    cr_expect_eq(rig.stats[0].input_rows, 2);
    cr_expect_eq(strncmp(rig.fault, "0/1 the event time", 18), 0);

    rig.misfit_status = STATUS_INVALID;
    chain_rig_append(&rig, 0, (struct chain_rig_row){INT64_MIN, "a", 1});
    cr_expect_eq(chain_rig_epoch(&rig, 0, 0, 100, false), STATUS_INVALID);
}

Test(chain, sum_beyond_bigint_stops_when_it_is_told)
{
    chain_rig_append(&rig, 0, (struct chain_rig_row){1, "a", INT64_MAX});
    chain_rig_append(&rig, 0, (struct chain_rig_row){1, "a", 1});
    chain_rig_append(&rig, 0, (struct chain_rig_row){100, "b", 1});
    cr_assert_eq(chain_rig_epoch(&rig, 0, 0, 100, false), STATUS_OK);

    cr_expect_eq(chain_rig_epoch(&rig, 1, 0, 100, false), STATUS_INVALID);
    cr_expect_str_eq(rig.fault, "the sum of aggregate 2 is beyond bigint in the window that "
                                "starts at 0 us");
}

Test(chain, without_windows_groups_stay_and_are_updated)
{
    struct chain_rig_options options = options_of(1, true);
    options.has_window = false;
    set_up_again(&options);

    BATCH(1, 2);
    cr_assert_eq(rig.result_count, 1);
    cr_expect_eq(rig.results[0].start, INT64_MIN);
    cr_expect_eq(rig.results[0].count, 2);
    chain_rig_restart(&rig, 1, 0);
    BATCH(1000);
    cr_assert_eq(rig.result_count, 1);
    cr_expect_eq(rig.results[0].count, 3);
    cr_expect_eq(rig.results[0].kind, ROW_UPDATE_AFTER);
    cr_expect_eq(rig.results[0].record_time_ms, 1002);
}

/* `column > bound` over bigints, as a filter. */
static struct {
    Millrace__Plan__Operator filter;
    Millrace__Plan__TypedExpr call, column, number;
    Millrace__Plan__TypedExpr *arguments[2];
    Millrace__Plan__TypedCall typed_call;
    Millrace__Plan__Literal literal;
} above[2];

static Millrace__Plan__Operator *make_above(size_t index, uint32_t column, int64_t bound)
{
    millrace__plan__operator__init(&above[index].filter);
    millrace__plan__typed_expr__init(&above[index].call);
    millrace__plan__typed_expr__init(&above[index].column);
    millrace__plan__typed_expr__init(&above[index].number);
    millrace__plan__typed_call__init(&above[index].typed_call);
    millrace__plan__literal__init(&above[index].literal);
    above[index].column.kind_case = MILLRACE__PLAN__TYPED_EXPR__KIND_COLUMN;
    above[index].column.type = MILLRACE__PLAN__TYPE__TYPE_BIGINT;
    above[index].column.column = column;
    above[index].literal.value_case = MILLRACE__PLAN__LITERAL__VALUE_INTEGER;
    above[index].literal.integer = bound;
    above[index].number.kind_case = MILLRACE__PLAN__TYPED_EXPR__KIND_LITERAL;
    above[index].number.type = MILLRACE__PLAN__TYPE__TYPE_BIGINT;
    above[index].number.literal = &above[index].literal;
    above[index].arguments[0] = &above[index].column;
    above[index].arguments[1] = &above[index].number;
    above[index].typed_call.operation = MILLRACE__PLAN__OPERATION__OPERATION_GT;
    above[index].typed_call.n_arguments = 2;
    above[index].typed_call.arguments = above[index].arguments;
    above[index].call.kind_case = MILLRACE__PLAN__TYPED_EXPR__KIND_CALL;
    above[index].call.type = MILLRACE__PLAN__TYPE__TYPE_BOOL;
    above[index].call.call = &above[index].typed_call;
    above[index].filter.kind_case = MILLRACE__PLAN__OPERATOR__KIND_FILTER;
    above[index].filter.filter = &above[index].call;
    return &above[index].filter;
}

Test(chain, where_filters_rows_but_not_marks_and_having_filters_groups)
{
    struct chain_rig_options options = options_of(1, false);
    options.before = make_above(0, 2, 10); /* v > 10 */
    options.behind = make_above(1, 3, 1);  /* count(*) > 1 */
    set_up_again(&options);
    static const struct chain_rig_row rows[] = {
        {1, "a", 5}, {1, "a", 50}, {2, "a", 60}, {1, "b", 70}, {100, "c", 1}};
    for (int i = 0; i < 5; i++) {
        chain_rig_append(&rig, 0, rows[i]);
    }
    chain_rig_drain(&rig);

    cr_expect_eq(rig.totals[0].filtered_rows, 2);
    cr_expect_eq(rig.watermark_us[1], 90 * SECOND); /* The row at 100 was filtered, its time not. */
    cr_assert_eq(rig.result_count, 1);
    expect_row(0, 0, 2);
    cr_expect_str_eq(rig.results[0].k, "a");
    cr_expect_eq(rig.results[0].created_max_ms, 1002);
    cr_expect_eq(rig.totals[1].filtered_rows, 1);
    cr_expect_eq(rig.totals[1].output_rows, 1);
}

/* ---- partitions */

Test(chain, slowest_partition_holds_the_watermark)
{
    struct chain_rig_options options = options_of(2, false);
    set_up_again(&options);
    append(0, 2, (int64_t[]){1, 100});
    chain_rig_drain(&rig);
    cr_expect_eq(rig.watermark_us[1], WATERMARK_NONE); /* Of the other nothing is known. */

    append(1, 1, (int64_t[]){3});
    chain_rig_drain(&rig);
    cr_expect_eq(rig.watermark_us[1], -7 * SECOND);
    cr_expect_eq(rig.result_count, 0);

    append(1, 1, (int64_t[]){30});
    chain_rig_drain(&rig);
    cr_assert_eq(rig.result_count, 1);
    expect_row(0, 0, 2);
}

Test(chain, row_behind_its_own_mark_is_not_late_while_another_partition_holds)
{
    struct chain_rig_options options = options_of(2, false);
    set_up_again(&options);
    append(0, 1, (int64_t[]){100});
    append(1, 1, (int64_t[]){12});
    chain_rig_drain(&rig);
    append(0, 1, (int64_t[]){6}); /* Its own mark is 90, the watermark 2. */
    chain_rig_drain(&rig);
    cr_expect_eq(rig.late_count, 0);

    append(1, 1, (int64_t[]){200});
    chain_rig_drain(&rig);
    cr_assert_eq(rig.result_count, 2);
    expect_row(0, 5, 1);
    expect_row(1, 10, 1);
}

Test(chain, empty_and_idle_partitions_do_not_hold)
{
    struct chain_rig_options options = options_of(3, false);
    set_up_again(&options);
    append(0, 2, (int64_t[]){1, 100});
    append(1, 1, (int64_t[]){2});
    chain_set_mark_state(chain_rig_chain(&rig, 0, 2), 2, EMPTY);
    chain_rig_drain(&rig);
    cr_expect_eq(rig.watermark_us[1], -8 * SECOND);

    chain_set_mark_state(chain_rig_chain(&rig, 0, 1), 1, IDLE);
    cr_expect(chain_is_due(chain_rig_chain(&rig, 0, 1)));
    chain_rig_drain(&rig);
    cr_expect_eq(rig.watermark_us[1], 90 * SECOND);
    cr_assert_eq(rig.result_count, 1);
    expect_row(0, 0, 2);
}

Test(chain, rows_of_a_partition_that_was_excluded_are_judged_one_by_one)
{
    struct chain_rig_options options = options_of(2, false);
    set_up_again(&options);
    append(0, 1, (int64_t[]){100});
    chain_set_mark_state(chain_rig_chain(&rig, 0, 1), 1, EMPTY);
    chain_rig_drain(&rig);
    cr_expect_eq(rig.watermark_us[1], 90 * SECOND);

    append(1, 3, (int64_t[]){50, 95, 96}); /* No mark of its own says that 50 is late. */
    chain_rig_drain(&rig);
    cr_assert_eq(rig.late_count, 1);
    cr_expect_eq(rig.late[0].partition, 1);
    cr_expect_eq(rig.late[0].offset, 0);
    cr_expect_eq(rig.watermark_us[1], 90 * SECOND);

    chain_rig_restart(&rig, 0, 0); /* That is kept with the progress. */
    append(1, 1, (int64_t[]){51});
    chain_rig_drain(&rig);
    cr_expect_eq(rig.late_count, 2);
}

Test(chain, marks_stand_behind_the_rows_of_their_epoch)
{
    append(0, 3, (int64_t[]){1, 100, 2}); /* 2 is behind 100, but in one epoch with it. */
    chain_rig_drain(&rig);
    cr_expect_eq(rig.late_count, 0);
    cr_assert_eq(rig.result_count, 1);
    expect_row(0, 0, 2);
}

/* ---- faults */

Test(chain, group_behind_its_watermark_is_corrupt)
{
    append(0, 1, (int64_t[]){1});
    cr_assert_eq(chain_rig_epoch(&rig, 0, 0, 100, false), STATUS_OK);
    append(0, 1, (int64_t[]){100});
    chain_rig_drain(&rig);
    struct chain *chain = chain_rig_chain(&rig, 1, 0);

    /* The same record again: its group is long closed. */
    cr_expect_eq(chain_push_route(chain, 0, rig.route[0].records[0].value), STATUS_CORRUPT);
    cr_expect_eq(strncmp(chain_fault(chain), "a group came behind", 19), 0);
}

Test(chain, state_that_does_not_fit_is_full_with_a_fault)
{
    struct chain_rig_options options = options_of(1, false);
    options.state_bytes_max = 20000;
    set_up_again(&options);
    static char names[500][8];
    for (int i = 0; i < 500; i++) {
        snprintf(names[i], sizeof names[i], "k%d", i);
        chain_rig_append(&rig, 0, (struct chain_rig_row){1, names[i], 1});
    }
    cr_assert_eq(chain_rig_epoch(&rig, 0, 0, 500, false), STATUS_OK);

    cr_expect_eq(chain_rig_epoch(&rig, 1, 0, 500, false), STATUS_FULL);
    cr_expect_str_eq(rig.fault, "the groups of this task take more memory than state_bytes_max");
}

/* One row of partition 0 whose key has so many bytes of zero, each of which takes two encoded. */
static enum status push_long_key(size_t byte_count)
{
    static const enum value_type types[] = {VALUE_TIMESTAMPTZ, VALUE_TEXT, VALUE_BIGINT,
                                            VALUE_TEXT};
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct column columns[4];
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(column_init(&columns[i], types[i], 1, &arena), STATUS_OK);
    }
    columns[1].text_bytes = calloc(byte_count, 1);
    columns[1].values.text_ends[1] = (int32_t)byte_count;
    int64_t zero = 0;
    int32_t none = 0;
    const uint8_t *headers = NULL;
    struct wire_bytes null = {.byte_count = -1};
    struct row_origin origin = {.offsets = &zero,
                                .created_ms = &zero,
                                .ingested_ms = &zero,
                                .keys = &null,
                                .values = &null,
                                .headers = &headers,
                                .headers_ends = &headers,
                                .header_counts = &none};
    struct row_batch rows = {
        .arena = &arena, .row_count = 1, .column_count = 4, .columns = columns, .origin = &origin};
    struct chain *chain = chain_rig_chain(&rig, 0, 0);
    chain_begin_epoch(chain, 0);
    enum status status = chain_push_rows(chain, &rows, NULL);
    free(columns[1].text_bytes);
    arena_done(&arena);
    return status;
}

Test(chain, row_beyond_the_room_for_computing_is_no_lack_of_memory)
{
    cr_expect_eq(push_long_key(1 << 20), STATUS_OK);

    cr_expect_eq(push_long_key((size_t)140 << 20), STATUS_INVALID);
    cr_expect_str_eq(chain_fault(chain_rig_chain(&rig, 0, 0)),
                     "what is made of these rows at once exceeds 256 MiB");
}

Test(chain, many_groups_make_records_of_bounded_size)
{
    static char names[3000][8];
    for (int i = 0; i < 3000; i++) {
        snprintf(names[i], sizeof names[i], "k%d", i);
        chain_rig_append(&rig, 0, (struct chain_rig_row){1, names[i], 1});
    }
    chain_rig_append(&rig, 0, (struct chain_rig_row){100, "z", 1});
    chain_rig_drain(&rig);

    cr_expect_gt(rig.route[0].record_count, 2);
    for (size_t i = 0; i < rig.route[0].record_count; i++) {
        cr_expect_leq(rig.route[0].records[i].value.byte_count, 65536);
    }
    cr_assert_eq(rig.result_count, 3000);
    for (size_t i = 1; i < 3000; i++) {
        cr_expect_lt(strcmp(rig.results[i - 1].k, rig.results[i].k), 0);
    }
}

Test(chain, plans_of_other_makers_are_refused)
{
    struct chain_options options = {.plan = NULL};
    Millrace__Plan__JobPlan plan;
    millrace__plan__job_plan__init(&plan);
    struct chain *chain = NULL;
    options.plan = &plan;
    plan.version = 2;
    cr_expect_eq(chain_new(&options, &chain), STATUS_UNSUPPORTED);
    plan.version = 1;
    cr_expect_eq(chain_new(&options, &chain), STATUS_INVALID);
}

/* ---- what the changelog is told */

Test(chain, closed_group_leaves_the_changelog_and_one_that_never_was_in_it_does_not_come)
{
    BATCH(1);
    cr_assert_eq(rig.changelog[0].record_count, 1);
    cr_expect_geq(rig.changelog[0].records[0].value.byte_count, 0);

    append(0, 2, (int64_t[]){21, 100}); /* [20, 25) comes and goes in one epoch of stage 1. */
    chain_rig_drain(&rig);

    cr_assert_eq(rig.changelog[0].record_count, 3);
    cr_expect_eq(rig.changelog[0].records[1].value.byte_count, -1);
    cr_expect_arr_eq(rig.changelog[0].records[1].key.bytes, rig.changelog[0].records[0].key.bytes,
                     (size_t)rig.changelog[0].records[0].key.byte_count);
    cr_expect_geq(rig.changelog[0].records[2].value.byte_count, 0); /* [100, 105) */
}

Test(chain, snapshot_and_tail_restore_what_the_whole_changelog_does)
{
    BATCH(1, 2, 11);
    chain_rig_snapshot(&rig, 0);
    BATCH(12, 13);
    cr_assert_gt(rig.changelog[0].start, 0);
    chain_rig_restart(&rig, 1, 0);

    BATCH(100);
    cr_assert_eq(rig.result_count, 2);
    expect_row(0, 0, 2);
    expect_row(1, 10, 3);
}
