/* Goal: what a partition knows of producers and transactions survives the end of the process.
 * Method: batches written straight into a log, as a crash may leave them; then a partition over it.
 */
#include "broker/partition/partition_state.h"
#include "broker/partition/partition_txn.h"

#include "broker/log/checkpoint.h"
#include "broker/log/log_directory.h"
#include "broker/log/snapshot_file.h"
#include "proto/record/batch_builder.h"
#include "proto/record/control_record.h"
#include "tests/rig/batch_seal.h"
#include "tests/rig/log_rig.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define PRODUCER 4001

static struct log_rig rig;
static struct log_rig_log *log_under;
static struct list blocked;

static void open_store(void)
{
    enum status status = STATUS_OK;
    cr_assert(log_rig_open(&rig, &status));
    cr_assert_eq(status, STATUS_OK);
}

static void open_log(void)
{
    enum status status = STATUS_OK;
    cr_assert(log_rig_open_log(log_under, &status));
    cr_assert_eq(status, STATUS_OK);
}

static void set_up(void)
{
    log_rig_init(&rig, 5);
    log_under = log_rig_add(&rig, "t", 7, 0);
    open_store();
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

static void append_sequence(int32_t base_sequence, bool is_transactional)
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
    finish.base_sequence = base_sequence;
    finish.is_transactional = is_transactional;
    struct batch_view batch;
    cr_assert_eq(batch_builder_finish(&builder, &finish, NULL, &batch), STATUS_OK);
    append(batch.bytes, batch.byte_count);
}

