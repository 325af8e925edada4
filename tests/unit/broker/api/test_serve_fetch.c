/* Goal: Fetch gives whole batches within its bounds, waits no longer and no shorter than asked, and
 * is answered exactly once whatever happens to its partitions.
 * Method: a whole broker with two shards in the simulated world; topics of several partitions, so
 * that one Fetch spans both shards; every story runs for a row of seeds where order matters. */
#include "tests/rig/kafka_talk.h"

#include "broker/partition/partition_map.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/error_code.h"

#include <criterion/criterion.h>
#include <string.h>

#define PARTITIONS 6
#define VERSION_BY_ID 17

static struct broker_world world;
static struct wire_client client;
static struct wire_client other;

static void begin(uint32_t shard_count, uint64_t seed)
{
    struct broker_world_options options = {.shard_count = shard_count, .seed = seed};
    broker_world_init(&world, &options, NULL);
    broker_world_start_all(&world);
    wire_client_open(&client, &world, 0);
    wire_client_open(&other, &world, 0);
    cr_assert_eq(kafka_talk_create(&client, "t", PARTITIONS, 1, NULL), 0);
}

static void end(void)
{
    wire_client_close(&client);
    wire_client_close(&other);
    broker_world_stop(&world, 0);
    broker_world_done(&world);
}

TestSuite(serve_fetch, .timeout = 120);

static void ask_all(int64_t offset, int32_t min_bytes, int32_t max_wait_ms)
{
    struct kafka_talk_fetch fetches[PARTITIONS];
    for (int32_t i = 0; i < PARTITIONS; i++) {
        fetches[i] = (struct kafka_talk_fetch){.topic = "t",
                                               .partition = i,
                                               .offset = offset,
                                               .min_bytes = min_bytes,
                                               .max_wait_ms = max_wait_ms};
    }
    kafka_talk_ask_fetch(&client, fetches, PARTITIONS);
}

static struct kafka_fetch_response take(void)
{
    struct kafka_fetch_response answer;
    cr_assert(wire_client_answer(&client, API_KEY_FETCH, KAFKA_TALK_FETCH_VERSION,
                                 client.correlation_id, &answer));
    return answer;
}

Test(serve_fetch, a_wait_ends_with_the_first_record_of_any_partition)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        begin(2, seed);
        for (int32_t partition = 0; partition < PARTITIONS; partition++) {
            ask_all(0, 1, 30000);
            cr_expect(wire_client_is_quiet_for(&client, 300));
            int64_t offset = kafka_talk_put(&other, "t", partition, "news");
            cr_assert_eq(offset, 0, "%ld seed %lu partition %d", (long)offset, (unsigned long)seed,
                         partition);

            int64_t before_ns = world.world->now_ns;
            struct kafka_fetch_response answer = take();

            char last[64];
            cr_expect_lt(world.world->now_ns - before_ns, SIM_S);
            cr_expect_eq(kafka_talk_count(kafka_talk_fetched(&answer, partition), last), 1);
            wire_client_close(&client);
            wire_client_open(&client, &world, 0);
            cr_assert_eq(kafka_talk_delete(&other, "t"), 0);
            cr_assert_eq(kafka_talk_create(&other, "t", PARTITIONS, 1, NULL), 0);
        }
        end();
    }
}

Test(serve_fetch, a_wait_does_not_outlast_its_time_when_records_come_while_it_begins)
{
    /* Records that arrive between the reading and the watching, on shards in every order. */
    for (uint64_t seed = 1; seed <= 60; seed++) {
        begin(2, seed);
        for (int32_t i = 0; i < PARTITIONS; i++) {
            struct kafka_talk_batch batch = {.record_count = 1};
            struct kafka_talk_produce produce = {.topic = "t", .partition = i, .acks = 1};
            produce.bytes = kafka_talk_batch(&other, &batch, &produce.byte_count);
            kafka_talk_ask_produce(&other, &produce);
        }
        ask_all(0, 1000000, 500);

        int64_t before_ns = world.world->now_ns;
        (void)take();

        cr_expect_lt(world.world->now_ns - before_ns, SIM_S, "seed %lu", (unsigned long)seed);
        wire_client_close(&other);
        wire_client_open(&other, &world, 0);
        end();
    }
}

