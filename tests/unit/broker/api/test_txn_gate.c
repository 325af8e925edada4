/* Goal: nothing gets into a partition that the transaction's coordinator does not know of, so that
 * nothing holds up its last stable offset (KIP-890).
 * Method: producers speak frames to a whole broker in the simulated world. */
#include "broker/coordinator/ledger_key.h"
#include "broker/partition/partition_map.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/describe_quorum.h"
#include "proto/kafka/error_code.h"
#include "tests/rig/group_talk.h"
#include "tests/rig/kafka_talk.h"
#include "tests/rig/txn_talk.h"

#include <criterion/criterion.h>

static struct broker_world world;
static struct wire_client client;
static struct txn_talk old;
static struct txn_talk new;
static const char *const settings[] = {"internal.topic.partitions=2", NULL};

static void set_up(void)
{
    broker_world_init(&world,
                      &(struct broker_world_options){.shard_count = 2, .settings = settings}, NULL);
    broker_world_start_all(&world);
    wire_client_open(&client, &world, 0);
    cr_assert_eq(kafka_talk_create(&client, "t", 4, 1, NULL), 0);
    txn_talk_find(&client, "old");
    old = (struct txn_talk){.client = &client, .id = "old"};
    new = (struct txn_talk){.client = &client, .id = "new", .is_new = true};
    cr_assert_eq(txn_talk_begin(&old), 0);
    cr_assert_eq(txn_talk_begin(&new), 0);
}

static void tear_down(void)
{
    broker_world_done(&world);
}

TestSuite(txn_gate, .init = set_up, .fini = tear_down);

Test(txn_gate, an_old_producer_must_have_added_what_it_writes_to)
{
    int32_t aborted_count;
    cr_expect_eq(txn_talk_write(&old, 0), ERROR_CODE_TRANSACTION_ABORTABLE);
    cr_expect_eq(txn_talk_add(&old, 1), 0);
    cr_expect_eq(txn_talk_write(&old, 0), ERROR_CODE_TRANSACTION_ABORTABLE);
    cr_expect_eq(txn_talk_write(&old, 1), 0);
    cr_expect_eq(txn_talk_stable_offset(&client, 0, &aborted_count), 0);
    cr_expect_eq(kafka_talk_offset(&client, "t", 0, -1), 0);
}

Test(txn_gate, a_write_behind_its_transaction_is_refused)
{
    int32_t aborted_count;
    cr_expect_eq(txn_talk_add(&old, 0), 0);
    cr_expect_eq(txn_talk_write(&old, 0), 0);
    cr_expect_eq(txn_talk_end(&old, false), 0);
    cr_expect_eq(txn_talk_write(&old, 0), ERROR_CODE_TRANSACTION_ABORTABLE);
    cr_expect_eq(txn_talk_stable_offset(&client, 0, &aborted_count), 2);
    cr_expect_eq(txn_talk_write(&new, 1), 0);
    struct txn_talk late = new;
    cr_expect_eq(txn_talk_end(&new, false), 0);
    broker_world_run_ms(&world, 100);
    cr_expect_eq(txn_talk_write(&late, 1), ERROR_CODE_INVALID_PRODUCER_EPOCH);
    cr_expect_eq(txn_talk_write(&late, 2), ERROR_CODE_INVALID_PRODUCER_EPOCH);
    cr_expect_eq(txn_talk_stable_offset(&client, 1, &aborted_count), 2);
    cr_expect_eq(kafka_talk_offset(&client, "t", 2, -1), 0);
}

Test(txn_gate, strangers_are_refused)
{
    struct txn_talk stranger = new;
    stranger.producer_id += 1000;
    cr_expect_eq(txn_talk_write(&stranger, 0), ERROR_CODE_INVALID_PRODUCER_ID_MAPPING);
    stranger = new;
    stranger.id = "nobody";
    cr_expect_eq(txn_talk_write(&stranger, 0), ERROR_CODE_INVALID_PRODUCER_ID_MAPPING);
    stranger = new;
    stranger.producer_epoch += 1;
    cr_expect_eq(txn_talk_write(&stranger, 0), ERROR_CODE_INVALID_PRODUCER_EPOCH);
    cr_expect_eq(kafka_talk_offset(&client, "t", 0, -1), 0);
}

