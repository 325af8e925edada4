/* Goal: what was acknowledged is there after any end of the process, and nothing else is.
 * Method: a store on a simulated disk, small segments and a small journal, kills and power cuts. */
#include "broker/log/checkpoint.h"
#include "proto/record/batch_iterator.h"
#include "tests/rig/log_rig.h"

#include <criterion/criterion.h>

static struct log_rig rig;
static struct log_rig_log *first;

static void open_all(void)
{
    enum status status = STATUS_UNKNOWN;
    cr_assert(log_rig_open(&rig, &status));
    cr_assert_eq(status, STATUS_OK, "%s", status_text(status));
    for (uint32_t i = 0; i < rig.log_count; i++) {
        cr_assert(log_rig_open_log(&rig.logs[i], &status));
        cr_assert_eq(status, STATUS_OK, "%s", status_text(status));
    }
}

static void set_up(void)
{
    log_rig_init(&rig, 1);
    first = log_rig_add(&rig, "first", 1, 0);
    open_all();
}

static void tear_down(void)
{
    cr_expect_not(rig.world->has_failed, "%s", rig.world->failure);
    log_rig_done(&rig);
}

TestSuite(log, .init = set_up, .fini = tear_down);

Test(log, appended_batches_are_readable_at_once_and_flushed_soon)
{
    cr_assert_eq(log_rig_append(first, 3, 100), STATUS_OK);

    cr_expect_eq(log_end(first->log), 3);
    cr_expect_eq(log_flushed_end(first->log), 0);
    cr_expect_eq(log_rig_verify(first), 3);
    cr_assert(log_rig_flush(&rig));
    cr_expect_eq(first->flushed_end, 3);
}

Test(log, flushed_batches_survive_a_power_cut)
{
    cr_assert_eq(log_rig_append(first, 3, 100), STATUS_OK);
    cr_assert_eq(log_rig_append(first, 2, 5000), STATUS_OK);
    cr_assert(log_rig_flush(&rig));

    log_rig_lose_power(&rig);
    open_all();

    cr_expect_eq(log_start(first->log), 0);
    cr_expect_eq(log_end(first->log), 5);
    cr_expect_eq(log_flushed_end(first->log), 5);
    cr_expect_eq(log_rig_verify(first), 5);
}

Test(log, batches_of_many_segments_survive_kills_and_go_on)
{
    for (int life = 0; life < 4; life++) {
        for (int i = 0; i < 100; i++) {
            cr_assert_eq(log_rig_append(first, 3, 1000), STATUS_OK);
            if (i % 10 == 0) {
                cr_assert(log_rig_flush(&rig));
            }
        }
        cr_assert(log_rig_flush(&rig));
        log_rig_kill(&rig);
        open_all();
        cr_assert_eq(log_end(first->log), 300 * (life + 1));
        cr_assert_eq(log_rig_verify(first), 300 * (life + 1));
    }
}

Test(log, clean_stop_leaves_everything_without_a_replay)
{
    for (int i = 0; i < 100; i++) {
        cr_assert_eq(log_rig_append(first, 3, 1000), STATUS_OK);
    }

    cr_assert(log_rig_close(&rig));
    open_all();

    cr_expect_eq(log_end(first->log), 300);
    cr_expect_eq(log_rig_verify(first), 300);
}

Test(log, truncated_batches_are_replaced_and_stay_so)
{
    for (int i = 0; i < 60; i++) {
        cr_assert_eq(log_rig_append(first, 3, 1000), STATUS_OK);
    }
    cr_assert(log_rig_flush(&rig));

    cr_assert_eq(log_rig_truncate(first, 31), STATUS_OK);
    cr_expect_eq(log_end(first->log), 30);
    for (int i = 0; i < 20; i++) {
        cr_assert_eq(log_rig_append(first, 5, 700), STATUS_OK);
    }
    cr_expect_eq(log_rig_verify(first), 130);
    cr_assert(log_rig_flush(&rig));
    log_rig_lose_power(&rig);
    open_all();

    cr_expect_eq(log_end(first->log), 130);
    cr_expect_eq(log_rig_verify(first), 130);
}

