/* Goal: numbers of any spelling become the integer or double that they name, or say why not.
 * Method: a table of spellings; doubles are held against the compiler's own constants and strtod.
 */
#include "processor/row/decimal_text.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t *scan(const char *text, struct decimal_text *decimal)
{
    const uint8_t *bytes = (const uint8_t *)text;
    return decimal_text_scan(bytes, bytes + strlen(text), decimal);
}

static void expect_int64(const char *text, int64_t expected)
{
    struct decimal_text decimal;
    int64_t value = 12345;
    cr_assert_not_null(scan(text, &decimal), "%s", text);
    cr_expect_eq(decimal_text_to_int64(&decimal, &value), STATUS_OK, "%s", text);
    cr_expect_eq(value, expected, "%s", text);
}

static void refuse_int64(const char *text, enum status why)
{
    struct decimal_text decimal;
    int64_t value = 12345;
    cr_assert_not_null(scan(text, &decimal), "%s", text);
    cr_expect_eq(decimal_text_to_int64(&decimal, &value), why, "%s", text);
    cr_expect_eq(value, 12345, "%s", text);
}

static void expect_double(const char *text, double expected)
{
    struct decimal_text decimal;
    double value = 12345;
    cr_assert_not_null(scan(text, &decimal), "%s", text);
    cr_expect_eq(decimal_text_to_double(&decimal, &value), STATUS_OK, "%s", text);
    cr_expect_arr_eq(&value, &expected, sizeof value, "%s gives %.17g", text, value);
}

Test(decimal_text, whole_numbers_are_exact_however_they_are_spelt)
{
    expect_int64("0", 0);
    expect_int64("-0", 0);
    expect_int64("-0.0e5", 0);
    expect_int64("7.0", 7);
    expect_int64("1e5", 100000);
    expect_int64("1E+05", 100000);
    expect_int64("-120e-1", -12);
    expect_int64("0.000012e6", 12);
    expect_int64("9007199254740993", 9007199254740993);
    expect_int64("9223372036854775807", INT64_MAX);
    expect_int64("-9223372036854775808", INT64_MIN);
    expect_int64("9223372036854775807.000000", INT64_MAX);
    expect_int64("922337203685477580.7e1", INT64_MAX);
    expect_int64("10000000000000000000000e-4", 1000000000000000000);
    expect_int64("0e999999999999999999999", 0);
}

Test(decimal_text, what_no_int64_holds_is_told)
{
    refuse_int64("9223372036854775808", STATUS_OUT_OF_RANGE);
    refuse_int64("-9223372036854775809", STATUS_OUT_OF_RANGE);
    refuse_int64("1e19", STATUS_OUT_OF_RANGE);
    refuse_int64("123456789012345678901234567890", STATUS_OUT_OF_RANGE);
    refuse_int64("1e999999999999999999999", STATUS_OUT_OF_RANGE);
    refuse_int64("1.5", STATUS_INVALID);
    refuse_int64("1e-1", STATUS_INVALID);
    refuse_int64("1e-99999999999999999999", STATUS_INVALID);
    refuse_int64("1.00000000000000000000000001", STATUS_INVALID);
}

Test(decimal_text, doubles_are_the_nearest_ones)
{
    expect_double("0", 0.0);
    expect_double("-0", -0.0);
    expect_double("0.1", 0.1);
    expect_double("-12.5e-3", -12.5e-3);
    expect_double("1e22", 1e22);
    expect_double("1e23", 1e23);
    expect_double("9007199254740993", 9007199254740992.0);
    expect_double("9007199254740993.00000000000000000000000001", 9007199254740994.0);
    expect_double("1.7976931348623157e308", 1.7976931348623157e308);
    expect_double("4.9406564584124654e-324", 4.9406564584124654e-324);
    expect_double("2.2250738585072011e-308", 2.2250738585072011e-308);
    expect_double("1e-400", 0.0);
    expect_double("0e400", 0.0);
    expect_double("123456789012345678901234567890", 123456789012345678901234567890.0);
}

Test(decimal_text, a_double_beyond_the_largest_is_out_of_range)
{
    struct decimal_text decimal;
    double value = 1;

    cr_assert_not_null(scan("1.8e308", &decimal));
    cr_expect_eq(decimal_text_to_double(&decimal, &value), STATUS_OUT_OF_RANGE);
    cr_assert_not_null(scan("-1e99999999999999999999", &decimal));
    cr_expect_eq(decimal_text_to_double(&decimal, &value), STATUS_OUT_OF_RANGE);
    cr_expect_eq(value, 1);
}

Test(decimal_text, one_digit_far_behind_decides_between_two_doubles)
{
    char half[2000] = "9007199254740993.";
    char more[2000];
    memset(half + 17, '0', 1500);
    half[1517] = '\0';
    memcpy(more, half, sizeof half);
    more[1516] = '1';

    expect_double(half, 9007199254740992.0);
    expect_double(more, 9007199254740994.0);
}

Test(decimal_text, random_spellings_read_as_strtod_reads_them)
{
    uint64_t state = 42;
    for (int i = 0; i < 200000; i++) {
        char text[64];
        state = state * 6364136223846793005U + 1442695040888963407U;
        uint64_t digits = state >> (state >> 40 & 63);
        state = state * 6364136223846793005U + 1442695040888963407U;
        int exponent = (int)(state >> 33 & 63) - 31;
        int point = (int)(state >> 45 & 7);
        snprintf(text, sizeof text, "%llu.%0*llue%d", (unsigned long long)(digits >> 20), point + 1,
                 (unsigned long long)(digits & 0xff), exponent);
        expect_double(text, strtod(text, NULL));
    }
}

Test(decimal_text, a_scan_ends_where_the_number_ends)
{
    struct decimal_text decimal;
    const char *text = "12.50e3,";

    cr_expect_eq(scan(text, &decimal), (const uint8_t *)text + 7);
    cr_expect_eq(scan("1-2", &decimal)[0], '-');
}

Test(decimal_text, what_json_does_not_call_a_number_is_none)
{
    struct decimal_text decimal;
    const char *const broken[] = {"",    "-",   "+1",  ".5",  "5.",   "5.e1",
                                  "1e",  "1e+", "01",  "-01", "00",   "x",
                                  "NaN", "- 1", "-.1", "e5",  "1.5e", "Infinity"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        cr_expect_null(scan(broken[i], &decimal), "%s", broken[i]);
    }
}
