/* Goal: a transaction ends once, as its producer said, in the old protocol and in the new one.
 * Method: producers speak frames to a whole broker in the simulated world; readers and tools look.
 */
#include "proto/kafka/add_partitions_to_txn.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/end_txn.h"
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

TestSuite(txn_end, .init = set_up, .fini = tear_down);

static bool is_complete(void *context)
{
    const struct txn_talk *talk = context;
    const char *state = txn_talk_state(talk->client, talk->id);
    return strncmp(state, "Complete", 8) == 0;
}

static void settle(struct txn_talk *talk)
{
    while (!is_complete(talk)) {
        broker_world_run_ms(&world, 1);
    }
}

Test(txn_end, an_old_producer_commits_what_it_added)
{
    int32_t aborted_count;
    cr_expect_eq(txn_talk_add(&old, 0), 0);
    cr_expect_eq(txn_talk_write(&old, 0), 0);
    cr_expect_eq(txn_talk_stable_offset(&client, 0, &aborted_count), 0);
    cr_expect_eq(txn_talk_open_offset(&old, 0), 0);
    int16_t epoch = old.producer_epoch;
    cr_expect_eq(txn_talk_end(&old, true), 0);
    settle(&old);
    cr_expect_eq(txn_talk_stable_offset(&client, 0, &aborted_count), 2);
    cr_expect_eq(aborted_count, 0);
    cr_expect_eq(txn_talk_open_offset(&old, 0), -1);
    cr_expect_eq(old.producer_epoch, epoch);
    cr_expect_str_eq(txn_talk_state(&client, "old"), "CompleteCommit");
}

Test(txn_end, a_new_producer_adds_by_writing_and_gets_the_next_epoch)
{
    int32_t aborted_count;
    cr_expect_eq(txn_talk_write(&new, 1), 0);
    cr_expect_eq(txn_talk_write(&new, 1), 0);
    int16_t epoch = new.producer_epoch;
    cr_expect_eq(txn_talk_end(&new, true), 0);
    cr_expect_eq(new.producer_epoch, epoch + 1);
    cr_expect_eq(txn_talk_write(&new, 1), 0); /* It waits for the end before. */
    cr_expect_eq(txn_talk_stable_offset(&client, 1, &aborted_count), 3);
    cr_expect_eq(txn_talk_end(&new, false), 0);
    cr_expect_eq(new.producer_epoch, epoch + 2);
    settle(&new);
    cr_expect_eq(txn_talk_stable_offset(&client, 1, &aborted_count), 5);
    cr_expect_eq(aborted_count, 1);
}

Test(txn_end, the_same_end_again_gets_the_same_answer)
{
    cr_expect_eq(txn_talk_write(&new, 0), 0);
    struct txn_talk before = new;
    cr_expect_eq(txn_talk_end(&new, true), 0);
    struct txn_talk again = before;
    cr_expect_eq(txn_talk_end(&again, true), 0); /* While it is ending, */
    cr_expect_eq(again.producer_epoch, new.producer_epoch);
    settle(&new);
    again = before;
    cr_expect_eq(txn_talk_end(&again, true), 0); /* and behind it. */
    cr_expect_eq(again.producer_epoch, new.producer_epoch);
    again = before;
    cr_expect_eq(txn_talk_end(&again, false), ERROR_CODE_INVALID_TXN_STATE);
    cr_expect_eq(txn_talk_add(&old, 0), 0);
    cr_expect_eq(txn_talk_end(&old, false), 0);
    cr_expect_eq(txn_talk_end(&old, false), 0);
    cr_expect_eq(txn_talk_end(&old, true), ERROR_CODE_INVALID_TXN_STATE);
}

Test(txn_end, an_end_held_back_cannot_end_the_next_transaction)
{
    int32_t aborted_count;
    cr_expect_eq(txn_talk_write(&new, 0), 0);
    struct txn_talk late = new;
    cr_expect_eq(txn_talk_end(&new, true), 0);
    cr_expect_eq(txn_talk_write(&new, 0), 0);
    cr_expect_eq(txn_talk_end(&late, true), ERROR_CODE_PRODUCER_FENCED);
    cr_expect_eq(txn_talk_stable_offset(&client, 0, &aborted_count), 2);
    cr_expect_str_eq(txn_talk_state(&client, "new"), "Ongoing");
}

Test(txn_end, nothing_to_commit_is_told)
{
    cr_expect_eq(txn_talk_end(&old, true), ERROR_CODE_INVALID_TXN_STATE);
    cr_expect_eq(txn_talk_end(&new, true), ERROR_CODE_INVALID_TXN_STATE);
    cr_expect_eq(txn_talk_end(&old, false), ERROR_CODE_INVALID_TXN_STATE);
    int16_t epoch = new.producer_epoch;
    cr_expect_eq(txn_talk_end(&new, false), 0); /* Aborting nothing raises the epoch. */
    cr_expect_eq(new.producer_epoch, epoch + 1);
}

