/* Goal: every broker tells who leads the metadata quorum, in which term, and who votes.
 * Method: four whole brokers with three voters in the simulated world, each asked; then the leader
 * of the quorum is stopped and the others are asked again. */
#include "proto/kafka/api_key.h"
#include "proto/kafka/describe_quorum.h"
#include "proto/kafka/error_code.h"
#include "tests/rig/broker_world.h"

#include <criterion/criterion.h>

#define BROKERS 4
#define VOTERS 3

typedef struct kafka_describe_quorum_response_partition_data partition_data;

static struct broker_world world;
static struct wire_client client;

static void set_up(void)
{
    struct broker_world_options options = {.broker_count = BROKERS};
    broker_world_init(&world, &options, NULL);
    broker_world_start_all(&world);
}

static void tear_down(void)
{
    broker_world_done(&world);
}

TestSuite(describe_quorum, .init = set_up, .fini = tear_down, .timeout = 120);

/* The row lives until the client is closed. */
static const partition_data *ask(uint32_t broker, const char *topic_name, int32_t index,
                                 int16_t version)
{
    struct kafka_describe_quorum_request_partition_data partition;
    struct kafka_describe_quorum_request_topic_data topic;
    struct kafka_describe_quorum_request request;
    kafka_describe_quorum_request_partition_data_defaults(&partition);
    kafka_describe_quorum_request_topic_data_defaults(&topic);
    kafka_describe_quorum_request_defaults(&request);
    partition.partition_index = index;
    topic.topic_name = wire_text_of(topic_name);
    topic.partitions = &partition;
    topic.partitions_count = 1;
    request.topics = &topic;
    request.topics_count = 1;
    wire_client_open(&client, &world, broker);
    static struct kafka_describe_quorum_response answer;
    cr_assert(wire_client_call(&client, API_KEY_DESCRIBE_QUORUM, version, &request, &answer));
    cr_assert_eq(answer.error_code, ERROR_CODE_NONE, "broker %u version %d: %d", broker, version,
                 answer.error_code);
    cr_assert_eq(answer.topics_count, 1);
    cr_expect(version < 2 || answer.topics[0].partitions[0].error_code != ERROR_CODE_NONE ||
              answer.nodes_count == VOTERS);
    return &answer.topics[0].partitions[0];
}

Test(describe_quorum, every_broker_names_the_same_leader_and_all_voters)
{
    int32_t leader = -1;
    for (uint32_t broker = 0; broker < BROKERS; broker++) {
        for (int16_t version = 0; version <= 2; version++) {
            const partition_data *data = ask(broker, "__cluster_metadata", 0, version);
            cr_expect_eq(data->error_code, ERROR_CODE_NONE);
            cr_expect_geq(data->leader_epoch, 1);
            cr_expect_gt(data->high_watermark, 0);
            cr_expect_eq(data->current_voters_count, VOTERS);
            cr_expect_eq(data->observers_count, BROKERS - VOTERS);
            cr_expect(leader < 0 || data->leader_id == leader);
            leader = data->leader_id;
            wire_client_close(&client);
        }
    }
    cr_expect(leader >= 1 && leader <= VOTERS);
}

Test(describe_quorum, followers_that_have_followed_have_no_lag)
{
    broker_world_run_ms(&world, 10000); /* Every broker has said how far it is. */
    const partition_data *data = ask(0, "__cluster_metadata", 0, 2);
    for (int32_t i = 0; i < data->current_voters_count; i++) {
        cr_expect_eq(data->current_voters[i].log_end_offset, data->high_watermark);
    }
    cr_assert_eq(data->observers_count, BROKERS - VOTERS);
    cr_expect_eq(data->observers[0].log_end_offset, data->high_watermark);
    wire_client_close(&client);
}

Test(describe_quorum, another_leader_has_a_later_term)
{
    const partition_data *data = ask(0, "__cluster_metadata", 0, 2);
    int32_t former = data->leader_id;
    int32_t term = data->leader_epoch;
    wire_client_close(&client);
    broker_world_stop(&world, (uint32_t)former - 1);
    broker_world_run_ms(&world, 3000);

    data = ask((uint32_t)(former % VOTERS), "__cluster_metadata", 0, 2);
    cr_expect_neq(data->leader_id, former);
    cr_expect_gt(data->leader_epoch, term);
    wire_client_close(&client);
}

Test(describe_quorum, other_topics_have_no_quorum)
{
    cr_expect_eq(ask(0, "t", 0, 2)->error_code, ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION);
    wire_client_close(&client);
    cr_expect_eq(ask(0, "__cluster_metadata", 1, 2)->error_code,
                 ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION);
    wire_client_close(&client);
}
