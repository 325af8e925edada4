/* Goal: groups become rows with windows, keys, results and times as a sink needs them.
 * Method: two groups by hand under max(int) and sum(bigint), with and without windows. */
#include "processor/operator/emission.h"
#include "processor/state/group_key.h"

#include <criterion/criterion.h>

#define BIGINT MILLRACE__PLAN__TYPE__TYPE_BIGINT
#define UPDATE MILLRACE__PLAN__OUTPUT_MODE__OUTPUT_UPDATE

static const uint8_t key_a[] = {1, 'a', 0, 1};
static const uint8_t key_null[] = {2};

static struct arena arena;
static struct aggregation aggregation;
static Millrace__Plan__Aggregation plan;
static Millrace__Plan__AggregateCall calls[2];
static Millrace__Plan__AggregateCall *call_list[2] = {&calls[0], &calls[1]};
static Millrace__Plan__TypedExpr number, text;
static Millrace__Plan__TypedExpr *keys[1] = {&text};
static struct group *groups[2];
static struct row_batch rows;
static struct emission_fault fault;

static struct group *make_group(int64_t window_start, const uint8_t *key, int32_t byte_count)
{
    struct wire_bytes bytes = {.bytes = key, .byte_count = byte_count};
    struct group *group =
        group_table_make_loose(2, window_start, group_key_hash(bytes), bytes, &arena);
    cr_assert_not_null(group);
    return group;
}

static void set_up(void)
{
    arena_init(&arena, 1 << 20);
    millrace__plan__typed_expr__init(&number);
    millrace__plan__typed_expr__init(&text);
    number.type = BIGINT;
    text.type = MILLRACE__PLAN__TYPE__TYPE_TEXT;
    for (int i = 0; i < 2; i++) {
        millrace__plan__aggregate_call__init(&calls[i]);
        calls[i].argument = &number;
        calls[i].type = BIGINT;
    }
    calls[0].function = MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_MAX;
    calls[1].function = MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_SUM;
    millrace__plan__aggregation__init(&plan);
    plan.window = MILLRACE__PLAN__WINDOW_KIND__WINDOW_TUMBLE;
    plan.time = &number;
    plan.size_us = 1500;
    plan.n_keys = 1;
    plan.keys = keys;
    plan.n_calls = 2;
    plan.calls = call_list;
}

static void tear_down(void)
{
    aggregation_done(&aggregation);
    arena_done(&arena);
}

TestSuite(emission, .init = set_up, .fini = tear_down);

static void make_groups(int64_t first_start, int64_t second_start)
{
    cr_assert_eq(aggregation_init(&aggregation, 1, &plan), STATUS_OK);
    groups[0] = make_group(first_start, key_a, sizeof key_a);
    groups[1] = make_group(second_start, key_null, sizeof key_null);
    groups[0]->states[0] = (struct aggregate_state){.count = 1, .value.integer = 7};
    groups[0]->states[1] = (struct aggregate_state){.count = 1, .value.sum = {.low = 8}};
    groups[0]->created_max_ms = 11;
    groups[0]->ingested_max_ms = 12;
}

Test(emission, row_has_window_key_results_and_times)
{
    make_groups(-3000, 1500);
    cr_assert_eq(emission_make_rows(&aggregation, groups, 2, &arena, &rows, &fault), STATUS_OK);

    cr_assert_eq(rows.column_count, 5);
    cr_expect_eq(rows.columns[0].values.bigints[0], -3000);
    cr_expect_eq(rows.columns[1].values.bigints[0], -1500);
    cr_expect_arr_eq(column_text(&rows.key_columns[0], 0).bytes, "a", 1);
    cr_expect_eq(rows.columns[3].values.bigints[0], 7);
    cr_expect_eq(rows.columns[4].values.bigints[0], 8);
    cr_expect_eq(rows.created_max_ms[0], 11);
    cr_expect_eq(rows.ingested_max_ms[0], 12);
    cr_expect_eq(rows.record_time_ms[0], -2); /* -1.5 ms, not later than the end. */
    cr_expect_null(rows.kinds);

    cr_expect(column_is_null(&rows.key_columns[0], 1));
    cr_expect(column_is_null(&rows.columns[3], 1));
    cr_expect(column_is_null(&rows.columns[4], 1));
    cr_expect_eq(rows.ingested_max_ms[1], -1);
    cr_expect_eq(rows.record_time_ms[1], 3);
}

