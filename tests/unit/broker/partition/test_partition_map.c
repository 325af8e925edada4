/* Goal: a broker holds the partitions that the image gives it, and no others.
 * Method: four brokers in the simulated world; topics are deleted, or the directory of a partition
 * is lost, while one of them is down. */
#include "broker/log/log_directory.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/metadata.h"
#include "tests/rig/kafka_talk.h"

#include <criterion/criterion.h>
#include <string.h>

#define TOPICS 12 /* Enough that shards and leaders of all kinds occur. */
#define ABSENT 3U /* It has no vote, so it never sees the images between. */

static struct broker_world world;
static struct wire_client client;

struct names {
    uint32_t live_count;
    uint32_t stray_count;
    uint32_t deleted_count;
};

static void count_entry(void *context, const char *name, bool is_directory)
{
    struct names *names = context;
    if (!is_directory || strncmp(name, "t", 1) != 0) {
        return;
    }
    size_t length = strlen(name);
    if (length > 6 && strcmp(name + length - 6, "-stray") == 0) {
        names->stray_count += 1;
    } else if (length > 7 && strcmp(name + length - 7, "-delete") == 0) {
        names->deleted_count += 1;
    } else {
        names->live_count += 1;
    }
}

static struct names names_of(uint32_t index)
{
    struct names names = {0};
    struct sim_disk *disk = broker_world_disk(&world, index);
    cr_assert_eq(disk_list(&disk->disk, "data", count_entry, &names), STATUS_OK);
    return names;
}

static void topic_name(int which, char out_name[8])
{
    (void)snprintf(out_name, 8, "t%d", which);
}

static void begin(uint32_t shard_count)
{
    struct broker_world_options options = {.broker_count = 4, .shard_count = shard_count};
    broker_world_init(&world, &options, NULL);
    broker_world_start_all(&world);
    wire_client_open(&client, &world, 0);
    for (int i = 0; i < TOPICS; i++) {
        char name[8];
        topic_name(i, name);
        cr_assert_eq(kafka_talk_create(&client, name, 1, 4, NULL), 0);
    }
    broker_world_run_ms(&world, 2000);
    cr_assert_eq(names_of(ABSENT).live_count, TOPICS);
}

static void stop_absent(bool is_clean)
{
    if (is_clean) {
        broker_world_stop(&world, ABSENT);
    } else {
        sim_node_kill(world.brokers[ABSENT].node);
    }
    broker_world_run_ms(&world, 5000);
}

static void start_absent(void)
{
    broker_world_run_ms(&world, 1000);
    broker_world_start(&world, ABSENT);
    broker_world_wait_ready(&world, ABSENT);
    broker_world_run_ms(&world, 2000);
}

static void end(void)
{
    wire_client_close(&client);
    broker_world_done(&world);
}

TestSuite(partition_map, .timeout = 120);

Test(partition_map, topic_deleted_while_a_broker_was_down_is_put_aside_there)
{
    for (uint32_t shard_count = 1; shard_count <= 2; shard_count++) {
        begin(shard_count);
        stop_absent(shard_count == 1);
        for (int i = 0; i < TOPICS / 2; i++) {
            char name[8];
            topic_name(i, name);
            cr_assert_eq(kafka_talk_delete(&client, name), 0);
        }
        start_absent();

        struct names names = names_of(ABSENT);
        cr_expect_eq(names.live_count, TOPICS / 2);
        cr_expect_eq(names.stray_count, TOPICS / 2);
        stop_absent(true);
        start_absent();
        names = names_of(ABSENT);
        cr_expect_eq(names.live_count, TOPICS / 2, "the others are not touched");
        cr_expect_eq(names.stray_count, TOPICS / 2);
        end();
    }
}

Test(partition_map, topic_made_anew_while_a_broker_was_down_replaces_its_former_life)
{
    begin(2);
    stop_absent(false);
    for (int i = 0; i < TOPICS; i++) {
        char name[8];
        topic_name(i, name);
        cr_assert_eq(kafka_talk_delete(&client, name), 0);
        cr_assert_eq(kafka_talk_create(&client, name, 1, 4, NULL), 0);
    }
    start_absent();

    cr_expect_eq(names_of(ABSENT).live_count, TOPICS);
    stop_absent(false);
    start_absent();
    cr_expect_eq(names_of(ABSENT).live_count, TOPICS);
    end();
}