/* Asks without waiting for the answer. */
static void ask_write(struct txn_talk *talk, int32_t partition, int32_t sequence)
{
    struct kafka_talk_produce produce = {.topic = "t",
                                         .partition = partition,
                                         .acks = -1,
                                         .version = 12,
                                         .transactional_id = talk->id};
    struct kafka_talk_batch batch = {.producer_id = talk->producer_id,
                                     .producer_epoch = talk->producer_epoch,
                                     .base_sequence = sequence,
                                     .is_transactional = true};
    produce.bytes = kafka_talk_batch(&client, &batch, &produce.byte_count);
    kafka_talk_ask_produce(&client, &produce);
}

Test(txn_gate, batches_that_come_together_keep_their_order)
{
    for (int32_t sequence = 0; sequence < 5; sequence++) {
        ask_write(&new, 0, sequence);
    }
    for (int32_t i = 0; i < 5; i++) {
        struct kafka_produce_response answer;
        cr_assert(wire_client_answer(&client, 0, 12, client.correlation_id - 4 + i, &answer));
        const struct kafka_produce_response_partition_produce_response *out =
            &answer.responses[0].partition_responses[0];
        cr_expect_eq(out->error_code, 0, "batch %d: %d", i, out->error_code);
        cr_expect_eq(out->base_offset, i);
    }
}

Test(txn_gate, a_repeat_of_what_is_written_is_answered_as_its_original)
{
    cr_expect_eq(txn_talk_add(&old, 0), 0);
    struct txn_talk repeat = old;
    cr_expect_eq(txn_talk_write(&old, 0), 0);
    cr_expect_eq(txn_talk_end(&old, true), 0);
    cr_expect_eq(txn_talk_write(&repeat, 0), 0);
    broker_world_run_ms(&world, 50);
    cr_expect_eq(kafka_talk_offset(&client, "t", 0, -1), 2); /* The record and its marker. */
}

Test(txn_gate, markers_of_the_past_end_nothing)
{
    int32_t aborted_count;
    cr_expect_eq(txn_talk_write(&new, 0), 0);
    cr_expect_eq(txn_talk_end(&new, true), 0);
    cr_expect_eq(txn_talk_write(&new, 0), 0);
    /* The marker of the transaction before had this epoch already. */
    cr_expect_eq(txn_talk_mark(&new, 0, true, 5, 2), ERROR_CODE_INVALID_PRODUCER_EPOCH);
    cr_expect_eq(txn_talk_mark(&new, 0, true, -1, 2), ERROR_CODE_INVALID_REQUEST);
    cr_expect_eq(txn_talk_stable_offset(&client, 0, &aborted_count), 2);
    struct txn_talk admin = new;
    admin.producer_epoch += 1;
    cr_expect_eq(txn_talk_mark(&admin, 0, false, 5, 2), 0); /* An operator may. */
    cr_expect_eq(txn_talk_stable_offset(&client, 0, &aborted_count), 4);
    cr_expect_eq(aborted_count, 1);
    cr_expect_eq(txn_talk_mark(&admin, 0, false, 4, 0), ERROR_CODE_TRANSACTION_COORDINATOR_FENCED);
    cr_expect_eq(txn_talk_mark(&admin, 9, false, 5, 0), ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION);
}

Test(txn_gate, a_partition_that_is_not_there_is_not_added_and_nothing_else_is)
{
    cr_expect_eq(txn_talk_add(&old, 9), ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION);
    cr_expect_str_eq(txn_talk_state(&client, "old"), "Empty");
    struct txn_talk stranger = old;
    stranger.producer_id += 1;
    cr_expect_eq(txn_talk_add(&stranger, 0), ERROR_CODE_INVALID_PRODUCER_ID_MAPPING);
}

/* ---- the coordinator is another broker ---- */

static int32_t quorum_leader(struct wire_client *asked)
{
    struct kafka_describe_quorum_request_partition_data partition = {.partition_index = 0};
    struct kafka_describe_quorum_request_topic_data topic = {.topic_name =
                                                                 wire_text_of("__cluster_metadata"),
                                                             .partitions = &partition,
                                                             .partitions_count = 1};
    struct kafka_describe_quorum_request request = {.topics = &topic, .topics_count = 1};
    struct kafka_describe_quorum_response answer;
    cr_assert(wire_client_call(asked, API_KEY_DESCRIBE_QUORUM, 2, &request, &answer));
    cr_assert_eq(answer.error_code, 0);
    return answer.topics[0].partitions[0].leader_id;
}

