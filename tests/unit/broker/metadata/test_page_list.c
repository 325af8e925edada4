/* Goal: the list holds what a plain sorted array would hold, and shares what was not edited.
 * Method: seeded random edits, each compared with an array of flags; then sharing by pointer. */
#include "broker/metadata/page_list.h"

#include "proto/sys/prng.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define KEY_COUNT 500

struct number {
    struct shared_node shared;
    int value;
};

static int living_count;

static void free_number(struct shared_node *shared)
{
    free(shared);
    living_count -= 1;
}

static struct number *number_new(int value)
{
    struct number *self = shared_node_memory(1, sizeof *self);
    shared_node_init(&self->shared, free_number);
    self->value = value;
    living_count += 1;
    return self;
}

static int compare_number(const void *key, const void *item)
{
    const int *value = key;
    const struct number *number = item;
    return (*value > number->value) - (*value < number->value);
}

static int compare_items(const void *left, const void *right)
{
    const struct number *number = left;
    return compare_number(&number->value, right);
}

static struct page_list *edit_range(struct page_list *list, int first, int count, bool is_adding)
{
    struct page_list_edit *edits = calloc((size_t)count, sizeof *edits);
    int *keys = calloc((size_t)count, sizeof *keys);
    for (int i = 0; i < count; i++) {
        keys[i] = first + i;
        edits[i].key = &keys[i];
        edits[i].item = is_adding ? &number_new(keys[i])->shared : NULL;
    }
    struct page_list *next = page_list_edited(list, edits, (uint32_t)count, compare_number);
    for (int i = 0; i < count; i++) {
        shared_node_unref(edits[i].item);
    }
    free(edits);
    free(keys);
    page_list_unref(list);
    return next;
}

static int value_at(const struct page_list *list, uint32_t index)
{
    const struct number *number = (const void *)page_list_at(list, index);
    return number->value;
}

Test(page_list, holds_the_same_as_a_plain_set_after_random_edits)
{
    bool is_there[KEY_COUNT] = {false};
    struct prng prng;
    prng_init(&prng, 7);
    struct page_list *list = page_list_new();

    for (int round = 0; round < 400; round++) {
        int count = 1 + (int)prng_below(&prng, 40);
        int first = (int)prng_below(&prng, (uint64_t)(KEY_COUNT - count));
        bool is_adding = prng_below(&prng, 3) > 0;
        list = edit_range(list, first, count, is_adding);
        for (int i = first; i < first + count; i++) {
            is_there[i] = is_adding;
        }

        uint32_t expected = 0;
        for (int key = 0; key < KEY_COUNT; key++) {
            struct shared_node *found = page_list_find(list, &key, compare_number);
            cr_assert_eq(found != NULL, is_there[key], "round %d key %d", round, key);
            if (is_there[key]) {
                cr_assert_eq(value_at(list, expected), key);
                expected += 1;
            }
        }
        cr_assert_eq(page_list_count(list), expected);
    }
    page_list_unref(list);
    cr_expect_eq(living_count, 0, "%d items leaked", living_count);
}

static int visit_count;

static void count_visit(void *context, struct shared_node *before, struct shared_node *after)
{
    int *sum = context;
    visit_count += 1;
    if (before != NULL) {
        *sum -= ((struct number *)(void *)before)->value;
    }
    if (after != NULL) {
        *sum += ((struct number *)(void *)after)->value;
    }
}

Test(page_list, differences_name_exactly_what_was_edited)
{
    int sum = 0;
    struct page_list *before = edit_range(page_list_new(), 0, 300, true);
    struct page_list *after = edit_range(page_list_ref(before), 100, 3, false);
    after = edit_range(after, 1000, 1, true);

    page_list_differences(before, after, compare_items, count_visit, &sum);

    cr_expect_eq(visit_count, 4);
    cr_expect_eq(sum, 1000 - 100 - 101 - 102);
    page_list_unref(before);
    page_list_unref(after);
}

Test(page_list, what_was_not_edited_is_the_same_node)
{
    int key = 250;
    struct page_list *before = edit_range(page_list_new(), 0, 300, true);
    struct page_list *after = edit_range(page_list_ref(before), 10, 1, false);

    cr_expect_eq(page_list_find(before, &key, compare_number),
                 page_list_find(after, &key, compare_number));
    cr_expect_eq(living_count, 300); /* The old list still holds the removed one. */
    page_list_unref(before);
    cr_expect_eq(living_count, 299);
    page_list_unref(after);
}