struct moving {
    struct log_change change;
    int64_t offset;
    enum status status;
};

static void done_on_move(struct log_change *change, enum status status)
{
    container_of(change, struct moving, change)->status = status;
}

static void move_start_inside(void *context)
{
    struct moving *moving = context;
    moving->change.on_done = done_on_move;
    log_set_retention_limit(first->log, INT64_MAX);
    moving->status = log_move_start(first->log, moving->offset, &moving->change);
}

static void move_start(int64_t offset)
{
    static struct moving moving;
    moving.offset = offset;
    cr_assert(sim_node_run(rig.node, move_start_inside, &moving));
    cr_assert_eq(moving.status, STATUS_OK);
}

/* The start moves to the end while a checkpoint waits for the last bytes below it. */
Test(log, checkpoint_counts_bytes_of_a_dropped_segment_that_nobody_wrote)
{
    first->options.config.is_memory_durable = true; /* Each append wakes the store. */
    log_rig_lose_power(&rig);
    open_all();
    for (uint32_t life = 0; life < 60; life++) {
        for (uint32_t i = 0; i < 15 + life % 4; i++) {
            cr_assert_eq(log_rig_append(first, 3, 5000), STATUS_OK);
            sim_world_run_for(rig.world, life % 3 * 300 * SIM_US);
        }
        sim_world_run_for(rig.world, SIM_US);
        int64_t start = log_start(first->log);
        int64_t end = log_end(first->log);
        move_start(end);
        cr_assert_eq(log_rig_append(first, 1, 500), STATUS_OK);
        sim_world_run_for(rig.world, life * 50 * SIM_US);

        log_rig_lose_power(&rig);
        open_all();

        cr_expect(log_start(first->log) == start || log_start(first->log) == end);
        cr_assert_eq(log_rig_verify(first), log_end(first->log), "life %u", life);
    }
}

static void abort_inside(void *context)
{
    int64_t end = log_end(first->log);
    const struct log_aborted_txn aborted = {
        .producer_id = 7, .first_offset = end - 6, .last_offset = end - 1};
    *(enum status *)context = log_append_aborted_txn(first->log, &aborted);
}

/* Two batches and, of a transaction that they do not tell of, that it was aborted. */
static void append_aborted(void)
{
    enum status status = STATUS_UNKNOWN;
    cr_assert_eq(log_rig_append(first, 3, 20), STATUS_OK);
    cr_assert_eq(log_rig_append(first, 3, 20), STATUS_OK);
    cr_assert(sim_node_run(rig.node, abort_inside, &status));
    cr_assert_eq(status, STATUS_OK);
}

static void count_inside(void *context)
{
    static struct log_aborted_txn aborted[200];
    enum status status = log_list_aborted_txns(first->log, 0, log_end(first->log), aborted,
                                               sizeof aborted / sizeof aborted[0], context);
    cr_assert_eq(status, STATUS_OK);
}

static uint32_t count_aborted(void)
{
    uint32_t count = 0;
    cr_assert(sim_node_run(rig.node, count_inside, &count));
    return count;
}

static void begin_checkpoint_inside(void *context)
{
    checkpoint_begin(context);
}

/* Again, and one that is none. */
static void abort_twice_inside(void *context)
{
    abort_inside(context);
    cr_expect_eq(*(enum status *)context, STATUS_CORRUPT);
    const struct log_aborted_txn aborted = {
        .producer_id = 7, .first_offset = 2, .last_offset = log_end(first->log) - 1};
    *(enum status *)context = log_append_aborted_txn(first->log, &aborted);
}

Test(log, aborted_transaction_that_is_there_ends_the_start)
{
    enum status status = STATUS_OK;
    append_aborted();
    cr_assert(sim_node_run(rig.node, abort_twice_inside, &status));
    cr_expect_eq(status, STATUS_CORRUPT);
    cr_assert(log_rig_flush(&rig));
    log_rig_kill(&rig);
    open_all();
    cr_expect_eq(count_aborted(), 1, "the journal has not taken it");
}

