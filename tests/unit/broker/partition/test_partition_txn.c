/* Goal: nobody begins a transaction in a partition without leave, and leave does not outlive a
 * marker or a term.
 * Method: one leader on a store in the simulated world; batches and markers come one by one. */
#include "broker/partition/partition_txn.h"
#include "proto/record/batch_builder.h"
#include "proto/record/control_record.h"
#include "tests/rig/log_rig.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define PRODUCER 7

static struct log_rig rig;
static struct list blocked;
static struct partition *partition;
static const int32_t replicas[] = {1};

/* One question to the partition, asked on its loop. */
static struct {
    int16_t epoch;
    int32_t sequence;
    struct txn_pass *pass;
    bool is_marker;
    bool is_commit;
    bool needs_pass;
    int32_t leader_epoch;
    struct partition_append append;
    uint8_t bytes[512];
} ask;
static struct txn_pass pass;

static void append_on_done(struct partition_append *append)
{
    (void)append;
}

static void assign(int32_t leader, int32_t leader_epoch)
{
    const struct partition_assignment assignment = {.leader = leader,
                                                    .leader_epoch = leader_epoch,
                                                    .partition_epoch = leader_epoch,
                                                    .replicas = replicas,
                                                    .replica_count = 1,
                                                    .isr = replicas,
                                                    .isr_count = 1};
    partition_assign(partition, &assignment);
}

static void open_inside(void *context)
{
    (void)context;
    list_init(&blocked);
    struct partition_options options = {.loop = rig.options.loop,
                                        .store = rig.store,
                                        .topic_name = "t",
                                        .topic_id.bytes = {1},
                                        .broker_id = 1,
                                        .config = {.log = {.segment_bytes = 64 << 20,
                                                           .segment_ms = INT64_MAX,
                                                           .retention_bytes = -1,
                                                           .retention_ms = -1,
                                                           .index_interval_bytes = 4096},
                                                   .min_isr = 1,
                                                   .producer_expiry_ms = 86400000},
                                        .blocked = &blocked};
    cr_assert_eq(partition_open(&options, &partition), STATUS_OK);
    assign(1, 1);
}

static size_t make_batch(void)
{
    if (ask.is_marker) {
        struct control_record_marker marker = {
            .producer_id = PRODUCER, .producer_epoch = ask.epoch, .is_commit = ask.is_commit};
        control_record_encode_marker(&marker, ask.bytes);
        return CONTROL_RECORD_MARKER_BYTES;
    }
    struct batch_builder builder;
    batch_builder_init_over(&builder, ask.bytes, sizeof ask.bytes);
    const struct batch_builder_record record = {.key = {NULL, -1}, .value = {ask.bytes, 0}};
    cr_assert_eq(batch_builder_append(&builder, &record), STATUS_OK);
    struct batch_builder_finish finish = BATCH_BUILDER_FINISH_PLAIN;
    finish.producer_id = PRODUCER;
    finish.producer_epoch = ask.epoch;
    finish.base_sequence = ask.sequence;
    finish.is_transactional = true;
    struct batch_view batch;
    cr_assert_eq(batch_builder_finish(&builder, &finish, NULL, &batch), STATUS_OK);
    return batch.byte_count;
}

static void append_inside(void *context)
{
    (void)context;
    size_t byte_count = make_batch();
    ask.needs_pass = partition_txn_needs_pass(partition, ask.bytes, byte_count);
    ask.append = (struct partition_append){.batch = ask.bytes,
                                           .byte_count = byte_count,
                                           .acks = 1,
                                           .leader_epoch = -1,
                                           .deadline_ns = INT64_MAX,
                                           .is_marker = ask.is_marker,
                                           .txn_pass = ask.pass,
                                           .on_done = append_on_done};
    partition_append(partition, &ask.append);
}

static void begin_pass_inside(void *context)
{
    (void)context;
    pass = (struct txn_pass){.producer_id = PRODUCER, .producer_epoch = ask.epoch};
    partition_txn_begin_pass(partition, &pass);
}

static void assign_inside(void *context)
{
    (void)context;
    assign(2, ask.leader_epoch);
    assign(1, ask.leader_epoch + 1);
}

static void run(void (*inside)(void *context))
{
    cr_assert(sim_node_run(rig.node, inside, NULL));
    sim_world_run_for(rig.world, CLOCK_NS_PER_S / 10);
}

