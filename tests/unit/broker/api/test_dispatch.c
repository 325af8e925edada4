/* Goal: every API answers in every version it is advertised for, and what cannot be read ends the
 * connection.
 * Method: a whole broker in the simulated world; a client sends the smallest request of each kind
 * and decodes the answer in the same version. */
#include "broker/api/dispatch.h"

#include "proto/kafka/api_key.h"
#include "proto/kafka/api_versions.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/produce.h"
#include "tests/rig/broker_world.h"
#include "tests/rig/message_table.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct broker_world world;

static void begin(uint32_t shard_count)
{
    struct broker_world_options options = {.shard_count = shard_count};
    broker_world_init(&world, &options, NULL);
    broker_world_start_all(&world);
}

static void set_up(void)
{
    begin(1);
}

static void tear_down(void)
{
    broker_world_stop(&world, 0);
    broker_world_done(&world);
}

TestSuite(dispatch, .init = set_up, .fini = tear_down, .timeout = 120);

static const struct message_shape *shape_of(int16_t api_key, enum message_kind kind)
{
    for (uint32_t i = 0; i < message_table_count; i++) {
        if (message_table[i].key == api_key && message_table[i].kind == kind) {
            return message_table[i].shape;
        }
    }
    cr_assert_fail("no API key %d", api_key);
    return NULL;
}

Test(dispatch, every_api_answers_in_every_version_it_is_advertised_for)
{
    struct dispatch_range ranges[DISPATCH_RANGES_MAX];
    uint32_t count = dispatch_ranges(ranges);

    for (uint32_t i = 0; i < count; i++) {
        const struct message_shape *request = shape_of(ranges[i].api_key, MESSAGE_REQ);
        const struct message_shape *answer = shape_of(ranges[i].api_key, MESSAGE_RSP);
        int16_t first = ranges[i].api_key == API_KEY_PRODUCE ? 3 : ranges[i].version_min;
        for (int16_t version = first; version <= ranges[i].version_max; version++) {
            struct wire_client client;
            wire_client_open(&client, &world, 0);
            sim_world_note(world.world, "API key %d version %d", ranges[i].api_key, version);
            void *in = calloc(1, request->byte_count);
            void *out = calloc(1, answer->byte_count);
            request->defaults(in);
            if (ranges[i].api_key == API_KEY_PRODUCE) {
                ((struct kafka_produce_request *)in)->acks = 1;
            }
            cr_expect(wire_client_call(&client, ranges[i].api_key, version, in, out),
                      "API key %d version %d closed the connection", ranges[i].api_key, version);
            free(in);
            free(out);
            wire_client_close(&client);
        }
    }
}

struct frame_row {
    const char *what;
    size_t byte_count;
    uint8_t bytes[48];
};

/* Sends the bytes; true when the broker closes, and answers nothing before. */
static bool is_closed_by(const void *bytes, size_t byte_count)
{
    struct wire_client client;
    wire_client_open(&client, &world, 0);
    wire_client_send(&client, bytes, byte_count);
    broker_world_run_ms(&world, 500);
    bool is_closed = client.has_ended && client.received_count == 0;
    wire_client_close(&client);
    return is_closed;
}

/* Others are served as before. */
static void expect_canary(const char *what)
{
    struct wire_client client;
    struct kafka_api_versions_request in;
    struct kafka_api_versions_response out;
    kafka_api_versions_request_defaults(&in);
    wire_client_open(&client, &world, 0);
    cr_expect(wire_client_call(&client, API_KEY_API_VERSIONS, 0, &in, &out), "after %s", what);
    cr_expect_eq(out.error_code, 0);
    wire_client_close(&client);
}

