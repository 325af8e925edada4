/* Goal: whoever names a topic by its id is judged by the topic's name, so that rules about names
 * can be filled in at their one place.
 * Method: a whole broker in the simulated world; what it asks access_authorize() is written down on
 * the way. */
#include "broker/access/access.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/delete_topics.h"
#include "proto/kafka/error_code.h"
#include "tests/rig/kafka_talk.h"

#include <criterion/criterion.h>

#define PRODUCE_VERSION 13
#define DELETE_VERSION 6

static struct broker_world world;
static struct wire_client client;
static struct wire_uuid id;
static int asked_count; /* About topics. */
static int unnamed_count;

bool __real_access_authorize(const struct access_context *context, enum access_operation operation,
                             enum access_resource resource, struct wire_text name);
bool __wrap_access_authorize(const struct access_context *context, enum access_operation operation,
                             enum access_resource resource, struct wire_text name);

bool __wrap_access_authorize(const struct access_context *context, enum access_operation operation,
                             enum access_resource resource, struct wire_text name)
{
    if (resource == ACCESS_TOPIC) {
        asked_count += 1;
        unnamed_count += wire_text_equals(name, "t") ? 0 : 1;
    }
    return __real_access_authorize(context, operation, resource, name);
}

static void set_up(void)
{
    broker_world_init(&world, &(struct broker_world_options){0}, NULL);
    broker_world_start_all(&world);
    wire_client_open(&client, &world, 0);
    cr_assert_eq(kafka_talk_create(&client, "t", 1, 1, NULL), 0);
    id = kafka_talk_topic_id(&client, "t");
    asked_count = 0;
    unnamed_count = 0;
}

static void tear_down(void)
{
    wire_client_close(&client);
    broker_world_done(&world);
}

TestSuite(access_name, .init = set_up, .fini = tear_down);

Test(access_name, produce_by_id_asks_about_a_topic_without_a_name)
{
    struct kafka_talk_batch batch = {.value = "value"};
    struct kafka_produce_request_partition_produce_data data = {.records.slice_count = 1};
    data.records.single.base = kafka_talk_batch(&client, &batch, &data.records.single.byte_count);
    data.records.byte_count = (int32_t)data.records.single.byte_count;
    struct kafka_produce_request_topic_produce_data topic = {
        .topic_id = id, .partition_data = &data, .partition_data_count = 1};
    struct kafka_produce_request request;
    kafka_produce_request_defaults(&request);
    request.transactional_id = wire_text_of(NULL);
    request.acks = -1;
    request.timeout_ms = 1000;
    request.topic_data = &topic;
    request.topic_data_count = 1;
    struct kafka_produce_response answer;

    cr_assert(wire_client_call(&client, API_KEY_PRODUCE, PRODUCE_VERSION, &request, &answer));

    cr_expect_eq(answer.responses[0].partition_responses[0].error_code, ERROR_CODE_NONE);
    cr_expect_eq(asked_count, 1);
    cr_expect_eq(unnamed_count, 0);
}

static int16_t delete_by_id(struct wire_uuid topic_id)
{
    struct kafka_delete_topics_request_delete_topic_state topic;
    kafka_delete_topics_request_delete_topic_state_defaults(&topic);
    topic.name = wire_text_of(NULL);
    topic.topic_id = topic_id;
    struct kafka_delete_topics_request request;
    kafka_delete_topics_request_defaults(&request);
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = 1000;
    struct kafka_delete_topics_response answer;
    cr_assert(wire_client_call(&client, API_KEY_DELETE_TOPICS, DELETE_VERSION, &request, &answer));
    return answer.responses[0].error_code;
}

Test(access_name, deletion_by_id_asks_about_a_topic_without_a_name)
{
    cr_expect_eq(delete_by_id(id), ERROR_CODE_NONE);
    cr_expect_eq(asked_count, 1);
    cr_expect_eq(unnamed_count, 0);
}

Test(access_name, deletion_by_an_unknown_id_asks_about_a_topic_without_a_name)
{
    id.bytes[0] ^= 1;
    cr_expect_eq(delete_by_id(id), ERROR_CODE_UNKNOWN_TOPIC_ID);
    cr_expect_eq(asked_count, 0);
}
