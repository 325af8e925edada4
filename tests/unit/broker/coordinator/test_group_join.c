/* Goal: a group comes from one generation to the next as Kafka's clients expect it.
 * Method: members speak frames to a whole broker in the simulated world; time is the world's. */
#include "proto/kafka/error_code.h"
#include "tests/rig/group_talk.h"
#include "tests/rig/kafka_talk.h"

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
    cr_assert_eq(kafka_talk_create(&tool, "t", 4, 1, NULL), 0);
    group_talk_find(&tool, "g");
    group_talk_open(&one, &world, "g");
    group_talk_open(&two, &world, "g");
}

static void tear_down(void)
{
    broker_world_done(&world);
}

TestSuite(group_join, .init = set_up, .fini = tear_down);

/* The first generation, with `one` alone. */
static void make_stable(void)
{
    group_talk_begin_join(&one);
    cr_assert_eq(group_talk_take_join(&one), 0);
    group_talk_ask_sync(&one, (const char *const[]){one.id, "all", NULL});
    cr_assert_eq(group_talk_take_sync(&one), 0);
}

/* Both, with an assignment each; `one` leads. */
static void make_pair(void)
{
    make_stable();
    group_talk_begin_join(&two);
    cr_assert(wire_client_is_quiet_for(&two.client, 100));
    cr_assert_eq(group_talk_heartbeat(&one), ERROR_CODE_REBALANCE_IN_PROGRESS);
    group_talk_ask_join(&one);
    cr_assert_eq(group_talk_take_join(&one), 0);
    cr_assert_eq(group_talk_take_join(&two), 0);
    group_talk_ask_sync(&two, NULL);
    cr_assert(wire_client_is_quiet_for(&two.client, 100));
    group_talk_ask_sync(&one, (const char *const[]){one.id, "A", two.id, "B", NULL});
    cr_assert_eq(group_talk_take_sync(&one), 0);
    cr_assert_eq(group_talk_take_sync(&two), 0);
}

static bool is_assigned(const struct group_talk_member *member, const char *text)
{
    return member->synced.assignment.byte_count == (int32_t)strlen(text) &&
           memcmp(member->synced.assignment.bytes, text, strlen(text)) == 0;
}

Test(group_join, a_new_member_is_given_an_id_and_comes_back_with_it)
{
    group_talk_ask_join(&one);
    cr_expect_eq(group_talk_take_join(&one), ERROR_CODE_MEMBER_ID_REQUIRED);
    cr_expect_neq(one.id[0], '\0');
    group_talk_ask_join(&one);
    cr_expect_eq(group_talk_take_join(&one), 0);
    cr_expect_eq(one.joined.generation_id, 1);
    cr_expect_eq(one.joined.members_count, 1);
    cr_expect(wire_text_equals(one.joined.leader, one.id));
}

Test(group_join, two_members_share_what_the_leader_assigns)
{
    make_pair();
    cr_expect_eq(one.generation, 2);
    cr_expect_eq(two.generation, 2);
    cr_expect_eq(one.joined.members_count, 2);
    cr_expect_eq(two.joined.members_count, 0);
    cr_expect(is_assigned(&one, "A"));
    cr_expect(is_assigned(&two, "B"));
    cr_expect_str_eq(group_talk_state(&tool, "g"), "Stable");
}

Test(group_join, a_member_that_leaves_makes_the_others_join_again)
{
    make_pair();
    cr_expect_eq(group_talk_leave(&two), 0);
    cr_expect_eq(group_talk_heartbeat(&one), ERROR_CODE_REBALANCE_IN_PROGRESS);
    group_talk_ask_join(&one);
    cr_expect_eq(group_talk_take_join(&one), 0);
    cr_expect_eq(one.generation, 3);
    cr_expect_eq(one.joined.members_count, 1);
    cr_expect_eq(group_talk_leave(&two), ERROR_CODE_UNKNOWN_MEMBER_ID);
}

Test(group_join, a_silent_member_is_out_when_its_session_ends)
{
    two.session_ms = 6000;
    make_pair();
    for (int second = 0; second < 5; second++) {
        broker_world_run_ms(&world, 1000);
        cr_assert_eq(group_talk_heartbeat(&one), 0);
    }
    broker_world_run_ms(&world, 1500);
    cr_expect_eq(group_talk_heartbeat(&one), ERROR_CODE_REBALANCE_IN_PROGRESS);
    group_talk_ask_join(&one);
    cr_expect_eq(group_talk_take_join(&one), 0);
    cr_expect_eq(one.joined.members_count, 1);
}

Test(group_join, who_does_not_join_again_in_time_is_left_behind)
{
    one.session_ms = 60000;
    make_stable();
    group_talk_begin_join(&two);
    cr_expect(wire_client_is_quiet_for(&two.client, 19000)); /* one's rebalance timeout: 20 s. */
    cr_expect_eq(group_talk_take_join(&two), 0);
    cr_expect(wire_text_equals(two.joined.leader, two.id));
    cr_expect_eq(two.joined.members_count, 1);
    cr_expect_eq(group_talk_heartbeat(&one), ERROR_CODE_UNKNOWN_MEMBER_ID);
}