static void append_data(void)
{
    append_sequence(0, true);
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

/* Over that log. From here on the node is entered. */
static struct partition *enter_partition(void)
{
    sim_node_enter(rig.node);
    if (log_under->log != NULL) {
        log_forget(log_under->log); /* Without a snapshot. */
        log_under->log = NULL;
    }
    list_init(&blocked);
    struct partition_options options = {.loop = sim_node_loop(rig.node, 0),
                                        .store = rig.store,
                                        .topic_name = log_under->options.topic_name,
                                        .topic_id = log_under->options.topic_id,
                                        .index = log_under->options.partition,
                                        .broker_id = 1,
                                        .config = {.log = log_under->options.config, .min_isr = 1},
                                        .blocked = &blocked};
    struct partition *partition = NULL;
    cr_assert_eq(partition_open(&options, &partition), STATUS_OK);
    return partition;
}

static void leave_partition(struct partition *partition)
{
    partition_retire(partition);
    partition_free(partition);
    sim_node_leave(rig.node);
}

/* How many aborted transactions a partition over that log tells a reader of offset 0. */
static uint32_t aborted_count(void)
{
    struct partition *partition = enter_partition();
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
    leave_partition(partition);
    return count;
}

/* The marker is on the disk, the record behind it in the journal is not. */
Test(partition_state, aborted_transaction_is_forgotten_when_a_crash_falls_behind_its_marker)
{
    append_data();
    append_abort();
    log_rig_kill(&rig);
    open_store();

    cr_expect_eq(aborted_count(), 1);
    log_rig_kill(&rig);
    open_store();
    cr_expect_eq(aborted_count(), 1, "once, however often it is replayed");
}

static uint32_t open_count(void)
{
    struct partition *partition = enter_partition();
    uint32_t count = txn_span_open_count(partition->txns);
    leave_partition(partition);
    return count;
}

static bool is_checkpointed(void *context)
{
    (void)context;
    return !checkpoint_is_busy(rig.store->checkpoint);
}

/* A checkpoint while the partition has the transaction open. */
static void checkpoint_open_txn(void)
{
    struct partition *partition = enter_partition();
    cr_assert_eq(txn_span_open_count(partition->txns), 1);
    checkpoint_note_change(partition->log);
    checkpoint_begin(rig.store);
    sim_node_leave(rig.node);
    cr_assert(sim_world_run_until(rig.world, is_checkpointed, NULL, 10 * SIM_S));
    sim_node_enter(rig.node);
    leave_partition(partition);
    open_log();
}

static struct log_change change;
static bool is_changed;

static void change_on_done(struct log_change *self, enum status status)
{
    (void)self;
    cr_assert_eq(status, STATUS_OK);
    is_changed = true;
}

static bool has_changed(void *context)
{
    (void)context;
    return is_changed;
}

static void move_start(int64_t offset)
{
    sim_node_enter(rig.node);
    change.on_done = change_on_done;
    log_set_retention_limit(log_under->log, INT64_MAX);
    cr_assert_eq(log_move_start(log_under->log, offset, &change), STATUS_OK);
    sim_node_leave(rig.node);
    cr_assert(sim_world_run_until(rig.world, has_changed, NULL, 10 * SIM_S));
}

/* Its marker went with the start; another one, of a transaction that wrote nothing, came behind. */
Test(partition_state, transaction_that_ended_below_the_start_ends_again_behind_a_crash)
{
    append_data();
    checkpoint_open_txn();
    append_abort();
    cr_assert_eq(aborted_count(), 1);
    open_log();
    cr_assert_eq(log_rig_append_at(log_under, 1, 100, 0, 1000), STATUS_OK);
    move_start(2);
    append_abort();
    append_data();
    append_abort();
    cr_assert_eq(aborted_count(), 2);
    open_log();
    append_data();
    append_abort();
    cr_assert_eq(aborted_count(), 3);
    log_rig_kill(&rig);
    open_store();

    cr_expect_eq(aborted_count(), 3);
}

Test(partition_state, transaction_that_ended_below_the_start_is_open_behind_a_crash)
{
    append_data();
    checkpoint_open_txn();
    append_abort();
    cr_assert_eq(log_rig_append_at(log_under, 1, 100, 0, 1000), STATUS_OK);
    move_start(2);
    log_rig_kill(&rig);
    open_store();

    cr_expect_eq(open_count(), 0);
}

Test(partition_state, transaction_whose_marker_is_deleted_is_open_behind_a_crash)
{
    append_data();
    checkpoint_open_txn();
    append_abort();
    while (log_end(log_under->log) < 20) {
        cr_assert_eq(log_rig_append_at(log_under, 1, 10000, 0, 1000), STATUS_OK);
        cr_assert(log_rig_flush(&rig));
    }
    move_start(log_end(log_under->log));
    cr_assert_gt(log_oldest(log_under->log), 2);
    log_rig_kill(&rig);
    open_store();

    cr_expect_eq(open_count(), 0);
}

static struct producer_write write_of(int32_t base_sequence)
{
    return (struct producer_write){.producer_id = PRODUCER,
                                   .base_sequence = base_sequence,
                                   .last_sequence = base_sequence,
                                   .coordinator_epoch = -1};
}

static enum producer_verdict judge(const struct partition *partition, int32_t base_sequence)
{
    struct producer_batch original;
    struct producer_write write = write_of(base_sequence);
    return producer_state_check(partition->producers, &write, &original);
}

/* Its newest batches went with a segment that was deleted between a checkpoint and the crash. */
Test(partition_state, producer_whose_batches_are_deleted_meets_a_gap_behind_a_crash)
{
    append_sequence(0, true);
    checkpoint_open_txn();
    append_sequence(1, true);
    while (log_end(log_under->log) < 20) {
        cr_assert_eq(log_rig_append_at(log_under, 1, 10000, 0, 1000), STATUS_OK);
        cr_assert(log_rig_flush(&rig));
    }
    move_start(log_end(log_under->log));
    cr_assert_gt(log_oldest(log_under->log), 2);
    log_rig_kill(&rig);
    open_store();

    struct partition *partition = enter_partition();
    cr_expect_eq(judge(partition, 2), PRODUCER_ACCEPT);
    cr_expect_eq(judge(partition, 0), PRODUCER_DUPLICATE);
    leave_partition(partition);
}

/* ---- damage ---- */

static enum partition_fault append_fault;

static void append_on_done(struct partition_append *append)
{
    append_fault = append->fault;
}

static void read_on_done(struct partition_read *read)
{
    (void)read;
}

/* It refuses, and bears whatever else a node does with a partition. */
static void expect_offline(void)
{
    struct partition *partition = enter_partition();
    cr_expect(partition_is_offline(partition));
    const int32_t replicas[] = {1};
    struct partition_assignment assignment = {.leader = 1,
                                              .leader_epoch = 5,
                                              .partition_epoch = 1,
                                              .replicas = replicas,
                                              .replica_count = 1,
                                              .isr = replicas,
                                              .isr_count = 1};
    partition_assign(partition, &assignment);
    partition_configure(partition, &partition->config);
    uint8_t batch[CONTROL_RECORD_MARKER_BYTES];
    struct control_record_marker options = {.producer_id = PRODUCER};
    control_record_encode_marker(&options, batch);
    struct partition_append append = {.batch = batch,
                                      .byte_count = sizeof batch,
                                      .acks = -1,
                                      .leader_epoch = -1,
                                      .is_marker = true,
                                      .on_done = append_on_done};
    partition_append(partition, &append);
    cr_expect_eq(append_fault, PARTITION_FAULT_STORAGE);
    struct partition_read read = {.current_leader_epoch = -1,
                                  .last_fetched_epoch = -1,
                                  .byte_count_max = 1000,
                                  .on_done = read_on_done};
    partition_read(partition, &read);
    cr_expect_eq(read.fault, PARTITION_FAULT_STORAGE);
    partition_read_release(&read);
    cr_expect_eq(partition_txn_is_open(partition, PRODUCER, 0), false);
    leave_partition(partition);
}

static void close_store(void)
{
    log_under->log = NULL;
    cr_assert(log_rig_close(&rig));
}

Test(partition_state, batch_that_cannot_be_followed_ends_every_start)
{
    append_sequence(-5, false);
    expect_offline();
    expect_offline(); /* Opened again by the next image, say. */
    log_rig_kill(&rig);
    open_store();
    expect_offline();
    close_store();
    open_store();
    expect_offline(); /* No snapshot of what was not followed hides it. */

    log_under = log_rig_add(&rig, "t", 7, 1);
    open_log();
    append_data();
    struct partition *other = enter_partition();
    cr_expect_not(partition_is_offline(other));
    leave_partition(other);
}

Test(partition_state, lost_directory_ends_every_start)
{
    append_data();
    close_store();
    sim_node_enter(rig.node);
    struct disk *disk = sim_node_loop(rig.node, 0)->disk;
    cr_assert_eq(log_directory_remove(disk, LOG_RIG_DIRECTORY "/t-0"), STATUS_OK);
    sim_node_leave(rig.node);
    open_store();
    expect_offline();

    struct partition *partition = enter_partition();
    partition_delete(partition);
    sim_node_leave(rig.node);
}

/* A transaction that began behind it. */
Test(partition_state, snapshot_of_the_future_ends_every_start)
{
    struct snapshot_file_row row = {.producer_id = PRODUCER,
                                    .last_sequence = -1,
                                    .last_offset = -1,
                                    .timestamp_ms = 1000,
                                    .coordinator_epoch = -1,
                                    .txn_first_offset = 50};
    uint8_t *bytes = NULL;
    cr_assert_eq(snapshot_file_encode(&row, 1, &bytes, &log_under->snapshot_byte_count), STATUS_OK);
    append_data();
    log_under->snapshot = bytes;
    close_store();
    open_store();
    open_log();
    log_under->snapshot = NULL;
    append_abort();
    log_rig_kill(&rig);
    open_store();

    cr_expect_eq(aborted_count(), 1, "the log says it itself");
    free(bytes);
}

/* ---- bytes that contradict each other under right checksums ---- */

#define SEGMENT_PATH LOG_RIG_DIRECTORY "/t-0/00000000000000000000.log"
#define DAMAGED_LIVES 2000U

static void append_story(void)
{
    append_sequence(0, true);
    append_sequence(1, true);
    append_abort();
    append_sequence(2, false);
    append_sequence(3, true);
    append_abort();
    append_sequence(4, true);
    append_sequence(5, true);
}

/* One byte of one batch is another one, anywhere but in its length, its version and its checksum,
 * which is made right again. */
static void damage_segment(struct prng *prng)
{
    static uint8_t bytes[8192];
    struct sim_inode *inode = sim_tree_find(&rig.node->disk->tree, SEGMENT_PATH);
    cr_assert_neq(inode, NULL);
    size_t byte_count = sim_file_read(&inode->file, 0, bytes, sizeof bytes);
    uint64_t which = prng_below(prng, 8);
    size_t start = 0;
    uint32_t batch_bytes = 0;
    for (;; which--) {
        cr_assert_eq(batch_measure(bytes + start, byte_count - start, &batch_bytes), STATUS_OK);
        if (which == 0) {
            break;
        }
        start += batch_bytes;
    }
    uint8_t before[512];
    cr_assert_leq(batch_bytes, sizeof before);
    memcpy(before, bytes + start, batch_bytes);
    size_t place = 0;
    do {
        place = prng_below(prng, batch_bytes);
    } while (place >= 8 && place < 21);
    static const uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    bytes[start + place] ^= (uint8_t)(1U << prng_below(prng, 8));
    if (prng_below(prng, 2) == 0) {
        bytes[start + place] = values[prng_below(prng, sizeof values)];
    }
    batch_seal(bytes + start, batch_bytes);
    for (size_t i = 0; i < (size_t)batch_bytes * 8; i++) {
        if (((before[i / 8] ^ bytes[start + i / 8]) >> (i % 8) & 1) != 0) {
            cr_assert(sim_file_flip_bit(&inode->file, start + i / 8, i % 8));
        }
    }
}

/* It is followed or offline; no check() ends the broker, nor does the snapshot behind it. */
Test(partition_state, bytes_on_disk_end_the_broker)
{
    uint32_t offline_count = 0;
    for (uint64_t seed = 1; seed <= DAMAGED_LIVES; seed++) {
        tear_down();
        log_rig_init(&rig, seed);
        log_under = log_rig_add(&rig, "t", 7, 0);
        open_store();
        open_log();
        append_story();
        close_store();
        damage_segment(sim_world_prng(rig.world, SIM_STREAM_WORKLOAD));
        open_store();
        struct partition *partition = enter_partition();
        offline_count += partition_is_offline(partition);
        leave_partition(partition);
    }
    cr_expect_gt(offline_count, DAMAGED_LIVES / 20);
    cr_expect_lt(offline_count, DAMAGED_LIVES);
}
