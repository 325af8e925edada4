/* Goal: a bulk copy is a copy, wherever it begins and ends, and touches nothing beside it.
 * Method: every pair of alignments within a line around the size where it changes its way; what
 * lies before and behind the target must stay. */
#include "proto/sys/bulk_copy.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#define LINE 64U
#define GUARD 0xa5U
#define ROOM (BULK_COPY_BYTES_MIN + 8 * (size_t)LINE)

static uint8_t source[ROOM];
static uint8_t target[ROOM];

static void check_copy(size_t from, size_t to, size_t byte_count)
{
    memset(target, GUARD, sizeof target);
    bulk_copy(target + to, source + from, byte_count);

    cr_assert_arr_eq(target + to, source + from, byte_count, "from %zu to %zu, %zu bytes", from, to,
                     byte_count);
    for (size_t i = 0; i < sizeof target; i++) {
        if (i < to || i >= to + byte_count) {
            cr_assert_eq(target[i], GUARD, "from %zu to %zu, %zu bytes: wrote at %zu", from, to,
                         byte_count, i);
        }
    }
}

static void fill_source(void)
{
    for (size_t i = 0; i < sizeof source; i++) {
        source[i] = (uint8_t)(i * 7 + i / 251);
    }
}

TestSuite(bulk_copy, .init = fill_source);

Test(bulk_copy, nothing_is_copied_from_nothing)
{
    check_copy(0, 3, 0);
}

Test(bulk_copy, every_alignment_gives_the_same_bytes)
{
    for (size_t to = 0; to < LINE; to++) {
        check_copy((to * 13) % LINE, to, BULK_COPY_BYTES_MIN + to);
    }
}

Test(bulk_copy, every_size_around_the_border_is_copied_whole)
{
    for (size_t more = 0; more <= 3 * (size_t)LINE; more++) {
        check_copy(5, 2 * (size_t)LINE + 9, BULK_COPY_BYTES_MIN - LINE + more);
    }
}