/* The file of the transaction index is made anew after a cut. When the cut is lost, the checkpoint
 * before counts entries of the former file, which nothing else knows. */
Test(log, checkpoint_of_a_truncation_that_is_not_flushed_loses_aborted_transactions)
{
    uint32_t lost_count = 0;
    struct log_rig_log *second = log_rig_add(&rig, "second", 2, 0);
    log_rig_lose_power(&rig);
    open_all();
    append_aborted();
    for (uint32_t life = 0; life < 60; life++) {
        append_aborted();
        cr_assert(log_rig_close(&rig));
        open_all();
        uint32_t count = count_aborted();
        int64_t end = log_end(first->log);

        /* The journal is busy with this for a while. */
        cr_assert_eq(log_rig_append(second, 1, 30000), STATUS_OK);
        sim_world_run_for(rig.world, SIM_US);
        cr_assert_eq(log_rig_truncate(first, end - 3), STATUS_OK);
        cr_assert(sim_node_run(rig.node, begin_checkpoint_inside, rig.store));
        sim_world_run_for(rig.world, life * 40 * SIM_US);
        log_rig_lose_power(&rig);
        open_all();

        bool is_lost = log_end(first->log) == end;
        cr_expect(is_lost || log_end(first->log) == end - 3);
        cr_expect_eq(count_aborted(), is_lost ? count : count - 1, "life %u", life);
        lost_count += is_lost;
    }
    cr_expect(lost_count > 0 && lost_count < 60, "%u of 60", lost_count);
}

/* The start lies in [3, 6), and that batch goes. */
Test(log, truncation_of_the_batch_that_holds_the_start_never_ends)
{
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(log_rig_append(first, 3, 1000), STATUS_OK);
    }
    move_start(4);

    cr_assert_eq(log_rig_truncate(first, 5), STATUS_OK);

    cr_expect_eq(log_start(first->log), 4);
    cr_expect_eq(log_end(first->log), 4);
    cr_expect_eq(log_byte_count(first->log), 0);
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(log_rig_append(first, 3, 1000), STATUS_OK);
    }
    cr_assert(log_rig_flush(&rig));
    for (int life = 0; life < 2; life++) {
        cr_expect_eq(log_rig_verify(first), 16);
        log_rig_lose_power(&rig);
        open_all();
        cr_expect_eq(log_start(first->log), 4);
    }
}

static enum status batch_on_replay(void *context, const uint8_t *bytes, size_t byte_count,
                                   int64_t ingested_ms)
{
    struct batch_view batch;
    int64_t *next_offset = context;
    (void)ingested_ms;
    cr_assert_eq(batch_view_init(&batch, bytes, byte_count), STATUS_OK);
    cr_assert_eq(batch_base_offset(&batch), *next_offset);
    *next_offset = batch_next_offset(&batch);
    return STATUS_OK;
}

static void release_inside(void *context)
{
    log_read_release(context);
}

/* Reads from `offset` until the end or a refusal, whose status it gives; `out_next_offset` is where
 * that was. Each batch is where the one before it promised. */
static enum status read_on(int64_t offset, int64_t *out_next_offset)
{
    enum status status = STATUS_OK;
    *out_next_offset = offset;
    while (status == STATUS_OK && *out_next_offset < log_end(first->log)) {
        struct log_rig_read read;
        status = log_rig_read(first, &read, *out_next_offset, 30000);
        cr_assert(status != STATUS_OK || read.read.batch_count > 0, "hidden at %lld",
                  (long long)*out_next_offset);
        for (uint32_t i = 0; i < read.read.slice_count; i++) {
            struct batch_iterator batches;
            struct batch_view batch;
            batch_iterator_init(&batches, read.read.slices[i].base, read.read.slices[i].byte_count);
            while (batch_iterator_next(&batches, &batch) == STATUS_OK) {
                cr_assert_leq(batch_base_offset(&batch), *out_next_offset);
                cr_assert_gt(batch_next_offset(&batch), *out_next_offset);
                *out_next_offset = batch_next_offset(&batch);
            }
        }
        cr_assert(sim_node_run(rig.node, release_inside, &read.read));
    }
    return status;
}

