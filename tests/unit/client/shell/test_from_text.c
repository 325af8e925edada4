/* Goal: a place to begin reading means what its writer meant, or nothing.
 * Method: literal texts with the milliseconds that another program (date) gives for them. */
#include "client/shell/from_text.h"

#include <criterion/criterion.h>

static void expect_time(const char *text, int64_t ms)
{
    struct millrace_start start = {MILLRACE_START_LATEST, -7};
    cr_assert(from_text_parse(text, &start), "%s", text);
    cr_expect_eq(start.kind, MILLRACE_START_TIME, "%s", text);
    cr_expect_eq(start.value, ms, "%s", text);
}

Test(from_text, words_are_the_ends_of_the_log)
{
    struct millrace_start start;

    cr_assert(from_text_parse("earliest", &start));
    cr_expect_eq(start.kind, MILLRACE_START_EARLIEST);
    cr_assert(from_text_parse("latest", &start));
    cr_expect_eq(start.kind, MILLRACE_START_LATEST);
}

Test(from_text, digits_are_an_offset)
{
    struct millrace_start start;

    cr_assert(from_text_parse("0", &start));
    cr_expect_eq(start.kind, MILLRACE_START_OFFSET);
    cr_expect_eq(start.value, 0);
    cr_assert(from_text_parse("999999999999999999", &start));
    cr_expect_eq(start.value, INT64_C(999999999999999999));
}

Test(from_text, times_are_milliseconds_of_utc)
{
    expect_time("1970-01-01", 0);
    expect_time("2001-01-01T00:00:00Z", 978307200000);
    expect_time("2001-01-01t00:00:00z", 978307200000);
    expect_time("2001-01-01 00:00:00Z", 978307200000);
    expect_time("2000-02-29", 951782400000);
    expect_time("2024-12-31T23:59:59.999Z", 1735689599999);
    expect_time("2024-03-01T00:00:00.5Z", 1709251200500);
    expect_time("2024-03-01T00:00:00.1239Z", 1709251200123);
    expect_time("2001-01-01T02:00:00+02:00", 978307200000);
    expect_time("2000-12-31T18:30:00-05:30", 978307200000);
}

Test(from_text, what_is_none_of_them_is_refused_and_changes_nothing)
{
    const char *const bad[] = {"",
                               "now",
                               "-1",
                               "1x",
                               "1000000000000000000",
                               "2001-13-01",
                               "2001-00-01",
                               "2001-02-29",
                               "2100-02-29",
                               "1969-12-31",
                               "2001-1-1",
                               "2001-01-01T",
                               "2001-01-01T00:00:00",
                               "2001-01-01T24:00:00Z",
                               "2001-01-01T00:60:00Z",
                               "2001-01-01T00:00:60Z",
                               "2001-01-01T00:00:00.Z",
                               "2001-01-01T00:00:00+2:00",
                               "2001-01-01T00:00:00+24:00",
                               "2001-01-01T00:00:00Zx",
                               "1970-01-01T00:00:00+01:00"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct millrace_start start = {MILLRACE_START_OFFSET, 5};
        cr_expect_not(from_text_parse(bad[i], &start), "%s", bad[i]);
        cr_expect_eq(start.kind, MILLRACE_START_OFFSET);
        cr_expect_eq(start.value, 5);
    }
}

Test(from_text, times_are_printed_as_they_are_read)
{
    char text[32];

    from_text_format_time(978307200042, text);
    cr_expect_str_eq(text, "2001-01-01T00:00:00.042Z");
    from_text_format_time(-1, text);
    cr_expect_str_eq(text, "-");
    from_text_format_time(INT64_MAX, text);
    cr_expect_str_eq(text, "-");
}
