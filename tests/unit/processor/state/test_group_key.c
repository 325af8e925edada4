/* Goal: equal keys are equal bytes, bytes sort as keys do, and what is no key is refused.
 * Method: columns of each type around their edges, golden bytes, hostile bytes. */
#include "processor/state/group_key.h"

#include <criterion/criterion.h>
#include <string.h>

static struct arena arena;

static void set_up(void)
{
    arena_init(&arena, 1 << 20);
}

static void tear_down(void)
{
    arena_done(&arena);
}

TestSuite(group_key, .init = set_up, .fini = tear_down);

static struct column column_of(enum value_type type, uint32_t row_count)
{
    struct column column;
    cr_assert_eq(column_init(&column, type, row_count, &arena), STATUS_OK);
    return column;
}

static struct column text_column(uint32_t row_count, const char *const *texts,
                                 const size_t *byte_counts)
{
    struct column column = column_of(VALUE_TEXT, row_count);
    column.text_bytes = arena_take(&arena, 4096);
    for (uint32_t i = 0; i < row_count; i++) {
        int32_t start = column.values.text_ends[i];
        memcpy(column.text_bytes + start, texts[i], byte_counts[i]);
        column.values.text_ends[i + 1] = start + (int32_t)byte_counts[i];
    }
    return column;
}

static struct wire_bytes key_at(const struct group_keys *keys, uint32_t row)
{
    return (struct wire_bytes){.bytes = keys->bytes + keys->ends[row],
                               .byte_count = (int32_t)(keys->ends[row + 1] - keys->ends[row])};
}

static void expect_ascending(const struct column *column)
{
    struct group_keys keys;
    cr_assert_eq(group_key_encode(column, 1, column->row_count, &arena, &keys), STATUS_OK);
    for (uint32_t i = 1; i < column->row_count; i++) {
        cr_expect_lt(group_key_compare(key_at(&keys, i - 1), key_at(&keys, i)), 0, "row %u", i);
    }
}

Test(group_key, bytes_are_those_of_the_format)
{
    struct column columns[3] = {column_of(VALUE_INT, 2),
                                text_column(2, (const char *[]){"a\0b", ""}, (size_t[]){3, 0}),
                                column_of(VALUE_TIMESTAMPTZ, 2)};
    columns[0].values.ints[0] = -2;
    columns[2].values.bigints[0] = 1;
    cr_assert_eq(column_set_null(&columns[2], 1, &arena), STATUS_OK);
    cr_assert_eq(column_set_null(&columns[1], 1, &arena), STATUS_OK);

    struct group_keys keys;
    cr_assert_eq(group_key_encode(columns, 3, 2, &arena, &keys), STATUS_OK);

    static const uint8_t first[] = {1, 0x7f, 0xff, 0xff, 0xfe, 1, 'a', 0, 0xff, 'b', 0,
                                    1, 1,    0x80, 0,    0,    0, 0,   0, 0,    1};
    static const uint8_t second[] = {1, 0x80, 0, 0, 0, 2, 2};
    cr_assert_eq(key_at(&keys, 0).byte_count, sizeof first);
    cr_expect_arr_eq(key_at(&keys, 0).bytes, first, sizeof first);
    cr_assert_eq(key_at(&keys, 1).byte_count, sizeof second);
    cr_expect_arr_eq(key_at(&keys, 1).bytes, second, sizeof second);
}

Test(group_key, bucket_of_a_key_never_changes)
{
    static const uint8_t key[] = {1, 's', 'h', 'o', 'r', 't', 0, 1};
    uint64_t hash = group_key_hash((struct wire_bytes){.bytes = key, .byte_count = sizeof key});

    cr_expect_eq(hash, UINT64_C(0x790929b19ffc256c), "hash %016lx", (unsigned long)hash);
    cr_expect_eq(group_key_bucket(0x1234567890abcdf5U), 0xf5);
    cr_expect_eq(group_key_partition(0xff, 16), 15);
    cr_expect_eq(group_key_partition(0x10, 16), 1);
    cr_expect_eq(group_key_partition(0x0f, 16), 0);
}

