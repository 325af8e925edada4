/* Goal: the scanner takes what RFC 8259 calls a value, no byte more and no byte less.
 * Method: tables of values and of broken ones, each also behind 32 bytes of room and at the very
 * end of its memory, since both are read in different strides. */
#include "processor/format/json_scan.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* The bytes of `text` that are one value; -1: none. On the heap, so that a sanitizer sees its end.
 */
static long value_bytes(const char *text, const char *behind)
{
    size_t byte_count = strlen(text) + strlen(behind);
    char *bytes = malloc(byte_count + 1);
    memcpy(bytes, text, strlen(text));
    memcpy(bytes + strlen(text), behind, strlen(behind));
    const uint8_t *start = (const uint8_t *)bytes;
    const uint8_t *after = json_scan_value(start, start + byte_count, 0);
    long result = after == NULL ? -1 : (long)(after - start);
    free(bytes);
    return result;
}

static const char room[] = ",                                ";

Test(json_scan, values_end_where_they_end)
{
    const char *const whole[] = {"\"\"",
                                 "\"plain\"",
                                 "\"sixteen bytes___\"",
                                 "\"more than sixteen bytes, more than that\"",
                                 "\"\\\"\"",
                                 "\"\\u12aF\\n\\/\\\\\"",
                                 "\"0123456789abcde\\\"\"",
                                 "\"\xff\x80\"",
                                 "true",
                                 "false",
                                 "null",
                                 "0",
                                 "-1.5e+10",
                                 "[]",
                                 "{}",
                                 "[ ]",
                                 "{ }",
                                 "[1,2 , 3]",
                                 "{\"a\":1}",
                                 "{ \"a\" : [ { } , { \"b\" : null } ] , \"c\":\"}\" }",
                                 "[[[[]]],[]]",
                                 "{\"\":{}}",
                                 "\"\x7f\""};
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        cr_expect_eq(value_bytes(whole[i], ""), (long)strlen(whole[i]), "%s", whole[i]);
        cr_expect_eq(value_bytes(whole[i], room), (long)strlen(whole[i]), "%s", whole[i]);
    }
}

Test(json_scan, broken_values_are_none)
{
    const char *const broken[] = {"",
                                  "\"",
                                  "\"abc",
                                  "\"\\\"",
                                  "\"\\x\"",
                                  "\"\\u12g4\"",
                                  "\"\\u123\"",
                                  "\"a\nb\"",
                                  "\"0123456789abcdef\x01\"",
                                  "tru",
                                  "True",
                                  "nul",
                                  "-",
                                  "+1",
                                  "[",
                                  "]",
                                  "[1",
                                  "[1,",
                                  "[1,]",
                                  "[,1]",
                                  "[1 2]",
                                  "{",
                                  "}",
                                  "{\"a\"",
                                  "{\"a\":",
                                  "{\"a\":}",
                                  "{\"a\":1",
                                  "{\"a\":1,}",
                                  "{,}",
                                  "{a:1}",
                                  "{\"a\" 1}",
                                  "{\"a\":1 \"b\":2}",
                                  "{1:2}",
                                  "[}",
                                  "{]",
                                  "[1}",
                                  "{\"a\":1]",
                                  "'a'",
                                  "[[1]",
                                  "{\"a\":{\"b\":1}",
                                  "\x01",
                                  "[\"a\":1]"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        cr_expect_eq(value_bytes(broken[i], ""), -1, "%s", broken[i]);
    }
}

static long nested_bytes(unsigned levels, unsigned outside)
{
    char text[2 * 80 + 1] = {0};
    memset(text, '[', levels);
    memset(text + levels, ']', levels);
    const uint8_t *start = (const uint8_t *)text;
    const uint8_t *after = json_scan_value(start, start + 2 * (size_t)levels, outside);
    return after == NULL ? -1 : (long)(after - start);
}

Test(json_scan, the_deepest_nesting_is_counted_from_outside)
{
    cr_expect_eq(nested_bytes(JSON_SCAN_DEPTH_MAX, 0), 2 * (long)JSON_SCAN_DEPTH_MAX);
    cr_expect_eq(nested_bytes(JSON_SCAN_DEPTH_MAX + 1, 0), -1);
    cr_expect_eq(nested_bytes(JSON_SCAN_DEPTH_MAX - 1, 1), 2 * (long)JSON_SCAN_DEPTH_MAX - 2);
    cr_expect_eq(nested_bytes(JSON_SCAN_DEPTH_MAX, 1), -1);
}

Test(json_scan, flags_tell_what_a_string_needs)
{
    const struct {
        const char *text;
        uint32_t flags;
    } cases[] = {
        {"plain\"", 0},
        {"a much longer plain text, over sixteen\"", 0},
        {"a\\n\"", JSON_SCAN_ESCAPE},
        {"\xc3\xa4\"", JSON_SCAN_HIGH},
        {"0123456789abcdef \xc3\xa4 0123456789abcdef\"", JSON_SCAN_HIGH},
        {"0123456789\" \xc3\xa4 0123456789abcdef\"", 0},
        {"0123456789abcdef0\\t \xc3\xa4 0123\"", JSON_SCAN_HIGH | JSON_SCAN_ESCAPE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const uint8_t *start = (const uint8_t *)cases[i].text;
        uint32_t flags = 0;
        const uint8_t *quote = json_scan_string(start, start + strlen(cases[i].text), &flags);
        cr_assert_not_null(quote);
        cr_expect_eq(*quote, '"');
        cr_expect_eq(flags, cases[i].flags, "%s", cases[i].text);
    }
}
