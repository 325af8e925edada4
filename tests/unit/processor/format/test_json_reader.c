/* Goal: records become columns: right values, nulls and misfits, whatever order, spacing and
 * surprises the records have, and the same with and without guessing.
 * Method: each record is read alone, as the third of its kind, and between records of other shapes,
 * with learning on and off. Records lie on the heap, so that a sanitizer sees their ends. */
#include "processor/format/json_rows.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 64U

static const struct json_column all_types[] = {
    {"flag", VALUE_BOOL, false},   {"small", VALUE_INT, false}, {"large", VALUE_BIGINT, false},
    {"real", VALUE_DOUBLE, false}, {"text", VALUE_TEXT, false}, {"time", VALUE_TIMESTAMPTZ, false},
};
enum { FLAG, SMALL, LARGE, REAL, TEXT, TIME, TYPE_COUNT };

static struct arena arena;
static struct json_reader *reader;
static uint8_t misfits[ROWS_MAX / 8];
static struct column columns[TYPE_COUNT];
static struct wire_bytes values[ROWS_MAX];

static void set_up(void)
{
    arena_init(&arena, (size_t)8 << 20);
    cr_assert_eq(json_reader_new(all_types, TYPE_COUNT, &reader), STATUS_OK);
}

static void tear_down(void)
{
    json_reader_free(reader);
    arena_done(&arena);
}

static void read_records(const char *const *records, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        size_t byte_count = strlen(records[i]);
        uint8_t *bytes = malloc(byte_count == 0 ? 1 : byte_count);
        memcpy(bytes, records[i], byte_count);
        values[i] = (struct wire_bytes){.bytes = bytes, .byte_count = (int32_t)byte_count};
    }
    memset(misfits, 0, sizeof misfits);
    cr_assert_eq(json_reader_read(reader, values, count, &arena, misfits, columns), STATUS_OK);
    for (uint32_t i = 0; i < count; i++) {
        void *bytes;
        memcpy(&bytes, &values[i].bytes, sizeof bytes);
        free(bytes);
    }
}

static bool fits(const char *record)
{
    read_records(&record, 1);
    return misfits[0] == 0;
}

static void expect_text(uint32_t row, const char *expected)
{
    struct column_text text = column_text(&columns[TEXT], row);
    cr_expect_eq(text.byte_count, strlen(expected), "%s", expected);
    cr_expect_arr_eq(text.bytes, expected, strlen(expected), "%s", expected);
}

TestSuite(json_reader, .init = set_up, .fini = tear_down);

Test(json_reader, each_type_is_read)
{
    cr_assert(fits("{\"flag\":true,\"small\":-7,\"large\":9007199254740993,\"real\":0.1,"
                   "\"text\":\"a\\u00e4\",\"time\":\"2001-01-01T00:00:00Z\"}"));

    cr_expect(column_bool(&columns[FLAG], 0));
    cr_expect_eq(columns[SMALL].values.ints[0], -7);
    cr_expect_eq(columns[LARGE].values.bigints[0], 9007199254740993);
    cr_expect_eq(columns[REAL].values.doubles[0], 0.1);
    expect_text(0, "a\xc3\xa4");
    cr_expect_eq(columns[TIME].values.bigints[0], 978307200000000);
    for (int i = 0; i < TYPE_COUNT; i++) {
        cr_expect_not(column_is_null(&columns[i], 0));
    }
}

