/* Goal: a record written as a line reads back as the same record, and a line that is none is named.
 * Method: literal lines both ways. */
#include "client/shell/record_json.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct record_json parsed;

static void tear_down(void)
{
    record_json_done(&parsed);
}

TestSuite(record_json, .fini = tear_down);

static bool read_line(const char *line)
{
    record_json_done(&parsed);
    return record_json_read(&parsed, line, strlen(line));
}

static void expect_bytes(struct millrace_bytes bytes, const char *expected, size_t byte_count)
{
    cr_assert_not_null(bytes.data);
    cr_assert_eq(bytes.size, byte_count);
    cr_expect_eq(memcmp(bytes.data, expected, byte_count), 0);
}

Test(record_json, all_members_are_read)
{
    cr_assert(read_line("{\"key\":\"k\",\"value\":\"a\\u0000b\",\"partition\":3,"
                        "\"timestamp\":978307200000,"
                        "\"headers\":{\"one\":\"1\",\"none\":null,\"two\":[\"a\",null]}}"),
              "%s", parsed.fault);

    const struct millrace_record *record = &parsed.record;
    expect_bytes(record->key, "k", 1);
    expect_bytes(record->value, "a\0b", 3);
    cr_expect(record->has_partition);
    cr_expect_eq(record->partition, 3);
    cr_expect_eq(record->timestamp_ms, 978307200000);
    cr_assert_eq(record->header_count, 4);
    expect_bytes(record->headers[0].key, "one", 3);
    expect_bytes(record->headers[0].value, "1", 1);
    cr_expect_null(record->headers[1].value.data);
    expect_bytes(record->headers[2].key, "two", 3);
    expect_bytes(record->headers[2].value, "a", 1);
    expect_bytes(record->headers[3].key, "two", 3);
    cr_expect_null(record->headers[3].value.data);
}

Test(record_json, missing_members_are_null_or_left_to_others)
{
    cr_assert(read_line("{}"));

    cr_expect_null(parsed.record.key.data);
    cr_expect_null(parsed.record.value.data);
    cr_expect_not(parsed.record.has_partition);
    cr_expect_eq(parsed.record.timestamp_ms, 0);
    cr_expect_eq(parsed.record.header_count, 0);
}

Test(record_json, base64_of_every_padding_is_read)
{
    cr_assert(read_line("{\"key\":{\"base64\":\"/w==\"},\"value\":{\"base64\":\"//79\"},"
                        "\"headers\":{\"a\":{\"base64\":\"/wA=\"},\"b\":{\"base64\":\"\"}}}"));

    expect_bytes(parsed.record.key, "\xff", 1);
    expect_bytes(parsed.record.value, "\xff\xfe\xfd", 3);
    expect_bytes(parsed.record.headers[0].value, "\xff\x00", 2);
    expect_bytes(parsed.record.headers[1].value, "", 0);
}

Test(record_json, lines_that_are_no_record_are_named)
{
    const char *const bad[][2] = {
        {"", "column 0: '[' or '{' expected near end of file"},
        {"[]", "a line must be an object"},
        {"{\"valeu\":\"x\"}", "there is no such member: valeu"},
        {"{\"value\":7}", "a string, null or {\"base64\": \"...\"} must stand in value"},
        {"{\"key\":{\"base64\":\"abc\"}}", "base64 with padding must stand in key"},
        {"{\"key\":{\"base64\":\"a=bc\"}}", "base64 with padding must stand in key"},
        {"{\"key\":{\"base64\":\"aGk=\",\"x\":1}}",
         "a string, null or {\"base64\": \"...\"} must stand in key"},
        {"{\"partition\":-1}", "a partition's number must stand in partition"},
        {"{\"partition\":2147483648}", "a partition's number must stand in partition"},
        {"{\"partition\":\"1\"}", "a partition's number must stand in partition"},
        {"{\"timestamp\":1.5}", "a whole number from 0 on must stand in timestamp"},
        {"{\"headers\":[]}", "an object must stand in headers"},
        {"{\"headers\":{\"h\":{}}}", "a string, null or {\"base64\": \"...\"} must stand in h"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_expect_not(read_line(bad[i][0]), "%s", bad[i][0]);
        cr_expect_str_eq(parsed.fault, bad[i][1]);
    }
}

Test(record_json, too_many_headers_are_refused)
{
    char line[8192] = "{\"headers\":{\"h\":[null";
    for (size_t i = 0; i < RECORD_JSON_HEADERS_MAX; i++) {
        (void)strncat(line, ",null", sizeof line - strlen(line) - 1);
    }
    (void)strncat(line, "]}}", sizeof line - strlen(line) - 1);

    cr_expect_not(read_line(line));
    cr_expect_str_eq(parsed.fault, "there are too many headers, from h");
}

static void expect_line(const struct millrace_received *received, const char *expected)
{
    json_t *json = record_json_of(received);
    char *text = json_dumps(json, JSON_COMPACT);
    cr_expect_str_eq(text, expected);
    free(text);
    json_decref(json);
}

Test(record_json, received_record_has_all_that_scripts_rely_on)
{
    const struct millrace_header headers[] = {
        {millrace_text("h"), millrace_text("1")},
        {millrace_text("twice"), millrace_text("a")},
        {millrace_text("twice"), millrace_text("b")},
        {millrace_text("twice"), {NULL, 0}},
    };
    const struct millrace_received received = {.topic = millrace_text("flights"),
                                               .partition = 2,
                                               .offset = 41,
                                               .timestamp_ms = 978307200000,
                                               .ingested_ms = 978307200005,
                                               .key = {"\xff", 1},
                                               .value = millrace_text("{\"a\":1}"),
                                               .header_count = 4,
                                               .headers = headers};

    expect_line(
        &received,
        "{\"topic\":\"flights\",\"partition\":2,\"offset\":41,\"timestamp\":978307200000,"
        "\"ingested\":978307200005,\"key\":{\"base64\":\"/w==\"},\"value\":\"{\\\"a\\\":1}\","
        "\"headers\":{\"h\":\"1\",\"twice\":[\"a\",\"b\",null]}}");
}

Test(record_json, what_is_not_known_is_null)
{
    const struct millrace_received received = {
        .topic = millrace_text("t"), .timestamp_ms = -1, .ingested_ms = -1};

    expect_line(&received, "{\"topic\":\"t\",\"partition\":0,\"offset\":0,\"timestamp\":null,"
                           "\"ingested\":null,\"key\":null,\"value\":null,\"headers\":{}}");
}
