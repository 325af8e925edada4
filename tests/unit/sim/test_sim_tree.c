/* Goal: names are durable after the sync of their directory, and not before.
 * Method: short stories, many power cuts each; both outcomes of what was not synced must come up.
 */
#include "tests/sim/sim_tree.h"

#include <criterion/criterion.h>
#include <string.h>

static struct sim_tree tree;
static struct prng prng;

static void set_up(void)
{
    sim_tree_init(&tree);
    prng_init(&prng, 1);
}

static void tear_down(void)
{
    sim_tree_done(&tree);
}

static struct sim_inode *create(const char *path, bool is_directory)
{
    struct sim_inode *inode = NULL;
    cr_assert_eq(sim_tree_create(&tree, path, is_directory, &inode), STATUS_OK);
    return inode;
}

static void note_entry(void *context, const char *name, bool is_directory)
{
    char *text = context;
    strncat(text, name, 100);
    strncat(text, is_directory ? "/ " : " ", 100);
}

TestSuite(sim_tree, .init = set_up, .fini = tear_down);

Test(sim_tree, names_are_listed_in_byte_order)
{
    create("d", true);
    create("d/b", false);
    create("/d//a", false);
    create("d/c", true);

    char text[1000] = "";
    cr_expect_eq(sim_tree_list(&tree, "d", note_entry, text), STATUS_OK);

    cr_expect_str_eq(text, "a b c/ ");
    cr_expect_eq(sim_tree_list(&tree, "none", note_entry, text), STATUS_NOT_FOUND);
}

Test(sim_tree, synced_name_survives)
{
    for (int i = 0; i < 50; i++) {
        tear_down();
        sim_tree_init(&tree);
        create("d", true);
        create("d/a", false);
        cr_assert_eq(sim_tree_sync(&tree, "d"), STATUS_OK);
        cr_assert_eq(sim_tree_sync(&tree, "/"), STATUS_OK);
        cr_assert_eq(sim_tree_remove(&tree, "d/a"), STATUS_OK);
        cr_assert_eq(sim_tree_sync(&tree, "d"), STATUS_OK);
        create("d/b", false);
        cr_assert_eq(sim_tree_sync(&tree, "d"), STATUS_OK);

        sim_tree_cut_power(&tree, &prng);

        cr_assert_null(sim_tree_find(&tree, "d/a"));
        cr_assert_not_null(sim_tree_find(&tree, "d/b"));
    }
}

Test(sim_tree, name_in_an_unsynced_directory_may_vanish_with_it)
{
    int lost = 0;
    for (int i = 0; i < 100; i++) {
        tear_down();
        sim_tree_init(&tree);
        create("d", true);
        create("d/a", false);
        cr_assert_eq(sim_tree_sync(&tree, "d"), STATUS_OK);

        sim_tree_cut_power(&tree, &prng);

        lost += sim_tree_find(&tree, "d") == NULL;
        cr_assert_eq(sim_tree_find(&tree, "d/a") == NULL, sim_tree_find(&tree, "d") == NULL);
    }
    cr_expect(lost > 10 && lost < 90, "%d", lost);
}

Test(sim_tree, unsynced_rename_leaves_the_old_or_the_new_content)
{
    int old_left = 0;
    for (int i = 0; i < 100; i++) {
        tear_down();
        sim_tree_init(&tree);
        struct sim_inode *old = create("a", false);
        cr_assert_eq(sim_tree_sync(&tree, "/"), STATUS_OK);
        struct sim_inode *new = create("a.new", false);
        uint64_t old_id = old->id;
        uint64_t new_id = new->id;
        cr_assert_eq(sim_tree_rename(&tree, "a.new", "a"), STATUS_OK);
        cr_assert_eq(sim_tree_find(&tree, "a")->id, new_id);

        sim_tree_cut_power(&tree, &prng);

        const struct sim_inode *left = sim_tree_find(&tree, "a");
        cr_assert_not_null(left);
        cr_assert(left->id == old_id || left->id == new_id);
        cr_assert(left->id == old_id || sim_tree_find(&tree, "a.new") == NULL);
        old_left += left->id == old_id;
    }
    cr_expect(old_left > 10 && old_left < 90, "%d", old_left);
}

Test(sim_tree, unsynced_removal_may_come_back)
{
    int back = 0;
    for (int i = 0; i < 100; i++) {
        tear_down();
        sim_tree_init(&tree);
        create("a", false);
        cr_assert_eq(sim_tree_sync(&tree, "/"), STATUS_OK);
        cr_assert_eq(sim_tree_remove(&tree, "a"), STATUS_OK);
        cr_assert_null(sim_tree_find(&tree, "a"));

        sim_tree_cut_power(&tree, &prng);

        back += sim_tree_find(&tree, "a") != NULL;
    }
    cr_expect(back > 10 && back < 90, "%d", back);
}

Test(sim_tree, move_between_directories_needs_both_synced)
{
    create("d", true);
    create("e", true);
    create("d/a", false);
    cr_assert_eq(sim_tree_sync(&tree, "d"), STATUS_OK);
    cr_assert_eq(sim_tree_sync(&tree, "/"), STATUS_OK);

    cr_assert_eq(sim_tree_rename(&tree, "d/a", "e/a"), STATUS_OK);
    cr_assert_eq(sim_tree_sync(&tree, "e"), STATUS_OK);
    cr_expect_eq(tree.change_count, 1);
    cr_assert_eq(sim_tree_sync(&tree, "d"), STATUS_OK);
    cr_expect_eq(tree.change_count, 0);

    sim_tree_cut_power(&tree, &prng);
    cr_expect_null(sim_tree_find(&tree, "d/a"));
    cr_expect_not_null(sim_tree_find(&tree, "e/a"));
}

Test(sim_tree, refusals_change_nothing)
{
    create("d", true);
    create("d/a", false);
    struct sim_inode *inode = NULL;

    cr_expect_eq(sim_tree_create(&tree, "d", true, &inode), STATUS_EXISTS);
    cr_expect_eq(sim_tree_create(&tree, "x/y", false, &inode), STATUS_NOT_FOUND);
    cr_expect_eq(sim_tree_create(&tree, "d/a/b", false, &inode), STATUS_IO);
    cr_expect_eq(sim_tree_remove(&tree, "d"), STATUS_EXISTS);
    cr_expect_eq(sim_tree_remove(&tree, "x"), STATUS_NOT_FOUND);
    cr_expect_eq(sim_tree_rename(&tree, "x", "y"), STATUS_NOT_FOUND);
    cr_expect_eq(sim_tree_rename(&tree, "d/a", "d"), STATUS_IO);
    cr_expect_eq(tree.change_count, 2);
}