static enum partition_fault write(int16_t epoch, int32_t sequence, struct txn_pass *leave)
{
    ask.epoch = epoch;
    ask.sequence = sequence;
    ask.pass = leave;
    ask.is_marker = false;
    run(append_inside);
    return ask.append.fault;
}

static enum partition_fault mark(int16_t epoch, bool is_commit)
{
    ask.epoch = epoch;
    ask.pass = NULL;
    ask.is_marker = true;
    ask.is_commit = is_commit;
    run(append_inside);
    return ask.append.fault;
}

static void begin_pass(int16_t epoch)
{
    ask.epoch = epoch;
    run(begin_pass_inside);
}

static void set_up(void)
{
    log_rig_init(&rig, 1);
    enum status status = STATUS_UNKNOWN;
    cr_assert(log_rig_open(&rig, &status));
    cr_assert_eq(status, STATUS_OK);
    run(open_inside);
}

static void tear_down(void)
{
    cr_expect_not(rig.world->has_failed, "%s", rig.world->failure);
    log_rig_done(&rig);
}

TestSuite(partition_txn, .init = set_up, .fini = tear_down);

Test(partition_txn, a_transaction_begins_with_leave_and_goes_on_without)
{
    cr_expect_eq(write(0, 0, NULL), PARTITION_FAULT_TXN_STATE);
    cr_expect(ask.needs_pass);
    begin_pass(0);
    cr_expect_eq(write(0, 0, &pass), PARTITION_FAULT_NONE);
    cr_expect_eq(write(0, 1, NULL), PARTITION_FAULT_NONE);
    cr_expect_not(ask.needs_pass);
    cr_expect(partition_txn_is_open(partition, PRODUCER, 0));
    cr_expect_not(partition_txn_is_open(partition, PRODUCER, 1));
    cr_expect_not(partition_txn_is_open(partition, PRODUCER + 1, 0));
}

Test(partition_txn, leave_from_before_a_marker_does_not_hold_behind_it)
{
    begin_pass(0);
    cr_expect_eq(write(0, 0, &pass), PARTITION_FAULT_NONE);
    begin_pass(0);
    cr_expect_eq(mark(0, false), PARTITION_FAULT_NONE);
    /* It may well be part of the next transaction: to be asked again, not refused. */
    cr_expect_eq(write(0, 1, &pass), PARTITION_FAULT_TXN_STALE);
    cr_expect_not(partition_txn_is_open(partition, PRODUCER, 0));
    begin_pass(0);
    cr_expect_eq(write(0, 1, &pass), PARTITION_FAULT_NONE);
}

Test(partition_txn, leave_from_another_term_or_for_another_epoch_does_not_hold)
{
    begin_pass(0);
    ask.leader_epoch = 2;
    run(assign_inside);
    cr_expect_eq(write(0, 0, &pass), PARTITION_FAULT_TXN_STALE);
    begin_pass(1);
    cr_expect_eq(write(0, 0, &pass), PARTITION_FAULT_TXN_STATE);
}

Test(partition_txn, a_repeat_and_a_producer_of_the_past_need_no_leave)
{
    begin_pass(3);
    cr_expect_eq(write(3, 0, &pass), PARTITION_FAULT_NONE);
    int64_t offset = ask.append.base_offset;
    cr_expect_eq(mark(3, true), PARTITION_FAULT_NONE);
    cr_expect_eq(write(3, 0, NULL), PARTITION_FAULT_NONE);
    cr_expect_not(ask.needs_pass);
    cr_expect_eq(ask.append.base_offset, offset);
    cr_expect_eq(write(2, 0, NULL), PARTITION_FAULT_PRODUCER_EPOCH);
    cr_expect_not(ask.needs_pass);
}

Test(partition_txn, who_holds_the_last_stable_offset_can_be_told)
{
    begin_pass(3);
    cr_expect_eq(write(3, 0, &pass), PARTITION_FAULT_NONE);
    struct partition_txn_producer *rows = NULL;
    uint32_t count = 0;
    cr_assert_eq(partition_txn_list(partition, &rows, &count), STATUS_OK);
    cr_assert_eq(count, 1);
    cr_expect_eq(rows[0].producer_id, PRODUCER);
    cr_expect_eq(rows[0].epoch, 3);
    cr_expect_eq(rows[0].last_sequence, 0);
    cr_expect_eq(rows[0].first_offset, 0);
    free(rows);
}
