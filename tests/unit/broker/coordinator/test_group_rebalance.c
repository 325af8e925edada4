/* Goal: a processor that dies is missed when its connection breaks, and nobody else is.
 * Method: members speak frames to a whole broker in the simulated world; time is the world's. */
#include "proto/kafka/error_code.h"
#include "tests/rig/group_talk.h"

#include <criterion/criterion.h>

static struct broker_world world;
static struct wire_client tool;
static struct group_talk_member one;
static struct group_talk_member two;
static const char *const settings[] = {"internal.topic.partitions=2", NULL};

static void set_up(void)
{
    broker_world_init(&world,
                      &(struct broker_world_options){.shard_count = 2, .settings = settings}, NULL);
    broker_world_start_all(&world);
    wire_client_open(&tool, &world, 0);
    group_talk_find(&tool, "g");
    group_talk_open(&one, &world, "g");
    group_talk_open(&two, &world, "g");
    one.type = "millrace";
    two.type = "millrace";
}

static void tear_down(void)
{
    broker_world_done(&world);
}

TestSuite(group_rebalance, .init = set_up, .fini = tear_down);

static void sync_both(void)
{
    group_talk_ask_sync(&one, (const char *const[]){one.id, "A", two.id, "B", NULL});
    cr_assert_eq(group_talk_take_sync(&one), 0);
    group_talk_ask_sync(&two, NULL);
    cr_assert_eq(group_talk_take_sync(&two), 0);
}

/* Both are in; `one` leads. */
static void make_pair(void)
{
    group_talk_begin_join(&one);
    cr_assert_eq(group_talk_take_join(&one), 0);
    if (two.instance == NULL) {
        group_talk_begin_join(&two);
    } else {
        group_talk_ask_join(&two);
    }
    cr_assert(wire_client_is_quiet_for(&two.client, 100));
    group_talk_ask_join(&one);
    cr_assert_eq(group_talk_take_join(&one), 0);
    cr_assert_eq(group_talk_take_join(&two), 0);
    sync_both();
}

/* `one` is heard all the time and meets no rebalance. */
static void expect_peace_ms(int64_t duration_ms)
{
    for (int64_t past_ms = 0; past_ms < duration_ms; past_ms += 100) {
        broker_world_run_ms(&world, 100);
        cr_assert_eq(group_talk_heartbeat(&one), 0);
    }
}

static void expect_alone(void)
{
    cr_expect_eq(group_talk_heartbeat(&one), ERROR_CODE_REBALANCE_IN_PROGRESS);
    group_talk_ask_join(&one);
    cr_expect_eq(group_talk_take_join(&one), 0);
    cr_expect_eq(one.joined.members_count, 1);
}

Test(group_rebalance, a_processor_is_out_soon_after_its_connection_breaks)
{
    make_pair();
    wire_client_close(&two.client);
    expect_peace_ms(400);
    broker_world_run_ms(&world, 200);
    expect_alone();
}

Test(group_rebalance, the_connection_of_the_last_heartbeat_counts_too)
{
    make_pair();
    wire_client_close(&two.client);
    wire_client_open(&two.client, &world, 0);
    cr_assert_eq(group_talk_heartbeat(&two), 0); /* The first thing that it says over this one. */
    wire_client_close(&two.client);
    broker_world_run_ms(&world, 600);
    expect_alone();
}

Test(group_rebalance, a_processor_that_speaks_again_in_time_stays)
{
    make_pair();
    wire_client_close(&two.client);
    wire_client_open(&two.client, &world, 0);
    expect_peace_ms(300);
    cr_assert_eq(group_talk_heartbeat(&two), 0);
    expect_peace_ms(9000); /* Of a session of 10 s. */
    cr_expect_eq(group_talk_heartbeat(&two), 0);
}

Test(group_rebalance, the_end_of_an_old_connection_says_nothing)
{
    static struct group_talk_member again;
    make_pair();
    group_talk_open(&again, &world, "g");
    memcpy(again.id, two.id, sizeof again.id);
    again.generation = two.generation;
    cr_assert_eq(group_talk_heartbeat(&again), 0);
    wire_client_close(&two.client);
    expect_peace_ms(3000);
    cr_expect_eq(group_talk_heartbeat(&again), 0);
    wire_client_close(&again.client);
    broker_world_run_ms(&world, 600);
    expect_alone();
}

Test(group_rebalance, a_processor_that_went_while_it_waited_is_out_soon_after_its_answer)
{
    group_talk_begin_join(&one);
    cr_assert_eq(group_talk_take_join(&one), 0);
    group_talk_begin_join(&two);
    cr_assert(wire_client_is_quiet_for(&two.client, 100));
    wire_client_close(&two.client);
    broker_world_run_ms(&world, 1000);
    group_talk_ask_join(&one);
    cr_assert_eq(group_talk_take_join(&one), 0);
    cr_expect_eq(one.joined.members_count, 2); /* Who waits is taken along. */
    group_talk_ask_sync(&one, NULL);
    cr_assert_eq(group_talk_take_sync(&one), 0);
    expect_peace_ms(300);
    broker_world_run_ms(&world, 300);
    expect_alone();
}

Test(group_rebalance, a_broken_connection_never_makes_a_session_longer)
{
    two.session_ms = 300;
    make_pair();
    broker_world_run_ms(&world, 100);
    wire_client_close(&two.client);
    broker_world_run_ms(&world, 250);
    expect_alone();
}

static void expect_two_stays_to_the_end_of_its_session(void)
{
    two.session_ms = 6000;
    make_pair();
    wire_client_close(&two.client);
    expect_peace_ms(5500);
    broker_world_run_ms(&world, 700);
    expect_alone();
}

Test(group_rebalance, a_consumer_stays_to_the_end_of_its_session)
{
    one.type = NULL;
    two.type = NULL;
    expect_two_stays_to_the_end_of_its_session();
}

Test(group_rebalance, a_static_processor_may_be_away)
{
    two.instance = "i";
    expect_two_stays_to_the_end_of_its_session();
}

Test(group_rebalance, a_broken_connection_of_who_left_is_nothing)
{
    make_pair();
    cr_assert_eq(group_talk_leave(&two), 0);
    wire_client_close(&two.client);
    expect_alone();
    group_talk_ask_sync(&one, NULL);
    cr_assert_eq(group_talk_take_sync(&one), 0);
    expect_peace_ms(2000);
}

Test(group_rebalance, of_many_members_over_one_connection_the_latest_are_watched)
{
    static const char *const groups[] = {"g0", "g1", "g2", "g3", "g4"};
    for (size_t i = 0; i < 5; i++) {
        two.group = groups[i];
        two.id[0] = '\0';
        group_talk_begin_join(&two);
        cr_assert_eq(group_talk_take_join(&two), 0);
        group_talk_ask_sync(&two, NULL);
        cr_assert_eq(group_talk_take_sync(&two), 0);
        cr_assert_eq(group_talk_heartbeat(&two), 0); /* Known already: it takes no place. */
    }
    wire_client_close(&two.client);
    broker_world_run_ms(&world, 600);
    cr_expect_str_eq(group_talk_state(&tool, "g0"), "Stable");
    for (size_t i = 1; i < 5; i++) {
        cr_expect_str_eq(group_talk_state(&tool, groups[i]), "Empty");
    }
}
