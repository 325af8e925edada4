/* Goal: what people write as a time or a span means what PostgreSQL takes it for, and nothing else
 * passes.
 * Method: tables of texts with literal microseconds; calendar edges; every day of 1,000 years there
 * and back. */
#include "processor/text/time_text.h"

#include <criterion/criterion.h>
#include <string.h>

struct moment {
    const char *text;
    int64_t us;
};

static enum status timestamp(const char *text, int64_t *out_us)
{
    return time_text_parse_timestamp(text, strlen(text), out_us);
}

static enum status span(const char *text, struct interval *out_interval)
{
    return time_text_parse_interval(text, strlen(text), out_interval);
}

Test(time_text, timestamps_are_read_in_every_spelling)
{
    static const struct moment moments[] = {
        {"1970-01-01", 0},
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01 00:00", 0},
        {"1970-01-01 00:00:01.5", 1500000},
        {"1970-01-01T00:00:00.000001z", 1},
        {"1970-01-01T00:00:00.0000019Z", 1},
        {"1970-01-01 01:00:00+01", 0},
        {"1970-01-01 00:00:00-0130", INT64_C(5400000000)},
        {"1970-01-01 05:30:00 +05:30", 0},
        {"1970-01-01 00:00:00 UTC", 0},
        {"1969-12-31T23:59:59.999999Z", -1},
        {"2001-01-01T00:00:00Z", INT64_C(978307200000000)},
        {"2000-02-29T12:00:00Z", INT64_C(951825600000000)},
        {"0001-01-01T00:00:00Z", INT64_C(-62135596800000000)},
        {"9999-12-31T23:59:59.999999Z", INT64_C(253402300799999999)},
        {"1998-12-31T23:59:60Z", INT64_C(915148800000000)},
    };
    for (size_t i = 0; i < sizeof moments / sizeof moments[0]; i++) {
        int64_t us = 42;
        cr_expect_eq(timestamp(moments[i].text, &us), STATUS_OK, "%s", moments[i].text);
        cr_expect_eq(us, moments[i].us, "%s gave %lld", moments[i].text, (long long)us);
    }
}

Test(time_text, what_is_no_timestamp_is_refused)
{
    static const char *const texts[] = {"",
                                        "now",
                                        "2001",
                                        "2001-1-1",
                                        "2001-01-01T",
                                        "2001-01-01T12",
                                        "2001-01-01T12:00:00.",
                                        "2001-01-01T12:00:00ZZ",
                                        "2001-01-01T12:00:00+1",
                                        "2001-01-01T12:00:00+01:",
                                        "2001-01-01x12:00",
                                        "12:00:00",
                                        "+001-01-01",
                                        "2001-01-01T12:00:00 CET"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        int64_t us = 42;
        cr_expect_eq(timestamp(texts[i], &us), STATUS_MALFORMED, "%s", texts[i]);
        cr_expect_eq(us, 42);
    }
}

Test(time_text, days_that_no_calendar_has_are_out_of_range)
{
    static const char *const texts[] = {"2001-02-29",       "1900-02-29",
                                        "2001-13-01",       "2001-00-10",
                                        "2001-04-31",       "0000-01-01",
                                        "2001-01-32",       "2001-01-01 24:00",
                                        "2001-01-01 12:60", "2001-01-01 12:00:00+16"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        int64_t us = 42;
        cr_expect_eq(timestamp(texts[i], &us), STATUS_OUT_OF_RANGE, "%s", texts[i]);
    }
}

Test(time_text, every_day_of_a_thousand_years_comes_back)
{
    int64_t day_us = INT64_C(86400000000);
    char text[TIME_TEXT_BYTES_MAX];
    for (int64_t day = -200000; day < 200000; day++) {
        int64_t us = 0;
        size_t byte_count = time_text_format_timestamp(day * day_us + 1, text);
        cr_assert_eq(byte_count, strlen(text));
        cr_assert_eq(timestamp(text, &us), STATUS_OK);
        cr_assert_eq(us, day * day_us + 1);
    }
}

