/* Goal: what is written is what Kafka expects, in pieces that add up, within the arena's limit.
 * Method: literal bytes for each type, then reading back, references, marks and both limits. */
#include "proto/wire/writer.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static struct arena arena;
static struct wire_writer writer;

static void set_up(void)
{
    arena_init(&arena, (size_t)1 << 24);
    wire_writer_init(&writer, &arena);
}

static void tear_down(void)
{
    arena_done(&arena);
}

TestSuite(writer, .init = set_up, .fini = tear_down);

static void expect_written(const uint8_t *expected, size_t expected_byte_count)
{
    size_t byte_count = 0;
    const uint8_t *bytes = wire_writer_flatten(&writer, &byte_count);

    cr_assert_eq(wire_writer_status(&writer), STATUS_OK);
    cr_assert_eq(byte_count, expected_byte_count);
    cr_expect_eq(memcmp(bytes, expected, byte_count), 0);
}

static size_t sum_of_slices(void)
{
    size_t sum = 0;
    for (uint32_t i = 0; i < writer.slice_count; i++) {
        sum += writer.slices[i].byte_count;
    }
    return sum;
}

Test(writer, numbers_are_big_endian)
{
    static const uint8_t expected[] = {0xfe, 0x80, 0x01, 0xff, 0xfe, 0x80, 0, 0, 1,   0xff, 0xff,
                                       0xff, 0xfe, 0x80, 0,    0,    0,    0, 0, 0,   1,    0x3f,
                                       0xf8, 0,    0,    0,    0,    0,    0, 0, 0x01};

    wire_write_int8(&writer, -2);
    wire_write_int16(&writer, -32767);
    wire_write_uint16(&writer, 65534);
    wire_write_int32(&writer, -2147483647);
    wire_write_uint32(&writer, 4294967294U);
    wire_write_int64(&writer, -9223372036854775807);
    wire_write_float64(&writer, 1.5);
    wire_write_bool(&writer, false);
    wire_write_bool(&writer, true);

    expect_written(expected, sizeof expected);
}

Test(writer, varints_are_as_short_as_they_can_be)
{
    static const uint8_t expected[] = {0,    0x7f, 0x80, 0x01, 0xff, 0xff, 0xff, 0xff, 0x0f,
                                       0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                       0x01, 0x01, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x02, 0xff,
                                       0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01};

    wire_write_uvarint32(&writer, 0);
    wire_write_uvarint32(&writer, 127);
    wire_write_uvarint32(&writer, 128);
    wire_write_uvarint32(&writer, UINT32_MAX);
    wire_write_uvarint64(&writer, UINT64_MAX);
    wire_write_varint32(&writer, -1);
    wire_write_varint32(&writer, INT32_MIN);
    wire_write_varint64(&writer, 1);
    wire_write_varint64(&writer, INT64_MIN);

    expect_written(expected, sizeof expected);
}

Test(writer, lengths_of_both_families_tell_null_from_empty)
{
    static const uint8_t expected[] = {0xff, 0xff, 0,    0,    0,    1,    'a', 0,    1,
                                       2,    'a',  0xff, 0xff, 0xff, 0xff, 0,   0xff, 0xff,
                                       0xff, 0xff, 0,    0,    0,    0,    2,   3};
    struct wire_text null_text = {.byte_count = -1};
    struct wire_records null_run = {.byte_count = -1};

    wire_write_text(&writer, false, null_text);
    wire_write_text(&writer, false, (struct wire_text){0});
    wire_write_text(&writer, false, wire_text_of("a"));
    wire_write_text(&writer, true, null_text);
    wire_write_text(&writer, true, (struct wire_text){0});
    wire_write_text(&writer, true, wire_text_of("a"));
    wire_write_bytes(&writer, false, (struct wire_bytes){.byte_count = -1});
    wire_write_records(&writer, true, &null_run);
    wire_write_count(&writer, false, -1);
    wire_write_count(&writer, true, -1);
    wire_write_count(&writer, false, 2);
    wire_write_count(&writer, true, 2);

    expect_written(expected, sizeof expected);
}

Test(writer, large_payload_is_referred_to_and_small_one_copied)
{
    static uint8_t large[600];
    static uint8_t small[4] = {1, 2, 3, 4};

    wire_write_reference(&writer, small, sizeof small);
    wire_write_reference(&writer, large, sizeof large);
    wire_write_int32(&writer, 7);

    cr_assert_eq(writer.slice_count, 3U);
    cr_expect_neq(writer.slices[0].base, (const void *)small);
    cr_expect_eq(writer.slices[1].base, (const void *)large);
    cr_expect_eq(writer.slices[2].byte_count, 4U);
    cr_expect_eq(writer.byte_count, 608U);
    cr_expect_eq(sum_of_slices(), 608U);
}

