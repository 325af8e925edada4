/* Goal: records that wait share a flush, space is used again only when it was given up, and a
 * failed flush is the last one. Method: a journal of 256 KiB on a simulated disk; waiters that
 * count. */
#include "tests/rig/journal_rig.h"

#include <criterion/criterion.h>

static struct journal_rig rig;

static void set_up(void)
{
    journal_rig_init(&rig, 1);
    journal_rig_open(&rig, 1);
}

static void tear_down(void)
{
    cr_expect_not(rig.world->has_failed, "%s", rig.world->failure);
    journal_rig_done(&rig);
}

TestSuite(journal, .init = set_up, .fini = tear_down);

struct wait {
    struct journal_waiter waiter;
    enum status status;
    int count;
};

static void wait_on_flushed(struct journal_waiter *waiter, enum status status)
{
    struct wait *self = container_of(waiter, struct wait, waiter);
    self->status = status;
    self->count += 1;
}

static void begin_wait(struct wait *self)
{
    self->waiter.on_flushed = wait_on_flushed;
    sim_node_enter(rig.node);
    journal_wait(&rig.journal, &self->waiter);
    sim_node_leave(rig.node);
}

static uint64_t flush_count(void)
{
    return rig.settled_count;
}

Test(journal, records_of_one_turn_share_one_flush)
{
    for (int i = 0; i < 20; i++) {
        cr_assert_eq(journal_rig_put(&rig, i, 100), STATUS_OK);
    }
    cr_assert(journal_rig_flush(&rig));

    cr_expect_eq(flush_count(), 1);
    enum status end = STATUS_UNKNOWN;
    cr_expect_eq(journal_rig_replay(&rig, DISK_BLOCK_BYTES, 1, 0, &end), 20);
    cr_expect_eq(end, STATUS_OK);
}

Test(journal, what_comes_during_a_flush_goes_with_the_next_one)
{
    cr_assert_eq(journal_rig_put(&rig, 0, 100), STATUS_OK);
    while (!rig.journal.is_writing) {
        cr_assert(sim_world_step(rig.world));
    }
    for (int i = 1; i < 50; i++) {
        cr_assert_eq(journal_rig_put(&rig, i, 100), STATUS_OK);
    }
    cr_assert(journal_rig_flush(&rig));

    cr_expect_eq(flush_count(), 2);
}

Test(journal, waiter_is_told_when_everything_before_it_is_flushed)
{
    struct wait wait = {0};
    cr_assert_eq(journal_rig_put(&rig, 0, 100), STATUS_OK);
    begin_wait(&wait);
    cr_expect_eq(wait.count, 0);

    cr_assert(journal_rig_flush(&rig));

    cr_expect_eq(wait.count, 1);
    cr_expect_eq(wait.status, STATUS_OK);
}

Test(journal, waiter_without_a_record_is_told_too)
{
    struct wait wait = {0};
    begin_wait(&wait);
    cr_expect_eq(wait.count, 0);

    sim_world_run_for(rig.world, 10 * SIM_MS);

    cr_expect_eq(wait.count, 1);
    cr_expect_eq(flush_count(), 1);
    cr_expect_eq(rig.node->disk->failure_count, 0);
}

Test(journal, failed_flush_is_final)
{
    struct wait first = {0};
    struct wait second = {0};
    cr_assert_eq(journal_rig_put(&rig, 0, 100), STATUS_OK);
    begin_wait(&first);
    sim_disk_fail(rig.node->disk, SIM_DISK_FLUSH, 1, STATUS_IO);

    cr_expect_not(journal_rig_flush(&rig));

    cr_expect_eq(first.count, 1);
    cr_expect_eq(first.status, STATUS_IO);
    cr_expect_eq(journal_rig_put(&rig, 1, 100), STATUS_IO);
    begin_wait(&second);
    sim_world_run_for(rig.world, 100 * SIM_MS);
    cr_expect_eq(second.status, STATUS_IO);
    cr_expect_eq(rig.journal.flushed_sequence, 1);
}

Test(journal, write_under_way_is_not_told_once_the_store_has_failed)
{
    struct wait wait = {0};
    cr_assert_eq(journal_rig_put(&rig, 0, 100), STATUS_OK);
    begin_wait(&wait);
    sim_world_run_for(rig.world, 30 * SIM_US);
    cr_assert(rig.journal.is_writing);

    journal_fail(&rig.journal, STATUS_IO);
    sim_world_run_for(rig.world, SIM_S);

    cr_expect_eq(wait.count, 1);
    cr_expect_eq(wait.status, STATUS_IO);
    cr_expect_eq(journal_rig_put(&rig, 0, 100), STATUS_IO);
}

Test(journal, full_ring_has_no_room_until_a_cut_is_given_up)
{
    int64_t offset = 0;
    struct journal_cut cut = {0};
    while (journal_rig_put(&rig, offset, 20000) == STATUS_OK) {
        cr_assert(journal_rig_flush(&rig));
        offset += 1;
        if (offset == 5) {
            cut = journal_cut(&rig.journal);
        }
    }
    cr_assert_gt(offset, 5);
    cr_assert_lt(offset, 13);
    cr_expect_eq(journal_rig_put(&rig, offset, 20000), STATUS_BUSY);

    journal_release(&rig.journal, &cut);

    cr_expect_eq(journal_rig_put(&rig, offset, 20000), STATUS_OK);
    cr_assert(journal_rig_flush(&rig));
    enum status end = STATUS_UNKNOWN;
    cr_expect_eq(journal_rig_replay(&rig, cut.position, cut.sequence, 5, &end), offset - 5 + 1);
    cr_expect_eq(end, STATUS_OK);
}

Test(journal, room_is_kept_back_for_control_records)
{
    int64_t offset = 0;
    while (journal_rig_put(&rig, offset, 20000) == STATUS_OK) {
        cr_assert(journal_rig_flush(&rig));
        offset += 1;
    }
    cr_expect_not(journal_has_room(&rig.journal, 20000, false));
    cr_expect(journal_has_room(&rig.journal, 20000, true));
}

Test(journal, laps_go_on_for_ever)
{
    for (int64_t offset = 0; offset < 500; offset++) {
        struct journal_cut cut = journal_cut(&rig.journal);
        uint32_t byte_count = 1 + (uint32_t)(offset * 7919 % 40000);
        cr_assert_eq(journal_rig_put(&rig, offset, byte_count), STATUS_OK);
        cr_assert(journal_rig_flush(&rig));
        enum status end = STATUS_UNKNOWN;
        if (offset % 25 == 0) {
            cr_assert_eq(journal_rig_replay(&rig, cut.position, cut.sequence, offset, &end), 1);
            cr_assert_eq(end, STATUS_OK);
        }
        cut = journal_cut(&rig.journal);
        journal_release(&rig.journal, &cut);
    }
}

Test(journal, flush_now_does_not_come_back_before_the_flush)
{
    struct wait wait = {0};
    cr_assert_eq(journal_rig_put(&rig, 0, 100), STATUS_OK);
    begin_wait(&wait);
    sim_node_enter(rig.node);
    enum status status = journal_flush_now(&rig.journal);
    sim_node_leave(rig.node);

    cr_expect_eq(status, STATUS_OK);
    cr_expect_eq(rig.journal.flushed_sequence, 2);
    cr_expect_eq(wait.count, 0); /* Later, never from inside. */
    sim_world_run_for(rig.world, 10 * SIM_MS);
    cr_expect_eq(wait.count, 1);
}
