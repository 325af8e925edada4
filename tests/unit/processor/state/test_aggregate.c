/* Goal: states are exact, merging in any order gives what one pass gives, bytes come back.
 * Method: small columns with literal results; every split of random rows against one pass. */
#include "processor/state/group_table.h"
#include "proto/sys/prng.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static struct arena arena;
static struct group *groups[64];
static struct group *group;

static void set_up(void)
{
    arena_init(&arena, 8 << 20);
    group = group_table_make_loose(1, 0, 0, (struct wire_bytes){0}, &arena);
    for (int i = 0; i < 64; i++) {
        groups[i] = group;
    }
}

static void tear_down(void)
{
    arena_done(&arena);
}

TestSuite(aggregate, .init = set_up, .fini = tear_down);

static struct column column_of(enum value_type type, uint32_t row_count)
{
    struct column column;
    cr_assert_eq(column_init(&column, type, row_count, &arena), STATUS_OK);
    return column;
}

static void take(const struct aggregate *aggregate, const struct column *argument,
                 uint32_t row_count)
{
    cr_assert_eq(aggregate_check(aggregate), STATUS_OK);
    struct aggregate_rows rows = {.argument = argument, .groups = groups, .row_count = row_count};
    cr_assert_eq(aggregate_take(aggregate, &rows, &arena), STATUS_OK);
}

/* Of the one group; `out_misfits` gets bit 0. */
static struct column result(const struct aggregate *aggregate, uint8_t *out_misfits)
{
    struct aggregate_rows rows = {.groups = &group, .row_count = 1};
    struct column column;
    uint8_t misfits[1] = {0};
    cr_assert_eq(aggregate_result(aggregate, &rows, &arena, misfits, &column), STATUS_OK);
    *out_misfits = misfits[0];
    return column;
}

Test(aggregate, over_no_value_all_but_counts_are_null)
{
    struct column values = column_of(VALUE_INT, 3);
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert_eq(column_set_null(&values, i, &arena), STATUS_OK);
    }
    for (enum aggregate_function f = AGGREGATE_COUNT_STAR; f <= AGGREGATE_MAX; f++) {
        struct aggregate aggregate = {.function = f, .argument_type = VALUE_INT};
        memset(&group->states[0], 0, sizeof group->states[0]);
        take(&aggregate, f == AGGREGATE_COUNT_STAR ? NULL : &values, 3);
        uint8_t misfits = 0;
        struct column found = result(&aggregate, &misfits);
        cr_expect_eq(column_is_null(&found, 0), f > AGGREGATE_COUNT);
        if (f <= AGGREGATE_COUNT) {
            cr_expect_eq(found.values.bigints[0], f == AGGREGATE_COUNT ? 0 : 3);
        }
    }
}

Test(aggregate, sum_passes_beyond_bigint_and_back)
{
    struct aggregate sum = {.function = AGGREGATE_SUM, .argument_type = VALUE_BIGINT};
    struct column values = column_of(VALUE_BIGINT, 3);
    values.values.bigints[0] = INT64_MAX;
    values.values.bigints[1] = 5;
    values.values.bigints[2] = -6;
    uint8_t misfits = 0;

    take(&sum, &values, 2);
    struct column beyond = result(&sum, &misfits);
    cr_expect_eq(misfits, 1);
    cr_expect(column_is_null(&beyond, 0));

    memset(&group->states[0], 0, sizeof group->states[0]);
    take(&sum, &values, 3);
    struct column found = result(&sum, &misfits);
    cr_expect_eq(misfits, 0);
    cr_expect_eq(found.values.bigints[0], INT64_MAX - 1);
}

Test(aggregate, mean_of_ints_is_exact_before_it_is_divided)
{
    struct aggregate avg = {.function = AGGREGATE_AVG, .argument_type = VALUE_BIGINT};
    struct column values = column_of(VALUE_BIGINT, 4);
    const int64_t numbers[] = {INT64_MAX, INT64_MAX, -INT64_MAX, -INT64_MAX + 8};
    memcpy(values.values.bigints, numbers, sizeof numbers);
    uint8_t misfits = 0;

    take(&avg, &values, 4);

    cr_expect_eq(result(&avg, &misfits).values.doubles[0], 2.0);
    memset(&group->states[0], 0, sizeof group->states[0]);
    take(&avg, &values, 2);
    cr_expect_eq(result(&avg, &misfits).values.doubles[0], (double)INT64_MAX);
    cr_expect_eq(misfits, 0);
}

