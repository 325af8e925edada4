/* Goal: generated decoders refuse every malformed form cleanly, and encoders refuse what a version
 * cannot say.
 * Method: literal bytes of small messages, one lie a test; answers of Produce serve as the example
 * because they hold an array, nested structs and tags. */
#include "proto/kafka/describe_topic_partitions.h"
#include "proto/kafka/fetch.h"
#include "proto/kafka/produce.h"

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
    arena_init(&arena, (size_t)1 << 20);
    wire_writer_init(&writer, &arena);
}

static void tear_down(void)
{
    for (uint32_t i = 0; i < copy_count; i++) {
        free(copies[i]);
    }
    arena_done(&arena);
}

TestSuite(codec, .init = set_up, .fini = tear_down);

#define DECODE_RESPONSE(version, out, ...)                                                         \
    decode_response((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}),        \
                    version, out)

static enum status decode_response(const uint8_t *bytes, size_t byte_count, int16_t version,
                                   struct kafka_produce_response *out)
{
    uint8_t *copy = malloc(byte_count); /* Texts that are read point into it. */
    cr_assert_not_null(copy);
    memcpy(copy, bytes, byte_count);
    cr_assert_lt(copy_count, COPY_COUNT_MAX);
    copies[copy_count] = copy;
    copy_count += 1;
    wire_reader_init(&reader, copy, byte_count);
    return kafka_produce_response_decode(&reader, version, &arena, out);
}

static void expect_written(const uint8_t *expected, size_t expected_byte_count)
{
    size_t byte_count = 0;
    const uint8_t *bytes = wire_writer_flatten(&writer, &byte_count);
    cr_assert_eq(wire_writer_status(&writer), STATUS_OK);
    cr_assert_eq(byte_count, expected_byte_count);
    cr_expect_eq(memcmp(bytes, expected, byte_count), 0);
}

/* ---- tags */

Test(codec, unknown_tags_are_skipped)
{
    struct kafka_produce_response response;

    cr_expect_eq(DECODE_RESPONSE(10, &response, 1, 0, 0, 0, 5, 2, 99, 3, 1, 2, 3, 0xff, 0xff, 0xff,
                                 0xff, 0x0f, 0),
                 STATUS_OK);

    cr_expect_eq(response.throttle_time_ms, 5);
    cr_expect_eq(wire_reader_left(&reader), 0U);
}

Test(codec, known_tag_is_read_within_its_size)
{
    struct kafka_produce_response response;

    cr_expect_eq(DECODE_RESPONSE(10, &response, 1, 0, 0, 0, 0, 1, 0, 13, 2, 0, 0, 0, 7, 2, 'h', 0,
                                 0, 0x23, 0x84, 0, 0),
                 STATUS_OK);

    cr_assert_eq(response.node_endpoints_count, 1);
    cr_expect_eq(response.node_endpoints[0].node_id, 7);
    cr_expect(wire_text_equals(response.node_endpoints[0].host, "h"));
    cr_expect_eq(response.node_endpoints[0].port, 9092);
    cr_expect_eq(response.node_endpoints[0].rack.byte_count, -1);
}

Test(codec, tags_that_repeat_or_descend_fail)
{
    struct kafka_produce_response response;

    cr_expect_eq(DECODE_RESPONSE(10, &response, 1, 0, 0, 0, 0, 2, 99, 0, 99, 0), STATUS_MALFORMED);
    cr_expect_eq(DECODE_RESPONSE(10, &response, 1, 0, 0, 0, 0, 2, 99, 0, 98, 0), STATUS_MALFORMED);
    cr_expect_eq(DECODE_RESPONSE(10, &response, 1, 0, 0, 0, 0, 2, 0, 1, 1, 0, 1, 1),
                 STATUS_MALFORMED);
}