Test(json_reader, order_spacing_and_unknown_members_do_not_matter)
{
    const char *const records[] = {
        "{\"small\":1,\"text\":\"one\"}",
        "{\"small\":2,\"text\":\"two\"}",
        "{\"text\":\"three\",\"small\":3}",
        " { \"small\" : 4 , \"text\" : \"four\" } \n",
        "{\"skip\":[1,{\"small\":9}],\"small\":5,\"more\":\"}\",\"text\":\"five\",\"x\":null}",
        "{\"small\":6,\"text\":\"six\"}",
        "{\"sm\\u0061ll\":7,\"text\":\"seven\"}",
    };
    static const char *const expected[] = {"one", "two", "three", "four", "five", "six", "seven"};

    read_records(records, 7);

    cr_assert_eq(misfits[0], 0);
    for (uint32_t i = 0; i < 7; i++) {
        cr_expect_eq(columns[SMALL].values.ints[i], (int32_t)i + 1);
        expect_text(i, expected[i]);
        cr_expect(column_is_null(&columns[LARGE], i));
    }
}

Test(json_reader, space_behind_a_colon_may_come_and_go)
{
    const char *const records[] = {
        "{\"small\":1,\"x\":[],\"text\":\"a\"}", "{\"small\": 2,\"x\":\t[],\"text\":\n \"b\"}",
        "{\"small\":3,\"x\":[],\"text\":\"c\"}", "{\"small\":", "{\"small\": "};

    read_records(records, 5);

    cr_assert_eq(misfits[0], 0x18);
    for (uint32_t i = 0; i < 3; i++) {
        cr_expect_eq(columns[SMALL].values.ints[i], (int32_t)i + 1);
    }
    expect_text(1, "b");
}

Test(json_reader, missing_and_null_are_null_and_a_later_value_is_not)
{
    const char *const records[] = {"{\"small\":1,\"text\":\"a\"}", "{\"small\":null,\"text\":null}",
                                   "{}", "{\"small\":4,\"text\":\"\"}"};

    read_records(records, 4);

    cr_assert_eq(misfits[0], 0);
    cr_expect_not(column_is_null(&columns[SMALL], 0));
    cr_expect(column_is_null(&columns[SMALL], 1));
    cr_expect(column_is_null(&columns[TEXT], 2));
    cr_expect_not(column_is_null(&columns[TEXT], 3));
    cr_expect_eq(columns[SMALL].values.ints[3], 4);
    cr_expect_eq(columns[TEXT].values.text_ends[4], 1);
}

Test(json_reader, of_a_key_that_comes_twice_the_last_one_counts)
{
    const char *const records[] = {
        "{\"small\":1,\"text\":\"long before\",\"small\":2,\"text\":\"new\"}",
        "{\"small\":null,\"small\":3,\"text\":null,\"text\":\"x\"}",
        "{\"small\":4,\"small\":null,\"text\":\"y\",\"text\":null}",
    };

    read_records(records, 3);

    cr_assert_eq(misfits[0], 0);
    cr_expect_eq(columns[SMALL].values.ints[0], 2);
    expect_text(0, "new");
    cr_expect_eq(columns[SMALL].values.ints[1], 3);
    cr_expect_not(column_is_null(&columns[SMALL], 1));
    expect_text(1, "x");
    cr_expect(column_is_null(&columns[SMALL], 2));
    cr_expect(column_is_null(&columns[TEXT], 2));
    expect_text(2, "");
}

Test(json_reader, whole_numbers_fit_by_value_not_by_spelling)
{
    cr_expect(fits("{\"small\":1e5,\"large\":-0}"));
    cr_expect_eq(columns[SMALL].values.ints[0], 100000);
    cr_expect_eq(columns[LARGE].values.bigints[0], 0);
    cr_expect(fits("{\"small\":7.00,\"large\":9223372036854775807}"));
    cr_expect_eq(columns[SMALL].values.ints[0], 7);
    cr_expect_eq(columns[LARGE].values.bigints[0], INT64_MAX);
    cr_expect(fits("{\"small\":-2147483648,\"large\":-9223372036854775808}"));
    cr_expect_eq(columns[SMALL].values.ints[0], INT32_MIN);
    cr_expect_eq(columns[LARGE].values.bigints[0], INT64_MIN);
    cr_expect(fits("{\"real\":5}"));
    cr_expect_eq(columns[REAL].values.doubles[0], 5.0);
}

