/* Goal: records come out as they went in, and damaged ones end the walk for good.
 * Method: a batch of a few records by the builder, then single bytes of its record area changed. */
#include "proto/record/batch_builder.h"
#include "tests/rig/batch_seal.h"

#include <criterion/criterion.h>

static struct batch_builder builder;
static struct batch_view batch;

static struct wire_bytes bytes_of(const char *text)
{
    return (struct wire_bytes){.bytes = (const uint8_t *)text,
                               .byte_count = text == NULL ? -1 : (int32_t)strlen(text)};
}

static void append(int64_t timestamp_ms, const char *key, const char *value)
{
    struct batch_builder_record record = {
        .timestamp_ms = timestamp_ms, .key = bytes_of(key), .value = bytes_of(value)};
    cr_assert_eq(batch_builder_append(&builder, &record), STATUS_OK);
}

static void finish(void)
{
    struct batch_builder_finish options = BATCH_BUILDER_FINISH_PLAIN;
    options.base_offset = 100;
    cr_assert_eq(batch_builder_finish(&builder, &options, NULL, &batch), STATUS_OK);
}

static void set_up(void)
{
    batch_builder_init(&builder, NULL, 4096);
}

static void tear_down(void)
{
    batch_builder_done(&builder);
}

TestSuite(record_iterator, .init = set_up, .fini = tear_down);

static enum status next(struct record_iterator *iterator, struct record *out_record)
{
    return record_iterator_next(iterator, out_record);
}

Test(record_iterator, null_is_not_empty)
{
    append(5, NULL, "");
    append(5, "", NULL);
    finish();
    struct record_iterator iterator;
    struct record record;
    cr_assert_eq(record_iterator_init(&iterator, &batch, NULL, NULL), STATUS_OK);

    cr_expect_eq(next(&iterator, &record), STATUS_OK);
    cr_expect_eq(record.key.byte_count, -1);
    cr_expect_null(record.key.bytes);
    cr_expect_eq(record.value.byte_count, 0);
    cr_expect_not_null(record.value.bytes);
    cr_expect_eq(next(&iterator, &record), STATUS_OK);
    cr_expect_eq(record.key.byte_count, 0);
    cr_expect_eq(record.value.byte_count, -1);
    cr_expect_eq(next(&iterator, &record), STATUS_NOT_FOUND);
}

Test(record_iterator, append_time_holds_for_every_record)
{
    append(5, "a", "b");
    append(9, "a", "b");
    finish();
    batch_stamp_append_time(builder.bytes, 1000);
    struct record_iterator iterator;
    struct record record;
    cr_assert_eq(record_iterator_init(&iterator, &batch, NULL, NULL), STATUS_OK);

    cr_expect_eq(next(&iterator, &record), STATUS_OK);
    cr_expect_eq(record.timestamp_ms, 1000);
    cr_expect_eq(next(&iterator, &record), STATUS_OK);
    cr_expect_eq(record.timestamp_ms, 1000);
    cr_expect_eq(record.offset, 101);
}

Test(record_iterator, headers_come_in_order)
{
    const struct batch_builder_header headers[] = {
        {.key = wire_text_of("one"), .value = bytes_of("1")},
        {.key = wire_text_of(""), .value = bytes_of(NULL)},
        {.key = wire_text_of("one"), .value = bytes_of("")},
    };
    struct batch_builder_record made = {
        .key = bytes_of(NULL), .value = bytes_of(NULL), .headers = headers, .header_count = 3};
    cr_assert_eq(batch_builder_append(&builder, &made), STATUS_OK);
    finish();
    struct record_iterator iterator;
    struct record record;
    struct record_header header;
    cr_assert_eq(record_iterator_init(&iterator, &batch, NULL, NULL), STATUS_OK);
    cr_assert_eq(next(&iterator, &record), STATUS_OK);
    record_header_init(&header, &record);

    cr_assert(record_header_next(&header));
    cr_expect(wire_text_equals(header.key, "one"));
    cr_expect_eq(header.value.byte_count, 1);
    cr_assert(record_header_next(&header));
    cr_expect_eq(header.key.byte_count, 0);
    cr_expect_eq(header.value.byte_count, -1);
    cr_assert(record_header_next(&header));
    cr_expect_eq(header.value.byte_count, 0);
    cr_expect_not(record_header_next(&header));
}

