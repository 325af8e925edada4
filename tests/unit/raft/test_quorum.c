/* Goal: one voter keeps what it acknowledged, whatever happens to its process or its power.
 * Method: the quorum in a simulated node; proposals are numbers that a state machine adds up;
 * deaths at every disk operation, restarts, and a count of what was acknowledged. */
#include "raft/quorum.h"
#include "tests/sim/sim_disk.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- A state machine: the list of all numbers it was given ------------------------------------ */

#define NUMBERS_MAX 4096U

struct machine {
    struct quorum_fsm fsm;
    uint64_t numbers[NUMBERS_MAX];
    uint64_t count;
    int64_t term;
    uint32_t restore_count;
};

static void machine_apply(struct quorum_fsm *fsm, uint64_t index, int64_t term, const void *bytes,
                          size_t byte_count)
{
    struct machine *self = container_of(fsm, struct machine, fsm);
    cr_assert_eq(index, self->count + 1);
    cr_assert(term >= self->term);
    cr_assert(self->count < NUMBERS_MAX);
    self->term = term;
    self->numbers[self->count] = 0;
    memcpy(&self->numbers[self->count], bytes, byte_count < 8 ? byte_count : 8);
    self->count += 1;
}

static enum status machine_snapshot(struct quorum_fsm *fsm, void **out_bytes,
                                    size_t *out_byte_count)
{
    struct machine *self = container_of(fsm, struct machine, fsm);
    size_t byte_count =
        (size_t)self->count * sizeof self->numbers[0] + 1; /* Not a multiple of 8. */
    uint8_t *bytes = malloc(byte_count);
    memcpy(bytes, self->numbers, byte_count - 1);
    bytes[byte_count - 1] = 0x5a;
    *out_bytes = bytes;
    *out_byte_count = byte_count;
    return STATUS_OK;
}

static enum status machine_restore(struct quorum_fsm *fsm, uint64_t index, const void *bytes,
                                   size_t byte_count)
{
    struct machine *self = container_of(fsm, struct machine, fsm);
    cr_assert_eq(byte_count, index * sizeof self->numbers[0] + 1);
    memcpy(self->numbers, bytes, byte_count - 1);
    self->count = index;
    self->restore_count += 1;
    return STATUS_OK;
}

static const struct quorum_fsm_ops machine_ops = {
    .apply = machine_apply, .snapshot = machine_snapshot, .restore = machine_restore};

/* --- One node --------------------------------------------------------------------------------- */

static struct sim_world *world;
static struct sim_node *node;
static struct machine machine;
static struct quorum *quorum;
static enum status open_status;
static bool is_ready;
static int64_t ready_term;
static enum status fatal_status;
static uint32_t snapshot_entries = 1000;
static uint32_t segment_bytes = 4096;
static int32_t own_id = 1;

static void note_leadership(void *context, bool ready, int64_t term)
{
    (void)context;
    is_ready = ready;
    ready_term = term;
}

static void note_fatal(void *context, enum status why)
{
    (void)context;
    fatal_status = why;
}

static void boot(struct sim_node *self, struct loop *loops, uint32_t loop_count)
{
    (void)self;
    (void)loop_count;
    machine = (struct machine){.fsm.ops = &machine_ops};
    quorum = NULL;
    is_ready = false;
    struct quorum_options options = {.loop = &loops[0],
                                     .directory = "quorum",
                                     .node_id = own_id,
                                     .voter_count = 1,
                                     .voters[0] = {.node_id = own_id},
                                     .fsm = &machine.fsm,
                                     .snapshot_entries = snapshot_entries,
                                     .segment_bytes = segment_bytes,
                                     .on_leadership = note_leadership,
                                     .on_fatal = note_fatal};
    open_status = quorum_open(&options, &quorum);
}

static void set_up(void)
{
    world = sim_world_new(&(struct sim_world_options){.seed = 1});
    node = sim_node_add(world, &(struct sim_node_options){.loop_count = 1, .boot = boot});
}

static void tear_down(void)
{
    cr_expect_not(world->has_failed, "%s", world->failure);
    sim_world_free(world);
}

static void start(void)
{
    cr_assert(sim_node_start(node));
    cr_assert_eq(open_status, STATUS_OK);
    sim_world_run_for(world, 100 * SIM_MS);
    cr_assert(is_ready);
}

struct ask {
    struct quorum_proposal proposal;
    uint64_t number;
    bool is_done;
    enum status status;
};

static struct ask asks[NUMBERS_MAX];
static uint32_t ask_count;

static void ask_on_done(struct quorum_proposal *proposal, enum status status)
{
    struct ask *ask = container_of(proposal, struct ask, proposal);
    cr_assert_not(ask->is_done);
    ask->is_done = true;
    ask->status = status;
}

