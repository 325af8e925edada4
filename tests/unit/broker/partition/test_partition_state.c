/* Goal: what a partition knows of producers and transactions survives the end of the process.
 * Method: batches written straight into a log, as a crash may leave them; then a partition over it.
 */
#include "broker/partition/partition_state.h"

#include "proto/record/batch_builder.h"
#include "proto/record/control_record.h"
#include "tests/rig/log_rig.h"

#include <criterion/criterion.h>
#include <string.h>

#define PRODUCER 4001

static struct log_rig rig;
static struct log_rig_log *log_under;
static struct list blocked;

static void open_log(void)
{
    enum status status = STATUS_OK;
    cr_assert(log_rig_open(&rig, &status));
    cr_assert_eq(status, STATUS_OK);
    cr_assert(log_rig_open_log(log_under, &status));
    cr_assert_eq(status, STATUS_OK);
}

static void set_up(void)
{
    log_rig_init(&rig, 5);
    log_under = log_rig_add(&rig, "t", 7, 0);
    open_log();
}

static void tear_down(void)
{
    log_rig_done(&rig);
}

TestSuite(partition_state, .init = set_up, .fini = tear_down);

static void append(const void *bytes, size_t byte_count)
{
    struct log_append append = {.bytes = bytes, .byte_count = byte_count, .ingested_ms = 1};
    sim_node_enter(rig.node);
    cr_assert_eq(log_append(log_under->log, &append), STATUS_OK);
    sim_node_leave(rig.node);
    cr_assert(log_rig_flush(&rig));
}

static void append_data(void)
{
    static uint8_t room[512];
    struct batch_builder builder;
    batch_builder_init_over(&builder, room, sizeof room);
    struct batch_builder_record record = {
        .timestamp_ms = 1000, .key = {.byte_count = -1}, .value = {(const uint8_t *)"value", 5}};
    cr_assert_eq(batch_builder_append(&builder, &record), STATUS_OK);
    struct batch_builder_finish finish = BATCH_BUILDER_FINISH_PLAIN;
    finish.base_offset = log_end(log_under->log);
    finish.leader_epoch = 0;
    finish.producer_id = PRODUCER;
    finish.producer_epoch = 0;
    finish.base_sequence = 0;
    finish.is_transactional = true;
    struct batch_view batch;
    cr_assert_eq(batch_builder_finish(&builder, &finish, NULL, &batch), STATUS_OK);
    append(batch.bytes, batch.byte_count);
}

static void append_abort(void)
{
    uint8_t marker[CONTROL_RECORD_MARKER_BYTES];
    struct control_record_marker options = {.base_offset = log_end(log_under->log),
                                            .timestamp_ms = 1000,
                                            .producer_id = PRODUCER,
                                            .producer_epoch = 1};
    control_record_encode_marker(&options, marker);
    append(marker, sizeof marker);
}

/* How many aborted transactions a partition over that log tells a reader of offset 0. */
static uint32_t aborted_count(void)
{
    sim_node_enter(rig.node);
    log_forget(log_under->log);
    log_under->log = NULL;
    list_init(&blocked);
    struct partition_options options = {.loop = sim_node_loop(rig.node, 0),
                                        .store = rig.store,
                                        .topic_name = log_under->options.topic_name,
                                        .topic_id = log_under->options.topic_id,
                                        .broker_id = 1,
                                        .config = {.log = log_under->options.config, .min_isr = 1},
                                        .blocked = &blocked};
    struct partition *partition = NULL;
    cr_assert_eq(partition_open(&options, &partition), STATUS_OK);
    struct log_aborted_txn aborted[4];
    uint32_t count = 0;
    cr_assert_eq(
        log_list_aborted_txns(partition->log, 0, log_end(partition->log), aborted, 4, &count),
        STATUS_OK);
    if (count > 0) {
        cr_expect_eq(aborted[0].producer_id, PRODUCER);
        cr_expect_eq(aborted[0].first_offset, 0);
        cr_expect_eq(aborted[0].last_offset, 1);
    }
    partition_retire(partition);
    partition_free(partition);
    sim_node_leave(rig.node);
    return count;
}

/* The marker is on the disk, the record behind it in the journal is not. */
Test(partition_state, aborted_transaction_is_forgotten_when_a_crash_falls_behind_its_marker)
{
    append_data();
    append_abort();
    log_rig_kill(&rig);
    open_log();

    cr_expect_eq(aborted_count(), 1);
    log_rig_kill(&rig);
    open_log();
    cr_expect_eq(aborted_count(), 1, "once, however often it is replayed");
}
