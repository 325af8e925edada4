/* Goal: a column keeps values, nulls and texts apart, and gathers rows in any order.
 * Method: columns of each kind, filled by hand, gathered with repeats and nulls. */
#include "processor/row/column.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

static struct arena arena;

static void set_up(void)
{
    arena_init(&arena, (size_t)1 << 20);
}

static void tear_down(void)
{
    arena_done(&arena);
}

static struct column make(enum value_type type, uint32_t row_count)
{
    struct column column;
    cr_assert_eq(column_init(&column, type, row_count, &arena), STATUS_OK);
    return column;
}

static void put_texts(struct column *column, const char *const *texts)
{
    column->text_bytes = arena_take(&arena, 256);
    for (uint32_t i = 0; i < column->row_count; i++) {
        int32_t start = column->values.text_ends[i];
        memcpy(column->text_bytes + start, texts[i], strlen(texts[i]));
        column->values.text_ends[i + 1] = start + (int32_t)strlen(texts[i]);
    }
}

TestSuite(column, .init = set_up, .fini = tear_down);

Test(column, a_new_column_is_zero_and_has_no_null)
{
    struct column ints = make(VALUE_INT, 9);
    struct column texts = make(VALUE_TEXT, 2);
    struct column bools = make(VALUE_BOOL, 9);

    cr_expect_eq(ints.values.ints[8], 0);
    cr_expect_not(column_is_null(&ints, 8));
    cr_expect_eq(column_text(&texts, 1).byte_count, 0);
    cr_expect_not(column_bool(&bools, 8));
}

Test(column, a_null_row_leaves_its_neighbours_alone)
{
    struct column column = make(VALUE_BIGINT, 20);

    cr_assert_eq(column_set_null(&column, 9, &arena), STATUS_OK);

    cr_expect(column_is_null(&column, 9));
    cr_expect_not(column_is_null(&column, 8));
    cr_expect_not(column_is_null(&column, 10));
    cr_expect_not(column_is_null(&column, 19));
}

Test(column, gathering_keeps_the_order_asked_for_and_repeats)
{
    struct column column = make(VALUE_BIGINT, 3);
    column.values.bigints[0] = 10;
    column.values.bigints[1] = 11;
    column.values.bigints[2] = 12;
    cr_assert_eq(column_set_null(&column, 1, &arena), STATUS_OK);

    struct column out;
    cr_assert_eq(column_gather(&column, (const uint32_t[]){2, 1, 0, 2}, 4, &arena, &out),
                 STATUS_OK);

    cr_expect_eq(out.row_count, 4);
    cr_expect_eq(out.values.bigints[0], 12);
    cr_expect(column_is_null(&out, 1));
    cr_expect_eq(out.values.bigints[2], 10);
    cr_expect_eq(out.values.bigints[3], 12);
    cr_expect_not(column_is_null(&out, 3));
}

Test(column, gathered_texts_are_side_by_side)
{
    struct column column = make(VALUE_TEXT, 4);
    put_texts(&column, (const char *const[]){"one", "", "three", "x"});

    struct column out;
    cr_assert_eq(column_gather(&column, (const uint32_t[]){2, 1, 0}, 3, &arena, &out), STATUS_OK);

    cr_expect_eq(out.values.text_ends[3], 8);
    cr_expect_arr_eq(out.text_bytes, "threeone", 8);
    cr_expect_eq(column_text(&out, 1).byte_count, 0);
}

Test(column, gathering_moves_bools_ints_and_intervals)
{
    struct column bools = make(VALUE_BOOL, 12);
    row_bits_set(bools.values.bools, 11);
    struct column ints = make(VALUE_INT, 12);
    ints.values.ints[11] = -7;
    struct column intervals = make(VALUE_INTERVAL, 12);
    intervals.values.intervals[11] = (struct interval){.months = 1, .days = 2, .micros = 3};
    const uint32_t rows[] = {0, 11};

    struct column out;
    cr_assert_eq(column_gather(&bools, rows, 2, &arena, &out), STATUS_OK);
    cr_expect(column_bool(&out, 1));
    cr_expect_not(column_bool(&out, 0));
    cr_assert_eq(column_gather(&ints, rows, 2, &arena, &out), STATUS_OK);
    cr_expect_eq(out.values.ints[1], -7);
    cr_assert_eq(column_gather(&intervals, rows, 2, &arena, &out), STATUS_OK);
    cr_expect_eq(out.values.intervals[1].days, 2);
    cr_expect_eq(out.values.intervals[1].micros, 3);
}

Test(column, an_arena_at_its_limit_is_no_memory)
{
    struct arena small;
    arena_init(&small, 64);
    struct column column;

    cr_expect_eq(column_init(&column, VALUE_BIGINT, 1000, &small), STATUS_NO_MEMORY);

    arena_done(&small);
}

Test(column, counting_bits_passes_over_what_is_behind_the_rows)
{
    const uint8_t bits[] = {0xff, 0xf1};

    cr_expect_eq(row_bits_count(bits, 12), 9);
    cr_expect_eq(row_bits_count(bits, 8), 8);
    cr_expect_eq(row_bits_count(bits, 0), 0);
    cr_expect_not(row_bits_any((const uint8_t[]){0xf0}, 4));
    cr_expect(row_bits_any((const uint8_t[]){0xf0}, 5));
}

Test(column, nulls_beyond_the_rows_abort, .signal = SIGABRT)
{
    struct column column = make(VALUE_INT, 3);

    status_ignore(column_set_null(&column, 3, &arena), "never returns");
}
