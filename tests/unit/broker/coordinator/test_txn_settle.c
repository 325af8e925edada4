/* Goal: whatever was decided comes to its end, and what nobody ends is ended; by any coordinator.
 * Method: producers speak frames to a whole broker in the simulated world that stops, loses power,
 * or waits for longer than a transaction may. */
#include "proto/kafka/error_code.h"
#include "tests/rig/group_talk.h"
#include "tests/rig/kafka_talk.h"
#include "tests/rig/txn_talk.h"

#include <criterion/criterion.h>

static struct broker_world world;
static struct wire_client client;
static const char *const settings[] = {
    "internal.topic.partitions=1", "coordinator.snapshot.records=10",
    "transactional.id.expiration.ms=3600000",
    "transaction.remove.expired.transaction.cleanup.interval.ms=60000", NULL};

static void set_up(void)
{
    broker_world_init(&world,
                      &(struct broker_world_options){.shard_count = 2, .settings = settings}, NULL);
    broker_world_start_all(&world);
    wire_client_open(&client, &world, 0);
    cr_assert_eq(kafka_talk_create(&client, "t", 4, 1, NULL), 0);
    txn_talk_find(&client, "x");
    group_talk_find(&client, "g");
}

static void tear_down(void)
{
    broker_world_done(&world);
}

TestSuite(txn_settle, .init = set_up, .fini = tear_down);

static void lose_power(void)
{
    wire_client_close(&client);
    sim_node_lose_power(world.brokers[0].node);
    broker_world_start_all(&world);
    wire_client_open(&client, &world, 0);
    txn_talk_find(&client, "x");
}

static struct txn_talk begin(bool is_new)
{
    struct txn_talk talk = {.client = &client, .id = "x", .is_new = is_new};
    int16_t code;
    while ((code = txn_talk_begin(&talk)) == ERROR_CODE_COORDINATOR_LOAD_IN_PROGRESS) {
        broker_world_run_ms(&world, 10);
    }
    cr_assert_eq(code, 0);
    return talk;
}

static int64_t log_end(int32_t partition)
{
    return kafka_talk_offset(&client, "t", partition, -1);
}

Test(txn_settle, what_was_prepared_is_completed_after_a_power_cut)
{
    int64_t expected = 0;
    int64_t committed = -1;
    for (int step = 0; step < 40; step++) {
        struct txn_talk talk = begin(true);
        cr_assert_eq(txn_talk_write(&talk, 0), 0);
        cr_assert_eq(txn_talk_write(&talk, 1), 0);
        cr_assert_eq(txn_talk_commit_offset(&talk, "g", step), 0);
        bool is_commit = step % 3 != 0;
        cr_assert_eq(txn_talk_end(&talk, is_commit), 0);
        committed = is_commit ? step : committed;
        expected += 1;
        (void)sim_world_run_for(world.world, step * 20 * SIM_US);
        lose_power();
        int32_t aborted_count[2];
        while (txn_talk_stable_offset(&client, 0, &aborted_count[0]) != log_end(0) ||
               txn_talk_stable_offset(&client, 1, &aborted_count[1]) != log_end(1) ||
               strncmp(txn_talk_state(&client, "x"), "Complete", 8) != 0) {
            broker_world_run_ms(&world, 5);
        }
        cr_assert_eq(aborted_count[0], step / 3 + 1, "step %d", step);
        cr_assert_eq(aborted_count[1], step / 3 + 1, "step %d", step);
        cr_assert_eq(group_talk_committed(&client, "g"), committed, "step %d", step);
    }
}

Test(txn_settle, an_open_transaction_survives_a_power_cut)
{
    struct txn_talk talk = begin(true);
    cr_assert_eq(txn_talk_write(&talk, 0), 0);
    lose_power();
    int16_t code;
    while ((code = txn_talk_write(&talk, 1)) == ERROR_CODE_NOT_ENOUGH_REPLICAS) {
        broker_world_run_ms(&world, 10);
    }
    cr_expect_eq(code, 0);
    cr_expect_eq(txn_talk_write(&talk, 0), 0);
    cr_expect_eq(txn_talk_end(&talk, true), 0);
    broker_world_run_ms(&world, 100);
    int32_t aborted_count;
    cr_expect_eq(txn_talk_stable_offset(&client, 0, &aborted_count), 3);
    cr_expect_eq(txn_talk_stable_offset(&client, 1, &aborted_count), 2);
    cr_expect_eq(aborted_count, 0);
}

