/* Goal: no byte sequence makes the reader step outside its input or believe a lying length.
 * Method: each type once with known bytes, then the malformed forms, one a test. */
#include "proto/wire/reader.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define READER_OF(...)                                                                             \
    reader_of((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

#define COPY_COUNT_MAX 8U

static uint8_t *copies[COPY_COUNT_MAX];
static uint32_t copy_count;

static void tear_down(void)
{
    for (uint32_t i = 0; i < copy_count; i++) {
        free(copies[i]);
    }
}

TestSuite(reader, .fini = tear_down);

/* A copy at the end of a fresh block lets the address sanitizer see each read past the end. */
static struct wire_reader reader_of(const uint8_t *bytes, size_t byte_count)
{
    uint8_t *copy = malloc(byte_count);
    cr_assert_not_null(copy);
    cr_assert_lt(copy_count, COPY_COUNT_MAX);
    copies[copy_count] = copy;
    copy_count += 1;
    memcpy(copy, bytes, byte_count);
    struct wire_reader reader;
    wire_reader_init(&reader, copy, byte_count);
    return reader;
}

static void expect_malformed(const struct wire_reader *reader)
{
    cr_expect_eq(wire_reader_status(reader), STATUS_MALFORMED);
    cr_expect_eq(wire_reader_left(reader), 0U);
}

static void expect_all_read(const struct wire_reader *reader)
{
    cr_expect_eq(wire_reader_status(reader), STATUS_OK);
    cr_expect_eq(wire_reader_left(reader), 0U);
}

Test(reader, numbers_are_big_endian)
{
    struct wire_reader reader =
        READER_OF(0xfe, 0x80, 0x01, 0xff, 0xfe, 0x80, 0, 0, 1, 0xff, 0xff, 0xff, 0xfe, 0x80, 0, 0,
                  0, 0, 0, 0, 1, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0, 0, 2);

    cr_expect_eq(wire_read_int8(&reader), -2);
    cr_expect_eq(wire_read_int16(&reader), -32767);
    cr_expect_eq(wire_read_uint16(&reader), 65534);
    cr_expect_eq(wire_read_int32(&reader), -2147483647);
    cr_expect_eq(wire_read_uint32(&reader), 4294967294U);
    cr_expect_eq(wire_read_int64(&reader), -9223372036854775807);
    cr_expect_eq(wire_read_float64(&reader), 1.5);
    cr_expect_not(wire_read_bool(&reader));
    cr_expect(wire_read_bool(&reader));
    expect_all_read(&reader);
}

Test(reader, number_that_is_cut_fails_and_gives_zero)
{
    struct wire_reader reader = READER_OF(1, 2, 3);

    cr_expect_eq(wire_read_int32(&reader), 0);
    expect_malformed(&reader);
}

Test(reader, first_failure_sticks_and_empties_the_reader)
{
    struct wire_reader reader = READER_OF(1, 2, 3, 4);

    wire_reader_fail(&reader, STATUS_NO_MEMORY);
    wire_reader_fail(&reader, STATUS_MALFORMED);

    cr_expect_eq(wire_read_int8(&reader), 0);
    cr_expect_null(wire_read_raw(&reader, 0));
    cr_expect_eq(wire_read_text(&reader, true, true).byte_count, 0);
    cr_expect_eq(wire_read_count(&reader, false, true, 1), 0);
    cr_expect_eq(wire_reader_status(&reader), STATUS_NO_MEMORY);
}

Test(reader, input_of_nothing_has_nothing_left)
{
    struct wire_reader reader;
    wire_reader_init(&reader, NULL, 0);

    cr_expect_eq(wire_reader_left(&reader), 0U);
    cr_expect_not_null(wire_read_raw(&reader, 0));
    cr_expect_eq(wire_read_int8(&reader), 0);
    expect_malformed(&reader);
}

Test(reader, varints_have_their_extremes)
{
    struct wire_reader reader =
        READER_OF(0x7f, 0xac, 0x02, 0xff, 0xff, 0xff, 0xff, 0x0f, 0xff, 0xff, 0xff, 0xff, 0xff,
                  0xff, 0xff, 0xff, 0xff, 0x01, 0x01, 0xff, 0xff, 0xff, 0xff, 0x0f, 0xfe, 0xff,
                  0xff, 0xff, 0x0f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01);

    cr_expect_eq(wire_read_uvarint32(&reader), 127U);
    cr_expect_eq(wire_read_uvarint32(&reader), 300U);
    cr_expect_eq(wire_read_uvarint32(&reader), UINT32_MAX);
    cr_expect_eq(wire_read_uvarint64(&reader), UINT64_MAX);
    cr_expect_eq(wire_read_varint32(&reader), -1);
    cr_expect_eq(wire_read_varint32(&reader), INT32_MIN);
    cr_expect_eq(wire_read_varint32(&reader), INT32_MAX);
    cr_expect_eq(wire_read_varint64(&reader), INT64_MIN);
    expect_all_read(&reader);
}

Test(reader, varint_longer_than_needed_is_read)
{
    struct wire_reader reader = READER_OF(0x81, 0x80, 0x80, 0x80, 0x00, 0x80, 0x00);

    cr_expect_eq(wire_read_uvarint32(&reader), 1U);
    cr_expect_eq(wire_read_varint64(&reader), 0);
    expect_all_read(&reader);
}

Test(reader, varint_of_six_bytes_fails)
{
    struct wire_reader reader = READER_OF(0x80, 0x80, 0x80, 0x80, 0x80, 0x00);

    cr_expect_eq(wire_read_uvarint32(&reader), 0U);
    expect_malformed(&reader);
}

Test(reader, varint_beyond_32_bits_fails)
{
    struct wire_reader reader = READER_OF(0xff, 0xff, 0xff, 0xff, 0x10);

    cr_expect_eq(wire_read_uvarint32(&reader), 0U);
    expect_malformed(&reader);
}

Test(reader, varint_of_eleven_bytes_or_beyond_64_bits_fails)
{
    struct wire_reader longer =
        READER_OF(0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00);
    struct wire_reader larger =
        READER_OF(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02);

    cr_expect_eq(wire_read_uvarint64(&longer), 0U);
    cr_expect_eq(wire_read_uvarint64(&larger), 0U);
    expect_malformed(&longer);
    expect_malformed(&larger);
}

Test(reader, varint_that_is_cut_fails)
{
    struct wire_reader reader = READER_OF(0xff);

    cr_expect_eq(wire_read_varint64(&reader), 0);
    expect_malformed(&reader);
}

Test(reader, texts_of_both_families_point_into_the_input)
{
    struct wire_reader reader = READER_OF(0, 2, 'a', 'b', 3, 'c', 'd', 0, 0, 1);

    cr_expect(wire_text_equals(wire_read_text(&reader, false, false), "ab"));
    cr_expect(wire_text_equals(wire_read_text(&reader, true, false), "cd"));
    cr_expect_eq(wire_read_text(&reader, false, false).byte_count, 0);
    cr_expect_eq(wire_read_text(&reader, true, false).byte_count, 0);
    expect_all_read(&reader);
}

Test(reader, null_is_not_empty)
{
    struct wire_reader reader =
        READER_OF(0xff, 0xff, 0, 0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff, 0xff, 0xff, 0);

    cr_expect_eq(wire_read_text(&reader, false, true).byte_count, -1);
    cr_expect_eq(wire_read_text(&reader, true, true).byte_count, -1);
    cr_expect_eq(wire_read_bytes(&reader, false, true).byte_count, -1);
    cr_expect_eq(wire_read_records(&reader, true, true).byte_count, -1);
    cr_expect_eq(wire_read_count(&reader, false, true, 4), -1);
    cr_expect_eq(wire_read_count(&reader, true, true, 4), -1);
    expect_all_read(&reader);
}

Test(reader, null_where_there_is_none_fails)
{
    struct wire_reader text = READER_OF(0xff, 0xff);
    struct wire_reader compact_text = READER_OF(0);
    struct wire_reader bytes = READER_OF(0xff, 0xff, 0xff, 0xff);
    struct wire_reader count = READER_OF(0);

    cr_expect_eq(wire_read_text(&text, false, false).byte_count, 0);
    cr_expect_eq(wire_read_text(&compact_text, true, false).byte_count, 0);
    cr_expect_eq(wire_read_bytes(&bytes, false, false).byte_count, 0);
    cr_expect_eq(wire_read_count(&count, true, false, 1), 0);
    expect_malformed(&text);
    expect_malformed(&compact_text);
    expect_malformed(&bytes);
    expect_malformed(&count);
}

Test(reader, negative_length_other_than_null_fails)
{
    struct wire_reader text = READER_OF(0xff, 0xfe, 'a');
    struct wire_reader bytes = READER_OF(0x80, 0, 0, 0);
    struct wire_reader count = READER_OF(0xff, 0xff, 0xff, 0xfe);

    cr_expect_eq(wire_read_text(&text, false, true).byte_count, 0);
    cr_expect_eq(wire_read_bytes(&bytes, false, true).byte_count, 0);
    cr_expect_eq(wire_read_count(&count, false, true, 1), 0);
    expect_malformed(&text);
    expect_malformed(&bytes);
    expect_malformed(&count);
}

Test(reader, length_past_the_end_fails)
{
    struct wire_reader text = READER_OF(0, 2, 'a');
    struct wire_reader bytes = READER_OF(3, 'a');
    struct wire_reader huge = READER_OF(0xff, 0xff, 0xff, 0xff, 0x0f, 'a');

    cr_expect_null(wire_read_text(&text, false, false).bytes);
    cr_expect_null(wire_read_bytes(&bytes, true, false).bytes);
    cr_expect_eq(wire_read_records(&huge, true, true).byte_count, 0);
    expect_malformed(&text);
    expect_malformed(&bytes);
    expect_malformed(&huge);
}

Test(reader, text_longer_than_kafka_allows_fails)
{
    static uint8_t bytes[40000] = {0x81, 0x80, 0x02}; /* Compact length of 32768. */
    struct wire_reader reader = reader_of(bytes, sizeof bytes);

    cr_expect_eq(wire_read_text(&reader, true, true).byte_count, 0);
    expect_malformed(&reader);
}

Test(reader, count_that_the_rest_cannot_hold_fails)
{
    struct wire_reader fits = READER_OF(0, 0, 0, 2, 1, 2, 3, 4, 5, 6);
    struct wire_reader lies = READER_OF(0, 0, 0, 2, 1, 2, 3, 4, 5);
    struct wire_reader huge = READER_OF(0x7f, 0xff, 0xff, 0xff, 1, 2);

    cr_expect_eq(wire_read_count(&fits, false, false, 3), 2);
    cr_expect_eq(wire_reader_status(&fits), STATUS_OK);
    cr_expect_eq(wire_read_count(&lies, false, false, 3), 0);
    cr_expect_eq(wire_read_count(&huge, false, false, 1), 0);
    expect_malformed(&lies);
    expect_malformed(&huge);
}

Test(reader, record_run_is_one_slice_of_the_input)
{
    struct wire_reader reader = READER_OF(4, 7, 8, 9, 1);

    struct wire_records run = wire_read_records(&reader, true, false);
    struct wire_records empty = wire_read_records(&reader, true, false);

    cr_expect_eq(run.byte_count, 3);
    cr_assert_eq(run.slice_count, 1U);
    cr_expect_eq(run.single.byte_count, 3U);
    cr_expect_eq(*(const uint8_t *)run.single.base, 7);
    cr_expect_eq(empty.byte_count, 0);
    cr_expect_eq(empty.slice_count, 0U);
    expect_all_read(&reader);
}

Test(reader, uuid_keeps_its_sixteen_bytes)
{
    struct wire_reader reader = READER_OF(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0);

    struct wire_uuid value = wire_read_uuid(&reader);
    struct wire_uuid cut = wire_read_uuid(&reader);

    cr_expect_eq(value.bytes[15], 15);
    cr_expect_not(wire_uuid_is_zero(&value));
    cr_expect_not(wire_uuid_equals(&value, &cut));
    cr_expect(wire_uuid_is_zero(&cut));
    expect_malformed(&reader);
}

Test(reader, texts_compare_by_bytes_and_null)
{
    cr_expect(wire_text_equals(wire_text_of("flights"), "flights"));
    cr_expect_not(wire_text_equals(wire_text_of("flights"), "flight"));
    cr_expect_not(wire_text_equals(wire_text_of("flights"), NULL));
    cr_expect_not(wire_text_equals(wire_text_of(NULL), ""));
    cr_expect(wire_text_equals(wire_text_of(NULL), NULL));
    cr_expect(wire_text_equals((struct wire_text){0}, ""));
    cr_expect(wire_text_same(wire_text_of("flights"), wire_text_of("flights")));
    cr_expect_not(wire_text_same(wire_text_of("flights"), wire_text_of("flighty")));
    cr_expect_not(wire_text_same(wire_text_of("flights"), wire_text_of("flight")));
    cr_expect_not(wire_text_same(wire_text_of(""), wire_text_of(NULL)));
    cr_expect(wire_text_same(wire_text_of(NULL), wire_text_of(NULL)));
}

Test(reader, elements_of_no_size_are_our_bug, .signal = SIGABRT)
{
    struct wire_reader reader = READER_OF(0, 0, 0, 0);
    wire_read_count(&reader, false, false, 0);
}
