/* Goal: one cluster is born, of voters that were all there and all empty; who was wiped takes no
 * part.
 * Method: births talk to each other by function calls, in any order. */
#include "raft/quorum_birth.h"

#include <criterion/criterion.h>
#include <string.h>

static const int32_t ids[3] = {1, 2, 3};
static struct quorum_birth births[4]; /* By node id. */
static struct quorum_meta metas[4];   /* What came of it. */
static bool is_born[4];

static void begin(int32_t node_id, uint8_t directory)
{
    struct quorum_meta meta = {.node_id = node_id};
    memset(meta.directory_id, directory, sizeof meta.directory_id);
    quorum_birth_init(&births[node_id], &meta, ids, 3);
    is_born[node_id] = false;
}

static void set_up(void)
{
    for (int32_t i = 1; i <= 3; i++) {
        begin(i, (uint8_t)(i * 16));
    }
}

/* `from` says what it knows; `to` listens if it is not born. */
static void say(int32_t from, int32_t to)
{
    struct quorum_message_hello hello;
    const uint8_t *cluster_id = births[from].meta.cluster_id;
    quorum_birth_hello(&births[from], &hello);
    if (is_born[from]) {
        cluster_id = metas[from].cluster_id;
        hello.is_born = true;
        hello.known_count = metas[from].voter_count;
        memcpy(hello.known, metas[from].voters, sizeof hello.known);
    }
    if (!is_born[to] && quorum_birth_hear(&births[to], &hello, cluster_id, &metas[to])) {
        is_born[to] = true;
    }
}

static void all_say(void)
{
    for (int32_t from = 1; from <= 3; from++) {
        for (int32_t to = 1; to <= 3; to++) {
            if (from != to) {
                say(from, to);
            }
        }
    }
}

TestSuite(quorum_birth, .init = set_up);

Test(quorum_birth, all_are_born_with_one_configuration)
{
    all_say();
    all_say();
    all_say();

    for (int32_t i = 1; i <= 3; i++) {
        cr_assert(is_born[i]);
        cr_expect_eq(metas[i].voter_count, 3);
        cr_expect_arr_eq(metas[i].voters, metas[1].voters, sizeof metas[1].voters);
        cr_expect_arr_eq(metas[i].cluster_id, metas[1].cluster_id, 16);
        cr_expect_eq(metas[i].node_id, i);
    }
}

Test(quorum_birth, nobody_is_born_while_one_is_silent)
{
    for (int i = 0; i < 10; i++) {
        say(1, 2);
        say(2, 1);
    }

    cr_expect_not(is_born[1] || is_born[2]);
}

Test(quorum_birth, one_that_was_away_is_born_as_it_had_agreed)
{
    all_say();
    all_say();
    is_born[3] = false; /* It crashed before it wrote anything. */
    begin(3, 3 * 16);

    say(1, 3);

    cr_assert(is_born[3]);
    cr_expect_arr_eq(metas[3].cluster_id, metas[1].cluster_id, 16);
    cr_expect_arr_eq(metas[3].voters, metas[1].voters, sizeof metas[1].voters);
}

Test(quorum_birth, wiped_voter_is_not_born_again)
{
    for (int i = 0; i < 3; i++) {
        all_say();
    }
    begin(3, 99);

    for (int i = 0; i < 10; i++) {
        all_say();
    }

    cr_expect_not(is_born[3]);
    cr_expect(births[3].is_foreign);
}

Test(quorum_birth, two_wiped_voters_do_not_found_a_cluster_beside_the_old_one)
{
    for (int i = 0; i < 3; i++) {
        all_say();
    }
    begin(2, 98);
    begin(3, 99);

    for (int i = 0; i < 10; i++) {
        all_say();
    }

    cr_expect_not(is_born[2] || is_born[3]);
}

Test(quorum_birth, voter_wiped_before_the_birth_is_taken_as_it_is_now)
{
    say(3, 1);
    say(3, 2);
    begin(3, 99);

    for (int i = 0; i < 3; i++) {
        all_say();
    }

    cr_assert(is_born[1] && is_born[2] && is_born[3]);
    cr_expect_eq(metas[1].voters[2].directory_id[0], 99);
    cr_expect_arr_eq(metas[2].cluster_id, metas[1].cluster_id, 16);
    cr_expect_arr_eq(metas[3].cluster_id, metas[1].cluster_id, 16);
}

Test(quorum_birth, other_list_of_voters_is_no_agreement)
{
    static const int32_t other_ids[3] = {1, 2, 4};
    struct quorum_meta meta = {.node_id = 2};
    memset(meta.directory_id, 32, sizeof meta.directory_id);
    quorum_birth_init(&births[2], &meta, other_ids, 3);

    for (int i = 0; i < 5; i++) {
        all_say();
    }

    cr_expect_not(is_born[1] || is_born[2] || is_born[3]);
}

Test(quorum_birth, cluster_id_that_one_was_told_is_everybodys)
{
    memset(births[2].meta.cluster_id, 0xab, 16);

    for (int i = 0; i < 4; i++) {
        all_say();
    }

    for (int32_t i = 1; i <= 3; i++) {
        cr_assert(is_born[i]);
        cr_expect_eq(metas[i].cluster_id[5], 0xab);
    }
}

Test(quorum_birth, two_that_were_told_different_cluster_ids_are_not_born)
{
    memset(births[2].meta.cluster_id, 0xab, 16);
    memset(births[3].meta.cluster_id, 0xcd, 16);

    for (int i = 0; i < 10; i++) {
        all_say();
    }

    cr_expect_not(is_born[1] || is_born[2] || is_born[3]);
}

Test(quorum_birth, single_voter_asks_nobody)
{
    struct quorum_meta meta = {.node_id = 1};
    memset(meta.directory_id, 16, sizeof meta.directory_id);
    memset(meta.cluster_id, 5, sizeof meta.cluster_id);
    quorum_birth_init(&births[1], &meta, ids, 1);

    cr_assert(quorum_birth_alone(&births[1], &metas[1]));

    cr_expect_eq(metas[1].voter_count, 1);
    cr_expect_eq(metas[1].cluster_id[3], 5);
}