/* ---- a damaged partition ---- */

static int32_t replicas[2]; /* Of "pair", as broker ids; the first one leads. */

static void learn_replicas(void)
{
    struct kafka_metadata_request_metadata_request_topic named;
    kafka_metadata_request_metadata_request_topic_defaults(&named);
    named.name = wire_text_of("pair");
    struct kafka_metadata_request request = {.topics = &named, .topics_count = 1};
    struct kafka_metadata_response answer;
    cr_assert(wire_client_call(&client, API_KEY_METADATA, 12, &request, &answer));
    cr_assert_eq(answer.topics_count, 1);
    cr_assert_eq(answer.topics[0].partitions[0].replica_nodes_count, 2);
    replicas[0] = answer.topics[0].partitions[0].replica_nodes[0];
    replicas[1] = answer.topics[0].partitions[0].replica_nodes[1];
    cr_assert_eq(answer.topics[0].partitions[0].leader_id, replicas[0]);
}

/* What that broker says to a record for that topic. */
static int16_t put_at(int32_t broker_id, const char *topic)
{
    wire_client_open(&client, &world, (uint32_t)broker_id - 1);
    struct kafka_talk_produce produce = {.topic = topic, .acks = 1, .timeout_ms = 5000};
    const struct kafka_talk_batch batch = {.record_count = 1};
    produce.bytes = kafka_talk_batch(&client, &batch, &produce.byte_count);
    int16_t error = kafka_talk_produce(&client, &produce).error_code;
    wire_client_close(&client);
    return error;
}

static void start(int32_t broker_id)
{
    broker_world_start(&world, (uint32_t)broker_id - 1);
    broker_world_wait_ready(&world, (uint32_t)broker_id - 1);
    broker_world_run_ms(&world, 3000);
}

/* The one that leads it loses its directory; the other one is down, and is all that was
 * acknowledged. */
Test(partition_map, damaged_partition_ends_its_broker_and_keeps_the_lead)
{
    static const struct kafka_talk_config two[] = {{"min.insync.replicas", "2"}, {NULL, NULL}};
    struct broker_world_options options = {.broker_count = 3};
    broker_world_init(&world, &options, NULL);
    broker_world_start_all(&world);
    wire_client_open(&client, &world, 0);
    cr_assert_eq(kafka_talk_create(&client, "pair", 1, 2, two), 0);
    cr_assert_eq(kafka_talk_create(&client, "all", 1, 3, NULL), 0);
    learn_replicas();
    wire_client_close(&client);
    cr_assert_eq(put_at(replicas[0], "pair"), ERROR_CODE_NONE);
    broker_world_run_ms(&world, 1000);
    sim_node_kill(world.brokers[replicas[1] - 1].node);
    broker_world_run_ms(&world, 5000);
    broker_world_stop(&world, (uint32_t)replicas[0] - 1);
    struct disk *disk = &broker_world_disk(&world, (uint32_t)replicas[0] - 1)->disk;
    cr_assert_eq(log_directory_remove(disk, "data/pair-0"), STATUS_OK);

    start(replicas[0]);
    cr_expect_eq(world.brokers[replicas[0] - 1].failure_count, 0);
    cr_expect_eq(put_at(replicas[0], "pair"), ERROR_CODE_KAFKA_STORAGE_ERROR);
    start(replicas[1]);
    cr_expect_eq(put_at(replicas[0], "pair"), ERROR_CODE_KAFKA_STORAGE_ERROR);
    cr_expect_eq(put_at(replicas[1], "pair"), ERROR_CODE_NONE, "it has taken over");
    bool is_served = false; /* By one of those who have it. */
    for (int32_t id = 1; id <= 3; id++) {
        is_served = is_served || put_at(id, "all") == ERROR_CODE_NONE;
    }
    cr_expect(is_served);

    wire_client_open(&client, &world, (uint32_t)replicas[0] - 1);
    cr_expect_eq(kafka_talk_delete(&client, "pair"), 0);
    broker_world_run_ms(&world, 1000);
    cr_expect_eq(kafka_talk_create(&client, "pair", 1, 3, NULL), 0, "under its name anew");
    end();
}