Test(writer, record_run_of_many_slices_keeps_them)
{
    static uint8_t first[1000];
    static uint8_t second[2000];
    const struct wire_slice slices[] = {{first, sizeof first}, {second, sizeof second}};
    struct wire_records run = {.slices = slices, .slice_count = 2, .byte_count = 3000};

    wire_write_records(&writer, false, &run);

    cr_assert_eq(writer.slice_count, 3U);
    cr_expect_eq(writer.slices[1].base, (const void *)first);
    cr_expect_eq(writer.slices[2].base, (const void *)second);
    cr_expect_eq(writer.byte_count, 3004U);
}

Test(writer, record_run_whose_slices_do_not_add_up_is_our_bug, .signal = SIGABRT)
{
    struct wire_records run = {.slice_count = 1, .single = {"abc", 3}, .byte_count = 4};
    wire_write_records(&writer, false, &run);
}

Test(writer, mark_tells_how_many_bytes_followed_it)
{
    static uint8_t large[70000];
    static const uint8_t expected_head[] = {9, 0, 1, 0x11, 0x75, 5};

    wire_write_int8(&writer, 9);
    struct wire_mark mark = wire_write_mark(&writer);
    wire_write_int8(&writer, 5);
    wire_write_reference(&writer, large, sizeof large);
    wire_write_int32(&writer, 1);
    wire_mark_set_length(&writer, mark);

    size_t byte_count = 0;
    const uint8_t *bytes = wire_writer_flatten(&writer, &byte_count);
    cr_assert_eq(byte_count, 70010U);
    cr_expect_eq(memcmp(bytes, expected_head, sizeof expected_head), 0);
}

Test(writer, ten_thousand_texts_read_back)
{
    for (int i = 0; i < 10000; i++) {
        wire_write_int32(&writer, i);
        wire_write_text(&writer, i % 2 == 0, wire_text_of("a topic's name"));
    }
    cr_expect_eq(sum_of_slices(), writer.byte_count);

    size_t byte_count = 0;
    const uint8_t *bytes = wire_writer_flatten(&writer, &byte_count);
    struct wire_reader reader;
    wire_reader_init(&reader, bytes, byte_count);
    for (int i = 0; i < 10000; i++) {
        cr_assert_eq(wire_read_int32(&reader), i);
        cr_assert(wire_text_equals(wire_read_text(&reader, i % 2 == 0, false), "a topic's name"));
    }
    cr_expect_eq(wire_reader_status(&reader), STATUS_OK);
    cr_expect_eq(wire_reader_left(&reader), 0U);
}

Test(writer, all_of_another_writer_is_taken_over)
{
    static uint8_t large[700];
    struct wire_writer other;
    wire_writer_init(&other, &arena);
    wire_write_int8(&other, 1);
    wire_write_reference(&other, large, sizeof large);

    wire_write_int8(&writer, 2);
    wire_write_all_of(&writer, &other);

    cr_expect_eq(writer.byte_count, 702U);
    cr_assert_eq(writer.slice_count, 2U);
    cr_expect_eq(writer.slices[1].base, (const void *)large);
}

Test(writer, failure_of_another_writer_is_taken_over)
{
    struct wire_writer other;
    wire_writer_init(&other, &arena);
    wire_writer_fail(&other, STATUS_UNSUPPORTED);

    wire_write_all_of(&writer, &other);

    cr_expect_eq(wire_writer_status(&writer), STATUS_UNSUPPORTED);
}

Test(writer, full_arena_stops_it_for_good)
{
    struct arena narrow;
    arena_init(&narrow, 1000);
    wire_writer_init(&writer, &narrow);

    for (int i = 0; i < 1000; i++) {
        wire_write_int64(&writer, i);
    }
    size_t byte_count = writer.byte_count;
    wire_write_int8(&writer, 1);
    struct wire_mark mark = wire_write_mark(&writer);
    wire_mark_set_length(&writer, mark);

    cr_expect_eq(wire_writer_status(&writer), STATUS_NO_MEMORY);
    cr_expect_eq(writer.byte_count, byte_count);
    cr_expect_null(wire_writer_flatten(&writer, &byte_count));
    arena_done(&narrow);
}

Test(writer, more_than_a_frame_may_hold_is_refused)
{
    static uint8_t part[1];
    wire_write_reference(&writer, part, WIRE_FRAME_BYTES_MAX);
    cr_expect_eq(wire_writer_status(&writer), STATUS_OK);

    wire_write_int8(&writer, 1);

    cr_expect_eq(wire_writer_status(&writer), STATUS_FULL);
}

Test(writer, text_that_no_client_could_read_is_refused)
{
    static char text[40000];

    wire_write_text(&writer, true, (struct wire_text){.bytes = text, .byte_count = 32767});
    cr_expect_eq(wire_writer_status(&writer), STATUS_OK);
    wire_write_text(&writer, true, (struct wire_text){.bytes = text, .byte_count = 32768});

    cr_expect_eq(wire_writer_status(&writer), STATUS_INVALID);
}