static const char *const misfit_records[] = {
    "",
    " ",
    "null",
    "1",
    "[]",
    "\"{}\"",
    "{",
    "}",
    "{}x",
    "{}{}",
    "{} {}",
    "{\"a\":1",
    "{\"a\" 1}",
    "{\"small\":1.5}",
    "{\"small\":2147483648}",
    "{\"small\":-2147483649}",
    "{\"small\":\"1\"}",
    "{\"small\":true}",
    "{\"small\":{}}",
    "{\"small\":01}",
    "{\"small\":1x}",
    "{\"small\":+1}",
    "{\"small\":}",
    "{\"small\":1,}",
    "{\"small\":-}",
    "{\"small\":nul}",
    "{\"small\":nulls}",
    "{\"large\":9223372036854775808}",
    "{\"large\":1e19}",
    "{\"large\":12345678901234567890}",
    "{\"real\":\"1\"}",
    "{\"real\":1e309}",
    "{\"real\":.5}",
    "{\"real\":NaN}",
    "{\"text\":1}",
    "{\"text\":\"\\ud800\"}",
    "{\"text\":\"\xff\"}",
    "{\"text\":\"a\nb\"}",
    "{\"text\":\"a}",
    "{\"text\":[\"a\"]}",
    "{\"time\":978307200}",
    "{\"time\":\"2001-01-01\"}",
    "{\"time\":\"2001-02-29T00:00:00Z\"}",
    "{\"time\":\"2001-01-01T00:00:00\"}",
    "{\"flag\":1}",
    "{\"flag\":\"true\"}",
    "{\"flag\":truth}",
    "{\"small\":1}{\"small\":1}",
    "{\"x\":1 \"small\":1}",
    "{\"x\":\"\\q\",\"small\":1}",
    "{\"small\":1,{\"text\":\"a\"}}",
    "{\"small\":1{\"text\":\"a\"}",
    ",\"small\":1}",
    "\"small\":1}",
    "{\"small\":1;\"text\":\"a\"}",
};

Test(json_reader, misfits_are_told_null_in_all_columns_and_leave_others_alone)
{
    const char good[] = "{\"small\":5,\"text\":\"good\",\"large\":6}";
    for (size_t i = 0; i < sizeof misfit_records / sizeof misfit_records[0]; i++) {
        const char *const records[] = {good, misfit_records[i], good};
        read_records(records, 3);
        cr_expect_eq(misfits[0], 2, "%s", misfit_records[i]);
        cr_expect(column_is_null(&columns[SMALL], 1), "%s", misfit_records[i]);
        cr_expect(column_is_null(&columns[TEXT], 1));
        cr_expect_eq(columns[SMALL].values.ints[2], 5);
        cr_expect_not(column_is_null(&columns[SMALL], 2));
        expect_text(1, "");
        expect_text(2, "good");
    }
}

Test(json_reader, searching_every_key_finds_the_same_misfits)
{
    json_reader_set_learning(reader, false);
    for (size_t i = 0; i < sizeof misfit_records / sizeof misfit_records[0]; i++) {
        cr_expect_not(fits(misfit_records[i]), "%s", misfit_records[i]);
    }
}

Test(json_reader, no_zero_byte_is_space)
{
    const uint8_t bytes[] = "{\"small\":1}\0";
    values[0] = (struct wire_bytes){.bytes = bytes, .byte_count = sizeof bytes - 1};

    cr_assert_eq(json_reader_read(reader, values, 1, &arena, misfits, columns), STATUS_OK);

    cr_expect_eq(misfits[0], 1);
}

Test(json_reader, a_record_without_value_is_a_misfit)
{
    char reason[JSON_REASON_BYTES_MAX];
    values[0] = (struct wire_bytes){.bytes = NULL, .byte_count = -1};

    cr_assert_eq(json_reader_read(reader, values, 1, &arena, misfits, columns), STATUS_OK);
    json_reader_explain(reader, values[0], reason);

    cr_expect_eq(misfits[0], 1);
    cr_expect_str_eq(reason, "the record has no value");
}

