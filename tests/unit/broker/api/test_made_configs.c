/* Goal: who makes a topic hears all its settings, as Java's admin client insists on.
 * Method: a whole broker in the simulated world; topics with and without settings of their own. */
#include "broker/api/made_configs.h"

#include "proto/kafka/api_key.h"
#include "proto/kafka/create_topics.h"
#include "tests/rig/broker_world.h"

#include <criterion/criterion.h>

#define FROM_TOPIC 1
#define FROM_DEFAULT 5

typedef struct kafka_create_topics_request_creatable_topic_config config_in;
typedef struct kafka_create_topics_response_creatable_topic_configs config_out;

static struct broker_world world;
static struct wire_client client;

static void set_up(void)
{
    broker_world_init(&world, &(struct broker_world_options){.broker_count = 1}, NULL);
    broker_world_start_all(&world);
    wire_client_open(&client, &world, 0);
}

static void tear_down(void)
{
    wire_client_close(&client);
    broker_world_done(&world);
}

TestSuite(made_configs, .init = set_up, .fini = tear_down, .timeout = 60);

/* Lives until the client is closed. */
static const struct kafka_create_topics_response_creatable_topic_result *
create(const char *name, config_in *configs, int32_t config_count, bool is_trial)
{
    struct kafka_create_topics_request_creatable_topic topic;
    kafka_create_topics_request_creatable_topic_defaults(&topic);
    topic.name = wire_text_of(name);
    topic.num_partitions = 1;
    topic.replication_factor = 1;
    topic.configs = configs;
    topic.configs_count = config_count;
    struct kafka_create_topics_request request;
    kafka_create_topics_request_defaults(&request);
    request.topics = &topic;
    request.topics_count = 1;
    request.validate_only = is_trial;
    static struct kafka_create_topics_response answer;
    cr_assert(wire_client_call(&client, API_KEY_CREATE_TOPICS, 7, &request, &answer));
    cr_assert_eq(answer.topics_count, 1);
    return &answer.topics[0];
}

static const config_out *
find(const struct kafka_create_topics_response_creatable_topic_result *topic, const char *name)
{
    for (int32_t i = 0; i < topic->configs_count; i++) {
        if (wire_text_equals(topic->configs[i].name, name)) {
            return &topic->configs[i];
        }
    }
    cr_assert_fail("no setting %s among %d", name, topic->configs_count);
    return NULL;
}

Test(made_configs, every_setting_is_told_with_its_value_and_source)
{
    config_in own[] = {
        {.name = wire_text_of("retention.ms"), .value = wire_text_of(" 5000 ")},
        {.name = wire_text_of("cleanup.policy"), .value = wire_text_of("compact")},
    };
    for (int trial = 1; trial >= 0; trial--) {
        const struct kafka_create_topics_response_creatable_topic_result *made =
            create("t", own, 2, trial == 1);
        cr_assert_eq(made->error_code, 0);
        cr_expect_eq(made->topic_config_error_code, 0);
        cr_expect_gt(made->configs_count, 30);
        cr_expect(wire_text_equals(find(made, "retention.ms")->value, "5000"));
        cr_expect_eq(find(made, "retention.ms")->config_source, FROM_TOPIC);
        cr_expect(wire_text_equals(find(made, "cleanup.policy")->value, "compact"));
        cr_expect(wire_text_equals(find(made, "min.insync.replicas")->value, "1"));
        cr_expect_eq(find(made, "segment.bytes")->config_source, FROM_DEFAULT);
    }
}

Test(made_configs, a_topic_that_is_refused_has_an_empty_list_and_no_null)
{
    cr_assert_eq(create("t", NULL, 0, false)->error_code, 0);
    const struct kafka_create_topics_response_creatable_topic_result *again =
        create("t", NULL, 0, false);
    cr_expect_neq(again->error_code, 0);
    cr_expect_eq(again->configs_count, 0);
}
