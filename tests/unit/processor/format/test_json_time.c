/* Goal: RFC 3339 both ways, to the microsecond, and nothing that is not RFC 3339.
 * Method: tables (expected values from `date -u +%s`); every day of four centuries, and random
 * moments, written and read again. */
#include "processor/format/json_time.h"

#include <criterion/criterion.h>
#include <string.h>

static void expect_read(const char *text, int64_t expected)
{
    int64_t us = -1;
    cr_expect_eq(json_time_read((const uint8_t *)text, strlen(text), &us), STATUS_OK, "%s", text);
    cr_expect_eq(us, expected, "%s gives %lld", text, (long long)us);
}

static void expect_refused(const char *text, enum status why)
{
    int64_t us = -1;
    cr_expect_eq(json_time_read((const uint8_t *)text, strlen(text), &us), why, "%s", text);
    cr_expect_eq(us, -1, "%s", text);
}

static void expect_written(int64_t us, const char *expected)
{
    uint8_t out[JSON_TIME_BYTES_MAX + 1];
    out[json_time_write(us, out)] = '\0';
    cr_expect_str_eq((const char *)out, expected);
}

Test(json_time, times_are_microseconds_since_1970)
{
    expect_read("1970-01-01T00:00:00Z", 0);
    expect_read("2001-01-01T00:00:00Z", 978307200000000);
    expect_read("2001-01-01t00:00:00z", 978307200000000);
    expect_read("2001-01-01 00:00:00Z", 978307200000000);
    expect_read("2000-02-29T23:59:59.999999Z", 951868799999999);
    expect_read("2001-01-01T00:00:00.5Z", 978307200500000);
    expect_read("2001-01-01T00:00:00.000001Z", 978307200000001);
    expect_read("1969-12-31T23:59:59.999999Z", -1);
    expect_read("0000-01-01T00:00:00Z", -62167219200000000);
    expect_read("9999-12-31T23:59:59.999999Z", 253402300799999999);
}

Test(json_time, offsets_are_taken_off)
{
    expect_read("2001-01-01T01:00:00+01:00", 978307200000000);
    expect_read("2000-12-31T18:30:00-05:30", 978307200000000);
    expect_read("2001-01-01T00:00:00-00:00", 978307200000000);
    expect_read("2001-01-01T23:59:00.25+23:59", 978307200250000);
}

Test(json_time, digits_behind_the_sixth_move_nothing)
{
    expect_read("2001-01-01T00:00:00.9999999Z", 978307200999999);
    expect_read("2001-01-01T00:00:00.000000000000000000000000000001Z", 978307200000000);
}

Test(json_time, a_leap_second_is_the_next_days_first_moment)
{
    expect_read("2016-12-31T23:59:60Z", 1483228800000000);
    expect_read("2017-01-01T00:59:60+01:00", 1483228800000000);
    expect_read("2016-12-31T23:59:60.5Z", 1483228800500000);
    expect_refused("2016-12-31T22:59:60Z", STATUS_MALFORMED);
    expect_refused("2016-12-31T23:59:60+01:00", STATUS_MALFORMED);
}

Test(json_time, days_that_are_not_in_the_calendar_are_refused)
{
    expect_refused("2001-02-29T00:00:00Z", STATUS_MALFORMED);
    expect_refused("1900-02-29T00:00:00Z", STATUS_MALFORMED);
    expect_refused("2001-04-31T00:00:00Z", STATUS_MALFORMED);
    expect_refused("2001-13-01T00:00:00Z", STATUS_MALFORMED);
    expect_refused("2001-00-01T00:00:00Z", STATUS_MALFORMED);
    expect_refused("2001-01-00T00:00:00Z", STATUS_MALFORMED);
    expect_refused("2001-01-32T00:00:00Z", STATUS_MALFORMED);
    expect_refused("2001-01-01T24:00:00Z", STATUS_MALFORMED);
    expect_refused("2001-01-01T00:60:00Z", STATUS_MALFORMED);
    expect_refused("2001-01-01T00:00:61Z", STATUS_MALFORMED);
}

Test(json_time, other_spellings_are_refused)
{
    const char *const broken[] = {"",
                                  "2001-01-01",
                                  "2001-01-01T00:00:00",
                                  "2001-01-01T00:00Z",
                                  "2001-01-01T00:00:00.Z",
                                  "2001-01-01T00:00:00ZZ",
                                  "2001-01-01T00:00:00Z ",
                                  " 2001-01-01T00:00:00Z",
                                  "2001-01-01T00:00:00+1:00",
                                  "2001-01-01T00:00:00+0100",
                                  "2001-01-01T00:00:00+01",
                                  "2001-01-01T00:00:00+24:00",
                                  "2001-01-01T00:00:00+01:60",
                                  "2001-01-01T00:00:00 +01:00",
                                  "2001-01-01_00:00:00Z",
                                  "2001/01/01T00:00:00Z",
                                  "+2001-01-01T00:00:00Z",
                                  "12001-01-01T00:00:00Z",
                                  "2001-01-01T00:00:00,5Z",
                                  "2001-1-01T00:00:00.00Z",
                                  "20x1-01-01T00:00:00Z",
                                  "2001-01-01T00:00:0:Z",
                                  "2001-01-01T00:00:00.5",
                                  "978307200"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        expect_refused(broken[i], STATUS_MALFORMED);
    }
}

Test(json_time, an_offset_may_not_leave_the_years_of_four_digits)
{
    expect_refused("0000-01-01T00:00:00+00:01", STATUS_OUT_OF_RANGE);
    expect_refused("9999-12-31T23:59:59-00:01", STATUS_OUT_OF_RANGE);
    expect_read("9999-12-31T23:59:59+00:01", 253402300799000000 - 60000000);
}

Test(json_time, written_times_have_a_fraction_only_where_it_is_not_zero)
{
    expect_written(978307200000000, "2001-01-01T00:00:00Z");
    expect_written(978307200500000, "2001-01-01T00:00:00.5Z");
    expect_written(978307200000010, "2001-01-01T00:00:00.00001Z");
    expect_written(-1, "1969-12-31T23:59:59.999999Z");
    expect_written(-62167219200000000, "0000-01-01T00:00:00Z");
    expect_written(253402300800000000, "+010000-01-01T00:00:00Z");
    expect_written(-62167219200000001, "-000001-12-31T23:59:59.999999Z");
}

Test(json_time, the_ends_of_the_type_can_be_written)
{
    expect_written(INT64_MAX, "+294247-01-10T04:00:54.775807Z");
    expect_written(INT64_MIN, "-290308-12-21T19:59:05.224192Z");
}

Test(json_time, every_day_of_four_centuries_reads_back)
{
    for (int64_t day = -146097; day < 146097; day++) {
        uint8_t out[JSON_TIME_BYTES_MAX];
        int64_t us = day * 86400000000 + (day & 0xfffff) * 12345;
        int64_t back = -1;
        size_t byte_count = json_time_write(us, out);
        cr_assert_eq(json_time_read(out, byte_count, &back), STATUS_OK);
        cr_assert_eq(back, us);
    }
}