Test(txn_end, strangers_end_nothing)
{
    cr_expect_eq(txn_talk_write(&new, 0), 0);
    struct txn_talk stranger = new;
    stranger.producer_id += 1000;
    cr_expect_eq(txn_talk_end(&stranger, true), ERROR_CODE_INVALID_PRODUCER_ID_MAPPING);
    stranger = new;
    stranger.producer_epoch += 1;
    cr_expect_eq(txn_talk_end(&stranger, true), ERROR_CODE_PRODUCER_FENCED);
    stranger = new;
    stranger.id = "nobody";
    cr_expect_eq(txn_talk_end(&stranger, true), ERROR_CODE_INVALID_PRODUCER_ID_MAPPING);
    cr_expect_str_eq(txn_talk_state(&client, "new"), "Ongoing");
}

Test(txn_end, offsets_count_when_their_transaction_is_committed)
{
    group_talk_find(&client, "g");
    cr_expect_eq(txn_talk_commit_offset(&new, "g", 7), 0);
    cr_expect_eq(group_talk_committed(&client, "g"), -1);
    cr_expect_eq(txn_talk_end(&new, true), 0);
    settle(&new);
    cr_expect_eq(group_talk_committed(&client, "g"), 7);
    cr_expect_eq(txn_talk_commit_offset(&new, "g", 8), 0);
    cr_expect_eq(txn_talk_commit_offset(&new, "g", 9), 0);
    cr_expect_eq(txn_talk_end(&new, false), 0);
    settle(&new);
    cr_expect_eq(group_talk_committed(&client, "g"), 7);
    cr_expect_eq(txn_talk_commit_offset(&new, "g", 12), 0);
    cr_expect_eq(txn_talk_commit_offset(&new, "g", 10), 0); /* The newer one, not the higher. */
    cr_expect_eq(txn_talk_end(&new, true), 0);
    settle(&new);
    cr_expect_eq(group_talk_committed(&client, "g"), 10);
    cr_expect_eq(txn_talk_commit_offset(&old, "g", 10), ERROR_CODE_INVALID_TXN_STATE);
    cr_expect_eq(txn_talk_add_offsets(&old, "g"), 0);
    cr_expect_eq(txn_talk_commit_offset(&old, "g", 11), 0);
    cr_expect_eq(txn_talk_end(&old, true), 0);
    settle(&old);
    cr_expect_eq(group_talk_committed(&client, "g"), 11);
}

Test(txn_end, offsets_of_a_topic_named_by_its_id_count_too)
{
    group_talk_find(&client, "g");
    const struct wire_uuid id = kafka_talk_topic_id(&client, "t");
    const struct wire_uuid nobodys = {{1, 2, 3}};
    cr_expect_eq(txn_talk_commit_offset_of(&new, "g", &id, 7), 0);
    cr_expect_eq(txn_talk_commit_offset_of(&new, "g", &nobodys, 8), ERROR_CODE_UNKNOWN_TOPIC_ID);
    cr_expect_eq(txn_talk_end(&new, true), 0);
    settle(&new);
    cr_expect_eq(group_talk_committed(&client, "g"), 7);
}

/* Questions of an old producer without waiting for the answers. */
static void ask_whole(struct txn_talk *talk)
{
    int32_t partition = 0;
    struct kafka_add_partitions_to_txn_request_add_partitions_to_txn_topic topic = {
        .name = wire_text_of("t"), .partitions = &partition, .partitions_count = 1};
    struct kafka_add_partitions_to_txn_request add = {
        .v3_and_below_transactional_id = wire_text_of(talk->id),
        .v3_and_below_producer_id = talk->producer_id,
        .v3_and_below_producer_epoch = talk->producer_epoch,
        .v3_and_below_topics = &topic,
        .v3_and_below_topics_count = 1};
    wire_client_ask(&client, API_KEY_ADD_PARTITIONS_TO_TXN, 3, &add);
    struct kafka_end_txn_request end = {.transactional_id = wire_text_of(talk->id),
                                        .producer_id = talk->producer_id,
                                        .producer_epoch = talk->producer_epoch,
                                        .committed = true};
    wire_client_ask(&client, API_KEY_END_TXN, 4, &end);
}

Test(txn_end, every_transaction_of_one_epoch_has_its_own_markers)
{
    for (int i = 0; i < 5; i++) {
        ask_whole(&old);
    }
    for (int i = 0; i < 5; i++) {
        struct kafka_add_partitions_to_txn_response added;
        struct kafka_end_txn_response ended;
        int32_t first = client.correlation_id - 9 + 2 * i;
        cr_assert(wire_client_answer(&client, API_KEY_ADD_PARTITIONS_TO_TXN, 3, first, &added));
        cr_assert(wire_client_answer(&client, API_KEY_END_TXN, 4, first + 1, &ended));
        cr_expect_eq(ended.error_code, 0, "%d: %d", i, ended.error_code);
    }
    broker_world_run_ms(&world, 100);
    cr_expect_eq(kafka_talk_offset(&client, "t", 0, -1), 5);
}

Test(txn_end, a_deleted_topic_holds_nothing_up)
{
    cr_expect_eq(txn_talk_write(&new, 0), 0);
    cr_expect_eq(txn_talk_write(&new, 1), 0);
    cr_expect_eq(kafka_talk_delete(&client, "t"), 0);
    cr_expect_eq(txn_talk_end(&new, true), 0);
    settle(&new);
    cr_expect_str_eq(txn_talk_state(&client, "new"), "CompleteCommit");
}
