/* Goal: what a group committed ends with its topic, and not because a node is behind.
 * Method: a whole broker in the simulated world; a topic is deleted and made again. */
#include "broker/api/serve_offset_fetch.h"

#include "proto/kafka/api_key.h"
#include "proto/kafka/offset_fetch.h"
#include "tests/rig/group_talk.h"
#include "tests/rig/kafka_talk.h"

#include <criterion/criterion.h>

static struct broker_world world;
static struct wire_client client;
static const char *const settings[] = {"internal.topic.partitions=1", NULL};

static void set_up(void)
{
    broker_world_init(&world,
                      &(struct broker_world_options){.shard_count = 2, .settings = settings}, NULL);
    broker_world_start_all(&world);
    wire_client_open(&client, &world, 0);
    group_talk_find(&client, "g");
    cr_assert_eq(kafka_talk_create(&client, "t", 1, 1, NULL), 0);
    cr_assert_eq(group_talk_commit(&client, "g", -1, NULL, 5), 0);
}

static void tear_down(void)
{
    wire_client_close(&client);
    broker_world_done(&world);
}

TestSuite(serve_offset_fetch, .init = set_up, .fini = tear_down, .timeout = 60);

/* How many topics the group has offsets of; the offset of the first one. */
static int32_t ask_all(int16_t version, int64_t *out_offset)
{
    struct kafka_offset_fetch_request_offset_fetch_request_group one = {
        .group_id = wire_text_of("g"), .member_epoch = -1, .topics_count = -1};
    one.member_id = wire_text_of(NULL);
    struct kafka_offset_fetch_request request = {.groups = &one, .groups_count = 1};
    struct kafka_offset_fetch_response answer;
    cr_assert(wire_client_call(&client, API_KEY_OFFSET_FETCH, version, &request, &answer));
    cr_assert_eq(answer.groups[0].error_code, 0);
    int32_t count = answer.groups[0].topics_count;
    if (count > 0) {
        cr_assert_eq(answer.groups[0].topics[0].partitions_count, 1);
        *out_offset = answer.groups[0].topics[0].partitions[0].committed_offset;
    }
    return count;
}

static void expect_all(int32_t count, int64_t offset)
{
    for (int16_t version = 8; version <= 10; version++) {
        int64_t found = -1;
        cr_expect_eq(ask_all(version, &found), count, "version %d", version);
        cr_expect_eq(found, offset, "version %d", version);
    }
}

Test(serve_offset_fetch, offsets_end_with_their_topic)
{
    expect_all(1, 5);
    cr_expect_eq(group_talk_committed(&client, "g"), 5);
    cr_assert_eq(kafka_talk_delete(&client, "t"), 0);
    broker_world_run_ms(&world, 500);
    expect_all(0, -1);
}

/* Here the topic has gone; to a node whose image lags behind one that is new looks the same. */
Test(serve_offset_fetch, who_named_a_topic_that_a_node_does_not_know_began_anew)
{
    cr_assert_eq(kafka_talk_delete(&client, "t"), 0);
    broker_world_run_ms(&world, 500);
    cr_expect_eq(group_talk_committed(&client, "g"), 5);
}

Test(serve_offset_fetch, a_topic_of_the_same_name_begins_without_offsets)
{
    cr_assert_eq(kafka_talk_delete(&client, "t"), 0);
    broker_world_run_ms(&world, 500);
    cr_assert_eq(kafka_talk_create(&client, "t", 1, 1, NULL), 0);
    expect_all(0, -1);
    cr_expect_eq(group_talk_committed(&client, "g"), -1);
    cr_assert_eq(group_talk_commit(&client, "g", -1, NULL, 7), 0);
    expect_all(1, 7);
    cr_expect_eq(group_talk_committed(&client, "g"), 7);
}
