/* Goal: a group is found by its window and key and by nothing else, however the table grows,
 * whatever hashes collide and whoever was removed between.
 * Method: hand-made hashes, so that collisions are certain; random changes against a plain array;
 * a limit of bytes. */
#include "processor/state/group_key.h"
#include "processor/state/group_table.h"
#include "proto/sys/prng.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define STATES 2U
#define MODEL_KEYS 60U

static struct group_table table;

static void set_up(void)
{
    group_table_init(&table, STATES, 16 << 20);
}

static void tear_down(void)
{
    group_table_done(&table);
}

TestSuite(group_table, .init = set_up, .fini = tear_down);

static struct wire_bytes key_of(const void *bytes, size_t byte_count)
{
    return (struct wire_bytes){.bytes = bytes, .byte_count = (int32_t)byte_count};
}

static struct wire_bytes key_of_number(uint32_t number, uint8_t room[static 4])
{
    uint32_t swapped = __builtin_bswap32(number);
    memcpy(room, &swapped, 4);
    return key_of(room, 4);
}

static struct group *find_or_add(int64_t window_start, uint64_t hash, struct wire_bytes key)
{
    struct group *group = NULL;
    cr_assert_eq(group_table_find_or_add(&table, window_start, hash, key, &group), STATUS_OK);
    return group;
}

Test(group_table, same_window_and_key_are_one_group_and_others_are_others)
{
    struct group *group = find_or_add(10, 77, key_of("ab", 2));

    cr_expect_eq(find_or_add(10, 77, key_of("ab", 2)), group);
    cr_expect_neq(find_or_add(20, 77, key_of("ab", 2)), group);
    cr_expect_neq(find_or_add(10, 77, key_of("ac", 2)), group);
    cr_expect_neq(find_or_add(10, 77, key_of("abc", 3)), group);
    cr_expect_neq(find_or_add(10, 77, key_of("a", 1)), group);
    cr_expect_neq(find_or_add(10, 78, key_of("ab", 2)), group);
    cr_expect_neq(find_or_add(GROUP_TABLE_NO_WINDOW, 77, key_of("ab", 2)), group);
    cr_expect_eq(table.group_count, 7);
}

Test(group_table, a_key_of_no_bytes_is_a_key)
{
    struct group *group = find_or_add(0, 5, key_of(NULL, 0));

    cr_expect_eq(find_or_add(0, 5, key_of("", 0)), group);
    cr_expect_eq(group_table_key(group).byte_count, 0);
    cr_expect_eq(table.group_count, 1);
}

Test(group_table, new_group_is_empty_and_has_its_own_copy_of_the_key)
{
    char key[] = "mine";
    struct group *group = find_or_add(3, 9, key_of(key, 4));
    memset(key, 'x', 4);

    cr_expect_eq(group->hash, 9);
    cr_expect_eq(group->window_start, 3);
    cr_expect_eq(group->input_count, 0);
    cr_expect_eq(group->created_max_ms, -1);
    cr_expect_eq(group->ingested_max_ms, -1);
    cr_expect_eq(group->flags, 0);
    cr_expect_eq(group->states[0].count, 0);
    cr_expect_eq(group->states[STATES - 1].count, 0);
    cr_expect_arr_eq(group->key, "mine", 4);
}

Test(group_table, loose_group_is_in_no_table_and_borrows_its_key)
{
    static const uint8_t key[] = {1, 2};
    struct arena arena;
    arena_init(&arena, 10000);
    struct group *group = group_table_make_loose(STATES, 4, 6, key_of(key, 2), &arena);

    cr_assert_not_null(group);
    cr_expect_eq(group->key, key);
    cr_expect_eq(group->created_max_ms, -1);
    cr_expect_eq(group->states[STATES - 1].count, 0);
    cr_expect_eq(table.group_count, 0);
    arena_done(&arena);
    arena_init(&arena, 10);
    cr_expect_null(group_table_make_loose(STATES, 4, 6, key_of(key, 2), &arena));
    arena_done(&arena);
}

Test(group_table, growing_moves_no_group_and_loses_none)
{
    static struct group *groups[5000];
    uint8_t room[4];
    for (uint32_t i = 0; i < 5000; i++) {
        struct wire_bytes key = key_of_number(i, room);
        groups[i] = find_or_add(i % 3, group_key_hash(key), key);
        cr_assert_leq(table.group_count * 4, table.slot_count * 3 + 4);
    }
    cr_expect_eq(table.group_count, 5000);
    for (uint32_t i = 0; i < 5000; i++) {
        struct wire_bytes key = key_of_number(i, room);
        cr_assert_eq(find_or_add(i % 3, group_key_hash(key), key), groups[i], "%u", i);
    }
    cr_expect_eq(table.group_count, 5000);
}

Test(group_table, equal_hashes_are_told_apart_by_key_and_window)
{
    static struct group *groups[100];
    uint8_t room[4];
    for (uint32_t i = 0; i < 100; i++) {
        groups[i] = find_or_add(i % 2, 1, key_of_number(i / 2, room));
    }
    cr_expect_eq(table.group_count, 100);
    for (uint32_t i = 0; i < 100; i++) {
        cr_expect_eq(find_or_add(i % 2, 1, key_of_number(i / 2, room)), groups[i], "%u", i);
    }
}