/* The last segment, [63, 72) in batches of three, with one bit flipped in the batch at 66. */
static void expect_refusal(struct sim_file *file, uint64_t position, uint32_t bit)
{
    cr_assert(sim_file_flip_bit(file, position + bit / 8, bit % 8));
    for (int64_t offset = 63; offset < 69; offset++) {
        int64_t next_offset = 0;
        cr_expect_eq(read_on(offset, &next_offset), STATUS_CORRUPT, "%lld, bit %u",
                     (long long)offset, bit);
        cr_expect_eq(next_offset, offset < 66 ? 66 : offset, "%lld, bit %u", (long long)offset,
                     bit);
    }
    int64_t replayed = 63;
    cr_expect_eq(log_replay(first->log, 63, batch_on_replay, &replayed), STATUS_CORRUPT);
    cr_expect_eq(replayed, 66, "bit %u", bit);
    cr_assert(sim_file_flip_bit(file, position + bit / 8, bit % 8));
}

/* Where the last segment's second batch begins. */
static uint32_t second_batch(struct sim_file **out_file)
{
    struct sim_inode *inode =
        sim_tree_find(&rig.node->disk->tree, LOG_RIG_DIRECTORY "/first-0/00000000000000000063.log");
    cr_assert_neq(inode, NULL);
    uint8_t header[BATCH_HEADER_BYTES];
    uint32_t position = 0;
    cr_assert_eq(sim_file_read(&inode->file, 0, header, sizeof header), sizeof header);
    cr_assert_eq(batch_measure(header, sizeof header, &position), STATUS_OK);
    *out_file = &inode->file;
    return position;
}

/* Base offset and leader epoch are not in the checksum; length and last offset decide what is
 * looked at. */
Test(log, flipped_bit_of_a_batchs_header_hides_its_records_or_moves_them)
{
    for (int i = 0; i < 24; i++) {
        cr_assert_eq(log_rig_append(first, 3, 1000), STATUS_OK);
    }
    cr_assert(log_rig_close(&rig));
    open_all();
    struct sim_file *file = NULL;
    uint32_t position = second_batch(&file);

    for (uint32_t bit = 0; bit < (size_t)BATCH_HEADER_BYTES * 8; bit++) {
        expect_refusal(file, position, bit);
    }

    cr_expect_eq(log_rig_verify(first), 72);
}

/* The history has no entry for such a batch: first it is empty, then it begins behind it. */
Test(log, flipped_epoch_of_a_batch_without_one_is_served)
{
    for (int i = 0; i < 24; i++) {
        cr_assert_eq(log_rig_append_at(first, 3, 1000, -1, 1000), STATUS_OK);
    }
    for (int life = 0; life < 2; life++) {
        cr_assert(log_rig_close(&rig));
        open_all();
        cr_expect_eq(log_latest_leader_epoch(first->log), life == 0 ? -1 : 5);
        struct sim_file *file = NULL;
        uint32_t position = second_batch(&file);
        for (uint32_t bit = 12 * 8; bit < 16 * 8; bit++) {
            expect_refusal(file, position, bit);
        }
        cr_expect_eq(log_rig_verify(first), log_end(first->log));
        cr_assert_eq(log_rig_append_at(first, 3, 1000, 5, 1000), STATUS_OK);
    }
}