Test(group_key, bytes_sort_as_keys_do)
{
    struct column doubles = column_of(VALUE_DOUBLE, 7);
    const double values[] = {-__builtin_inf(), -1.5, -1e-300, 0, 1e-300, __builtin_inf(),
                             __builtin_nan("")};
    memcpy(doubles.values.doubles, values, sizeof values);
    expect_ascending(&doubles);

    struct column bigints = column_of(VALUE_BIGINT, 5);
    const int64_t numbers[] = {INT64_MIN, -1, 0, 1, INT64_MAX};
    memcpy(bigints.values.bigints, numbers, sizeof numbers);
    expect_ascending(&bigints);

    struct column texts = text_column(6, (const char *[]){"", "\0", "\0\1", "a", "a\0", "aa"},
                                      (size_t[]){0, 1, 2, 1, 2, 2});
    expect_ascending(&texts);

    struct column last = text_column(2, (const char *[]){"\xff\xff", ""}, (size_t[]){2, 0});
    cr_assert_eq(column_set_null(&last, 1, &arena), STATUS_OK);
    expect_ascending(&last);
}

Test(group_key, zeros_and_nans_are_one_key_each)
{
    struct column doubles = column_of(VALUE_DOUBLE, 4);
    doubles.values.doubles[0] = 0.0;
    doubles.values.doubles[1] = -0.0;
    doubles.values.doubles[2] = __builtin_nan("");
    doubles.values.doubles[3] = -__builtin_nan("1");

    struct group_keys keys;
    cr_assert_eq(group_key_encode(&doubles, 1, 4, &arena, &keys), STATUS_OK);

    cr_expect_eq(group_key_compare(key_at(&keys, 0), key_at(&keys, 1)), 0);
    cr_expect_eq(group_key_compare(key_at(&keys, 2), key_at(&keys, 3)), 0);
    cr_expect_eq(keys.hashes[0], keys.hashes[1]);
}

Test(group_key, columns_come_back)
{
    enum value_type types[4] = {VALUE_BOOL, VALUE_TEXT, VALUE_INTERVAL, VALUE_DOUBLE};
    struct column columns[4] = {
        column_of(VALUE_BOOL, 3),
        text_column(3, (const char *[]){"\0\0", "", "xyz"}, (size_t[]){2, 0, 3}),
        column_of(VALUE_INTERVAL, 3), column_of(VALUE_DOUBLE, 3)};
    row_bits_set(columns[0].values.bools, 1);
    columns[2].values.intervals[2] = (struct interval){.months = -1, .days = 2, .micros = -3};
    columns[3].values.doubles[1] = -2.5;
    cr_assert_eq(column_set_null(&columns[1], 1, &arena), STATUS_OK);
    struct group_keys keys;
    cr_assert_eq(group_key_encode(columns, 4, 3, &arena, &keys), STATUS_OK);
    struct wire_bytes bytes[3];
    for (uint32_t i = 0; i < 3; i++) {
        bytes[i] = key_at(&keys, i);
        cr_expect_eq(group_key_check(types, 4, bytes[i]), STATUS_OK);
    }

    struct column found[4];
    cr_assert_eq(group_key_decode(types, 4, bytes, 3, &arena, found), STATUS_OK);

    cr_expect(!column_bool(&found[0], 0) && column_bool(&found[0], 1));
    cr_expect_eq(column_text(&found[1], 0).byte_count, 2);
    cr_expect_arr_eq(column_text(&found[1], 0).bytes, "\0\0", 2);
    cr_expect(column_is_null(&found[1], 1));
    cr_expect_arr_eq(column_text(&found[1], 2).bytes, "xyz", 3);
    cr_expect_eq(found[2].values.intervals[2].micros, -3);
    cr_expect_eq(found[2].values.intervals[2].months, -1);
    cr_expect_eq(found[3].values.doubles[1], -2.5);
}

Test(group_key, what_is_no_key_is_refused)
{
    static const enum value_type types[2] = {VALUE_BOOL, VALUE_TEXT};
    static const struct {
        int32_t byte_count;
        uint8_t bytes[8];
    } bad[] = {{0, {0}},
               {1, {2}},
               {2, {1, 1}},
               {3, {3, 1, 2}},
               {3, {1, 2, 2}},
               {5, {1, 1, 1, 'a', 0}},
               {6, {1, 1, 1, 'a', 0, 2}},
               {4, {1, 1, 2, 2}}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct wire_bytes key = {.bytes = bad[i].bytes, .byte_count = bad[i].byte_count};
        cr_expect_eq(group_key_check(types, 2, key), STATUS_MALFORMED, "case %zu", i);
    }
    static const uint8_t good[] = {1, 1, 1, 'a', 0, 1};
    cr_expect_eq(group_key_check(types, 2, (struct wire_bytes){.bytes = good, .byte_count = 6}),
                 STATUS_OK);
    cr_expect_eq(group_key_check(types, 0, (struct wire_bytes){.bytes = good, .byte_count = 0}),
                 STATUS_OK);
}
