/* Goal: every form of header is read, none is believed, and answers carry the form that the client
 * expects.
 * Method: literal bytes. */
#include "proto/kafka/request_header.h"

#include "proto/kafka/api_key.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct arena arena;
static struct wire_writer writer;
static struct wire_reader reader;

#define COPY_COUNT_MAX 20U

static uint8_t *copies[COPY_COUNT_MAX];
static uint32_t copy_count;

static void set_up(void)
{
    arena_init(&arena, (size_t)1 << 16);
    wire_writer_init(&writer, &arena);
}

static void tear_down(void)
{
    for (uint32_t i = 0; i < copy_count; i++) {
        free(copies[i]);
    }
    arena_done(&arena);
}

TestSuite(request_header, .init = set_up, .fini = tear_down);

#define DECODE(out, ...)                                                                           \
    decode((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), out)

static enum status decode(const uint8_t *bytes, size_t byte_count, struct kafka_request_header *out)
{
    uint8_t *copy = malloc(byte_count); /* Texts that are read point into it. */
    cr_assert_not_null(copy);
    memcpy(copy, bytes, byte_count);
    cr_assert_lt(copy_count, COPY_COUNT_MAX);
    copies[copy_count] = copy;
    copy_count += 1;
    wire_reader_init(&reader, copy, byte_count);
    return request_header_decode(&reader, out);
}

static void expect_written(const uint8_t *expected, size_t expected_byte_count)
{
    size_t byte_count = 0;
    const uint8_t *bytes = wire_writer_flatten(&writer, &byte_count);
    cr_assert_eq(byte_count, expected_byte_count);
    cr_expect_eq(memcmp(bytes, expected, byte_count), 0);
}

Test(request_header, plain_header_ends_behind_the_client_id)
{
    struct kafka_request_header header;

    cr_assert_eq(DECODE(&header, 0, 3, 0, 1, 0, 0, 0, 9, 0, 3, 'a', 'b', 'c', 'x'), STATUS_OK);

    cr_expect_eq(header.request_api_key, API_KEY_METADATA);
    cr_expect_eq(header.request_api_version, 1);
    cr_expect_eq(header.correlation_id, 9);
    cr_expect(wire_text_equals(header.client_id, "abc"));
    cr_expect_eq(wire_reader_left(&reader), 1U);
}

Test(request_header, flexible_header_has_a_plain_client_id_and_tags)
{
    struct kafka_request_header header;

    cr_assert_eq(DECODE(&header, 0, 3, 0, 9, 0, 0, 0, 9, 0, 1, 'a', 1, 7, 2, 1, 1, 'x'), STATUS_OK);

    cr_expect(wire_text_equals(header.client_id, "a"));
    cr_expect_eq(wire_reader_left(&reader), 1U);
}

Test(request_header, client_id_may_be_null)
{
    struct kafka_request_header header;

    cr_assert_eq(DECODE(&header, 0, 3, 0, 9, 0, 0, 0, 9, 0xff, 0xff, 0), STATUS_OK);

    cr_expect_eq(header.client_id.byte_count, -1);
    cr_expect_eq(wire_reader_left(&reader), 0U);
}

Test(request_header, client_id_with_a_wrong_length_is_malformed)
{
    struct kafka_request_header header;

    cr_expect_eq(DECODE(&header, 0, 3, 0, 1, 0, 0, 0, 9, 0xff, 0xfe, 'a'), STATUS_MALFORMED);
    cr_expect_eq(DECODE(&header, 0, 3, 0, 1, 0, 0, 0, 9, 0, 3, 'a', 'b'), STATUS_MALFORMED);
}

Test(request_header, short_frames_are_malformed)
{
    static const uint8_t bytes[] = {0, 3, 0, 9, 0, 0, 0, 9, 0xff, 0xff, 0};
    struct kafka_request_header header;
    for (size_t cut = 0; cut < sizeof bytes; cut++) {
        cr_expect_eq(decode(bytes, cut, &header), STATUS_MALFORMED, "cut at %zu", cut);
        cr_expect_eq(wire_reader_status(&reader), STATUS_MALFORMED, "cut at %zu", cut);
    }
}

Test(request_header, unknown_key_is_unsupported)
{
    struct kafka_request_header header;

    cr_expect_eq(DECODE(&header, 0, 4, 0, 0, 0, 0, 0, 9, 0xff, 0xff), STATUS_UNSUPPORTED);
    cr_expect_eq(DECODE(&header, 0xff, 0xff, 0, 0, 0, 0, 0, 9, 0xff, 0xff), STATUS_UNSUPPORTED);
}

Test(request_header, too_new_version_is_read_for_the_caller_to_judge)
{
    struct kafka_request_header header;

    cr_assert_eq(DECODE(&header, 0, 18, 0, 99, 0, 0, 0, 9, 0xff, 0xff, 0), STATUS_OK);

    cr_expect_eq(header.request_api_version, 99);
}

Test(request_header, encoded_header_is_read_back)
{
    static const uint8_t expected[] = {0, 0, 0, 9, 0, 0, 0, 5, 0, 2, 'm', 'e', 0};
    struct kafka_request_header header = {.request_api_key = API_KEY_PRODUCE,
                                          .request_api_version = 9,
                                          .correlation_id = 5,
                                          .client_id = {"me", 2}};

    request_header_encode(&header, &writer);

    expect_written(expected, sizeof expected);
}

Test(request_header, answer_to_api_versions_has_no_tags)
{
    static const uint8_t expected[] = {0, 0, 0, 5, 0, 0, 0, 6, 0};
    struct kafka_request_header versions = {
        .request_api_key = API_KEY_API_VERSIONS, .request_api_version = 4, .correlation_id = 5};
    struct kafka_request_header produce = {
        .request_api_key = API_KEY_PRODUCE, .request_api_version = 9, .correlation_id = 6};

    request_header_encode_response(&versions, &writer);
    request_header_encode_response(&produce, &writer);

    expect_written(expected, sizeof expected);
}

Test(request_header, answer_must_carry_the_correlation_of_its_request)
{
    static const uint8_t bytes[] = {0, 0, 0, 6, 0, 'x'};
    struct kafka_request_header request = {
        .request_api_key = API_KEY_PRODUCE, .request_api_version = 9, .correlation_id = 6};

    wire_reader_init(&reader, bytes, sizeof bytes);
    cr_expect_eq(request_header_decode_response(&reader, &request), STATUS_OK);
    cr_expect_eq(wire_reader_left(&reader), 1U);

    request.correlation_id = 7;
    wire_reader_init(&reader, bytes, sizeof bytes);
    cr_expect_eq(request_header_decode_response(&reader, &request), STATUS_MALFORMED);
}