static void ask_inside(void *context)
{
    struct ask *ask = context;
    ask->proposal = (struct quorum_proposal){
        .bytes = &ask->number, .byte_count = sizeof ask->number, .on_done = ask_on_done};
    quorum_propose(quorum, &ask->proposal);
    cr_assert_not(ask->is_done);
}

/* Proposes the next number; it dies with the node when that dies. */
static struct ask *ask_next(void)
{
    struct ask *ask = &asks[ask_count];
    *ask = (struct ask){.number = 1000 + ask_count};
    ask_count += 1;
    (void)sim_node_run(node, ask_inside, ask);
    return ask;
}

/* What was acknowledged is there, under the index that was told, and nothing that was not asked. */
static void expect_kept(void)
{
    for (uint32_t i = 0; i < ask_count; i++) {
        if (asks[i].is_done && asks[i].status == STATUS_OK) {
            uint64_t index = asks[i].proposal.index;
            cr_assert(index >= 1 && index <= machine.count, "acknowledged %u at %lu of %lu", i,
                      index, machine.count);
            cr_assert_eq(machine.numbers[index - 1], asks[i].number);
        }
    }
    uint64_t before = 0;
    for (uint64_t i = 0; i < machine.count; i++) {
        cr_assert(machine.numbers[i] > before, "twice or out of order");
        cr_assert(machine.numbers[i] < 1000 + ask_count);
        before = machine.numbers[i];
    }
}

TestSuite(quorum, .init = set_up, .fini = tear_down);

Test(quorum, empty_directory_is_born_and_leads)
{
    start();

    struct quorum_status status = quorum_status_of(quorum);
    cr_expect(status.is_born && status.is_leader && status.is_ready);
    cr_expect_eq(status.leader_id, 1);
    cr_expect_eq(status.applied_index, 0);
    cr_expect_eq(status.term, ready_term);
}

Test(quorum, proposal_is_applied_and_answered_with_its_index)
{
    start();
    struct ask *first = ask_next();
    struct ask *second = ask_next();

    sim_world_run_for(world, 50 * SIM_MS);

    cr_expect_eq(first->status, STATUS_OK);
    cr_expect_eq(first->proposal.index, 1);
    cr_expect_eq(second->proposal.index, 2);
    cr_expect_eq(machine.count, 2);
    cr_expect_eq(quorum_status_of(quorum).applied_index, 2);
    cr_expect_eq(quorum_status_of(quorum).last_index, 2);
}

Test(quorum, restart_replays_the_log_in_a_higher_term_of_the_same_cluster)
{
    start();
    for (int i = 0; i < 200; i++) {
        (void)ask_next();
    }
    sim_world_run_for(world, 200 * SIM_MS);
    struct quorum_status before = quorum_status_of(quorum);

    sim_node_kill(node);
    start();

    struct quorum_status after = quorum_status_of(quorum);
    cr_expect_eq(machine.count, 200);
    expect_kept();
    cr_expect(after.term > before.term);
    cr_expect_arr_eq(after.cluster_id, before.cluster_id, 16);
    cr_expect_arr_eq(after.directory_id, before.directory_id, 16);
}

Test(quorum, snapshot_replaces_the_log_below_it)
{
    snapshot_entries = 20;
    start();
    for (int i = 0; i < 300; i++) {
        (void)ask_next();
        sim_world_run_for(world, 10 * SIM_MS);
    }
    cr_assert_eq(machine.count, 300);
    uint64_t used = sim_disk_used_bytes(node->disk);

    sim_node_lose_power(node);
    start();

    cr_expect_eq(machine.restore_count, 1);
    cr_expect_eq(machine.count, 300);
    cr_expect(used < 64 * 1024, "%lu bytes", used);
    expect_kept();
}

Test(quorum, large_commands_bring_the_snapshot_forward)
{
    static uint64_t large[1024];
    snapshot_entries = 1000000;
    start();
    for (uint64_t i = 0; i < 400; i++) {
        struct ask ask = {0};
        large[0] = 1000 + i;
        ask.proposal = (struct quorum_proposal){
            .bytes = large, .byte_count = sizeof large, .on_done = ask_on_done};
        sim_node_enter(node);
        quorum_propose(quorum, &ask.proposal);
        sim_node_leave(node);
        sim_world_run_for(world, 10 * SIM_MS);
        cr_assert_eq(ask.status, STATUS_OK);
    }

    cr_expect_eq(machine.count, 400);
    cr_expect(sim_disk_used_bytes(node->disk) < 250 * sizeof large, "%lu bytes",
              sim_disk_used_bytes(node->disk));
}

