/* Goal: followers hold what their leader holds, take its place without loss, and come back.
 * Method: three whole brokers in the simulated world; a client that asks whoever leads. */
#include "broker/follower/leader_feed.h"

#include "broker/broker.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/delete_records.h"
#include "proto/kafka/error_code.h"
#include "tests/rig/kafka_talk.h"

#include <criterion/criterion.h>
#include <string.h>

#define BROKERS 3U

static struct broker_world world;
static struct wire_client clients[BROKERS];

static void set_up(void)
{
    static const char *const settings[] = {
        "broker.session.timeout.ms=1500", "replica.lag.time.max.ms=2000",
        "broker.heartbeat.interval.ms=200", "journal.bytes=1048576", NULL};
    struct broker_world_options options = {
        .broker_count = BROKERS, .shard_count = 2, .settings = settings};
    broker_world_init(&world, &options, NULL);
    broker_world_start_all(&world);
    for (uint32_t i = 0; i < BROKERS; i++) {
        wire_client_open(&clients[i], &world, i);
    }
    cr_assert_eq(kafka_talk_create(&clients[0], "t", 1, 3, NULL), 0);
}

static void tear_down(void)
{
    for (uint32_t i = 0; i < BROKERS; i++) {
        wire_client_close(&clients[i]);
        if (world.brokers[i].node->is_up) {
            sim_node_lose_power(world.brokers[i].node);
        }
    }
    broker_world_done(&world);
}

TestSuite(leader_feed, .init = set_up, .fini = tear_down, .timeout = 120);

struct view {
    uint32_t leader; /* Index; BROKERS: none. */
    uint8_t in_sync_count;
    uint32_t wanted_count;
    uint32_t looking_at;
};

static void look_at(void *context, struct partition *partition)
{
    struct view *view = context;
    uint8_t count = partition_in_sync_count(partition);
    if (count > 0) {
        view->leader = view->looking_at;
        view->in_sync_count = count;
    }
}

static bool has_wanted_isr(void *context)
{
    struct view *view = context;
    view->leader = BROKERS;
    view->in_sync_count = 0;
    for (uint32_t i = 0; i < BROKERS; i++) {
        struct sim_node *node = world.brokers[i].node;
        const struct broker_life *life = node->is_up ? node->state : NULL;
        view->looking_at = i;
        for (uint32_t shard = 0; life != NULL && life->broker != NULL && shard < 2; shard++) {
            struct partition_map *map = broker_partitions(life->broker, shard);
            if (map != NULL) {
                partition_map_each(map, look_at, view);
            }
        }
    }
    return view->in_sync_count == view->wanted_count;
}

/* The leader, when the ISR has `count` members. */
static uint32_t leader_with(uint32_t count)
{
    struct view view = {.wanted_count = count};
    broker_world_until(&world, has_wanted_isr, &view, 30000);
    broker_world_run_ms(&world, 500);
    broker_world_until(&world, has_wanted_isr, &view, 30000);
    return view.leader;
}

/* One answer may end where the log's memory begins, so it is asked until nothing comes. */
static int32_t count_at(uint32_t leader, int64_t offset)
{
    char last[64];
    int32_t total = 0;
    for (int32_t count = 1; count > 0; total += count) {
        struct kafka_talk_fetch fetch = {
            .topic = "t", .offset = offset + total, .max_wait_ms = 100, .min_bytes = 1};
        struct kafka_fetch_response answer = kafka_talk_fetch(&clients[leader], &fetch);
        cr_expect_eq(kafka_talk_fetched(&answer, 0)->error_code, 0, "code %d",
                     kafka_talk_fetched(&answer, 0)->error_code);
        count = kafka_talk_count(kafka_talk_fetched(&answer, 0), last);
    }
    return total;
}

static void kill_broker(uint32_t index)
{
    sim_node_kill(world.brokers[index].node);
}

static void start_broker(uint32_t index)
{
    broker_world_start(&world, index);
    broker_world_wait_ready(&world, index);
    wire_client_close(&clients[index]);
    wire_client_open(&clients[index], &world, index);
}

Test(leader_feed, what_was_acknowledged_is_there_under_each_next_leader)
{
    int64_t count = 0;
    for (uint32_t round = 0; round < 4; round++) {
        uint32_t leader = leader_with(3);
        for (int i = 0; i < 5; i++) {
            cr_assert_eq(kafka_talk_put(&clients[leader], "t", 0, "value"), count);
            count += 1;
        }
        kill_broker(leader);
        uint32_t next = leader_with(2);
        cr_assert_neq(next, leader);
        cr_expect_eq(kafka_talk_put(&clients[next], "t", 0, "value"), count);
        count += 1;
        cr_expect_eq(count_at(next, 0), (int32_t)count);
        start_broker(leader);
    }
}

Test(leader_feed, leaders_that_write_nothing_do_not_keep_the_others_out_of_the_isr)
{
    uint32_t leader = leader_with(3);
    cr_assert_eq(kafka_talk_put(&clients[leader], "t", 0, "value"), 0);
    for (uint32_t round = 0; round < 4; round++) {
        kill_broker(leader);
        uint32_t next = leader_with(2);
        start_broker(leader);
        leader = leader_with(3);
        cr_expect_eq(leader, next);
    }
    cr_expect_eq(kafka_talk_put(&clients[leader], "t", 0, "value"), 1);
}