Test(txn_settle, what_nobody_ends_is_aborted_when_its_time_is_over)
{
    for (int is_new = 0; is_new < 2; is_new++) {
        struct txn_talk talk = {
            .client = &client, .id = "x", .is_new = is_new == 1, .timeout_ms = 5000};
        cr_assert_eq(txn_talk_begin(&talk), 0);
        cr_assert(is_new == 1 || txn_talk_add(&talk, 0) == 0);
        cr_assert_eq(txn_talk_write(&talk, 0), 0);
        int32_t aborted_count;
        int64_t start = log_end(0) - 1;
        broker_world_run_ms(&world, 4900);
        cr_expect_eq(txn_talk_stable_offset(&client, 0, &aborted_count), start);
        broker_world_run_ms(&world, 1500);
        cr_expect_eq(txn_talk_stable_offset(&client, 0, &aborted_count), start + 2);
        cr_expect_eq(aborted_count, is_new + 1);
        cr_expect_eq(txn_talk_write(&talk, 0), ERROR_CODE_INVALID_PRODUCER_EPOCH);
        cr_expect_eq(txn_talk_add(&talk, 0), ERROR_CODE_PRODUCER_FENCED);
    }
}

/* A transaction whose time is over. */
static struct txn_talk late(bool is_new)
{
    struct txn_talk talk = {.client = &client, .id = "x", .is_new = is_new, .timeout_ms = 5000};
    cr_assert_eq(txn_talk_begin(&talk), 0);
    cr_assert(is_new || txn_talk_add(&talk, 0) == 0);
    cr_assert_eq(txn_talk_write(&talk, 0), 0);
    broker_world_run_ms(&world, 6400);
    cr_assert_str_eq(txn_talk_state(&client, "x"), "CompleteAbort");
    return talk;
}

Test(txn_settle, an_old_producer_whose_time_is_over_is_fenced)
{
    struct txn_talk talk = late(false);
    cr_expect_eq(txn_talk_end(&talk, true), ERROR_CODE_PRODUCER_FENCED);
    cr_expect_eq(txn_talk_end(&talk, false), ERROR_CODE_PRODUCER_FENCED);
}

Test(txn_settle, a_new_producer_whose_time_is_over_cannot_commit_but_abort_and_goes_on)
{
    struct txn_talk talk = late(true);
    int16_t epoch = talk.producer_epoch;
    struct txn_talk again = talk;
    cr_expect_eq(txn_talk_end(&again, true), ERROR_CODE_INVALID_TXN_STATE);
    cr_expect_eq(txn_talk_end(&talk, false), 0);
    cr_expect_eq(talk.producer_epoch, epoch + 1);
    cr_expect_eq(txn_talk_write(&talk, 0), 0);
    cr_expect_eq(txn_talk_end(&again, false), ERROR_CODE_PRODUCER_FENCED);
    cr_expect_eq(txn_talk_end(&talk, true), 0);
    cr_expect_eq(talk.producer_epoch, epoch + 2);
    broker_world_run_ms(&world, 100);
    int32_t aborted_count;
    cr_expect_eq(txn_talk_stable_offset(&client, 0, &aborted_count), log_end(0));
    cr_expect_eq(log_end(0), 4);
    cr_expect_eq(aborted_count, 1);
}

Test(txn_settle, who_says_who_it_was_goes_on_behind_its_time)
{
    struct txn_talk talk = late(false);
    struct txn_talk stranger = talk;
    int16_t epoch = talk.producer_epoch;
    cr_expect_eq(txn_talk_claim(&talk), 0);
    cr_expect_eq(talk.producer_epoch, epoch + 1);
    cr_expect_eq(txn_talk_add(&talk, 0), 0);
    cr_expect_eq(txn_talk_write(&talk, 0), 0);
    cr_expect_eq(txn_talk_end(&talk, true), 0);
    struct txn_talk heir = begin(false);
    cr_expect_eq(heir.producer_epoch, epoch + 2);
    cr_expect_eq(txn_talk_claim(&stranger), ERROR_CODE_PRODUCER_FENCED);
}

Test(txn_settle, an_id_that_nobody_uses_is_forgotten_but_not_its_open_transaction)
{
    struct txn_talk talk = begin(true);
    cr_assert_eq(txn_talk_write(&talk, 0), 0);
    cr_assert_eq(txn_talk_end(&talk, true), 0);
    wire_client_close(&client);
    broker_world_run_ms(&world, 59 * 60000);
    wire_client_open(&client, &world, 0);
    cr_expect_eq(txn_talk_count(&client, NULL), 1);
    wire_client_close(&client);
    broker_world_run_ms(&world, 3 * 60000);
    wire_client_open(&client, &world, 0);
    cr_expect_eq(txn_talk_count(&client, NULL), 0);
    cr_expect_eq(txn_talk_write(&talk, 0), ERROR_CODE_INVALID_PRODUCER_ID_MAPPING);
    lose_power();
    struct txn_talk heir = begin(true);
    cr_expect_neq(heir.producer_id, talk.producer_id);
}