static double mean_of(const int64_t *numbers, uint32_t count)
{
    struct aggregate avg = {.function = AGGREGATE_AVG, .argument_type = VALUE_BIGINT};
    struct column values = column_of(VALUE_BIGINT, count);
    memcpy(values.values.bigints, numbers, count * sizeof *numbers);
    uint8_t misfits = 0;
    memset(&group->states[0], 0, sizeof group->states[0]);
    take(&avg, &values, count);
    double mean = result(&avg, &misfits).values.doubles[0];
    cr_expect_eq(misfits, 0);
    return mean;
}

Test(aggregate, mean_of_ints_is_rounded_once)
{
    /* Sums of 2^53 + 1 and the like are no doubles; their quotients lie beside those of doubles. */
    const int64_t odd = (INT64_C(1) << 53) + 1;

    cr_expect_eq(mean_of((int64_t[]){odd, 0, 0}, 3), 3002399751580331.0);
    cr_expect_eq(mean_of((int64_t[]){-odd, 0, 0}, 3), -3002399751580331.0);
    cr_expect_eq(mean_of((int64_t[]){odd, odd, 0}, 3), 6004799503160662.0);
    cr_expect_eq(mean_of((int64_t[]){odd}, 1), 9007199254740992.0);
    cr_expect_eq(mean_of((int64_t[]){odd + 2}, 1), 9007199254740996.0);
    cr_expect_eq(mean_of((int64_t[]){INT64_MIN, INT64_MIN, INT64_MIN}, 3), -0x1p63);
    cr_expect_eq(mean_of((int64_t[]){INT64_MIN, INT64_MAX, 0}, 3), -1.0 / 3);
    cr_expect_eq(mean_of((int64_t[]){INT64_MAX, INT64_MAX, 1 << 11}, 3), 6148914691236517888.0);
}

Test(aggregate, extremes_of_doubles_have_a_total_order)
{
    struct aggregate max = {.function = AGGREGATE_MAX, .argument_type = VALUE_DOUBLE};
    struct aggregate min = {.function = AGGREGATE_MIN, .argument_type = VALUE_DOUBLE};
    struct column values = column_of(VALUE_DOUBLE, 3);
    uint8_t misfits = 0;
    values.values.doubles[0] = 0.0;
    values.values.doubles[1] = -0.0;
    values.values.doubles[2] = __builtin_nan("");

    take(&min, &values, 3);
    double least = result(&min, &misfits).values.doubles[0];
    cr_expect(least == 0 && signbit(least));

    memset(&group->states[0], 0, sizeof group->states[0]);
    take(&max, &values, 3);
    cr_expect(isnan(result(&max, &misfits).values.doubles[0]));
}

Test(aggregate, extremes_of_texts_keep_their_own_bytes)
{
    struct aggregate max = {.function = AGGREGATE_MAX, .argument_type = VALUE_TEXT};
    struct column values = column_of(VALUE_TEXT, 3);
    char bytes[] = "abzz\x7f";
    values.text_bytes = (uint8_t *)bytes;
    values.values.text_ends[1] = 1;
    values.values.text_ends[2] = 4;
    values.values.text_ends[3] = 4;
    uint8_t misfits = 0;

    take(&max, &values, 3);
    memset(bytes, '!', sizeof bytes);

    struct column found = result(&max, &misfits);
    cr_assert_eq(column_text(&found, 0).byte_count, 3);
    cr_expect_arr_eq(column_text(&found, 0).bytes, "bzz", 3);
}

Test(aggregate, interval_of_thirty_days_is_a_month)
{
    struct aggregate max = {.function = AGGREGATE_MAX, .argument_type = VALUE_INTERVAL};
    struct column values = column_of(VALUE_INTERVAL, 2);
    values.values.intervals[0] = (struct interval){.months = 1};
    values.values.intervals[1] = (struct interval){.days = 29, .micros = 86400000001};
    uint8_t misfits = 0;

    take(&max, &values, 2);

    cr_expect_eq(result(&max, &misfits).values.intervals[0].days, 29);
}

Test(aggregate, rows_that_are_not_kept_or_of_no_group_are_passed_over)
{
    struct aggregate count = {.function = AGGREGATE_COUNT_STAR};
    groups[1] = NULL;
    uint8_t keep[1] = {1U << 0 | 1U << 1 | 1U << 3};
    struct aggregate_rows rows = {.groups = groups, .keep = keep, .row_count = 4};

    cr_assert_eq(aggregate_take(&count, &rows, &arena), STATUS_OK);

    cr_expect_eq(group->states[0].count, 2);
}