Test(serve_fetch, an_empty_wait_ends_at_its_time)
{
    begin(2, 1);
    ask_all(0, 1, 700);

    int64_t before_ns = world.world->now_ns;
    (void)take();

    cr_expect_geq(world.world->now_ns - before_ns, 690 * SIM_MS);
    cr_expect_lt(world.world->now_ns - before_ns, SIM_S);
    end();
}

Test(serve_fetch, more_min_bytes_than_the_bounds_allow_do_not_spin_or_overflow_the_stack)
{
    for (uint32_t shard_count = 1; shard_count <= 2; shard_count++) {
        begin(shard_count, 1);
        for (int32_t i = 0; i < 5; i++) {
            cr_assert_eq(kafka_talk_put(&other, "t", 0, "value"), i);
        }
        uint64_t events_before = world.world->event_count;
        struct kafka_talk_fetch fetch = {
            .topic = "t", .partition_bytes = 1, .min_bytes = 1 << 30, .max_wait_ms = 60000};

        struct kafka_fetch_response answer = kafka_talk_fetch(&client, &fetch);

        char last[64];
        cr_expect_eq(kafka_talk_count(kafka_talk_fetched(&answer, 0), last), 1);
        cr_expect_lt(world.world->event_count - events_before, 1000);
        end();
    }
}

Test(serve_fetch, bounds_below_one_still_give_one_batch)
{
    begin(2, 1);
    cr_assert_eq(kafka_talk_put(&other, "t", 0, "value"), 0);
    cr_assert_eq(kafka_talk_put(&other, "t", 0, "value"), 1);
    static const int32_t bounds[] = {-5, 1, INT32_MIN};
    for (size_t i = 0; i < 3; i++) {
        struct kafka_talk_fetch fetch = {
            .topic = "t", .partition_bytes = bounds[i], .max_bytes = bounds[i], .min_bytes = 1};

        struct kafka_fetch_response answer = kafka_talk_fetch(&client, &fetch);

        char last[64];
        cr_expect_eq(kafka_talk_count(kafka_talk_fetched(&answer, 0), last), 1);
    }
    end();
}

Test(serve_fetch, an_offset_inside_a_batch_gives_the_whole_batch_and_others_are_out_of_range)
{
    begin(1, 1);
    struct kafka_talk_batch batch = {.record_count = 5};
    struct kafka_talk_produce produce = {.topic = "t", .acks = -1};
    produce.bytes = kafka_talk_batch(&client, &batch, &produce.byte_count);
    cr_assert_eq(kafka_talk_produce(&client, &produce).error_code, 0);
    char last[64];
    struct kafka_talk_fetch fetch = {.topic = "t", .offset = 3};
    struct kafka_fetch_response answer = kafka_talk_fetch(&client, &fetch);
    cr_expect_eq(kafka_talk_count(kafka_talk_fetched(&answer, 0), last), 5);

    fetch.offset = 5;
    answer = kafka_talk_fetch(&client, &fetch);
    cr_expect_eq(kafka_talk_fetched(&answer, 0)->error_code, 0);
    fetch.offset = 6;
    answer = kafka_talk_fetch(&client, &fetch);
    cr_expect_eq(kafka_talk_fetched(&answer, 0)->error_code, ERROR_CODE_OFFSET_OUT_OF_RANGE);
    fetch.offset = -1;
    answer = kafka_talk_fetch(&client, &fetch);
    cr_expect_eq(kafka_talk_fetched(&answer, 0)->error_code, ERROR_CODE_OFFSET_OUT_OF_RANGE);
    end();
}