Test(codec, tag_whose_size_passes_the_end_fails)
{
    struct kafka_produce_response response;

    cr_expect_eq(DECODE_RESPONSE(10, &response, 1, 0, 0, 0, 0, 1, 99, 4, 1, 2, 3),
                 STATUS_MALFORMED);
    cr_expect_eq(
        DECODE_RESPONSE(10, &response, 1, 0, 0, 0, 0, 1, 99, 0xff, 0xff, 0xff, 0xff, 0x0f, 3),
        STATUS_MALFORMED);
}

Test(codec, more_tags_than_bytes_fail)
{
    struct kafka_produce_response response;

    cr_expect_eq(
        DECODE_RESPONSE(10, &response, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x07, 1, 0, 2, 0),
        STATUS_MALFORMED);
}

Test(codec, known_tag_in_a_version_that_lacks_it_fails)
{
    struct kafka_produce_response response;

    cr_expect_eq(DECODE_RESPONSE(9, &response, 1, 0, 0, 0, 0, 1, 0, 1, 1), STATUS_MALFORMED);
    cr_expect_eq(DECODE_RESPONSE(10, &response, 1, 0, 0, 0, 0, 1, 0, 1, 1), STATUS_OK);
}

Test(codec, known_tag_that_does_not_fill_its_size_fails)
{
    struct kafka_produce_response response;

    cr_expect_eq(DECODE_RESPONSE(10, &response, 1, 0, 0, 0, 0, 1, 0, 2, 1, 0), STATUS_MALFORMED);
}

Test(codec, known_tag_that_passes_its_size_fails)
{
    struct kafka_produce_response response;

    cr_expect_eq(DECODE_RESPONSE(10, &response, 1, 0, 0, 0, 0, 1, 0, 3, 2, 0, 0, 0, 7, 2, 'h', 0, 0,
                                 0x23, 0x84, 0, 0),
                 STATUS_MALFORMED);
}

/* ---- counts and lengths */

Test(codec, count_that_lies_takes_no_memory)
{
    struct kafka_produce_response response;

    cr_expect_eq(DECODE_RESPONSE(3, &response, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0),
                 STATUS_MALFORMED);
    cr_expect_eq(DECODE_RESPONSE(9, &response, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0),
                 STATUS_MALFORMED);
    cr_expect_eq(DECODE_RESPONSE(9, &response, 4, 0, 0, 0, 0, 0, 0, 0), STATUS_MALFORMED);

    cr_expect_eq(arena.byte_count, 0U);
}

Test(codec, count_that_is_null_or_negative_fails_where_there_must_be_one)
{
    struct kafka_produce_response response;

    cr_expect_eq(DECODE_RESPONSE(3, &response, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0),
                 STATUS_MALFORMED);
    cr_expect_eq(DECODE_RESPONSE(3, &response, 0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 0),
                 STATUS_MALFORMED);
    cr_expect_eq(DECODE_RESPONSE(9, &response, 0, 0, 0, 0, 0, 0), STATUS_MALFORMED);
}

Test(codec, name_that_is_null_or_too_long_fails)
{
    struct kafka_produce_response response;

    cr_expect_eq(DECODE_RESPONSE(9, &response, 2, 0, 1, 0, 0, 0, 0, 0, 0), STATUS_MALFORMED);
    cr_expect_eq(DECODE_RESPONSE(9, &response, 2, 40, 1, 0, 0, 0, 0, 0, 0), STATUS_MALFORMED);
}

Test(codec, narrow_arena_ends_a_large_message)
{
    static uint8_t bytes[4 + 3000 * 6 + 4] = {0, 0, 0x0b, 0xb8}; /* 3000 topics without a name. */
    struct arena narrow;
    struct kafka_produce_response response = {.throttle_time_ms = 17};
    arena_init(&narrow, 1000);
    wire_reader_init(&reader, bytes, sizeof bytes);

    cr_expect_eq(kafka_produce_response_decode(&reader, 1, &narrow, &response), STATUS_NO_MEMORY);
    cr_expect_eq(decode_response(bytes, sizeof bytes, 1, &response), STATUS_OK);

    cr_expect_eq(response.responses_count, 3000);
    arena_done(&narrow);
}

/* ---- the whole message */

