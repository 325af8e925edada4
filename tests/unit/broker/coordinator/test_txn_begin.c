/* Goal: there is one producer of a transactional id, the one that was identified last.
 * Method: producers speak frames to a whole broker in the simulated world. */
#include "proto/kafka/api_key.h"
#include "proto/kafka/end_txn.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/init_producer_id.h"
#include "tests/rig/kafka_talk.h"
#include "tests/rig/txn_talk.h"

#include <criterion/criterion.h>

static struct broker_world world;
static struct wire_client client;
static const char *const settings[] = {"internal.topic.partitions=1", NULL};

static void set_up(void)
{
    broker_world_init(&world,
                      &(struct broker_world_options){.shard_count = 2, .settings = settings}, NULL);
    broker_world_start_all(&world);
    wire_client_open(&client, &world, 0);
    cr_assert_eq(kafka_talk_create(&client, "t", 4, 1, NULL), 0);
    txn_talk_find(&client, "x");
}

static void tear_down(void)
{
    broker_world_done(&world);
}

TestSuite(txn_begin, .init = set_up, .fini = tear_down);

static struct txn_talk begin(void)
{
    struct txn_talk talk = {.client = &client, .id = "x", .is_new = true};
    cr_assert_eq(txn_talk_begin(&talk), 0);
    return talk;
}

Test(txn_begin, who_comes_again_gets_the_next_epoch)
{
    struct txn_talk first = begin();
    struct txn_talk second = begin();
    cr_expect_eq(first.producer_epoch, 0);
    cr_expect_eq(second.producer_id, first.producer_id);
    cr_expect_eq(second.producer_epoch, 1);
    cr_expect_eq(txn_talk_write(&first, 0), ERROR_CODE_INVALID_PRODUCER_EPOCH);
    cr_expect_eq(txn_talk_add(&first, 0), ERROR_CODE_PRODUCER_FENCED);
    cr_expect_eq(txn_talk_end(&first, false), ERROR_CODE_PRODUCER_FENCED);
    cr_expect_eq(txn_talk_write(&second, 0), 0);
}

Test(txn_begin, an_open_transaction_is_aborted_first)
{
    int32_t aborted_count;
    struct txn_talk first = begin();
    cr_expect_eq(txn_talk_write(&first, 0), 0);
    struct txn_talk second = begin();
    cr_expect_eq(second.producer_epoch, 2); /* One for the abort, one for the heir. */
    cr_expect_eq(txn_talk_stable_offset(&client, 0, &aborted_count), 2);
    cr_expect_eq(aborted_count, 1);
    cr_expect_eq(txn_talk_end(&first, true), ERROR_CODE_PRODUCER_FENCED);
    cr_expect_eq(txn_talk_end(&first, false), ERROR_CODE_PRODUCER_FENCED);
    cr_expect_eq(txn_talk_write(&first, 0), ERROR_CODE_INVALID_PRODUCER_EPOCH);
    cr_expect_eq(txn_talk_write(&first, 1), ERROR_CODE_INVALID_PRODUCER_EPOCH);
}

static void ask_begin(const struct txn_talk *talk)
{
    struct kafka_init_producer_id_request request;
    kafka_init_producer_id_request_defaults(&request);
    request.transactional_id = wire_text_of(talk->id);
    request.transaction_timeout_ms = 60000;
    wire_client_ask(&client, API_KEY_INIT_PRODUCER_ID, 5, &request);
}

static void ask_commit(const struct txn_talk *talk)
{
    struct kafka_end_txn_request request = {.transactional_id = wire_text_of(talk->id),
                                            .producer_id = talk->producer_id,
                                            .producer_epoch = talk->producer_epoch,
                                            .committed = true};
    wire_client_ask(&client, API_KEY_END_TXN, 5, &request);
}

Test(txn_begin, who_is_taken_over_is_fenced_at_any_moment_of_it)
{
    uint32_t fenced_count = 0;
    for (int step = 0; step < 60; step++) {
        struct txn_talk talk = begin();
        cr_assert_eq(txn_talk_write(&talk, 0), 0);
        ask_begin(&talk);
        sim_world_run_for(world.world, step * 50 * SIM_US);
        ask_commit(&talk);
        struct kafka_init_producer_id_response begun;
        struct kafka_end_txn_response ended;
        int32_t last = client.correlation_id;
        cr_assert(wire_client_answer(&client, API_KEY_INIT_PRODUCER_ID, 5, last - 1, &begun));
        cr_assert(wire_client_answer(&client, API_KEY_END_TXN, 5, last, &ended));
        cr_expect_eq(begun.error_code, 0);
        bool was_first = ended.error_code == ERROR_CODE_NONE;
        cr_expect(was_first || ended.error_code == ERROR_CODE_PRODUCER_FENCED, "step %d: %d", step,
                  ended.error_code);
        fenced_count += was_first ? 0 : 1;
    }
    cr_expect_gt(fenced_count, 30);
}

