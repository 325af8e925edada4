/* Goal: an internal topic is born with all the replicas that the cluster can give it.
 * Method: whole new clusters in the simulated world; one broker stops at ever later moments of the
 * birth, a client asks for a coordinator as soon as another one serves.
 */
#include "broker/broker.h"
#include "broker/partition/partition_map.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/find_coordinator.h"
#include "tests/rig/kafka_talk.h"

#include <criterion/criterion.h>

#define BROKERS 3U
#define TOPIC "__consumer_offsets"

static struct broker_world world;

/* Of the topic's first partition, as the broker sees it; 0: no such topic. */
static uint32_t replica_count(uint32_t index)
{
    const struct broker_life *life = world.brokers[index].node->state;
    struct partition_map *map =
        life == NULL || life->broker == NULL ? NULL : broker_partitions(life->broker, 0);
    const struct image *image = map == NULL ? NULL : partition_map_image(map);
    const struct image_topic *topic =
        image == NULL ? NULL : image_topic_by_name(image, wire_text_of(TOPIC));
    return topic == NULL ? 0 : topic->partitions[0].replica_count;
}

static bool is_any_ready(void *context)
{
    uint32_t *ready = context;
    for (uint32_t i = 0; i < BROKERS; i++) {
        const struct broker_life *life = world.brokers[i].node->state;
        if (life != NULL && life->is_ready) {
            *ready = i;
            return true;
        }
    }
    return false;
}

static bool is_made(void *context)
{
    (void)context;
    return replica_count(0) > 0;
}

static void ask_early(uint64_t seed)
{
    static const char *const settings[] = {"internal.topic.partitions=1", NULL};
    broker_world_init(
        &world,
        &(struct broker_world_options){
            .broker_count = BROKERS, .shard_count = 1, .seed = seed, .settings = settings},
        NULL);
    for (uint32_t i = 0; i < BROKERS; i++) {
        broker_world_start(&world, i);
    }
    struct sim_node *late = world.brokers[BROKERS - 1].node;
    broker_world_run_ms(&world, (int64_t)seed * 20);
    sim_node_pause(late);
    uint32_t ready = BROKERS;
    (void)sim_world_run_until(world.world, is_any_ready, &ready, 5 * SIM_S);
    if (ready == BROKERS) { /* The birth needs it. */
        sim_node_resume(late);
        broker_world_until(&world, is_any_ready, &ready, 30000);
    }
    struct wire_client client;
    wire_client_open(&client, &world, ready);
    struct kafka_find_coordinator_request request = {.key = wire_text_of("g")};
    wire_client_ask(&client, API_KEY_FIND_COORDINATOR, 3, &request);
    broker_world_run_ms(&world, 1000);
    sim_node_resume(late);
    broker_world_until(&world, is_made, NULL, 30000);
    cr_expect_eq(replica_count(0), BROKERS, "seed %lu", seed);
    wire_client_close(&client);
    for (uint32_t i = 0; i < BROKERS; i++) {
        sim_node_lose_power(world.brokers[i].node);
    }
    broker_world_done(&world);
}

Test(internal_topic, first_client_of_a_new_cluster_gets_a_single_replica)
{
    for (uint64_t seed = 1; seed <= 80; seed++) {
        ask_early(seed);
    }
}
