/* Goal: arrays grow to their limit and no further, and lose nothing on the way.
 * Method: growth step by step, then past the limit. */
#include "broker/log/entry_room.h"

#include <criterion/criterion.h>
#include <stdlib.h>

Test(entry_room, array_doubles_up_to_its_limit_and_keeps_its_content)
{
    void *entries = NULL;
    uint32_t room = 0;
    for (uint32_t i = 0; i < 100; i++) {
        cr_assert_eq(entry_room_reserve(&entries, &room, i + 1, 100, sizeof(uint32_t)), STATUS_OK);
        cr_assert_gt(room, i);
        cr_assert_leq(room, 100);
        ((uint32_t *)entries)[i] = i;
    }
    for (uint32_t i = 0; i < 100; i++) {
        cr_expect_eq(((uint32_t *)entries)[i], i);
    }
    cr_expect_eq(room, 100);

    void *before = entries;
    cr_expect_eq(entry_room_reserve(&entries, &room, 101, 100, sizeof(uint32_t)), STATUS_FULL);
    cr_expect_eq(entries, before);
    cr_expect_eq(room, 100);
    free(entries);
}

Test(entry_room, first_need_may_be_large_and_none_needs_nothing)
{
    void *entries = NULL;
    uint32_t room = 0;
    cr_expect_eq(entry_room_reserve(&entries, &room, 0, 100, 8), STATUS_OK);
    cr_expect_null(entries);
    cr_expect_eq(entry_room_reserve(&entries, &room, 70, 100, 8), STATUS_OK);
    cr_expect_eq(room, 70);
    free(entries);
}