Test(dispatch, frames_that_cannot_be_read_end_their_connection_only)
{
    static const struct frame_row rows[] = {
        {"a negative size", 4, {0xff, 0xff, 0xff, 0xff}},
        {"a size beyond the limit", 4, {0x7f, 0xff, 0xff, 0xff}},
        {"a TLS hello", 9, {0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc}},
        {"a line of HTTP", 18, "GET / HTTP/1.1\r\n\r\n"},
        {"a banner of SSH", 20, "SSH-2.0-OpenSSH_9.2\n"},
        {"no bytes at all", 4, {0, 0, 0, 0}},
        {"half a header", 8, {0, 0, 0, 4, 0, 18, 0, 0}},
        {"an unknown key", 14, {0, 0, 0, 10, 0x03, 0xe7, 0, 0, 0, 0, 0, 1, 0xff, 0xff}},
        {"a negative key", 14, {0, 0, 0, 10, 0xff, 0xff, 0, 0, 0, 0, 0, 1, 0xff, 0xff}},
        {"too high a version", 14, {0, 0, 0, 10, 0, 3, 0, 99, 0, 0, 0, 1, 0xff, 0xff}},
        {"a header without body", 14, {0, 0, 0, 10, 0, 1, 0, 4, 0, 0, 0, 1, 0xff, 0xff}},
        {"a client id of length -2", 14, {0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xfe}},
        {"a client id beyond the end", 14, {0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0, 9}},
        {"bytes behind the body", 15, {0, 0, 0, 11, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 7}},
        {"a count beyond the end",
         18,
         {0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff}},
        {"a negative count",
         18,
         {0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf0}},
        {"an overlong varint", 20, {0, 0, 0,    16,   0, 3,    0,    9,    0,    0,
                                    0, 1, 0xff, 0xff, 0, 0xff, 0xff, 0xff, 0xff, 0x7f}},
        {"a forwarded forward", 24, {0, 0, 0, 20, 0x7f, 0x10, 0,    0,    0,    0,    0,    1,
                                     0, 0, 0, 0,  0x7f, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_expect(is_closed_by(rows[i].bytes, rows[i].byte_count), "%s", rows[i].what);
        expect_canary(rows[i].what);
    }
}

Test(dispatch, api_versions_of_the_future_is_answered_in_version_0)
{
    static const uint8_t bytes[] = {0, 0, 0, 11, 0, 18, 0, 99, 0, 0, 0, 1, 0xff, 0xff, 0};
    struct wire_client client;
    wire_client_open(&client, &world, 0);
    client.correlation_id = 1;
    wire_client_send(&client, bytes, sizeof bytes);
    struct kafka_api_versions_response out;

    cr_assert(wire_client_answer(&client, API_KEY_API_VERSIONS, 0, 1, &out));

    cr_expect_eq(out.error_code, ERROR_CODE_UNSUPPORTED_VERSION);
    cr_expect_gt(out.api_keys_count, 10);
    cr_expect(wire_client_is_quiet_for(&client, 500));
    wire_client_close(&client);
}

Test(dispatch, a_pattern_of_transactional_ids_is_not_passed_over)
{
    struct dispatch_range ranges[DISPATCH_RANGES_MAX];
    uint32_t count = dispatch_ranges(ranges);
    for (uint32_t i = 0; i < count; i++) {
        cr_expect(ranges[i].api_key != API_KEY_LIST_TRANSACTIONS || ranges[i].version_max == 1);
    }
}

Test(dispatch, no_feature_begins_at_level_0_for_clients_that_cannot_take_it)
{
    struct wire_client client;
    wire_client_open(&client, &world, 0);
    struct kafka_api_versions_request in;
    struct kafka_api_versions_response out;
    kafka_api_versions_request_defaults(&in);
    in.client_software_name = wire_text_of("apache-kafka-java");
    in.client_software_version = wire_text_of("3.4.1");
    for (int16_t version = 3; version <= 4; version++) {
        int32_t zero_count = 0;
        cr_assert(wire_client_call(&client, API_KEY_API_VERSIONS, version, &in, &out));
        cr_expect_gt(out.supported_features_count, 0);
        for (int32_t i = 0; i < out.supported_features_count; i++) {
            zero_count += out.supported_features[i].min_version == 0 ? 1 : 0;
        }
        cr_expect_eq(zero_count, version == 3 ? 0 : 1);
    }
    wire_client_close(&client);
}

Test(dispatch, software_names_that_are_no_names_are_refused_and_the_connection_stays)
{
    static const char *const names[] = {"", "-a", "a-", "a b", "a\n", "\x1b[31m"};
    struct wire_client client;
    wire_client_open(&client, &world, 0);
    struct kafka_api_versions_request in;
    struct kafka_api_versions_response out;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        kafka_api_versions_request_defaults(&in);
        in.client_software_name = wire_text_of(names[i]);
        in.client_software_version = wire_text_of("1.0");
        cr_assert(wire_client_call(&client, API_KEY_API_VERSIONS, 3, &in, &out));
        cr_expect_eq(out.error_code, ERROR_CODE_INVALID_REQUEST, "'%s'", names[i]);
    }
    in.client_software_name = wire_text_of("apache-kafka-java");
    in.client_software_version = wire_text_of("4.1.0-SNAPSHOT");
    cr_assert(wire_client_call(&client, API_KEY_API_VERSIONS, 3, &in, &out));
    cr_expect_eq(out.error_code, 0);
    wire_client_close(&client);
}

Test(dispatch, a_null_client_id_is_served_and_bytes_may_come_one_by_one)
{
    struct wire_client client;
    wire_client_open(&client, &world, 0);
    client.client_id = NULL;
    client.correlation_id = 5;
    struct kafka_api_versions_request in;
    struct kafka_api_versions_response out;
    kafka_api_versions_request_defaults(&in);
    size_t byte_count;
    const uint8_t *bytes = wire_client_encode(&client, API_KEY_API_VERSIONS, 0, &in, &byte_count);

    for (size_t i = 0; i < byte_count; i++) {
        wire_client_send(&client, bytes + i, 1);
        broker_world_run_ms(&world, 10);
    }

    cr_expect(wire_client_answer(&client, API_KEY_API_VERSIONS, 0, 5, &out));
    wire_client_close(&client);
}

Test(dispatch, a_thousand_requests_in_one_piece_are_answered_in_order)
{
    struct wire_client client;
    wire_client_open(&client, &world, 0);
    struct kafka_api_versions_request in;
    struct kafka_api_versions_response out;
    kafka_api_versions_request_defaults(&in);
    static uint8_t all[64 << 10];
    size_t used = 0;
    for (int32_t i = 1; i <= 1000; i++) {
        client.correlation_id = i;
        size_t byte_count;
        const uint8_t *bytes =
            wire_client_encode(&client, API_KEY_API_VERSIONS, 0, &in, &byte_count);
        cr_assert_leq(used + byte_count, sizeof all);
        memcpy(all + used, bytes, byte_count);
        used += byte_count;
    }

    wire_client_send(&client, all, used);

    for (int32_t i = 1; i <= 1000; i++) {
        cr_assert(wire_client_answer(&client, API_KEY_API_VERSIONS, 0, i, &out));
    }
    wire_client_close(&client);
}