Test(emission, update_tells_whether_a_row_of_the_group_has_left)
{
    plan.output_mode = UPDATE;
    make_groups(0, 0);
    groups[1]->flags = GROUP_IS_EMITTED;
    cr_assert_eq(emission_make_rows(&aggregation, groups, 2, &arena, &rows, &fault), STATUS_OK);
    cr_assert_not_null(rows.kinds);
    cr_expect_eq(rows.kinds[0], ROW_INSERT);
    cr_expect_eq(rows.kinds[1], ROW_UPDATE_AFTER);
}

Test(emission, without_windows_both_columns_are_null)
{
    plan.output_mode = UPDATE;
    plan.window = MILLRACE__PLAN__WINDOW_KIND__WINDOW_NONE;
    make_groups(GROUP_TABLE_NO_WINDOW, GROUP_TABLE_NO_WINDOW);
    cr_assert_eq(emission_make_rows(&aggregation, groups, 2, &arena, &rows, &fault), STATUS_OK);
    cr_expect(column_is_null(&rows.columns[0], 0));
    cr_expect(column_is_null(&rows.columns[1], 1));
    cr_expect_eq(rows.record_time_ms[0], 11);
}

Test(emission, sum_beyond_bigint_names_its_group)
{
    make_groups(0, 1500);
    groups[1]->states[1] = (struct aggregate_state){.count = 2, .value.sum = {.high = 1}};
    cr_expect_eq(emission_make_rows(&aggregation, groups, 2, &arena, &rows, &fault),
                 STATUS_INVALID);
    cr_expect_eq(fault.row, 1);
    cr_expect_eq(fault.call, 1);
}

Test(emission, batch_ends_where_its_texts_grow_long)
{
    static uint8_t long_key[1 << 20];
    make_groups(0, 0);
    struct group *many[5000];
    for (int i = 0; i < 5000; i++) {
        many[i] = groups[0];
    }
    cr_expect_eq(emission_count(&aggregation, many, 0, emission_room(&aggregation, 0)), 0);
    cr_expect_eq(emission_count(&aggregation, many, 4095, emission_room(&aggregation, 0)), 4095);
    cr_expect_eq(emission_count(&aggregation, many, 5000, emission_room(&aggregation, 0)),
                 EMISSION_ROWS_MAX);

    many[0] = make_group(0, long_key, sizeof long_key);
    many[1] = many[0];
    many[2] = many[0];
    cr_expect_eq(emission_count(&aggregation, many, 1, emission_room(&aggregation, 0)), 1);
    cr_expect_eq(emission_count(&aggregation, many, 5000, emission_room(&aggregation, 0)), 2);
}

Test(emission, long_results_end_a_batch_too_and_one_group_is_always_taken)
{
    calls[0].type = MILLRACE__PLAN__TYPE__TYPE_TEXT;
    calls[0].argument = &text;
    make_groups(0, 0);
    groups[0]->states[0] =
        (struct aggregate_state){.count = 1, .value.text = {.byte_count = 3 << 20}};
    cr_expect_eq(emission_count(&aggregation, groups, 2, emission_room(&aggregation, 0)), 1);
    groups[0]->states[0].count = 0; /* Null: the text is none. */
    cr_expect_eq(emission_count(&aggregation, groups, 2, emission_room(&aggregation, 0)), 2);
}

Test(emission, batches_are_smaller_where_more_is_made_of_them)
{
    make_groups(0, 0);
    struct group *many[5000];
    for (int i = 0; i < 5000; i++) {
        many[i] = groups[0];
    }
    struct row_batch_room wide = emission_room(&aggregation, 2000 - 5);
    cr_expect_eq(wide.row_count, 1048); /* 64 MiB of 2,000 columns of 32 bytes. */
    cr_expect_eq(wide.byte_count, (128 << 20) / 2000);
    cr_expect_eq(emission_count(&aggregation, many, 5000, wide), 1048);
    cr_expect_eq(emission_room(&aggregation, 0).row_count, EMISSION_ROWS_MAX);
}

Test(emission, append_without_windows_would_never_tell_and_is_invalid)
{
    plan.window = MILLRACE__PLAN__WINDOW_KIND__WINDOW_NONE;
    cr_expect_eq(aggregation_init(&aggregation, 1, &plan), STATUS_INVALID);
}
