/* Goal: rows are written as the contract says, and what is written is read back the same.
 * Method: one row of each kind against literal bytes, every capacity below it; a round trip. */
#include "processor/format/json_rows.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct arena arena;
static struct column columns[6];
static const char *const names[] = {"flag", "small", "large", "real", "text", "time"};

static void put_text(struct column *column, uint32_t row, const char *text)
{
    int32_t start = column->values.text_ends[row];
    if (row == 0) {
        column->text_bytes = arena_take(&arena, 256);
    }
    memcpy(column->text_bytes + start, text, strlen(text));
    column->values.text_ends[row + 1] = start + (int32_t)strlen(text);
}

static void set_up(void)
{
    static const enum value_type types[] = {VALUE_BOOL,   VALUE_INT,  VALUE_BIGINT,
                                            VALUE_DOUBLE, VALUE_TEXT, VALUE_TIMESTAMPTZ};
    arena_init(&arena, (size_t)1 << 20);
    for (int i = 0; i < 6; i++) {
        cr_assert_eq(column_init(&columns[i], types[i], 2, &arena), STATUS_OK);
        cr_assert_eq(column_set_null(&columns[i], 1, &arena), STATUS_OK);
    }
    row_bits_set(columns[0].values.bools, 0);
    columns[1].values.ints[0] = INT32_MIN;
    columns[2].values.bigints[0] = INT64_MIN;
    columns[3].values.doubles[0] = 1.0 / 3;
    put_text(&columns[4], 0, "a\"\\\n\xc3\xa4");
    columns[4].values.text_ends[2] = columns[4].values.text_ends[1];
    columns[5].values.bigints[0] = 978307200500000;
}

static void tear_down(void)
{
    arena_done(&arena);
}

static const char expected_row[] =
    "{\"flag\":true,\"small\":-2147483648,\"large\":-9223372036854775808,"
    "\"real\":0.3333333333333333,\"text\":\"a\\\"\\\\\\n\xc3\xa4\",\"time\":\"2001-01-01T00:00:00."
    "5Z\"}";

TestSuite(json_row, .init = set_up, .fini = tear_down);

Test(json_row, columns_come_in_order_as_the_contract_says)
{
    uint8_t bytes[512];
    size_t byte_count = 0;

    cr_assert_eq(json_row_write(columns, names, 6, 0, bytes, sizeof bytes, &byte_count), STATUS_OK);

    cr_assert_eq(byte_count, sizeof expected_row - 1);
    cr_expect_arr_eq(bytes, expected_row, byte_count);
}

Test(json_row, nulls_are_null)
{
    uint8_t bytes[512];
    size_t byte_count = 0;
    static const char expected[] = "{\"flag\":null,\"small\":null,\"large\":null,\"real\":null,"
                                   "\"text\":null,\"time\":null}";

    cr_assert_eq(json_row_write(columns, names, 6, 1, bytes, sizeof bytes, &byte_count), STATUS_OK);

    cr_assert_eq(byte_count, sizeof expected - 1);
    cr_expect_arr_eq(bytes, expected, byte_count);
}

Test(json_row, an_array_has_the_values_alone)
{
    uint8_t bytes[512];
    size_t byte_count = 0;

    cr_assert_eq(json_array_write(columns, 2, 0, bytes, sizeof bytes, &byte_count), STATUS_OK);

    cr_assert_eq(byte_count, strlen("[true,-2147483648]"));
    cr_expect_arr_eq(bytes, "[true,-2147483648]", byte_count);
}

Test(json_row, no_columns_are_an_empty_object_and_array)
{
    uint8_t bytes[2];
    size_t byte_count = 0;

    cr_assert_eq(json_row_write(columns, names, 0, 0, bytes, 2, &byte_count), STATUS_OK);
    cr_expect_arr_eq(bytes, "{}", 2);
    cr_assert_eq(json_array_write(columns, 0, 0, bytes, 2, &byte_count), STATUS_OK);
    cr_expect_arr_eq(bytes, "[]", 2);
}

Test(json_row, room_for_all_bytes_is_enough_and_less_is_full_and_never_overrun)
{
    for (size_t capacity = 0; capacity < sizeof expected_row; capacity++) {
        uint8_t *bytes = malloc(capacity == 0 ? 1 : capacity);
        size_t byte_count = 77;
        bool fits = capacity == sizeof expected_row - 1;
        cr_expect_eq(json_row_write(columns, names, 6, 0, bytes, capacity, &byte_count),
                     fits ? STATUS_OK : STATUS_FULL, "%zu", capacity);
        cr_expect_eq(byte_count, fits ? capacity : 77);
        free(bytes);
    }
}

Test(json_row, an_array_needs_its_bytes_and_none_more)
{
    uint8_t whole[512];
    size_t whole_bytes = 0;
    cr_assert_eq(json_array_write(columns, 6, 0, whole, sizeof whole, &whole_bytes), STATUS_OK);
    for (size_t capacity = 0; capacity <= whole_bytes; capacity++) {
        uint8_t *bytes = malloc(capacity == 0 ? 1 : capacity);
        size_t byte_count = 77;
        bool fits = capacity == whole_bytes;
        cr_expect_eq(json_array_write(columns, 6, 0, bytes, capacity, &byte_count),
                     fits ? STATUS_OK : STATUS_FULL, "%zu", capacity);
        cr_expect_eq(byte_count, fits ? capacity : 77);
        free(bytes);
    }
}

Test(json_row, what_json_has_no_word_for_is_null)
{
    uint8_t bytes[32];
    size_t byte_count = 0;
    columns[3].values.doubles[0] = NAN;

    cr_assert_eq(json_array_write(&columns[3], 1, 0, bytes, sizeof bytes, &byte_count), STATUS_OK);

    cr_expect_arr_eq(bytes, "[null]", 6);
    columns[3].values.doubles[0] = -INFINITY;
    cr_assert_eq(json_array_write(&columns[3], 1, 0, bytes, sizeof bytes, &byte_count), STATUS_OK);
    cr_expect_arr_eq(bytes, "[null]", 6);
}

Test(json_row, what_is_written_reads_back_the_same)
{
    struct json_column asked[6];
    for (int i = 0; i < 6; i++) {
        asked[i] = (struct json_column){.name = names[i], .type = columns[i].type};
    }
    struct json_reader *reader = NULL;
    cr_assert_eq(json_reader_new(asked, 6, &reader), STATUS_OK);
    struct wire_bytes value = {.bytes = (const uint8_t *)expected_row,
                               .byte_count = sizeof expected_row - 1};
    struct column back[6];
    uint8_t misfits = 0;

    cr_assert_eq(json_reader_read(reader, &value, 1, &arena, &misfits, back), STATUS_OK);

    cr_expect_eq(misfits, 0);
    cr_expect(column_bool(&back[0], 0));
    cr_expect_eq(back[1].values.ints[0], INT32_MIN);
    cr_expect_eq(back[2].values.bigints[0], INT64_MIN);
    cr_expect_eq(back[3].values.doubles[0], 1.0 / 3);
    cr_expect_eq(column_text(&back[4], 0).byte_count, 6);
    cr_expect_arr_eq(back[4].text_bytes, "a\"\\\n\xc3\xa4", 6);
    cr_expect_eq(back[5].values.bigints[0], 978307200500000);
    json_reader_free(reader);
}