Test(time_text, timestamps_are_written_as_rfc_3339_without_needless_fraction)
{
    char text[TIME_TEXT_BYTES_MAX];

    (void)time_text_format_timestamp(INT64_C(978307200000000), text);
    cr_expect_str_eq(text, "2001-01-01T00:00:00Z");
    (void)time_text_format_timestamp(INT64_C(978307200500000), text);
    cr_expect_str_eq(text, "2001-01-01T00:00:00.5Z");
    (void)time_text_format_timestamp(-1, text);
    cr_expect_str_eq(text, "1969-12-31T23:59:59.999999Z");
    (void)time_text_format_timestamp(INT64_MAX, text);
    cr_expect_str_eq(text, "294247-01-10T04:00:54.775807Z");
    (void)time_text_format_timestamp(INT64_MIN, text);
    cr_expect_str_eq(text, "-290308-12-21T19:59:05.224192Z");
}

struct length {
    const char *text;
    struct interval interval;
};

Test(time_text, intervals_are_read_as_postgresql_reads_them)
{
    static const struct length lengths[] = {
        {"1 hour", {0, 0, INT64_C(3600000000)}},
        {"3 hours", {0, 0, INT64_C(10800000000)}},
        {"100 ms", {0, 0, 100000}},
        {"100ms", {0, 0, 100000}},
        {"1 day 2 hours", {0, 1, INT64_C(7200000000)}},
        {"1.5 hours", {0, 0, INT64_C(5400000000)}},
        {"1.5 days", {0, 1, INT64_C(43200000000)}},
        {"1.5 months", {1, 15, 0}},
        {"1.5 years", {18, 0, 0}},
        {"2 weeks", {0, 14, 0}},
        {"-2 days +3 hours", {0, -2, INT64_C(10800000000)}},
        {"01:30:00", {0, 0, INT64_C(5400000000)}},
        {"-00:00:01.5", {0, 0, -1500000}},
        {"1 day 00:00:01", {0, 1, 1000000}},
        {"5 MIN", {0, 0, 300000000}},
        {" 7 us ", {0, 0, 7}},
        {".5 s", {0, 0, 500000}},
        {"0 s", {0, 0, 0}},
    };
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct interval interval = {-1, -1, -1};
        cr_expect_eq(span(lengths[i].text, &interval), STATUS_OK, "%s", lengths[i].text);
        cr_expect_eq(interval.months, lengths[i].interval.months, "%s", lengths[i].text);
        cr_expect_eq(interval.days, lengths[i].interval.days, "%s", lengths[i].text);
        cr_expect_eq(interval.micros, lengths[i].interval.micros, "%s", lengths[i].text);
    }
}

Test(time_text, what_is_no_interval_is_refused)
{
    static const char *const texts[] = {
        "",    " ",       "5",     "hour", "1 fortnight", "1 hour,",
        "ago", "--1 day", "1:2:3", "PT1H", ". s",         "1 hourhourhourhourhour"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct interval interval;
        cr_expect_eq(span(texts[i], &interval), STATUS_MALFORMED, "%s", texts[i]);
    }
}

Test(time_text, intervals_beyond_the_type_are_out_of_range)
{
    struct interval interval;

    cr_expect_eq(span("9223372036854775807 hours", &interval), STATUS_OUT_OF_RANGE);
    cr_expect_eq(span("99999999999999999999 s", &interval), STATUS_OUT_OF_RANGE);
    cr_expect_eq(span("3000000000 days", &interval), STATUS_OUT_OF_RANGE);
    cr_expect_eq(span("2000000000 days 2000000000 days", &interval), STATUS_OUT_OF_RANGE);
    cr_expect_eq(span("00:75:00", &interval), STATUS_OUT_OF_RANGE);
}

Test(time_text, intervals_are_written_as_postgresql_writes_them)
{
    char text[TIME_TEXT_BYTES_MAX];

    (void)time_text_format_interval(&(struct interval){0, 0, INT64_C(10800000000)}, text);
    cr_expect_str_eq(text, "03:00:00");
    (void)time_text_format_interval(&(struct interval){14, -2, 1500000}, text);
    cr_expect_str_eq(text, "1 year 2 mons -2 days +00:00:01.5");
    (void)time_text_format_interval(&(struct interval){0, 1, 0}, text);
    cr_expect_str_eq(text, "1 day");
    (void)time_text_format_interval(&(struct interval){0, 0, 0}, text);
    cr_expect_str_eq(text, "00:00:00");
    size_t byte_count =
        time_text_format_interval(&(struct interval){INT32_MIN, INT32_MIN, INT64_MIN}, text);
    cr_expect_eq(byte_count, strlen(text));
    cr_expect_str_eq(text, "-178956970 years -8 mons -2147483648 days -2562047788:00:54.775808");
}