Test(aggregate, bytes_are_those_of_the_format)
{
    static const struct {
        struct aggregate aggregate;
        struct aggregate_state state;
        size_t byte_count;
        uint8_t bytes[20];
    } golden[] = {
        {{AGGREGATE_COUNT, VALUE_TEXT}, {.count = 300}, 2, {0xac, 2}},
        {{AGGREGATE_MAX, VALUE_INT}, {.count = 0}, 1, {0}},
        {{AGGREGATE_MAX, VALUE_INT}, {.count = 1, .value.integer = -3}, 2, {1, 5}},
        {{AGGREGATE_SUM, VALUE_INT},
         {.count = 2, .value.sum = {.low = UINT64_MAX, .high = -1}},
         17,
         {2, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}},
        {{AGGREGATE_AVG, VALUE_DOUBLE}, {.count = 1, .value.real = 1.5}, 9, {1, 0x3f, 0xf8}},
        {{AGGREGATE_MIN, VALUE_TEXT},
         {.count = 1, .value.text = {.bytes = (const uint8_t *)"ab", .byte_count = 2}},
         4,
         {1, 2, 'a', 'b'}},
        {{AGGREGATE_MIN, VALUE_INTERVAL},
         {.count = 1, .value.interval = {1, 2, 3}},
         17,
         {1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3}},
    };
    for (size_t i = 0; i < sizeof golden / sizeof golden[0]; i++) {
        struct grow_buffer buffer = {0};
        aggregate_encode(&golden[i].aggregate, &golden[i].state, &buffer);
        cr_assert_eq(buffer.byte_count, golden[i].byte_count, "case %zu", i);
        cr_expect_arr_eq(buffer.bytes, golden[i].bytes, buffer.byte_count, "case %zu", i);

        struct wire_reader reader;
        wire_reader_init(&reader, buffer.bytes, buffer.byte_count);
        struct aggregate_state back = {0};
        aggregate_decode(&golden[i].aggregate, &reader, &back);
        cr_expect_eq(wire_reader_status(&reader), STATUS_OK);
        struct grow_buffer again = {0};
        aggregate_encode(&golden[i].aggregate, &back, &again);
        cr_assert_eq(again.byte_count, buffer.byte_count);
        cr_expect_arr_eq(again.bytes, buffer.bytes, buffer.byte_count);
        grow_buffer_done(&buffer);
        grow_buffer_done(&again);
    }
}

/* Three parts of the rows, each in a state of its own, merged in any order. */
Test(aggregate, merged_parts_are_what_one_pass_gives)
{
    struct prng prng;
    prng_init(&prng, 99);
    for (enum aggregate_function f = AGGREGATE_COUNT; f <= AGGREGATE_MAX; f++) {
        for (int round = 0; round < 50; round++) {
            struct aggregate aggregate = {.function = f, .argument_type = VALUE_BIGINT};
            struct column values = column_of(VALUE_BIGINT, 60);
            struct group *parts[3];
            for (int i = 0; i < 3; i++) {
                parts[i] = group_table_make_loose(1, 0, 0, (struct wire_bytes){0}, &arena);
            }
            struct group *of_row[60];
            for (uint32_t i = 0; i < 60; i++) {
                values.values.bigints[i] = (int64_t)prng_next(&prng);
                of_row[i] = parts[prng_below(&prng, 3)];
            }
            memset(&group->states[0], 0, sizeof group->states[0]);
            take(&aggregate, &values, 60);
            struct aggregate_rows rows = {.argument = &values, .groups = of_row, .row_count = 60};
            cr_assert_eq(aggregate_take(&aggregate, &rows, &arena), STATUS_OK);

            struct aggregate_state merged = {0};
            uint64_t first = prng_below(&prng, 3);
            for (uint64_t i = 0; i < 3; i++) {
                cr_assert_eq(aggregate_merge(&aggregate, &merged,
                                             &parts[(first + i) % 3]->states[0], &arena),
                             STATUS_OK);
            }

            cr_expect_eq(merged.count, group->states[0].count);
            if (f != AGGREGATE_COUNT) {
                cr_expect_eq(merged.value.sum.low, group->states[0].value.sum.low);
            }
            if (f == AGGREGATE_SUM || f == AGGREGATE_AVG) {
                cr_expect_eq(merged.value.sum.high, group->states[0].value.sum.high);
            }
        }
    }
}