/* One record: length 6+2, attributes, deltas, key of 1, value of 1, no headers. */
#define FIRST BATCH_HEADER_BYTES

static enum status first_after_change(size_t position, uint8_t byte)
{
    struct record_iterator iterator;
    struct record record;
    append(0, "k", "v");
    finish();
    builder.bytes[FIRST + position] = byte;
    cr_assert_eq(record_iterator_init(&iterator, &batch, NULL, NULL), STATUS_OK);
    enum status status = next(&iterator, &record);
    if (status != STATUS_OK) {
        cr_expect_eq(next(&iterator, &record), STATUS_MALFORMED, "it stays failed");
    }
    return status;
}

Test(record_iterator, record_layout_is_as_the_next_tests_think)
{
    cr_expect_eq(first_after_change(5, 'x'), STATUS_OK);
    static const uint8_t expected[] = {16, 0, 0, 0, 2, 'x', 2, 'v', 0};
    cr_expect_arr_eq(builder.bytes + FIRST, expected, sizeof expected);
}

Test(record_iterator, length_one_too_short_is_malformed)
{
    cr_expect_eq(first_after_change(0, 14), STATUS_MALFORMED);
}

Test(record_iterator, length_one_too_long_is_malformed)
{
    cr_expect_eq(first_after_change(0, 18), STATUS_MALFORMED);
}

Test(record_iterator, negative_length_is_malformed)
{
    cr_expect_eq(first_after_change(0, 1), STATUS_MALFORMED);
}

Test(record_iterator, key_beyond_its_record_is_malformed)
{
    cr_expect_eq(first_after_change(4, 10), STATUS_MALFORMED);
}

Test(record_iterator, key_of_length_minus_two_is_malformed)
{
    cr_expect_eq(first_after_change(4, 3), STATUS_MALFORMED);
}

Test(record_iterator, header_count_without_headers_is_malformed)
{
    cr_expect_eq(first_after_change(8, 2), STATUS_MALFORMED);
}

Test(record_iterator, negative_header_count_is_malformed)
{
    cr_expect_eq(first_after_change(8, 1), STATUS_MALFORMED);
}

Test(record_iterator, varint_that_does_not_end_is_malformed)
{
    cr_expect_eq(first_after_change(8, 0x80), STATUS_MALFORMED);
}

static enum status last_with_count(uint32_t record_count)
{
    struct record_iterator iterator;
    struct record record;
    append(0, "k", "v");
    append(0, "k", "v");
    finish();
    big_endian_put32(builder.bytes + 57, record_count);
    TRY(record_iterator_init(&iterator, &batch, NULL, NULL));
    enum status status = next(&iterator, &record);
    while (status == STATUS_OK) {
        status = next(&iterator, &record);
    }
    return status;
}

Test(record_iterator, fewer_records_than_bytes_is_malformed)
{
    cr_expect_eq(last_with_count(1), STATUS_MALFORMED);
}

Test(record_iterator, more_records_than_bytes_is_malformed)
{
    cr_expect_eq(last_with_count(3), STATUS_MALFORMED);
}

Test(record_iterator, negative_count_is_malformed)
{
    cr_expect_eq(last_with_count(UINT32_MAX), STATUS_MALFORMED);
}

Test(record_iterator, batch_that_counts_no_records_is_not_looked_into)
{
    cr_expect_eq(last_with_count(0), STATUS_NOT_FOUND);
}

Test(record_iterator, unknown_codec_is_unsupported)
{
    struct record_iterator iterator;
    append(0, "k", "v");
    finish();
    builder.bytes[22] = 6;

    cr_expect_eq(record_iterator_init(&iterator, &batch, NULL, NULL), STATUS_UNSUPPORTED);
}
