/* Goal: an arena gives aligned memory that does not overlap, up to its limit and never beyond.
 * Method: many takes of random sizes filled with their own number, then the edges. */
#include "proto/sys/arena.h"
#include "proto/sys/prng.h"

#include <criterion/criterion.h>
#include <string.h>

#define TAKE_COUNT 2000U

static struct arena arena;

static void tear_down(void)
{
    arena_done(&arena);
}

TestSuite(arena, .fini = tear_down);

Test(arena, takes_are_aligned_and_do_not_overlap)
{
    static uint8_t *places[TAKE_COUNT];
    static size_t sizes[TAKE_COUNT];
    struct prng prng;
    prng_init(&prng, 7);
    arena_init(&arena, 64U << 20);

    for (uint32_t i = 0; i < TAKE_COUNT; i++) {
        sizes[i] = 1 + prng_below(&prng, i % 50 == 0 ? 100000 : 300);
        places[i] = arena_take(&arena, sizes[i]);
        cr_assert_not_null(places[i]);
        cr_assert_eq((uintptr_t)places[i] % 16, 0);
        memset(places[i], (int)(i & 0xff), sizes[i]);
    }

    for (uint32_t i = 0; i < TAKE_COUNT; i++) {
        for (size_t at = 0; at < sizes[i]; at++) {
            cr_assert_eq(places[i][at], (uint8_t)i);
        }
    }
}

Test(arena, limit_counts_all_chunks_and_refuses_beyond)
{
    arena_init(&arena, 10000);

    size_t taken = 0;
    while (arena_take(&arena, 512) != NULL) {
        taken += 512;
        cr_assert_leq(arena.byte_count, 10000);
    }

    cr_expect_geq(taken, 8192);
    cr_expect_leq(taken, 10000);
}

Test(arena, limit_that_refused_a_take_is_told_until_the_reset)
{
    arena_init(&arena, 10000);
    cr_assert_not_null(arena_take(&arena, 5000));
    cr_expect_not(arena.is_exhausted);
    cr_assert_null(arena_take(&arena, 9000));
    cr_expect(arena.is_exhausted);
    arena_reset(&arena);
    cr_expect_not(arena.is_exhausted);
    cr_assert_null(arena_take(&arena, 10001));
    cr_expect(arena.is_exhausted);
}

Test(arena, refused_take_leaves_the_arena_usable)
{
    arena_init(&arena, 10000);

    cr_expect_null(arena_take(&arena, 10001));
    cr_expect_null(arena_take(&arena, 10000)); /* The chunk's own head needs room, too. */
    cr_expect_null(arena_take(&arena, SIZE_MAX));
    cr_expect_not_null(arena_take(&arena, 9000));
    cr_expect_gt(arena.byte_count, 9000);
}

Test(arena, reset_keeps_one_chunk_and_gives_the_rest_back)
{
    arena_init(&arena, 64U << 20);
    for (int i = 0; i < 100; i++) {
        cr_assert_not_null(arena_take(&arena, 10000));
    }
    cr_assert_not_null(arena_take(&arena, 20U << 20));

    arena_reset(&arena);

    cr_expect_leq(arena.byte_count, (1U << 20) + 64);
    size_t kept = arena.byte_count;
    cr_expect_gt(kept, 0);
    cr_expect_not_null(arena_take(&arena, 1000));
    cr_expect_eq(arena.byte_count, kept, "the kept chunk must be used again");
}

Test(arena, huge_take_does_not_waste_the_chunk_in_use)
{
    arena_init(&arena, 64U << 20);
    uint8_t *first = arena_take(&arena, 16);
    cr_assert_not_null(arena_take(&arena, 5U << 20));

    uint8_t *second = arena_take(&arena, 16);

    cr_expect_eq(second, first + 16);
}

Test(arena, nothing_is_a_valid_pointer)
{
    arena_init(&arena, 0);

    cr_expect_not_null(arena_take(&arena, 0));
    cr_expect_not_null(arena_take_array(&arena, 0, 8));
    cr_expect_null(arena_take(&arena, 1));
}

Test(arena, array_is_cleared_and_its_size_cannot_wrap)
{
    arena_init(&arena, 1U << 20);
    memset(arena_take(&arena, 4000), 0xff, 4000);
    arena_reset(&arena);

    const uint64_t *array = arena_take_array(&arena, 100, sizeof *array);

    cr_assert_not_null(array);
    for (int i = 0; i < 100; i++) {
        cr_expect_eq(array[i], 0);
    }
    cr_expect_null(arena_take_array(&arena, SIZE_MAX / 2, 3));
}

Test(arena, copied_text_ends_with_nul)
{
    arena_init(&arena, 1U << 20);

    const char *text = arena_copy_text(&arena, "topic-without-end", 5);

    cr_expect_str_eq(text, "topic");
    cr_expect_str_eq(arena_copy_text(&arena, NULL, 0), "");
    cr_expect_null(arena_copy_text(&arena, "x", SIZE_MAX));
}

Test(arena, zeroed_arena_is_done_and_gives_nothing)
{
    arena = (struct arena){0};

    cr_expect_null(arena_take(&arena, 1));
    arena_reset(&arena);
    arena_done(&arena);
}