Test(quorum, any_death_at_any_disk_operation_loses_nothing_acknowledged)
{
    uint32_t deaths = 0;
    snapshot_entries = 8;
    for (uint64_t operation = 1; operation < 220; operation++) {
        sim_world_free(world);
        world = sim_world_new(&(struct sim_world_options){.seed = operation});
        node = sim_node_add(world, &(struct sim_node_options){.loop_count = 1, .boot = boot});
        ask_count = 0;
        sim_disk_die_at(node->disk, operation,
                        operation % 3 == 0 ? SIM_NODE_KILLED : SIM_NODE_POWERLESS);
        (void)sim_node_start(node);
        for (int i = 0; i < 120 && node->is_up; i++) {
            if (is_ready) {
                (void)ask_next();
            }
            sim_world_run_for(world, (i % 4) * SIM_MS);
        }
        sim_world_run_for(world, 20 * SIM_MS);
        deaths += node->is_up ? 0 : 1;
        sim_disk_spare(node->disk);
        if (!node->is_up) {
            start();
            expect_kept();
            (void)ask_next();
            sim_world_run_for(world, 50 * SIM_MS);
        }
        expect_kept();
        cr_assert_not(world->has_failed, "%s", world->failure);
    }
    cr_expect(deaths > 190, "%u", deaths);
}

Test(quorum, failed_flush_is_fatal_and_nothing_is_acknowledged_after_it)
{
    start();
    sim_disk_fail(node->disk, SIM_DISK_FLUSH, 1, STATUS_IO);
    struct ask *ask = ask_next();
    sim_world_run_for(world, 50 * SIM_MS);

    cr_expect_eq(fatal_status, STATUS_IO);
    cr_expect_eq(ask->status, STATUS_UNKNOWN);
    cr_expect_not(is_ready);
    struct ask *late = ask_next();
    sim_world_run_for(world, 50 * SIM_MS);
    cr_expect_eq(late->status, STATUS_CANCELED);
    cr_expect_eq(machine.count, 0);
}

/* Pages of a failed flush are read by the next process on the same host, and no later flush covers
 * them. */
Test(quorum, failed_flush_is_not_believed_by_the_next_process)
{
    start();
    (void)ask_next();
    sim_world_run_for(world, 50 * SIM_MS);
    sim_disk_fail(node->disk, SIM_DISK_FLUSH, 1, STATUS_IO);
    (void)ask_next();
    sim_world_run_for(world, 50 * SIM_MS);
    sim_node_kill(node);
    start();
    for (int i = 0; i < 10; i++) {
        (void)ask_next();
        sim_world_run_for(world, 50 * SIM_MS);
    }
    cr_expect(machine.count >= 11);

    sim_node_lose_power(node);
    start();

    cr_expect(machine.count >= 11);
    expect_kept();
}

Test(quorum, full_disk_is_fatal)
{
    start();
    sim_disk_fail(node->disk, SIM_DISK_FLUSH, 1, STATUS_NO_SPACE);
    (void)ask_next();
    sim_world_run_for(world, 50 * SIM_MS);

    cr_expect_eq(fatal_status, STATUS_NO_SPACE);
}

static uint32_t closed_count;

static void note_closed(void *context)
{
    (void)context;
    closed_count += 1;
}

static void close_inside(void *context)
{
    (void)context;
    quorum_close(quorum, note_closed, NULL);
}

Test(quorum, closing_answers_everything_and_a_later_start_goes_on)
{
    start();
    struct ask *early = ask_next();
    sim_world_run_for(world, 50 * SIM_MS);
    struct ask *under_way = ask_next();
    (void)sim_node_run(node, close_inside, NULL);
    sim_world_run_for(world, 50 * SIM_MS);

    cr_expect_eq(closed_count, 1);
    cr_expect(early->is_done && under_way->is_done);
    cr_expect_neq(under_way->status, STATUS_OK);
    sim_node_kill(node);
    start();
    cr_expect(machine.count >= 1);
    expect_kept();
}

Test(quorum, directory_of_another_node_is_refused)
{
    start();
    sim_node_kill(node);
    own_id = 2;

    cr_assert(sim_node_start(node));

    cr_expect_eq(open_status, STATUS_INVALID);
}

Test(quorum, too_long_proposal_is_refused)
{
    static uint8_t long_bytes[QUORUM_PROPOSAL_BYTES_MAX + 1];
    start();
    struct ask ask = {0};
    ask.proposal = (struct quorum_proposal){
        .bytes = long_bytes, .byte_count = sizeof long_bytes, .on_done = ask_on_done};
    sim_node_enter(node);
    quorum_propose(quorum, &ask.proposal);
    sim_node_leave(node);
    sim_world_run_for(world, 50 * SIM_MS);

    cr_expect_eq(ask.status, STATUS_INVALID);
}
