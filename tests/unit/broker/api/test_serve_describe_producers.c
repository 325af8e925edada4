/* Goal: every replica tells of the producers in its log, and nobody else does.
 * Method: four brokers in the simulated world, three of them replicas of one partition. */
#include "broker/api/serve_describe_producers.h"

#include "proto/kafka/api_key.h"
#include "proto/kafka/describe_producers.h"
#include "proto/kafka/error_code.h"
#include "tests/rig/kafka_talk.h"

#include <criterion/criterion.h>

#define BROKERS 4
#define REPLICAS 3
#define PRODUCER_ID 77

static struct broker_world world;

static void set_up(void)
{
    broker_world_init(&world, &(struct broker_world_options){.broker_count = BROKERS}, NULL);
    broker_world_start_all(&world);
}

static void tear_down(void)
{
    broker_world_done(&world);
}

TestSuite(serve_describe_producers, .init = set_up, .fini = tear_down, .timeout = 120);

static int16_t produce(uint32_t broker)
{
    struct wire_client client;
    wire_client_open(&client, &world, broker);
    struct kafka_talk_produce ask = {.topic = "t", .acks = -1, .timeout_ms = 5000};
    struct kafka_talk_batch batch = {.producer_id = PRODUCER_ID};
    ask.bytes = kafka_talk_batch(&client, &batch, &ask.byte_count);
    int16_t code = kafka_talk_produce(&client, &ask).error_code;
    wire_client_close(&client);
    return code;
}

/* How many producers the broker knows; minus the error code when it does not say. */
static int32_t ask(uint32_t broker)
{
    struct wire_client client;
    wire_client_open(&client, &world, broker);
    int32_t index = 0;
    struct kafka_describe_producers_request_topic_request topic = {
        .name = wire_text_of("t"), .partition_indexes = &index, .partition_indexes_count = 1};
    struct kafka_describe_producers_request request = {.topics = &topic, .topics_count = 1};
    struct kafka_describe_producers_response answer;
    cr_assert(wire_client_call(&client, API_KEY_DESCRIBE_PRODUCERS, 0, &request, &answer));
    const struct kafka_describe_producers_response_partition_response *out =
        &answer.topics[0].partitions[0];
    int32_t found = out->error_code == 0 ? out->active_producers_count : -out->error_code;
    cr_expect(found <= 0 || out->active_producers[0].producer_id == PRODUCER_ID);
    wire_client_close(&client);
    return found;
}

Test(serve_describe_producers, each_replica_tells_what_its_log_holds)
{
    struct wire_client client;
    wire_client_open(&client, &world, 0);
    cr_assert_eq(kafka_talk_create(&client, "t", 1, REPLICAS, NULL), 0);
    wire_client_close(&client);
    broker_world_run_ms(&world, 1000);
    int32_t leader_count = 0;
    for (uint32_t broker = 0; broker < BROKERS; broker++) {
        leader_count += produce(broker) == 0 ? 1 : 0;
    }
    cr_assert_eq(leader_count, 1);
    broker_world_run_ms(&world, 1000);

    int32_t told_count = 0;
    int32_t refused_count = 0;
    for (uint32_t broker = 0; broker < BROKERS; broker++) {
        int32_t found = ask(broker);
        told_count += found == 1 ? 1 : 0;
        refused_count += found == -ERROR_CODE_NOT_LEADER_OR_FOLLOWER ? 1 : 0;
    }
    cr_expect_eq(told_count, REPLICAS);
    cr_expect_eq(refused_count, BROKERS - REPLICAS);
}