/* One answer of the leader is longer than a record of the journal may be. */
Test(leader_feed, follower_that_missed_more_than_its_journal_takes_at_once_gives_itself_up)
{
    static char value[900];
    memset(value, 'v', sizeof value - 1);
    uint32_t leader = leader_with(3);
    uint32_t follower = (leader + 1) % BROKERS;
    kill_broker(follower);
    leader = leader_with(2);
    for (int64_t i = 0; i < 1200; i++) {
        cr_assert_eq(kafka_talk_put(&clients[leader], "t", 0, value), i);
    }

    start_broker(follower);
    (void)leader_with(3);

    cr_expect_eq(world.brokers[follower].failure_count, 0);
    kill_broker(leader);
    cr_expect_eq(count_at(leader_with(2), 0), 1200);
}

static void delete_records(uint32_t leader, int64_t offset)
{
    struct kafka_delete_records_request_delete_records_partition partition = {.offset = offset};
    struct kafka_delete_records_request_delete_records_topic topic = {
        .name = wire_text_of("t"), .partitions = &partition, .partitions_count = 1};
    struct kafka_delete_records_request request;
    kafka_delete_records_request_defaults(&request);
    request.topics = &topic;
    request.topics_count = 1;
    struct kafka_delete_records_response answer;
    cr_assert(wire_client_call(&clients[leader], API_KEY_DELETE_RECORDS, 2, &request, &answer));
    cr_assert_eq(answer.topics[0].partitions[0].error_code, 0);
    cr_expect_eq(answer.topics[0].partitions[0].low_watermark, offset);
}

Test(leader_feed, deleted_records_do_not_come_back_with_the_next_leader)
{
    uint32_t leader = leader_with(3);
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(kafka_talk_put(&clients[leader], "t", 0, "value"), i);
    }
    delete_records(leader, 3);
    broker_world_run_ms(&world, 1000);

    kill_broker(leader);
    uint32_t next = leader_with(2);

    cr_expect_eq(kafka_talk_offset(&clients[next], "t", 0, -2), 3);
    cr_expect_eq(count_at(next, 3), 2);
}

/* It has nothing of what the leader has, whose log begins in the middle of a batch. */
Test(leader_feed, follower_that_begins_inside_of_a_batch_never_catches_up)
{
    uint32_t leader = leader_with(3);
    uint32_t follower = (leader + 1) % BROKERS;
    kill_broker(follower);
    leader = leader_with(2);
    struct kafka_talk_batch batch = {.record_count = 6};
    struct kafka_talk_produce produce = {.topic = "t", .acks = -1, .timeout_ms = 5000};
    produce.bytes = kafka_talk_batch(&clients[leader], &batch, &produce.byte_count);
    cr_assert_eq(kafka_talk_produce(&clients[leader], &produce).error_code, 0);
    delete_records(leader, 4);

    start_broker(follower);
    leader = leader_with(3);

    cr_expect_eq(kafka_talk_put(&clients[leader], "t", 0, "value"), 6);
    broker_world_run_ms(&world, 1000);
    for (uint32_t i = 0; i < 2; i++) {
        if (leader != follower) {
            kill_broker(leader);
            leader = leader_with(2 - i);
        }
    }
    cr_expect_eq(leader, follower);
    cr_expect_eq(kafka_talk_offset(&clients[leader], "t", 0, -2), 4);
    cr_expect_eq(kafka_talk_offset(&clients[leader], "t", 0, -1), 7);
}

Test(leader_feed, too_few_replicas_refuse_acks_all_and_take_acks_1)
{
    uint32_t leader = leader_with(3);
    cr_assert_eq(kafka_talk_put(&clients[leader], "t", 0, "value"), 0);
    for (uint32_t i = 0; i < BROKERS; i++) {
        if (i != leader) {
            sim_network_cut(world.brokers[leader].node, world.brokers[i].node);
        }
    }
    /* The leader is cut off with its clients: it may write, and may not acknowledge. */
    struct kafka_talk_batch batch = {.record_count = 1};
    struct kafka_talk_produce produce = {.topic = "t", .acks = -1, .timeout_ms = 500};
    produce.bytes = kafka_talk_batch(&clients[leader], &batch, &produce.byte_count);

    int16_t code = kafka_talk_produce(&clients[leader], &produce).error_code;

    cr_expect(code == ERROR_CODE_REQUEST_TIMED_OUT || code == ERROR_CODE_NOT_ENOUGH_REPLICAS ||
              code == ERROR_CODE_NOT_ENOUGH_REPLICAS_AFTER_APPEND ||
              code == ERROR_CODE_NOT_LEADER_OR_FOLLOWER);
    cr_expect_eq(count_at(leader, 0), 1, "what is not acknowledged is not read");
    sim_network_heal_all(world.world);
    uint32_t next = leader_with(3);
    cr_expect_geq(kafka_talk_put(&clients[next], "t", 0, "value"), 1);
}