Test(codec, failed_decode_leaves_out_untouched)
{
    struct kafka_produce_response response = {.throttle_time_ms = 17};

    cr_expect_eq(DECODE_RESPONSE(9, &response, 1, 0, 0, 0), STATUS_MALFORMED);

    cr_expect_eq(response.throttle_time_ms, 17);
}

Test(codec, bytes_behind_the_message_are_left)
{
    struct kafka_produce_response response;

    cr_expect_eq(DECODE_RESPONSE(9, &response, 1, 0, 0, 0, 0, 0, 'x', 'y'), STATUS_OK);

    cr_expect_eq(wire_reader_left(&reader), 2U);
}

Test(codec, version_that_does_not_exist_is_unsupported)
{
    struct kafka_produce_response response;
    kafka_produce_response_defaults(&response);

    cr_expect_eq(DECODE_RESPONSE(14, &response, 1, 0, 0, 0, 0, 0), STATUS_UNSUPPORTED);
    cr_expect_eq(DECODE_RESPONSE(-1, &response, 0, 0, 0, 0), STATUS_UNSUPPORTED);
    kafka_produce_response_encode(&response, 14, &writer);

    cr_expect_eq(wire_writer_status(&writer), STATUS_UNSUPPORTED);
    cr_expect_eq(writer.byte_count, 0U);
}

Test(codec, field_that_the_version_lacks_has_its_default)
{
    struct kafka_fetch_request request;
    static const uint8_t bytes[] = {0xff, 0xff, 0xff, 0xff, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0};
    wire_reader_init(&reader, bytes, sizeof bytes);

    cr_assert_eq(kafka_fetch_request_decode(&reader, 0, &arena, &request), STATUS_OK);

    cr_expect_eq(request.max_wait_ms, 256);
    cr_expect_eq(request.max_bytes, INT32_MAX);
    cr_expect_eq(request.session_epoch, -1);
    cr_expect_eq(request.cluster_id.byte_count, -1);
    cr_expect_eq(request.replica_state.replica_epoch, -1);
    cr_expect_eq(request.rack_id.byte_count, 0);
}

Test(codec, struct_that_may_be_null_is_a_pointer)
{
    static const uint8_t with[] = {1, 0, 0, 0, 9, 1, 2, 't', 0, 0, 0, 3, 0, 0};
    static const uint8_t without[] = {1, 0, 0, 0, 9, 0xff, 0};
    struct kafka_describe_topic_partitions_request request;

    wire_reader_init(&reader, without, sizeof without);
    cr_assert_eq(kafka_describe_topic_partitions_request_decode(&reader, 0, &arena, &request),
                 STATUS_OK);
    cr_expect_null(request.cursor);

    wire_reader_init(&reader, with, sizeof with);
    cr_assert_eq(kafka_describe_topic_partitions_request_decode(&reader, 0, &arena, &request),
                 STATUS_OK);
    cr_assert_not_null(request.cursor);
    cr_expect(wire_text_equals(request.cursor->topic_name, "t"));
    cr_expect_eq(request.cursor->partition_index, 3);
}

/* ---- what encoders refuse */

static struct kafka_fetch_request fetch_request(void)
{
    struct kafka_fetch_request request;
    kafka_fetch_request_defaults(&request);
    return request;
}

Test(codec, set_field_that_the_version_lacks_is_refused)
{
    struct kafka_fetch_request request = fetch_request();
    request.replica_id = 2;

    kafka_fetch_request_encode(&request, 14, &writer);
    cr_expect_eq(wire_writer_status(&writer), STATUS_OK);
    kafka_fetch_request_encode(&request, 15, &writer);

    cr_expect_eq(wire_writer_status(&writer), STATUS_UNSUPPORTED);
}

Test(codec, set_tag_that_the_version_lacks_is_refused)
{
    struct kafka_fetch_request request = fetch_request();
    request.replica_state.replica_id = 2;

    kafka_fetch_request_encode(&request, 15, &writer);
    cr_expect_eq(wire_writer_status(&writer), STATUS_OK);
    kafka_fetch_request_encode(&request, 14, &writer);

    cr_expect_eq(wire_writer_status(&writer), STATUS_UNSUPPORTED);
}