Test(group_table, what_is_not_there_cannot_be_removed)
{
    struct group *group = NULL;
    cr_expect_eq(group_table_remove(&table, 0, 1, key_of("a", 1), &group), STATUS_NOT_FOUND);
    struct group *kept = find_or_add(0, 1, key_of("a", 1));
    cr_expect_eq(group_table_remove(&table, 1, 1, key_of("a", 1), &group), STATUS_NOT_FOUND);
    cr_expect_eq(group_table_remove(&table, 0, 1, key_of("b", 1), &group), STATUS_NOT_FOUND);
    cr_expect_null(group);

    cr_assert_eq(group_table_remove(&table, 0, 1, key_of("a", 1), &group), STATUS_OK);
    cr_expect_eq(group, kept);
    cr_expect_eq(table.group_count, 0);
    cr_expect_eq(group_table_remove(&table, 0, 1, key_of("a", 1), &group), STATUS_NOT_FOUND);
}

struct model {
    struct group *groups[MODEL_KEYS]; /* NULL: not in the table. */
    uint32_t count;
};

/* Few hashes for many keys, so that runs of full slots form, meet and wrap around. */
static uint64_t poor_hash(uint32_t number)
{
    return number % 7;
}

static void change_model(struct model *model, uint32_t number)
{
    uint8_t room[4];
    struct wire_bytes key = key_of_number(number, room);
    struct group *found = NULL;
    if (model->groups[number] == NULL) {
        model->groups[number] = find_or_add(0, poor_hash(number), key);
        model->count += 1;
        return;
    }
    cr_assert_eq(group_table_remove(&table, 0, poor_hash(number), key, &found), STATUS_OK);
    cr_assert_eq(found, model->groups[number]);
    model->groups[number] = NULL;
    model->count -= 1;
}

Test(group_table, removals_between_others_leave_those_found)
{
    struct model model = {0};
    struct prng prng;
    prng_init(&prng, 20011);
    for (int step = 0; step < 4000; step++) {
        change_model(&model, (uint32_t)prng_below(&prng, MODEL_KEYS));
        cr_assert_eq(table.group_count, model.count);
        for (uint32_t i = 0; i < MODEL_KEYS; i++) {
            uint8_t room[4];
            if (model.groups[i] != NULL) {
                cr_assert_eq(find_or_add(0, poor_hash(i), key_of_number(i, room)), model.groups[i],
                             "step %d key %u", step, i);
            }
        }
    }
}

Test(group_table, limit_refuses_a_group_and_leaves_the_others)
{
    group_table_done(&table);
    group_table_init(&table, STATES, 8192);
    uint8_t room[4];
    struct group *group = NULL;
    uint32_t count = 0;
    while (group_table_find_or_add(&table, 0, count, key_of_number(count, room), &group) ==
           STATUS_OK) {
        count += 1;
        cr_assert_lt(count, 8192);
    }
    cr_expect_eq(table.group_count, count);
    for (uint32_t i = 0; i < count; i++) {
        find_or_add(0, i, key_of_number(i, room));
    }
    cr_expect_eq(table.group_count, count);
}

Test(group_table, all_are_listed_and_sorted_by_window_then_key)
{
    static const struct {
        int64_t window_start;
        const char *key;
    } sorted[] = {
        {GROUP_TABLE_NO_WINDOW, "z"}, {-5, "b"}, {0, "a"}, {0, "a\x7f"}, {0, "ab"}, {0, "\x80"}};
    enum { COUNT = sizeof sorted / sizeof sorted[0] };
    for (int i = COUNT - 1; i >= 0; i--) {
        struct wire_bytes key = key_of(sorted[i].key, strlen(sorted[i].key));
        find_or_add(sorted[i].window_start, (uint64_t)i, key);
    }
    struct group *groups[COUNT];
    group_table_list(&table, groups);
    group_table_sort(groups, COUNT);
    /* 'b' (0x62) stands before 0x7f, and 0x80 behind both: bytes are not signed. */
    static const int order[COUNT] = {0, 1, 2, 4, 3, 5};
    for (int i = 0; i < COUNT; i++) {
        const char *key = sorted[order[i]].key;
        cr_expect_eq(groups[i]->window_start, sorted[order[i]].window_start);
        cr_expect_eq(groups[i]->key_byte_count, strlen(key));
        cr_expect_arr_eq(groups[i]->key, key, strlen(key));
    }
    group_table_sort(NULL, 0);
}

Test(group_table, reset_forgets_all_and_the_table_is_used_again)
{
    uint8_t room[4];
    for (uint32_t i = 0; i < 1000; i++) {
        find_or_add(0, i, key_of_number(i, room));
    }
    size_t full_bytes = group_table_bytes(&table);

    group_table_reset(&table);
    cr_expect_eq(table.group_count, 0);
    cr_expect_lt(group_table_bytes(&table), full_bytes);
    struct group *group = NULL;
    cr_expect_eq(group_table_remove(&table, 0, 5, key_of_number(5, room), &group),
                 STATUS_NOT_FOUND);
    cr_expect_eq(find_or_add(0, 5, key_of_number(5, room))->input_count, 0);
    cr_expect_eq(table.group_count, 1);
}

Test(group_table, bytes_are_those_of_arena_and_slots)
{
    cr_expect_eq(group_table_bytes(&table), 0);
    find_or_add(0, 1, key_of("a", 1));
    cr_expect_eq(group_table_bytes(&table),
                 table.arena.byte_count + table.slot_count * sizeof(struct group *));
    cr_expect_gt(group_table_bytes(&table), sizeof(struct group));
}
