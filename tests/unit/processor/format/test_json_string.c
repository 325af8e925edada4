/* Goal: texts go through JSON unchanged, and nothing that is no Unicode gets in.
 * Method: tables of UTF-8's borders and of escapes; every character written and decoded again. */
#include "processor/format/json_string.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static bool is_utf8(const char *text)
{
    return json_string_is_utf8((const uint8_t *)text, strlen(text));
}

Test(json_string, utf8_is_what_unicode_says)
{
    cr_expect(is_utf8("plain"));
    cr_expect(is_utf8("\xc2\x80 \xdf\xbf"));
    cr_expect(is_utf8("\xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbf"));
    cr_expect(is_utf8("\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf"));
    const char *const broken[] = {"\x80",
                                  "\xc0\x80",
                                  "\xc1\xbf",
                                  "\xc2",
                                  "\xc2\x41",
                                  "\xe0\x9f\xbf",
                                  "\xe2\x82",
                                  "\xed\xa0\x80",
                                  "\xed\xbf\xbf",
                                  "\xe1\x80\x41",
                                  "\xf0\x8f\xbf\xbf",
                                  "\xf4\x90\x80\x80",
                                  "\xf5\x80\x80\x80",
                                  "\xff",
                                  "\xf1\x80\x80"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        cr_expect_not(is_utf8(broken[i]), "number %zu", i);
    }
}

static void expect_decoded(const char *text, const char *expected, size_t expected_bytes)
{
    uint8_t out[64];
    size_t byte_count = 0;
    cr_assert(json_string_decode((const uint8_t *)text, strlen(text), out, &byte_count), "%s",
              text);
    cr_expect_eq(byte_count, expected_bytes, "%s", text);
    cr_expect_arr_eq(out, expected, expected_bytes, "%s", text);
}

Test(json_string, escapes_are_resolved)
{
    expect_decoded("", "", 0);
    expect_decoded("\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t", 8);
    expect_decoded("a\\u00e4\\u20AC!", "a\xc3\xa4\xe2\x82\xac!", 7);
    expect_decoded("\\ud83d\\ude00", "\xf0\x9f\x98\x80", 4);
    expect_decoded("\\udbff\\udfff", "\xf4\x8f\xbf\xbf", 4);
    expect_decoded("\\u0000", "\0", 1);
    expect_decoded("\xc3\xa4\\n\xc3\xa4", "\xc3\xa4\n\xc3\xa4", 5);
}

Test(json_string, half_a_surrogate_pair_is_no_text)
{
    const char *const broken[] = {"\\ud83d",        "\\ude00",        "\\ud83dx\\ude00",
                                  "\\ud83d\\n",     "\\ud83d\\ud83d", "\\ude00\\ud83d",
                                  "\\ud83d\\u0041", "a\\n\xff"};
    uint8_t out[64];
    size_t byte_count = 0;
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        cr_expect_not(
            json_string_decode((const uint8_t *)broken[i], strlen(broken[i]), out, &byte_count),
            "%s", broken[i]);
    }
}

Test(json_string, what_is_written_is_escaped_only_where_it_must_be)
{
    uint8_t out[64];
    size_t byte_count = 0;
    cr_assert_eq(json_string_write((const uint8_t *)"a\"\\\n\x01\x0b\x1f/\xc3\xa4", 10, out,
                                   sizeof out, &byte_count),
                 STATUS_OK);

    static const char expected[] = "\"a\\\"\\\\\\n\\u0001\\u000b\\u001f/\xc3\xa4\"";
    cr_assert_eq(byte_count, sizeof expected - 1);
    cr_expect_arr_eq(out, expected, byte_count);
}

Test(json_string, every_byte_below_0x80_comes_back)
{
    uint8_t all[128];
    for (size_t i = 0; i < sizeof all; i++) {
        all[i] = (uint8_t)i;
    }
    uint8_t written[sizeof all * 6 + 2];
    uint8_t back[sizeof written];
    size_t back_bytes = 0;

    size_t byte_count = 0;
    cr_assert_eq(json_string_write(all, sizeof all, written, sizeof written, &byte_count),
                 STATUS_OK);

    cr_assert(json_string_decode(written + 1, byte_count - 2, back, &back_bytes));
    cr_assert_eq(back_bytes, sizeof all);
    cr_expect_arr_eq(back, all, sizeof all);
}

Test(json_string, what_fits_exactly_is_written_and_one_byte_less_is_full)
{
    static const char *const texts[] = {"", "plain", "\"", "ends in \n", "\x01 begins"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const uint8_t *text = (const uint8_t *)texts[i];
        uint8_t whole[64];
        size_t byte_count = 0;
        cr_assert_eq(json_string_write(text, strlen(texts[i]), whole, sizeof whole, &byte_count),
                     STATUS_OK);
        for (size_t room = 0; room <= byte_count; room++) {
            uint8_t *out = malloc(room == 0 ? 1 : room);
            size_t written = 77;
            enum status status = json_string_write(text, strlen(texts[i]), out, room, &written);
            cr_expect_eq(status, room == byte_count ? STATUS_OK : STATUS_FULL, "%zu %zu", i, room);
            cr_expect_eq(written, room == byte_count ? byte_count : 77);
            free(out);
        }
    }
}