Test(json_reader, nesting_is_bounded_also_where_nothing_is_asked_for)
{
    char record[256] = "{\"x\":";
    memset(record + 5, '[', JSON_DEPTH_MAX - 1);
    memset(record + 5 + JSON_DEPTH_MAX - 1, ']', JSON_DEPTH_MAX - 1);
    strncat(record, "}", 2);
    cr_expect(fits(record));

    memset(record + 5, '[', JSON_DEPTH_MAX);
    memset(record + 5 + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    record[5 + 2 * JSON_DEPTH_MAX] = '\0';
    strncat(record, "}", 2);
    cr_expect_not(fits(record));
}

Test(json_reader, not_null_is_held_against_missing_and_null)
{
    const struct json_column columns_asked[] = {{"small", VALUE_INT, true}};
    json_reader_free(reader);
    cr_assert_eq(json_reader_new(columns_asked, 1, &reader), STATUS_OK);

    const char *const records[] = {"{\"small\":1}", "{\"small\":null}", "{}",
                                   "{\"small\":null,\"small\":2}"};
    read_records(records, 4);

    cr_expect_eq(misfits[0], 6);
    cr_expect_eq(columns[0].values.ints[3], 2);
    cr_expect_not(column_is_null(&columns[0], 3));
}

Test(json_reader, a_known_shape_is_not_searched)
{
    const char record[] = "{\"x\":\"y\",\"small\":1,\"text\":\"a\"}";
    cr_assert(fits(record));
    uint64_t before = json_reader_stats(reader).members_searched;

    cr_assert(fits(record));

    cr_expect_eq(before, 3);
    cr_expect_eq(json_reader_stats(reader).members_searched, before);
    cr_expect_eq(json_reader_stats(reader).rows, 2);
    cr_expect_eq(json_reader_stats(reader).misfits, 0);
}

Test(json_reader, optional_members_cost_one_search_and_no_more)
{
    cr_assert(fits("{\"a\":1,\"small\":1,\"text\":\"a\",\"b\":2}"));
    uint64_t before = json_reader_stats(reader).members_searched;

    cr_assert(fits("{\"a\":1,\"text\":\"a\",\"b\":2}"));

    cr_expect_eq(json_reader_stats(reader).members_searched, before + 1);
}

Test(json_reader, keys_that_never_come_again_do_not_keep_out_those_that_do)
{
    char record[128];
    for (uint32_t i = 0; i < 1000; i++) {
        snprintf(record, sizeof record, "{\"k%u\":1,\"small\":%u,\"text\":\"a\"}", i, i);
        cr_assert(fits(record));
        cr_assert_eq(columns[SMALL].values.ints[0], (int32_t)i);
        arena_reset(&arena);
    }
    const char plain[] = "{\"small\":1,\"text\":\"a\"}";
    for (int i = 0; i < 3; i++) {
        cr_assert(fits(plain));
    }
    uint64_t before = json_reader_stats(reader).members_searched;

    cr_assert(fits(plain));

    cr_expect_leq(json_reader_stats(reader).members_searched, before + 1);
}

Test(json_reader, no_columns_still_tell_misfits)
{
    json_reader_free(reader);
    cr_assert_eq(json_reader_new(NULL, 0, &reader), STATUS_OK);

    cr_expect(fits("{\"a\":1}"));
    cr_expect(fits("{}"));
    cr_expect_not(fits("{\"a\":1"));
}

Test(json_reader, texts_outgrow_the_first_guess)
{
    char record[600] = "{\"text\":\"";
    size_t start = strlen(record);
    memset(record + start, 'x', 500);
    memcpy(record + start + 500, "\"}", 3);
    const char *records[ROWS_MAX];
    for (uint32_t i = 0; i < ROWS_MAX; i++) {
        records[i] = record;
    }

    read_records(records, ROWS_MAX);

    cr_expect_eq(columns[TEXT].values.text_ends[ROWS_MAX], 500 * (int)ROWS_MAX);
    cr_expect_eq(column_text(&columns[TEXT], ROWS_MAX - 1).bytes[499], 'x');
}

Test(json_reader, no_memory_is_not_the_records_fault)
{
    struct arena small;
    arena_init(&small, 1024);
    values[0] = (struct wire_bytes){.bytes = (const uint8_t *)"{}", .byte_count = 2};
    for (uint32_t i = 1; i < ROWS_MAX; i++) {
        values[i] = values[0];
    }

    cr_expect_eq(json_reader_read(reader, values, ROWS_MAX, &small, misfits, columns),
                 STATUS_NO_MEMORY);

    arena_done(&small);
}

static void expect_reason(const char *record, const char *expected)
{
    char reason[JSON_REASON_BYTES_MAX];
    struct wire_bytes value = {.bytes = (const uint8_t *)record,
                               .byte_count = (int32_t)strlen(record)};
    json_reader_explain(reader, value, reason);
    cr_expect_str_eq(reason, expected);
}

Test(json_reader, a_reason_names_column_value_and_type)
{
    expect_reason("{\"small\":\"abc\"}", "column small: \"abc\" is no int");
    expect_reason("{\"small\":1.5}", "column small: 1.5 is not whole, no int");
    expect_reason("{\"small\":3000000000}", "column small: 3000000000 is beyond int");
    expect_reason("{\"large\":[1,2]}", "column large: [1,2] is no bigint");
    expect_reason("{\"time\":\"today\"}",
                  "column time: \"today\" is no RFC 3339 time, no timestamptz");
    expect_reason("{\"text\":\"\\ud800\"}",
                  "column text: \"\\ud800\" has characters that Unicode has not, no text");
    expect_reason("{\"text\":\"0123456789012345678901234567890123456789\n\"}",
                  "column text: \"012345678901234567890123456789012345678... is no JSON");
    expect_reason("{\"small\":1} x",
                  "not one JSON object of at most 64 levels: broken near byte 12");
    expect_reason("{\"small\":1}", "it fits");
}

Test(json_reader, a_thousand_columns_are_told_apart)
{
    static struct json_column many[1000];
    static char names[1000][8];
    static struct column many_columns[1000];
    for (uint32_t i = 0; i < 1000; i++) {
        snprintf(names[i], sizeof names[i], "c%u", i);
        many[i] = (struct json_column){.name = names[i], .type = VALUE_INT};
    }
    json_reader_free(reader);
    cr_assert_eq(json_reader_new(many, 1000, &reader), STATUS_OK);
    const char record[] = "{\"c999\":1,\"c0\":2,\"c500\":3}";
    values[0] = (struct wire_bytes){.bytes = (const uint8_t *)record,
                                    .byte_count = (int32_t)sizeof record - 1};

    cr_assert_eq(json_reader_read(reader, values, 1, &arena, misfits, many_columns), STATUS_OK);

    cr_expect_eq(many_columns[999].values.ints[0], 1);
    cr_expect_eq(many_columns[0].values.ints[0], 2);
    cr_expect_eq(many_columns[500].values.ints[0], 3);
    cr_expect(column_is_null(&many_columns[1], 0));
}

Test(json_reader, space_behind_a_colon_that_the_shape_has_not_is_no_misfit)
{
    static const char *const records[] = {
        "{\"small\":1,\"text\":\"a\",\"other\":[1]}",
        "{\"small\": 2, \"text\": \"b\", \"other\": [2]}",
        "{\"small\":\t3,\"text\":\n\"c\",\"other\": \"d\"}",
    };
    read_records(records, 3);

    cr_expect_eq(misfits[0], 0);
    cr_expect_eq(columns[SMALL].values.ints[1], 2);
    cr_expect_eq(columns[SMALL].values.ints[2], 3);
}