static const struct image *image_of(uint32_t broker)
{
    const struct broker_life *life = world.brokers[broker].node->state;
    return partition_map_image(broker_partitions(life->broker, 0));
}

/* An id whose coordinator does not lead the quorum; begins with it. */
static int32_t begin_elsewhere(struct txn_talk *talk, int32_t controller)
{
    static const char *const ids[] = {"0", "1", "2", "3", "4", "5", "6", "7"};
    const struct image_topic *txns =
        image_topic_by_name(image_of(0), wire_text_of("__transaction_state"));
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        int32_t index = ledger_key_partition(wire_text_of(ids[i]), txns->partition_count);
        int32_t coordinator = txns->partitions[index].leader;
        if (coordinator != controller) {
            *talk = (struct txn_talk){.client = &client, .id = ids[i], .is_new = true};
            wire_client_open(&client, &world, (uint32_t)coordinator - 1);
            cr_assert_eq(txn_talk_begin(talk), 0);
            wire_client_close(&client);
            return coordinator;
        }
    }
    cr_assert_fail("the quorum's leader coordinates all of them");
    return -1;
}

/* A partition of "t" at that broker, behind `after`. */
static int32_t partition_at(int32_t broker_id, int32_t after)
{
    const struct image_topic *topic = image_topic_by_name(image_of(0), wire_text_of("t"));
    for (int32_t i = after + 1; i < (int32_t)topic->partition_count; i++) {
        if (topic->partitions[i].leader == broker_id) {
            return i;
        }
    }
    cr_assert_fail("broker %d leads too few", broker_id);
    return -1;
}

static void make_cluster(uint64_t seed)
{
    static const char *const three[] = {"internal.topic.partitions=3", NULL};
    struct broker_world_options options = {.broker_count = 3, .seed = seed, .settings = three};
    wire_client_close(&client);
    broker_world_done(&world);
    broker_world_init(&world, &options, NULL);
    broker_world_start_all(&world);
    wire_client_open(&client, &world, 0);
    cr_assert_eq(kafka_talk_create(&client, "t", 6, 1, NULL), 0);
    txn_talk_find(&client, "0");
    broker_world_run_ms(&world, 1000);
}

static int16_t write_to_topic_that_goes(uint64_t seed)
{
    make_cluster(seed);
    int32_t controller = quorum_leader(&client);
    wire_client_close(&client);
    struct txn_talk talk;
    int32_t coordinator = begin_elsewhere(&talk, controller);
    int32_t leader = 6 - controller - coordinator;
    int32_t first = partition_at(leader, -1);
    int32_t second = partition_at(leader, first);
    wire_client_open(&client, &world, (uint32_t)leader - 1);
    cr_assert_eq(txn_talk_write(&talk, first), 0); /* The two brokers are connected now. */

    sim_network_cut_one_way(world.brokers[coordinator - 1].node, world.brokers[leader - 1].node);
    ask_write(&talk, second, 0);
    cr_assert(wire_client_is_quiet_for(&client, 20));
    struct wire_client deleter;
    wire_client_open(&deleter, &world, (uint32_t)controller - 1);
    cr_assert_eq(kafka_talk_delete(&deleter, "t"), 0);
    wire_client_close(&deleter);
    cr_assert(wire_client_is_quiet_for(&client, 150));
    sim_network_heal(world.brokers[coordinator - 1].node, world.brokers[leader - 1].node);

    struct kafka_produce_response answer;
    cr_assert(wire_client_answer(&client, API_KEY_PRODUCE, 12, client.correlation_id, &answer));
    return answer.responses[0].partition_responses[0].error_code;
}

Test(txn_gate, a_topic_that_went_while_the_coordinator_was_asked_is_not_looked_at_any_more)
{
    uint32_t count = 0;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        int16_t code = write_to_topic_that_goes(seed);
        /* Or the connection to the coordinator has ended meanwhile: nothing was looked at. */
        cr_expect(code == ERROR_CODE_NOT_LEADER_OR_FOLLOWER ||
                      code == ERROR_CODE_NOT_ENOUGH_REPLICAS,
                  "%d", code);
        count += code == ERROR_CODE_NOT_LEADER_OR_FOLLOWER;
    }
    cr_expect_geq(count, 3);
}
