/* Goal: a transaction has the partitions that were added to it, once each, and no others.
 * Method: AddPartitionsToTxn in both of its forms to a whole broker in the simulated world. */
#include "proto/kafka/add_partitions_to_txn.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/error_code.h"
#include "tests/rig/kafka_talk.h"
#include "tests/rig/txn_talk.h"

#include <criterion/criterion.h>

typedef struct kafka_add_partitions_to_txn_request_add_partitions_to_txn_transaction transaction;
typedef struct kafka_add_partitions_to_txn_request_add_partitions_to_txn_topic topic;

static struct broker_world world;
static struct wire_client client;
static struct txn_talk talk;
static const char *const settings[] = {"internal.topic.partitions=1", NULL};

static void set_up(void)
{
    broker_world_init(&world,
                      &(struct broker_world_options){.shard_count = 2, .settings = settings}, NULL);
    broker_world_start_all(&world);
    wire_client_open(&client, &world, 0);
    cr_assert_eq(kafka_talk_create(&client, "t", 4, 1, NULL), 0);
    txn_talk_find(&client, "x");
    talk = (struct txn_talk){.client = &client, .id = "x"};
    cr_assert_eq(txn_talk_begin(&talk), 0);
}

static void tear_down(void)
{
    broker_world_done(&world);
}

TestSuite(txn_adding, .init = set_up, .fini = tear_down);

/* As the leader of a partition asks. The code of partition 0 of topic "t" or so. */
static int16_t ask(int32_t partition, bool is_verify_only, int16_t version)
{
    topic t = {.name = wire_text_of("t"), .partitions = &partition, .partitions_count = 1};
    transaction one = {.transactional_id = wire_text_of(talk.id),
                       .producer_id = talk.producer_id,
                       .producer_epoch = talk.producer_epoch,
                       .verify_only = is_verify_only,
                       .topics = &t,
                       .topics_count = 1};
    struct kafka_add_partitions_to_txn_request request = {.transactions = &one,
                                                          .transactions_count = 1};
    struct kafka_add_partitions_to_txn_response answer;
    cr_assert(wire_client_call(&client, API_KEY_ADD_PARTITIONS_TO_TXN, version, &request, &answer));
    cr_assert_eq(answer.results_by_transaction_count, 1);
    return answer.results_by_transaction[0]
        .topic_results[0]
        .results_by_partition[0]
        .partition_error_code;
}

Test(txn_adding, verifying_adds_nothing)
{
    cr_expect_eq(ask(0, true, 5), ERROR_CODE_TRANSACTION_ABORTABLE);
    cr_expect_eq(ask(0, true, 4), ERROR_CODE_INVALID_TXN_STATE);
    cr_expect_str_eq(txn_talk_state(&client, "x"), "Empty");
    cr_expect_eq(txn_talk_add(&talk, 0), 0);
    cr_expect_eq(ask(0, true, 5), 0);
    cr_expect_eq(ask(1, true, 5), ERROR_CODE_TRANSACTION_ABORTABLE);
}

Test(txn_adding, leaders_add_as_clients_do)
{
    cr_expect_eq(ask(2, false, 5), 0);
    cr_expect_eq(ask(2, true, 5), 0);
    cr_expect_eq(txn_talk_add(&talk, 2), 0);
    cr_expect_eq(ask(9, false, 5), ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION);
    cr_expect_eq(txn_talk_end(&talk, true), 0);
    broker_world_run_ms(&world, 100);
    cr_expect_eq(ask(2, true, 5), ERROR_CODE_TRANSACTION_ABORTABLE);
}

Test(txn_adding, one_partition_that_is_not_there_stops_the_others)
{
    int32_t partitions[3] = {0, 9, 0};
    topic t = {.name = wire_text_of("t"), .partitions = partitions, .partitions_count = 3};
    struct kafka_add_partitions_to_txn_request request = {
        .v3_and_below_transactional_id = wire_text_of("x"),
        .v3_and_below_producer_id = talk.producer_id,
        .v3_and_below_producer_epoch = talk.producer_epoch,
        .v3_and_below_topics = &t,
        .v3_and_below_topics_count = 1};
    struct kafka_add_partitions_to_txn_response answer;
    cr_assert(wire_client_call(&client, API_KEY_ADD_PARTITIONS_TO_TXN, 3, &request, &answer));
    const struct kafka_add_partitions_to_txn_response_add_partitions_to_txn_partition_result *rows =
        answer.results_by_topic_v3_and_below[0].results_by_partition;
    cr_expect_eq(rows[0].partition_error_code, ERROR_CODE_OPERATION_NOT_ATTEMPTED);
    cr_expect_eq(rows[1].partition_error_code, ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION);
    cr_expect_str_eq(txn_talk_state(&client, "x"), "Empty");
    partitions[1] = 0; /* Named three times, it is in it once: one marker ends it. */
    cr_assert(wire_client_call(&client, API_KEY_ADD_PARTITIONS_TO_TXN, 3, &request, &answer));
    cr_expect_eq(txn_talk_end(&talk, true), 0);
    broker_world_run_ms(&world, 100);
    cr_expect_eq(kafka_talk_offset(&client, "t", 0, -1), 1);
}

Test(txn_adding, old_versions_hear_of_an_old_epoch_in_their_own_word)
{
    int32_t partition = 0;
    topic t = {.name = wire_text_of("t"), .partitions = &partition, .partitions_count = 1};
    struct kafka_add_partitions_to_txn_request request = {
        .v3_and_below_transactional_id = wire_text_of("x"),
        .v3_and_below_producer_id = talk.producer_id,
        .v3_and_below_producer_epoch = (int16_t)(talk.producer_epoch + 1),
        .v3_and_below_topics = &t,
        .v3_and_below_topics_count = 1};
    struct kafka_add_partitions_to_txn_response answer;
    for (int16_t version = 0; version <= 3; version++) {
        cr_assert(
            wire_client_call(&client, API_KEY_ADD_PARTITIONS_TO_TXN, version, &request, &answer));
        cr_expect_eq(
            answer.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code,
            version < 2 ? ERROR_CODE_INVALID_PRODUCER_EPOCH : ERROR_CODE_PRODUCER_FENCED);
    }
}
