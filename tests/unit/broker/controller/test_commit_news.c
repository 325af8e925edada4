/* Goal: what is committed is known on every broker at once, not a heartbeat later.
 * Method: three voters in the simulated world; each in turn is asked to make a topic, and all are
 * looked at a few milliseconds after the answer. */
#include "broker/controller/commit_news.h"

#include "broker/broker.h"
#include "broker/partition/partition_map.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/create_topics.h"
#include "tests/rig/broker_world.h"

#include <criterion/criterion.h>

#define BROKERS 3U
#define KNOWN_MS 30 /* Heartbeats of the quorum are 100 ms apart. */
#define ROUNDS 9U

static struct broker_world world;

static void set_up(void)
{
    broker_world_init(&world, &(struct broker_world_options){.broker_count = BROKERS}, NULL);
    broker_world_start_all(&world);
    broker_world_run_ms(&world, 3000);
}

static void tear_down(void)
{
    broker_world_done(&world);
}

TestSuite(commit_news, .init = set_up, .fini = tear_down, .timeout = 120);

static void create(uint32_t broker, const char *name)
{
    struct kafka_create_topics_request_creatable_topic topic;
    kafka_create_topics_request_creatable_topic_defaults(&topic);
    topic.name = wire_text_of(name);
    topic.num_partitions = 1;
    topic.replication_factor = 3;
    struct kafka_create_topics_request request;
    kafka_create_topics_request_defaults(&request);
    request.topics = &topic;
    request.topics_count = 1;
    struct kafka_create_topics_response answer;
    struct wire_client client;
    wire_client_open(&client, &world, broker);
    cr_assert(wire_client_call(&client, API_KEY_CREATE_TOPICS, 5, &request, &answer));
    cr_assert_eq(answer.topics[0].error_code, 0);
    wire_client_close(&client);
}

static bool knows(uint32_t index, const char *name)
{
    const struct broker_life *life = world.brokers[index].node->state;
    const struct image *image = partition_map_image(broker_partitions(life->broker, 0));
    return image_topic_by_name(image, wire_text_of(name)) != NULL;
}

Test(commit_news, a_new_topic_is_known_to_all_brokers_before_the_next_heartbeat)
{
    for (uint32_t round = 0; round < ROUNDS; round++) {
        char name[8] = {'t', (char)('a' + (char)round), '\0'};
        create(round % BROKERS, name);
        broker_world_run_ms(&world, KNOWN_MS);
        for (uint32_t i = 0; i < BROKERS; i++) {
            cr_expect(knows(i, name), "round %u broker %u", round, i + 1);
        }
    }
}
