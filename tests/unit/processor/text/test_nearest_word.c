/* Goal: a misspelling finds its word, and what is far from all finds none.
 * Method: one of each kind of slip against a short list. */
#include "processor/text/nearest_word.h"

#include <criterion/criterion.h>
#include <string.h>

static const char *const words[] = {"watermark", "event_time", "topic", "start"};

static const char *nearest(const char *word)
{
    return nearest_word(word, strlen(word), words, sizeof words / sizeof words[0]);
}

Test(nearest_word, one_slip_of_each_kind_is_found)
{
    cr_expect_str_eq(nearest("watermrk"), "watermark");
    cr_expect_str_eq(nearest("watermarks"), "watermark");
    cr_expect_str_eq(nearest("watermerk"), "watermark");
    cr_expect_str_eq(nearest("watemrark"), "watermark");
    cr_expect_str_eq(nearest("EVENT_TIME"), "event_time");
    cr_expect_str_eq(nearest("eventtime"), "event_time");
    cr_expect_str_eq(nearest("topics"), "topic");
}

Test(nearest_word, the_nearest_of_several_wins)
{
    static const char *const close[] = {"cost", "count", "counts"};

    cr_expect_str_eq(nearest_word("cuont", 5, close, 3), "count");
    cr_expect_str_eq(nearest_word("counts", 6, close, 3), "counts");
}

Test(nearest_word, what_is_far_from_all_is_near_to_none)
{
    char longest[200];
    memset(longest, 'a', sizeof longest);

    cr_expect_null(nearest("partition"));
    cr_expect_null(nearest("x"));
    cr_expect_null(nearest(""));
    cr_expect_null(nearest_word(longest, sizeof longest, words, 4));
}