Test(txn_begin, a_claim_holds_for_the_present_producer_only)
{
    struct txn_talk first = begin();
    struct txn_talk again = first;
    cr_expect_eq(txn_talk_claim(&again), 0);
    cr_expect_eq(again.producer_epoch, 1);
    struct txn_talk repeat = first;
    cr_expect_eq(txn_talk_claim(&repeat), 0); /* The answer was lost: the same one. */
    cr_expect_eq(repeat.producer_epoch, 1);
    struct txn_talk other = begin();
    cr_expect_eq(other.producer_epoch, 2);
    cr_expect_eq(txn_talk_claim(&first), ERROR_CODE_PRODUCER_FENCED);
    cr_expect_eq(txn_talk_claim(&again), ERROR_CODE_PRODUCER_FENCED);
    cr_expect_eq(txn_talk_claim(&other), 0);
}

Test(txn_begin, a_claim_survives_the_abort_of_its_own_transaction)
{
    struct txn_talk first = begin();
    cr_expect_eq(txn_talk_write(&first, 0), 0);
    struct txn_talk again = first;
    cr_expect_eq(txn_talk_claim(&again), 0);
    cr_expect_eq(again.producer_epoch, 1); /* That of the abort, which nobody else has. */
    struct txn_talk repeat = first;
    cr_expect_eq(txn_talk_claim(&repeat), 0);
    cr_expect_eq(repeat.producer_epoch, 1);
    cr_expect_eq(txn_talk_write(&again, 0), 0);
    cr_expect_eq(txn_talk_end(&again, true), 0);
}

Test(txn_begin, timeouts_have_limits)
{
    struct txn_talk talk = {.client = &client, .id = "x", .timeout_ms = 900001};
    cr_expect_eq(txn_talk_begin(&talk), ERROR_CODE_INVALID_TRANSACTION_TIMEOUT);
    talk.timeout_ms = -5;
    cr_expect_eq(txn_talk_begin(&talk), ERROR_CODE_INVALID_TRANSACTION_TIMEOUT);
    talk.id = "";
    talk.timeout_ms = 0;
    cr_expect_eq(txn_talk_begin(&talk), ERROR_CODE_INVALID_REQUEST);
    cr_expect_eq(txn_talk_count(&client, NULL), 0);
}

/* All epochs but a few of a producer id are used up, by a producer that comes again and again. */
static void use_up(struct txn_talk *talk, int16_t last_epoch)
{
    *talk = begin();
    while (talk->producer_epoch < last_epoch) {
        if (talk->producer_epoch % 2000 == 0) {
            wire_client_close(&client);
            wire_client_open(&client, &world, 0);
        }
        cr_assert_eq(txn_talk_begin(talk), 0);
    }
}

Test(txn_begin, nobody_gets_the_epoch_behind_the_last, .timeout = 240)
{
    struct txn_talk talk;
    use_up(&talk, 32766);
    talk.timeout_ms = 5000;
    cr_expect_eq(txn_talk_write(&talk, 0), 0);
    broker_world_run_ms(&world, 62000);
    cr_expect_str_eq(txn_talk_state(&client, "x"), "CompleteAbort");
    cr_expect_eq(txn_talk_end(&talk, false), ERROR_CODE_PRODUCER_FENCED);
    struct txn_talk guess = talk;
    guess.producer_epoch = 32767;
    cr_expect_eq(txn_talk_end(&guess, false), ERROR_CODE_PRODUCER_FENCED);
    cr_expect_eq(txn_talk_add(&guess, 0), ERROR_CODE_PRODUCER_FENCED);
    int64_t id = talk.producer_id;
    cr_expect_eq(txn_talk_claim(&talk), 0);
    cr_expect_neq(talk.producer_id, id);
    cr_expect_eq(talk.producer_epoch, 0);
}

Test(txn_begin, another_producer_id_follows_the_last_epoch, .timeout = 240)
{
    struct txn_talk talk;
    use_up(&talk, 32765);
    int64_t id = talk.producer_id;
    cr_expect_eq(txn_talk_write(&talk, 0), 0);
    cr_expect_eq(txn_talk_end(&talk, true), 0);
    cr_expect_eq(talk.producer_id, id);
    cr_expect_eq(talk.producer_epoch, 32766);
    cr_expect_eq(txn_talk_write(&talk, 0), 0);
    struct txn_talk before = talk;
    cr_expect_eq(txn_talk_end(&talk, true), 0);
    cr_expect_neq(talk.producer_id, id);
    cr_expect_eq(talk.producer_epoch, 0);
    struct txn_talk again = before;
    cr_expect_eq(txn_talk_end(&again, true), 0);
    cr_expect_eq(again.producer_id, talk.producer_id);
    cr_expect_eq(again.producer_epoch, 0);
    cr_expect_eq(txn_talk_write(&talk, 0), 0);
    again = before;
    cr_expect_eq(txn_talk_write(&again, 0), ERROR_CODE_INVALID_PRODUCER_EPOCH);
    cr_expect_eq(txn_talk_end(&talk, true), 0);
    int32_t aborted_count;
    broker_world_run_ms(&world, 100);
    cr_expect_eq(txn_talk_stable_offset(&client, 0, &aborted_count), 6);
}
