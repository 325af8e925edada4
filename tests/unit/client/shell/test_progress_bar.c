/* Goal: the bar tells the truth, also beyond its end, and is silent where nobody looks.
 * Method: literal states and times; drawing into memory. */
#include "client/shell/progress_bar.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define SECOND INT64_C(1000000000)

static void expect_text(uint64_t count_max, uint64_t count, int64_t now_ns, const char *expected)
{
    struct progress_bar bar;
    progress_bar_init(&bar, NULL, "records", 0);
    bar.count_max = count_max;
    char text[PROGRESS_BAR_BYTES_MAX];
    progress_bar_format(&bar, count, now_ns, text);
    cr_expect_str_eq(text, expected);
}

Test(progress_bar, fills_with_the_count)
{
    expect_text(20000, 0, 0, "[..............................]   0 %  0/20000 records  0/s");
    expect_text(20000, 10000, 2 * SECOND,
                "[###############...............]  50 %  10000/20000 records  5000/s");
    expect_text(20000, 20000, SECOND,
                "[##############################] 100 %  20000/20000 records  20000/s");
}

Test(progress_bar, more_than_expected_does_not_break_the_bar)
{
    expect_text(10, 25, SECOND, "[##############################] 100 %  25/10 records  25/s");
}

Test(progress_bar, unknown_end_shows_the_count_alone)
{
    expect_text(0, 300, 3 * SECOND, "300 records  100/s");
}

Test(progress_bar, is_drawn_ten_times_a_second_and_at_the_end)
{
    char *text = NULL;
    size_t byte_count = 0;
    FILE *out = open_memstream(&text, &byte_count);
    struct progress_bar bar;
    progress_bar_init(&bar, out, "records", 0);
    for (int64_t i = 0; i <= 20; i++) {
        progress_bar_show(&bar, (uint64_t)i, i * SECOND / 100);
    }
    progress_bar_done(&bar, 21, SECOND);
    (void)fclose(out);

    cr_expect_str_eq(text, "\r0 records  0/s\033[K\r10 records  100/s\033[K"
                           "\r20 records  100/s\033[K\r21 records  21/s\033[K\n");
    free(text);
}

Test(progress_bar, nobody_looks_nothing_is_drawn)
{
    struct progress_bar bar;
    progress_bar_init(&bar, NULL, "records", 0);

    progress_bar_show(&bar, 1, SECOND);
    progress_bar_done(&bar, 1, SECOND);

    cr_expect_not(bar.is_drawn);
}
