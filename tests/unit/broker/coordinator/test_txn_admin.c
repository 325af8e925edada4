/* Goal: operators find the transaction that they look for.
 * Method: three transactional ids in different states, asked for in every way. */
#include "proto/kafka/api_key.h"
#include "proto/kafka/describe_transactions.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/list_transactions.h"
#include "tests/rig/kafka_talk.h"
#include "tests/rig/txn_talk.h"

#include <criterion/criterion.h>

static struct broker_world world;
static struct wire_client client;
static struct txn_talk open;
static struct txn_talk done;
static struct txn_talk empty;
static const char *const settings[] = {"internal.topic.partitions=3", NULL};

static void set_up(void)
{
    broker_world_init(&world,
                      &(struct broker_world_options){.shard_count = 2, .settings = settings}, NULL);
    broker_world_start_all(&world);
    wire_client_open(&client, &world, 0);
    cr_assert_eq(kafka_talk_create(&client, "t", 4, 1, NULL), 0);
    txn_talk_find(&client, "open");
    open = (struct txn_talk){.client = &client, .id = "open", .is_new = true};
    done = (struct txn_talk){.client = &client, .id = "done", .is_new = true};
    empty = (struct txn_talk){.client = &client, .id = "empty", .timeout_ms = 1234};
    cr_assert_eq(txn_talk_begin(&open), 0);
    cr_assert_eq(txn_talk_begin(&done), 0);
    cr_assert_eq(txn_talk_begin(&empty), 0);
    cr_assert_eq(txn_talk_write(&open, 1), 0);
    cr_assert_eq(txn_talk_write(&open, 3), 0);
    cr_assert_eq(txn_talk_write(&done, 0), 0);
    cr_assert_eq(txn_talk_end(&done, true), 0);
    broker_world_run_ms(&world, 2000);
}

static void tear_down(void)
{
    broker_world_done(&world);
}

TestSuite(txn_admin, .init = set_up, .fini = tear_down);

static struct kafka_list_transactions_response list(struct kafka_list_transactions_request request)
{
    struct kafka_list_transactions_response answer;
    request.transactional_id_pattern = wire_text_of(NULL);
    cr_assert(wire_client_call(&client, API_KEY_LIST_TRANSACTIONS, 1, &request, &answer));
    cr_assert_eq(answer.error_code, 0);
    return answer;
}

Test(txn_admin, ids_are_listed_by_state)
{
    cr_expect_eq(txn_talk_count(&client, NULL), 3);
    cr_expect_eq(txn_talk_count(&client, "Ongoing"), 1);
    cr_expect_eq(txn_talk_count(&client, "CompleteCommit"), 1);
    cr_expect_eq(txn_talk_count(&client, "Empty"), 1);
    cr_expect_eq(txn_talk_count(&client, "PrepareAbort"), 0);
    struct wire_text state = wire_text_of("Sleeping");
    struct kafka_list_transactions_response answer = list((struct kafka_list_transactions_request){
        .state_filters = &state, .state_filters_count = 1, .duration_filter = -1});
    cr_expect_eq(answer.transaction_states_count, 0);
    cr_expect_eq(answer.unknown_state_filters_count, 1);
    cr_expect(wire_text_equals(answer.unknown_state_filters[0], "Sleeping"));
}

Test(txn_admin, ids_are_listed_by_producer_and_by_how_long_they_are_open)
{
    struct kafka_list_transactions_response answer =
        list((struct kafka_list_transactions_request){.producer_id_filters = &done.producer_id,
                                                      .producer_id_filters_count = 1,
                                                      .duration_filter = -1});
    cr_assert_eq(answer.transaction_states_count, 1);
    cr_expect(wire_text_equals(answer.transaction_states[0].transactional_id, "done"));
    answer = list((struct kafka_list_transactions_request){.duration_filter = 1000});
    cr_assert_eq(answer.transaction_states_count, 1);
    cr_expect(wire_text_equals(answer.transaction_states[0].transactional_id, "open"));
    answer = list((struct kafka_list_transactions_request){.duration_filter = 60000});
    cr_expect_eq(answer.transaction_states_count, 0);
}

Test(txn_admin, an_open_transaction_is_described_with_its_partitions)
{
    struct wire_text ids[3] = {wire_text_of("open"), wire_text_of("empty"), wire_text_of("nobody")};
    struct kafka_describe_transactions_request request = {.transactional_ids = ids,
                                                          .transactional_ids_count = 3};
    struct kafka_describe_transactions_response answer;
    cr_assert(wire_client_call(&client, API_KEY_DESCRIBE_TRANSACTIONS, 0, &request, &answer));
    const struct kafka_describe_transactions_response_transaction_state *rows =
        answer.transaction_states;
    cr_expect(wire_text_equals(rows[0].transaction_state, "Ongoing"));
    cr_expect_eq(rows[0].producer_id, open.producer_id);
    cr_expect_eq(rows[0].producer_epoch, open.producer_epoch);
    cr_expect_gt(rows[0].transaction_start_time_ms, 0);
    cr_assert_eq(rows[0].topics_count, 1);
    cr_assert_eq(rows[0].topics[0].partitions_count, 2);
    cr_expect_eq(rows[0].topics[0].partitions[0], 1);
    cr_expect_eq(rows[0].topics[0].partitions[1], 3);
    cr_expect(wire_text_equals(rows[1].transaction_state, "Empty"));
    cr_expect_eq(rows[1].transaction_timeout_ms, 1234);
    cr_expect_eq(rows[1].topics_count, 0);
    cr_expect_eq(rows[2].error_code, ERROR_CODE_TRANSACTIONAL_ID_NOT_FOUND);
}
