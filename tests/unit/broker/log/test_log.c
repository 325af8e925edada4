/* Goal: what was acknowledged is there after any end of the process, and nothing else is.
 * Method: a store on a simulated disk, small segments and a small journal, kills and power cuts. */
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