Test(serve_fetch, wrong_epochs_places_and_isolation_have_their_codes)
{
    begin(1, 1);
    struct kafka_talk_fetch fetch = {.topic = "t", .leader_epoch = 99};
    struct kafka_fetch_response answer = kafka_talk_fetch(&client, &fetch);
    cr_expect_eq(kafka_talk_fetched(&answer, 0)->error_code, ERROR_CODE_UNKNOWN_LEADER_EPOCH);

    fetch = (struct kafka_talk_fetch){.topic = "t", .partition = PARTITIONS};
    answer = kafka_talk_fetch(&client, &fetch);
    cr_expect_eq(kafka_talk_fetched(&answer, 0)->error_code, ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION);
    fetch = (struct kafka_talk_fetch){.topic = "nobody"};
    answer = kafka_talk_fetch(&client, &fetch);
    cr_expect_eq(kafka_talk_fetched(&answer, 0)->error_code, ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION);
    fetch = (struct kafka_talk_fetch){.topic = "t", .isolation = 7};
    answer = kafka_talk_fetch(&client, &fetch);
    cr_expect_eq(answer.error_code, ERROR_CODE_INVALID_REQUEST);
    end();
}

Test(serve_fetch, deleting_the_topic_ends_waits_and_reads_exactly_once)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        begin(2, seed);
        ask_all(0, 1, 30000);
        broker_world_run_ms(&world, 20);

        cr_assert_eq(kafka_talk_delete(&other, "t"), 0);
        struct kafka_fetch_response answer = take();

        cr_expect_neq(kafka_talk_fetched(&answer, 0)->error_code, 0);
        cr_expect(wire_client_is_quiet_for(&client, 500));
        cr_assert_eq(kafka_talk_create(&other, "t", PARTITIONS, 1, NULL), 0);
        struct kafka_talk_fetch fetch = {.topic = "t"};
        answer = kafka_talk_fetch(&client, &fetch);
        char last[64];
        cr_expect_eq(kafka_talk_count(kafka_talk_fetched(&answer, 0), last), 0);
        cr_expect_eq(kafka_talk_fetched(&answer, 0)->high_watermark, 0);
        end();
    }
}

Test(serve_fetch, a_stop_ends_waits)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        begin(2, seed);
        ask_all(0, 1, 60000);
        broker_world_run_ms(&world, 20);
        end();
    }
}

static int16_t code_of_replica(const struct image_topic *topic, int32_t replica, int64_t epoch)
{
    struct kafka_fetch_request request;
    struct kafka_fetch_request_fetch_partition partition;
    kafka_fetch_request_defaults(&request);
    kafka_fetch_request_fetch_partition_defaults(&partition);
    partition.partition_max_bytes = 1 << 20;
    struct kafka_fetch_request_fetch_topic topics = {
        .topic_id = topic->id, .partitions = &partition, .partitions_count = 1};
    request.replica_state.replica_id = replica;
    request.replica_state.replica_epoch = epoch;
    request.max_bytes = 1 << 20;
    request.topics = &topics;
    request.topics_count = 1;
    wire_client_ask(&other, API_KEY_FETCH, VERSION_BY_ID, &request);
    struct kafka_fetch_response answer;
    cr_assert(
        wire_client_answer(&other, API_KEY_FETCH, VERSION_BY_ID, other.correlation_id, &answer));
    return kafka_talk_fetched(&answer, 0)->error_code;
}

Test(serve_fetch, a_follower_of_a_former_life_is_refused)
{
    struct broker_world_options options = {.broker_count = 3};
    broker_world_init(&world, &options, NULL);
    broker_world_start_all(&world);
    wire_client_open(&client, &world, 0);
    cr_assert_eq(kafka_talk_create(&client, "t", 1, 3, NULL), 0);
    broker_world_run_ms(&world, 2000);
    const struct broker_life *life = world.brokers[0].node->state;
    const struct image *image = partition_map_image(broker_partitions(life->broker, 0));
    const struct image_topic *topic = image_topic_by_name(image, wire_text_of("t"));
    int32_t leader = topic->partitions[0].leader;
    int32_t follower = leader == 1 ? 2 : 1;
    int64_t epoch = image_broker_by_id(image, follower)->epoch;
    wire_client_open(&other, &world, (uint32_t)leader - 1);

    cr_expect_eq(code_of_replica(topic, follower, epoch), ERROR_CODE_NONE);
    cr_expect_eq(code_of_replica(topic, follower, epoch - 1), ERROR_CODE_NOT_LEADER_OR_FOLLOWER);
    wire_client_close(&other);
    wire_client_close(&client);
    broker_world_done(&world);
}
