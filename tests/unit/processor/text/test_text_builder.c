/* Goal: pieces come together whole, and an arena that is full is told once, at the end.
 * Method: growth over several chunks; an arena of almost nothing. */
#include "processor/text/text_builder.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct arena arena;

static void set_up(void)
{
    arena_init(&arena, (size_t)1 << 20);
}

static void tear_down(void)
{
    arena_done(&arena);
}

TestSuite(text_builder, .init = set_up, .fini = tear_down);

Test(text_builder, nothing_is_an_empty_text)
{
    struct text_builder builder;
    const char *text = NULL;

    text_builder_init(&builder, &arena);

    cr_assert_eq(text_builder_end(&builder, &text), STATUS_OK);
    cr_expect_str_eq(text, "");
}

Test(text_builder, a_thousand_pieces_stand_in_order)
{
    struct text_builder builder;
    const char *text = NULL;
    char expected[8];

    text_builder_init(&builder, &arena);
    for (int i = 0; i < 1000; i++) {
        text_builder_print(&builder, "%03d", i);
        text_builder_add(&builder, i % 2 == 0 ? "" : ";");
        text_builder_add_bytes(&builder, "--", i % 2 == 0 ? 1 : 0);
    }

    cr_assert_eq(text_builder_end(&builder, &text), STATUS_OK);
    cr_assert_eq(strlen(text), 4000);
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(expected, sizeof expected, "%03d%c", i, i % 2 == 0 ? '-' : ';');
        cr_assert(strncmp(text + 4 * (size_t)i, expected, 4) == 0);
    }
}

Test(text_builder, a_full_arena_is_told_at_the_end)
{
    struct arena small;
    struct text_builder builder;
    const char *text = NULL;
    static char large[100000];

    arena_init(&small, 50000);
    memset(large, 'x', sizeof large - 1);
    text_builder_init(&builder, &small);
    text_builder_add(&builder, "first");
    text_builder_add(&builder, large);
    text_builder_add(&builder, "last");

    cr_expect_eq(text_builder_end(&builder, &text), STATUS_NO_MEMORY);
    cr_expect_null(text);
    arena_done(&small);
}