/* The index says where the batch ends at which a search begins. */
Test(log, damaged_base_offset_behind_an_index_entry_hides_records)
{
    for (int i = 0; i < 18; i++) {
        cr_assert_eq(log_rig_append(first, 3, 1000), STATUS_OK);
    }
    cr_assert(log_rig_close(&rig));
    open_all();
    struct sim_inode *inode =
        sim_tree_find(&rig.node->disk->tree, LOG_RIG_DIRECTORY "/first-0/00000000000000000000.log");
    cr_assert_neq(inode, NULL);

    uint64_t position = 0;
    for (int64_t base_offset = 0; base_offset < 54; base_offset += 3) {
        uint8_t header[BATCH_HEADER_BYTES];
        uint32_t byte_count = 0;
        cr_assert_eq(sim_file_read(&inode->file, position, header, sizeof header), sizeof header);
        cr_assert_eq(batch_measure(header, sizeof header, &byte_count), STATUS_OK);
        for (uint32_t bit = 0; bit < 64; bit++) {
            int64_t next_offset = 0;
            cr_assert(sim_file_flip_bit(&inode->file, position + bit / 8, bit % 8));
            cr_expect_eq(read_on(0, &next_offset), STATUS_CORRUPT);
            cr_expect_eq(next_offset, base_offset, "bit %u", bit);
            cr_expect_eq(read_on(base_offset + 1, &next_offset), STATUS_CORRUPT);
            cr_expect_eq(next_offset, base_offset + 1, "bit %u", bit);
            cr_assert(sim_file_flip_bit(&inode->file, position + bit / 8, bit % 8));
        }
        position += byte_count;
    }
}

Test(log, batches_behind_a_damaged_one_are_served)
{
    for (int i = 0; i < 24; i++) {
        cr_assert_eq(log_rig_append(first, 3, 1000), STATUS_OK);
    }
    cr_assert(log_rig_close(&rig));
    open_all();
    struct sim_inode *inode =
        sim_tree_find(&rig.node->disk->tree, LOG_RIG_DIRECTORY "/first-0/00000000000000000063.log");
    cr_assert_neq(inode, NULL);
    cr_assert(sim_file_flip_bit(&inode->file, BATCH_HEADER_BYTES, 0));

    int64_t next_offset = 0;
    cr_expect_eq(read_on(63, &next_offset), STATUS_CORRUPT);
    cr_expect_eq(next_offset, 63);
    cr_expect_eq(read_on(66, &next_offset), STATUS_OK);
    cr_expect_eq(next_offset, 72);
}

/* What the length promises is never fetched: there is no such batch, however long the segment. */
Test(log, damaged_length_asks_for_more_memory_than_any_batch_takes)
{
    struct log_rig_log *large = log_rig_add(&rig, "large", 2, 0);
    large->options.config.segment_bytes = 64 << 20;
    enum status status = STATUS_UNKNOWN;
    cr_assert(log_rig_open_log(large, &status));
    for (int i = 0; i < 200; i++) {
        cr_assert_eq(log_rig_append(large, 1, 100000), STATUS_OK);
        cr_assert(log_rig_flush(&rig));
    }
    cr_assert(log_rig_close(&rig));
    rig.budget.limit_bytes = 12U << 20;
    open_all();
    struct sim_inode *inode =
        sim_tree_find(&rig.node->disk->tree, LOG_RIG_DIRECTORY "/large-0/00000000000000000000.log");
    cr_assert_neq(inode, NULL);
    struct log_rig_read read;
    cr_expect_eq(log_rig_read(large, &read, 0, 30000), STATUS_OK);
    cr_assert(sim_node_run(rig.node, release_inside, &read.read));

    cr_assert(sim_file_flip_bit(&inode->file, 8, 0)); /* 16 MiB more. */
    status = log_rig_read(large, &read, 0, 30000);
    cr_expect_eq(status, STATUS_CORRUPT, "%s", status_text(status));
}

Test(log, append_with_a_gap_in_its_offsets_is_refused)
{
    cr_assert_eq(log_rig_append(first, 3, 100), STATUS_OK);
    struct log_rig_read read;
    cr_assert_eq(log_rig_read(first, &read, 0, 30000), STATUS_OK);
    static uint8_t bytes[10000];
    size_t byte_count = read.read.slices[0].byte_count;
    memcpy(bytes, read.read.slices[0].base, byte_count);
    cr_assert(sim_node_run(rig.node, release_inside, &read.read));
    const struct log_append append = {.bytes = bytes, .byte_count = byte_count};

    batch_stamp_offset(bytes, 2, 0);
    cr_expect_eq(log_append(first->log, &append), STATUS_INVALID);
    batch_stamp_offset(bytes, 4, 0);
    cr_expect_eq(log_append(first->log, &append), STATUS_INVALID);
    cr_expect_eq(log_end(first->log), 3);
}
