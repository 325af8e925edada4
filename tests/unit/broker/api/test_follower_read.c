/* Goal: a follower answers consumers as its leader would, as far as its mark goes (KIP-392), and
 * sends everybody else to the leader.
 * Method: three whole brokers in the simulated world; a client of the leader writes, another asks a
 * follower. */
#include "tests/rig/kafka_talk.h"
#include "tests/rig/txn_talk.h"

#include "broker/partition/partition_map.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/error_code.h"

#include <criterion/criterion.h>

#define VERSION_BEFORE 10

static struct broker_world world;
static struct wire_client client; /* Of the leader. */
static struct wire_client reader; /* Of a follower. */
static int32_t partition;
static const char *const settings[] = {"internal.topic.partitions=1", NULL};

static void set_up(void)
{
    struct broker_world_options options = {.broker_count = 3, .settings = settings};
    broker_world_init(&world, &options, NULL);
    broker_world_start_all(&world);
    struct wire_client maker;
    wire_client_open(&maker, &world, 0);
    cr_assert_eq(kafka_talk_create(&maker, "t", 3, 3, NULL), 0);
    txn_talk_find(&maker, "x"); /* Makes the topic of the transactions. */
    wire_client_close(&maker);
    broker_world_run_ms(&world, 2000);
    const struct broker_life *life = world.brokers[0].node->state;
    const struct image *image = partition_map_image(broker_partitions(life->broker, 0));
    const struct image_topic *txns =
        image_topic_by_name(image, wire_text_of("__transaction_state"));
    const struct image_topic *topic = image_topic_by_name(image, wire_text_of("t"));
    int32_t leader = txns->partitions[0].leader;
    for (partition = 0; topic->partitions[partition].leader != leader; partition++) {
        cr_assert_lt(partition, 2, "the coordinator leads none of them");
    }
    wire_client_open(&client, &world, (uint32_t)leader - 1);
    wire_client_open(&reader, &world, (uint32_t)(leader % 3));
}

static void tear_down(void)
{
    wire_client_close(&client);
    wire_client_close(&reader);
    broker_world_done(&world);
}

TestSuite(follower_read, .init = set_up, .fini = tear_down, .timeout = 120);

static struct kafka_fetch_response_partition_data fetch(int64_t offset, int8_t isolation)
{
    struct kafka_fetch_response answer =
        kafka_talk_fetch(&reader, &(struct kafka_talk_fetch){.topic = "t",
                                                             .partition = partition,
                                                             .offset = offset,
                                                             .min_bytes = 1,
                                                             .max_wait_ms = 2000,
                                                             .isolation = isolation});
    return *kafka_talk_fetched(&answer, 0);
}

Test(follower_read, a_follower_gives_what_is_committed)
{
    char last[64];
    cr_assert_eq(kafka_talk_put(&client, "t", partition, "one"), 0);
    struct kafka_fetch_response_partition_data data = fetch(0, 0);
    cr_expect_eq(data.error_code, ERROR_CODE_NONE);
    cr_expect_eq(data.high_watermark, 1);
    cr_expect_eq(kafka_talk_count(&data, last), 1);
    cr_expect_str_eq(last, "one");
}

Test(follower_read, a_wait_at_a_follower_ends_with_the_next_record)
{
    cr_assert_eq(kafka_talk_put(&client, "t", partition, "one"), 0);
    cr_assert_eq(fetch(0, 0).high_watermark, 1);
    struct kafka_talk_fetch next = {
        .topic = "t", .partition = partition, .offset = 1, .min_bytes = 1, .max_wait_ms = 30000};
    kafka_talk_ask_fetch(&reader, &next, 1);
    cr_expect(wire_client_is_quiet_for(&reader, 300));
    int64_t before_ns = world.world->now_ns;
    cr_assert_eq(kafka_talk_put(&client, "t", partition, "two"), 1);

    struct kafka_fetch_response answer;
    cr_assert(wire_client_answer(&reader, API_KEY_FETCH, KAFKA_TALK_FETCH_VERSION,
                                 reader.correlation_id, &answer));
    char last[64];
    cr_expect_eq(kafka_talk_count(kafka_talk_fetched(&answer, 0), last), 1);
    cr_expect_str_eq(last, "two");
    cr_expect_lt(world.world->now_ns - before_ns, 2 * SIM_S);
}

Test(follower_read, an_offset_that_the_follower_does_not_have_is_for_its_leader_to_judge)
{
    cr_assert_eq(kafka_talk_put(&client, "t", partition, "one"), 0);
    cr_expect_eq(fetch(0, 0).error_code, ERROR_CODE_NONE);
    cr_expect_eq(fetch(100, 0).error_code, ERROR_CODE_NOT_LEADER_OR_FOLLOWER);
    cr_expect_eq(fetch(-5, 0).error_code, ERROR_CODE_NOT_LEADER_OR_FOLLOWER);
}

Test(follower_read, readers_of_committed_data_see_no_open_transaction_at_a_follower)
{
    char last[64];
    struct txn_talk talk = {.client = &client, .id = "x", .is_new = true};
    cr_assert_eq(txn_talk_begin(&talk), 0);
    cr_assert_eq(txn_talk_write(&talk, partition), 0);
    struct kafka_fetch_response_partition_data data = fetch(0, 1);
    cr_expect_eq(data.error_code, ERROR_CODE_NONE);
    cr_expect_eq(data.last_stable_offset, 0);
    cr_expect_eq(kafka_talk_count(&data, last), 0);

    cr_assert_eq(txn_talk_end(&talk, false), 0);
    data = fetch(0, 1);
    cr_expect_gt(kafka_talk_count(&data, last), 0);
    cr_assert_eq(data.aborted_transactions_count, 1);
    cr_expect_eq(data.aborted_transactions[0].first_offset, 0);
}

Test(follower_read, older_versions_are_sent_to_the_leader)
{
    struct kafka_fetch_request request;
    struct kafka_fetch_request_fetch_partition asked;
    kafka_fetch_request_defaults(&request);
    kafka_fetch_request_fetch_partition_defaults(&asked);
    asked.partition = partition;
    asked.partition_max_bytes = 1 << 20;
    struct kafka_fetch_request_fetch_topic topics = {
        .topic = wire_text_of("t"), .partitions = &asked, .partitions_count = 1};
    request.max_bytes = 1 << 20;
    request.topics = &topics;
    request.topics_count = 1;
    struct kafka_fetch_response answer;
    cr_assert(wire_client_call(&reader, API_KEY_FETCH, VERSION_BEFORE, &request, &answer));
    cr_expect_eq(kafka_talk_fetched(&answer, 0)->error_code, ERROR_CODE_NOT_LEADER_OR_FOLLOWER);
}
