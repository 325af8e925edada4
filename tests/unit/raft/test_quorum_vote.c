/* Goal: a vote that was given is never taken back by a crash or by one damaged copy.
 * Method: the simulated disk; deaths at each operation; flipped bits. */
#include "raft/quorum_vote.h"
#include "tests/sim/sim_disk.h"
#include "tests/unit/raft/golden.h"

#include <signal.h>

static const uint8_t directory_id[16] = "directory-id-16";
static struct sim_world *world;
static struct sim_node *node;
static struct loop *loop;
static struct quorum_vote vote;

static void begin(void)
{
    cr_assert(sim_node_start(node));
    loop = sim_node_loop(node, 0);
}

static void set_up(void)
{
    world = sim_world_new(&(struct sim_world_options){.seed = 1});
    node = sim_node_add(world, &(struct sim_node_options){.loop_count = 1});
    begin();
}

static void tear_down(void)
{
    quorum_vote_done(&vote);
    cr_expect_not(world->has_failed, "%s", world->failure);
    sim_world_free(world);
}

static enum status load(void)
{
    quorum_vote_done(&vote);
    return quorum_vote_load(&vote, loop->disk, ".", directory_id);
}

TestSuite(quorum_vote, .init = set_up, .fini = tear_down);

Test(quorum_vote, bytes_are_those_of_version_1)
{
    uint8_t bytes[64];
    cr_assert_eq(quorum_vote_create(&vote, loop->disk, ".", directory_id, 1), STATUS_OK);
    cr_assert_eq(quorum_vote_store(&vote, 7, 0x300000005), STATUS_OK);

    for (uint64_t copy = 0; copy < 2; copy++) {
        cr_assert_eq(sim_disk_peek(node->disk, "vote", copy * 4096, bytes, sizeof bytes), 64);
        expect_golden(bytes, sizeof bytes,
                      "1361de8501000000020000000000000007000000000000000500000003000000"
                      "6469726563746f72792d69642d31360000000000000000000000000000000000");
    }
}

Test(quorum_vote, what_was_stored_is_loaded)
{
    cr_assert_eq(quorum_vote_create(&vote, loop->disk, ".", directory_id, 1), STATUS_OK);
    cr_assert_eq(quorum_vote_store(&vote, 7, 5), STATUS_OK);

    cr_assert_eq(load(), STATUS_OK);

    cr_expect_eq(vote.term, 7);
    cr_expect_eq(vote.voted_for, 5);
}

Test(quorum_vote, one_damaged_copy_is_made_good_by_the_other)
{
    cr_assert_eq(quorum_vote_create(&vote, loop->disk, ".", directory_id, 1), STATUS_OK);
    cr_assert_eq(quorum_vote_store(&vote, 7, 5), STATUS_OK);
    for (uint64_t copy = 0; copy < 2; copy++) {
        cr_assert(sim_disk_flip_bit(node->disk, "vote", copy * 4096 + 17, 3));

        cr_assert_eq(load(), STATUS_OK);

        cr_expect_eq(vote.term, 7);
        cr_expect_eq(vote.voted_for, 5);
    }
}

Test(quorum_vote, two_damaged_copies_or_none_are_corrupt)
{
    cr_expect_eq(load(), STATUS_CORRUPT);
    cr_assert_eq(quorum_vote_create(&vote, loop->disk, ".", directory_id, 1), STATUS_OK);
    cr_assert(sim_disk_flip_bit(node->disk, "vote", 17, 3));
    cr_assert(sim_disk_flip_bit(node->disk, "vote", 4096 + 17, 3));

    cr_expect_eq(load(), STATUS_CORRUPT);
}

Test(quorum_vote, file_of_another_directory_is_corrupt)
{
    static const uint8_t other_id[16] = "another-direct-";
    cr_assert_eq(quorum_vote_create(&vote, loop->disk, ".", other_id, 1), STATUS_OK);

    cr_expect_eq(load(), STATUS_CORRUPT);
}

Test(quorum_vote, second_vote_in_a_term_aborts, .signal = SIGABRT)
{
    cr_assert_eq(quorum_vote_create(&vote, loop->disk, ".", directory_id, 1), STATUS_OK);
    cr_assert_eq(quorum_vote_store(&vote, 7, 5), STATUS_OK);

    status_ignore(quorum_vote_store(&vote, 7, 6), "never returns");
}

static uint64_t stored_term;

static void store_terms(void *context)
{
    (void)context;
    for (uint64_t term = 2; term < 40; term++) {
        cr_assert_eq(quorum_vote_store(&vote, term, term * 100), STATUS_OK);
        stored_term = term;
    }
}

Test(quorum_vote, death_keeps_the_last_stored_or_the_one_under_way)
{
    for (uint64_t operation = 1; operation < 100; operation++) {
        sim_node_enter(node);
        cr_assert_eq(quorum_vote_create(&vote, loop->disk, ".", directory_id, 1), STATUS_OK);
        sim_node_leave(node);
        stored_term = 1;
        sim_disk_die_at(node->disk, operation, SIM_NODE_POWERLESS);

        cr_assert_not(sim_node_run(node, store_terms, NULL));
        begin();
        vote = (struct quorum_vote){0};
        cr_assert_eq(load(), STATUS_OK);

        cr_expect(vote.term == stored_term || vote.term == stored_term + 1);
        cr_expect(vote.term == 1 || vote.voted_for == vote.term * 100);
    }
}