Test(codec, set_tag_in_a_version_without_tags_is_refused)
{
    struct kafka_fetch_request request = fetch_request();
    request.replica_state.replica_epoch = 1;

    kafka_fetch_request_encode(&request, 4, &writer);

    cr_expect_eq(wire_writer_status(&writer), STATUS_UNSUPPORTED);
}

Test(codec, set_array_that_the_version_lacks_is_refused)
{
    struct kafka_fetch_request_forgotten_topic forgotten = {.topic = {"t", 1}};
    struct kafka_fetch_request request = fetch_request();
    request.forgotten_topics_data = &forgotten;
    request.forgotten_topics_data_count = 1;

    kafka_fetch_request_encode(&request, 6, &writer);

    cr_expect_eq(wire_writer_status(&writer), STATUS_UNSUPPORTED);
}

Test(codec, ignorable_field_that_the_version_lacks_is_dropped)
{
    static const uint8_t expected[] = {0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0};
    struct kafka_fetch_request request = fetch_request();
    request.max_wait_ms = 1;
    request.min_bytes = 2;
    request.max_bytes = 1000;
    request.isolation_level = 1;
    request.cluster_id = wire_text_of("a tagged field");
    request.rack_id = wire_text_of("rack");

    kafka_fetch_request_encode(&request, 2, &writer);

    expect_written(expected, sizeof expected);
}

Test(codec, null_where_none_may_be_is_refused)
{
    struct kafka_produce_request_topic_produce_data topic = {.name = {.byte_count = -1}};
    struct kafka_produce_request request = {
        .transactional_id = {.byte_count = -1}, .topic_data = &topic, .topic_data_count = 1};

    kafka_produce_request_encode(&request, 3, &writer);

    cr_expect_eq(wire_writer_status(&writer), STATUS_INVALID);
}

Test(codec, tag_with_its_default_is_left_out_and_others_ascend)
{
    static const uint8_t expected_tags[] = {2, 0,    2,    2,    'c',  1,    13,   0,    0,    0,
                                            5, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0};
    struct kafka_fetch_request request = fetch_request();
    request.cluster_id = wire_text_of("c");
    request.replica_state.replica_id = 5;

    kafka_fetch_request_encode(&request, 15, &writer);
    size_t byte_count = 0;
    const uint8_t *bytes = wire_writer_flatten(&writer, &byte_count);

    /* In front: 21 bytes of numbers, two empty arrays and an empty rack. */
    cr_assert_eq(byte_count, 24 + sizeof expected_tags);
    cr_expect_eq(memcmp(bytes + 24, expected_tags, sizeof expected_tags), 0);

    wire_writer_init(&writer, &arena);
    request = fetch_request();
    kafka_fetch_request_encode(&request, 15, &writer);
    bytes = wire_writer_flatten(&writer, &byte_count);
    cr_assert_eq(byte_count, 25U);
    cr_expect_eq(bytes[24], 0);
}

Test(codec, records_are_referred_to_and_not_copied)
{
    static uint8_t first[5000];
    static uint8_t second[7000];
    const struct wire_slice slices[] = {{first, sizeof first}, {second, sizeof second}};
    struct kafka_fetch_response_partition_data partition;
    kafka_fetch_response_partition_data_defaults(&partition);
    partition.records =
        (struct wire_records){.slices = slices, .slice_count = 2, .byte_count = 12000};
    struct kafka_fetch_response_fetchable_topic_response topic = {.partitions = &partition,
                                                                  .partitions_count = 1};
    struct kafka_fetch_response response = {.responses = &topic, .responses_count = 1};

    kafka_fetch_response_encode(&response, 17, &writer);

    cr_assert_eq(wire_writer_status(&writer), STATUS_OK);
    cr_assert_eq(writer.slice_count, 4U);
    cr_expect_eq(writer.slices[1].base, (const void *)first);
    cr_expect_eq(writer.slices[2].base, (const void *)second);
}
