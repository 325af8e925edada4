/* Goal: what nobody ends is ended when its time is over, whatever the wall clock says.
 * Method: a whole broker in the simulated world, whose wall clock jumps. */
#include "proto/kafka/add_partitions_to_txn.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/describe_transactions.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/find_coordinator.h"
#include "proto/kafka/init_producer_id.h"
#include "tests/rig/kafka_talk.h"

#include <criterion/criterion.h>
#include <string.h>

#define ID "txn"
#define TIMEOUT_MS 10000
#define DAY_MS INT64_C(86400000)

static struct broker_world world;
static struct wire_client client;

static void find(void)
{
    struct kafka_find_coordinator_response answer = {.error_code =
                                                         ERROR_CODE_COORDINATOR_NOT_AVAILABLE};
    for (int i = 0; i < 100 && answer.error_code != ERROR_CODE_NONE; i++) {
        struct kafka_find_coordinator_request request = {.key = wire_text_of(ID), .key_type = 1};
        cr_assert(wire_client_call(&client, API_KEY_FIND_COORDINATOR, 3, &request, &answer));
        broker_world_run_ms(&world, 100);
    }
    cr_assert_eq(answer.error_code, ERROR_CODE_NONE);
}

static void set_up(void)
{
    static const char *const settings[] = {
        "internal.topic.partitions=1",
        "transaction.abort.timed.out.transaction.cleanup.interval.ms=1000", NULL};
    broker_world_init(&world,
                      &(struct broker_world_options){.shard_count = 1, .settings = settings}, NULL);
    broker_world_start_all(&world);
    wire_client_open(&client, &world, 0);
    cr_assert_eq(kafka_talk_create(&client, "t", 1, 1, NULL), 0);
    find();
}

static void tear_down(void)
{
    wire_client_close(&client);
    broker_world_done(&world);
}

TestSuite(txn_book, .init = set_up, .fini = tear_down);

static void open_transaction(void)
{
    struct kafka_init_producer_id_request init;
    kafka_init_producer_id_request_defaults(&init);
    init.transactional_id = wire_text_of(ID);
    init.transaction_timeout_ms = TIMEOUT_MS;
    struct kafka_init_producer_id_response made = {.error_code =
                                                       ERROR_CODE_COORDINATOR_LOAD_IN_PROGRESS};
    for (int i = 0; i < 100 && made.error_code != ERROR_CODE_NONE; i++) {
        cr_assert(wire_client_call(&client, API_KEY_INIT_PRODUCER_ID, 4, &init, &made));
        broker_world_run_ms(&world, 50);
    }
    cr_assert_eq(made.error_code, ERROR_CODE_NONE);
    int32_t partition = 0;
    struct kafka_add_partitions_to_txn_request_add_partitions_to_txn_topic topic = {
        .name = wire_text_of("t"), .partitions = &partition, .partitions_count = 1};
    struct kafka_add_partitions_to_txn_request add;
    kafka_add_partitions_to_txn_request_defaults(&add);
    add.v3_and_below_transactional_id = wire_text_of(ID);
    add.v3_and_below_producer_id = made.producer_id;
    add.v3_and_below_producer_epoch = made.producer_epoch;
    add.v3_and_below_topics = &topic;
    add.v3_and_below_topics_count = 1;
    struct kafka_add_partitions_to_txn_response added;
    cr_assert(wire_client_call(&client, API_KEY_ADD_PARTITIONS_TO_TXN, 3, &add, &added));
    cr_assert_eq(
        added.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code,
        ERROR_CODE_NONE);
}

static bool is_in_state(const char *state)
{
    struct kafka_describe_transactions_response answer;
    for (int i = 0; i < 100; i++) {
        struct wire_text id = wire_text_of(ID);
        struct kafka_describe_transactions_request request = {.transactional_ids = &id,
                                                              .transactional_ids_count = 1};
        cr_assert(wire_client_call(&client, API_KEY_DESCRIBE_TRANSACTIONS, 0, &request, &answer));
        if (answer.transaction_states[0].error_code == ERROR_CODE_NONE) {
            return wire_text_equals(answer.transaction_states[0].transaction_state, state);
        }
        broker_world_run_ms(&world, 50);
    }
    return false;
}

Test(txn_book, transaction_stays_open_for_a_day_when_the_wall_clock_falls_back_by_one)
{
    open_transaction();
    sim_node_jump_wall(world.brokers[0].node, -DAY_MS);
    broker_world_run_ms(&world, TIMEOUT_MS - 2000);
    cr_expect(is_in_state("Ongoing"));
    broker_world_run_ms(&world, 4000);

    cr_expect(is_in_state("CompleteAbort"));
}

Test(txn_book, transaction_is_aborted_at_once_when_the_wall_clock_jumps_ahead)
{
    open_transaction();
    sim_node_jump_wall(world.brokers[0].node, DAY_MS);
    broker_world_run_ms(&world, 3000);
    cr_expect(is_in_state("Ongoing"));
    broker_world_run_ms(&world, TIMEOUT_MS);

    cr_expect(is_in_state("CompleteAbort"));
}

/* The next coordinator knows the beginning by the wall clock only, which is behind. */
Test(txn_book, transaction_of_a_clock_that_was_ahead_stays_open_behind_a_restart)
{
    open_transaction();
    wire_client_close(&client);
    sim_node_kill(world.brokers[0].node);
    sim_node_jump_wall(world.brokers[0].node, -DAY_MS);
    broker_world_start_all(&world);
    wire_client_open(&client, &world, 0);
    find();
    cr_expect(is_in_state("Ongoing"));
    broker_world_run_ms(&world, TIMEOUT_MS + 2000);

    cr_expect(is_in_state("CompleteAbort"));
}