Test(group_join, who_never_syncs_is_left_behind)
{
    one.session_ms = 60000;
    make_stable();
    group_talk_begin_join(&two);
    group_talk_ask_join(&one);
    cr_assert_eq(group_talk_take_join(&one), 0);
    cr_assert_eq(group_talk_take_join(&two), 0);
    group_talk_ask_sync(&two, NULL); /* The leader, one, says nothing. */
    cr_expect(wire_client_is_quiet_for(&two.client, 19000));
    cr_expect_eq(group_talk_take_sync(&two), ERROR_CODE_REBALANCE_IN_PROGRESS);
    group_talk_ask_join(&two);
    cr_expect_eq(group_talk_take_join(&two), 0);
    cr_expect_eq(two.joined.members_count, 1);
}

Test(group_join, generations_and_ids_are_held_against_what_is_known)
{
    make_pair();
    one.generation -= 1;
    cr_expect_eq(group_talk_heartbeat(&one), ERROR_CODE_ILLEGAL_GENERATION);
    group_talk_ask_sync(&one, NULL);
    cr_expect_eq(group_talk_take_sync(&one), ERROR_CODE_ILLEGAL_GENERATION);
    cr_expect_eq(group_talk_commit(&tool, "g", one.generation, one.id, 5),
                 ERROR_CODE_ILLEGAL_GENERATION);
    cr_expect_eq(group_talk_commit(&tool, "g", 2, "stranger", 5), ERROR_CODE_UNKNOWN_MEMBER_ID);
    cr_expect_eq(group_talk_commit(&tool, "g", -1, NULL, 5), ERROR_CODE_UNKNOWN_MEMBER_ID);
    cr_expect_eq(group_talk_commit(&tool, "g", 2, one.id, 5), 0);
    cr_expect_eq(group_talk_committed(&tool, "g"), 5);
}

Test(group_join, limits_and_protocols_are_kept)
{
    one.session_ms = 5999;
    group_talk_ask_join(&one);
    cr_expect_eq(group_talk_take_join(&one), ERROR_CODE_INVALID_SESSION_TIMEOUT);
    one.type = "millrace"; /* The processors' own. */
    one.session_ms = 2000;
    group_talk_ask_join(&one);
    cr_expect_eq(group_talk_take_join(&one), ERROR_CODE_MEMBER_ID_REQUIRED);
    one.type = NULL;
    one.session_ms = 0;
    one.id[0] = '\0';
    make_stable();
    two.protocol = "other";
    group_talk_ask_join(&two);
    cr_expect_eq(group_talk_take_join(&two), ERROR_CODE_INCONSISTENT_GROUP_PROTOCOL);
    two.group = "";
    group_talk_ask_join(&two);
    cr_expect_eq(group_talk_take_join(&two), ERROR_CODE_INVALID_GROUP_ID);
}

Test(group_join, a_static_member_takes_its_old_place_without_a_rebalance)
{
    one.instance = "i";
    group_talk_ask_join(&one);
    cr_assert_eq(group_talk_take_join(&one), 0);
    group_talk_ask_sync(&one, (const char *const[]){one.id, "all", NULL});
    cr_assert_eq(group_talk_take_sync(&one), 0);
    two.instance = "i"; /* The same instance, started again. */
    group_talk_ask_join(&two);
    cr_expect_eq(group_talk_take_join(&two), 0);
    cr_expect_eq(two.generation, 1);
    cr_expect(two.joined.skip_assignment);
    group_talk_ask_sync(&two, NULL);
    cr_expect_eq(group_talk_take_sync(&two), 0);
    cr_expect(is_assigned(&two, "all"));
    cr_expect_eq(group_talk_heartbeat(&one), ERROR_CODE_FENCED_INSTANCE_ID);
    cr_expect_eq(group_talk_heartbeat(&two), 0);
}

Test(group_join, the_last_one_leaves_an_empty_group_that_outlives_a_restart)
{
    make_pair();
    cr_assert_eq(group_talk_commit(&tool, "g", 2, one.id, 7), 0);
    cr_assert_eq(group_talk_leave(&one), 0);
    cr_assert_eq(group_talk_leave(&two), 0);
    cr_expect_str_eq(group_talk_state(&tool, "g"), "Empty");
    wire_client_close(&tool);
    broker_world_stop(&world, 0);
    broker_world_start_all(&world);
    wire_client_open(&tool, &world, 0);
    group_talk_find(&tool, "g");
    cr_expect_str_eq(group_talk_state(&tool, "g"), "Empty");
    cr_expect_eq(group_talk_committed(&tool, "g"), 7);
}

Test(group_join, a_group_goes_on_behind_a_power_cut_of_its_coordinator)
{
    make_pair();
    wire_client_close(&tool);
    wire_client_close(&one.client);
    wire_client_close(&two.client);
    sim_node_lose_power(world.brokers[0].node);
    broker_world_start_all(&world);
    wire_client_open(&tool, &world, 0);
    wire_client_open(&one.client, &world, 0);
    wire_client_open(&two.client, &world, 0);
    group_talk_find(&tool, "g");
    cr_expect_str_eq(group_talk_state(&tool, "g"), "Stable");
    cr_expect_eq(group_talk_heartbeat(&one), 0);
    cr_expect_eq(group_talk_heartbeat(&two), 0);
    group_talk_ask_sync(&two, NULL);
    cr_expect_eq(group_talk_take_sync(&two), 0);
    cr_expect(is_assigned(&two, "B"));
    broker_world_run_ms(&world, 10500); /* Sessions run from the load on. */
    cr_expect_eq(group_talk_heartbeat(&one), ERROR_CODE_UNKNOWN_MEMBER_ID);
}
