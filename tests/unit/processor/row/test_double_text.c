/* Goal: a double is written with as few digits as read back, laid out as PostgreSQL does.
 * Method: a table of results that PostgreSQL 15 gives; random bits, written, read and held against
 * every shorter spelling. */
#include "processor/row/double_text.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *text_of(double value)
{
    static char text[DOUBLE_TEXT_BYTES_MAX + 1];
    text[double_text_write(value, text)] = '\0';
    return text;
}

Test(double_text, layout_is_that_of_postgresql)
{
    cr_expect_str_eq(text_of(0), "0");
    cr_expect_str_eq(text_of(-0.0), "-0");
    cr_expect_str_eq(text_of(12), "12");
    cr_expect_str_eq(text_of(-12.5), "-12.5");
    cr_expect_str_eq(text_of(0.1), "0.1");
    cr_expect_str_eq(text_of(100), "100");
    cr_expect_str_eq(text_of(0.0001), "0.0001");
    cr_expect_str_eq(text_of(0.00001), "1e-05");
    cr_expect_str_eq(text_of(0.000015), "1.5e-05");
    cr_expect_str_eq(text_of(1e14), "100000000000000");
    cr_expect_str_eq(text_of(1e15), "1e+15");
    cr_expect_str_eq(text_of(999999999999999.0), "999999999999999");
    cr_expect_str_eq(text_of(1234567890123456.0), "1.234567890123456e+15");
    cr_expect_str_eq(text_of(1e100), "1e+100");
    cr_expect_str_eq(text_of(1.0 / 3), "0.3333333333333333");
    cr_expect_str_eq(text_of(2.0 / 3), "0.6666666666666666");
    cr_expect_str_eq(text_of(9007199254740993.0), "9.007199254740992e+15");
    cr_expect_str_eq(text_of(1.7976931348623157e308), "1.7976931348623157e+308");
    cr_expect_str_eq(text_of(5e-324), "5e-324");
    cr_expect_str_eq(text_of(0.1 + 0.2), "0.30000000000000004");
    cr_expect_str_eq(text_of(123456.789), "123456.789");
}

Test(double_text, what_is_no_number_has_a_word)
{
    cr_expect_str_eq(text_of(NAN), "NaN");
    cr_expect_str_eq(text_of(INFINITY), "Infinity");
    cr_expect_str_eq(text_of(-INFINITY), "-Infinity");
}

static void expect_shortest(double value)
{
    const char *text = text_of(value);
    double back = strtod(text, NULL);
    cr_assert_arr_eq(&back, &value, sizeof back, "%s for %.17g", text, value);
    int digits = 0;
    for (const char *next = text; *next != '\0' && *next != 'e'; next++) {
        digits += (*next >= '1' && *next <= '9') || (*next == '0' && digits > 0);
    }
    for (; digits > 1 && strchr(text, 'e') == NULL && strchr(text, '.') == NULL &&
           fmod(value, pow(10, 1)) == 0;
         value /= 10) {
        digits--; /* Zeros at the end of a plain whole number are no digits. */
    }
    char shorter[64];
    snprintf(shorter, sizeof shorter, "%.*e", digits > 1 ? digits - 2 : 0, back);
    cr_assert(digits == 1 || strtod(shorter, NULL) != back, "%s is longer than %s", text, shorter);
}

Test(double_text, random_doubles_read_back_and_have_no_shorter_text)
{
    uint64_t state = 7;
    for (int i = 0; i < 100000; i++) {
        state = state * 6364136223846793005U + 1442695040888963407U;
        uint64_t bits = state ^ state >> 29;
        double value;
        memcpy(&value, &bits, sizeof value);
        if (isfinite(value)) {
            expect_shortest(value);
        }
        double mean = (double)(int64_t)(state >> 40) / (double)(1 + (state >> 20 & 0xfff));
        expect_shortest(mean);
    }
}
