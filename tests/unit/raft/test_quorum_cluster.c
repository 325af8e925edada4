/* Goal: voters find each other, are born together, survive each other's deaths, and nobody who
 * forgot what it promised takes part.
 * Method: three whole voters with transport and listener in the simulated world. */
#include "proto/frame/listener.h"
#include "raft/peer_transport.h"
#include "raft/quorum.h"
#include "tests/sim/sim_disk.h"
#include "tests/sim/sim_socket.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VOTER_COUNT 3U
#define PORT 9093

struct voter {
    struct sim_node *node;
    struct loop *loop;
    struct budget budget;
    struct listener *listener;
    struct quorum_peers *peers;
    struct quorum *quorum; /* NULL: down. */
    bool is_ready;
    struct quorum_fsm fsm;
    uint64_t command_count;
};

static struct sim_world *world;
static struct voter voters[VOTER_COUNT + 1]; /* By node id. */
static bool posts_frames;
static uint8_t wanted_cluster_id[VOTER_COUNT + 1][16];

static void count_apply(struct quorum_fsm *fsm, uint64_t index, int64_t term, const void *bytes,
                        size_t byte_count)
{
    (void)term;
    (void)bytes;
    (void)byte_count;
    container_of(fsm, struct voter, fsm)->command_count = index;
}

static enum status count_snapshot(struct quorum_fsm *fsm, void **out_bytes, size_t *out_byte_count)
{
    (void)fsm;
    *out_bytes = calloc(1, 8);
    *out_byte_count = 8;
    return STATUS_OK;
}

static enum status count_restore(struct quorum_fsm *fsm, uint64_t index, const void *bytes,
                                 size_t byte_count)
{
    (void)bytes;
    (void)byte_count;
    container_of(fsm, struct voter, fsm)->command_count = index;
    return STATUS_OK;
}

static const struct quorum_fsm_ops count_ops = {
    .apply = count_apply, .snapshot = count_snapshot, .restore = count_restore};

static void on_frame(struct connection *connection, struct frame *frame, struct ticket *ticket)
{
    struct voter *self = connection_context(connection);
    connection_forget(ticket);
    if (posts_frames) {
        peer_transport_post(self->peers, frame);
    } else {
        peer_transport_receive(self->peers, frame->bytes, frame->byte_count);
    }
    frame_unref(frame);
}

static void on_connection_closed(struct connection *connection)
{
    (void)connection;
}

static void on_leadership(void *context, bool is_ready, int64_t term)
{
    struct voter *self = context;
    (void)term;
    self->is_ready = is_ready;
}

static void on_fatal(void *context, enum status why)
{
    (void)context;
    cr_assert_fail("%s", status_text(why));
}

static void fill_voters(struct quorum_voter *out)
{
    for (uint32_t i = 0; i < VOTER_COUNT; i++) {
        out[i].node_id = (int32_t)i + 1;
        out[i].address.port = PORT;
        (void)snprintf(out[i].address.host, sizeof out[i].address.host, "node-%u", i + 1);
    }
}

static void boot_quorum(struct voter *self)
{
    struct quorum_options options = {.loop = self->loop,
                                     .directory = "data/quorum",
                                     .node_id = (int32_t)self->node->id,
                                     .voter_count = VOTER_COUNT,
                                     .fsm = &self->fsm,
                                     .peers = self->peers,
                                     .snapshot_entries = 16,
                                     .on_leadership = on_leadership,
                                     .on_fatal = on_fatal,
                                     .context = self};
    fill_voters(options.voters);
    memcpy(options.cluster_id, wanted_cluster_id[self->node->id], 16);
    cr_assert_eq(disk_make_directory(self->loop->disk, "data"), STATUS_OK);
    cr_assert_eq(disk_sync_directory(self->loop->disk, "."), STATUS_OK);
    cr_assert_eq(quorum_open(&options, &self->quorum), STATUS_OK);
}

static void boot(struct sim_node *node, struct loop *loops, uint32_t loop_count)
{
    (void)loop_count;
    struct voter *self = &voters[node->id];
    *self = (struct voter){.node = node, .loop = &loops[0], .fsm.ops = &count_ops};
    budget_init(&self->budget, (size_t)1 << 28);
    struct peer_transport_options transport = {
        .loop = self->loop, .node_id = (int32_t)node->id, .voter_count = VOTER_COUNT};
    fill_voters(transport.voters);
    cr_assert_eq(peer_transport_open(&transport, &self->peers), STATUS_OK);
    /* Frames come in on the other loop when they are posted. */
    struct connection_options shard = {.loop = posts_frames ? &loops[1] : &loops[0],
                                       .budget = &self->budget,
                                       .frame_bytes_max = CONNECTION_FRAME_BYTES_MAX_DEFAULT,
                                       .on_frame = on_frame,
                                       .on_closed = on_connection_closed,
                                       .context = self};
    struct listener_options listen = {.loop = shard.loop,
                                      .address = {.host = "0.0.0.0", .port = PORT},
                                      .shards = &shard,
                                      .shard_count = 1,
                                      .connection_count_max = 100};
    cr_assert_eq(listener_open(&listen, &self->listener), STATUS_OK);
    boot_quorum(self);
}

static void on_death(struct sim_node *node, enum sim_node_death death)
{
    (void)death;
    voters[node->id].quorum = NULL;
    voters[node->id].is_ready = false;
}

static void set_up_with(uint32_t loop_count)
{
    world = sim_world_new(&(struct sim_world_options){.seed = 3});
    for (uint32_t i = 1; i <= VOTER_COUNT; i++) {
        voters[i].node =
            sim_node_add(world, &(struct sim_node_options){
                                    .loop_count = loop_count, .boot = boot, .on_death = on_death});
    }
}

static void set_up(void)
{
    set_up_with(1);
}

static void tear_down(void)
{
    cr_expect_not(world->has_failed, "%s", world->failure);
    sim_world_free(world);
}

static void start(uint32_t id)
{
    cr_assert(sim_node_start(voters[id].node));
}

/* Id of the leader that is ready; 0: there is none. */
static uint32_t leader(void)
{
    for (uint32_t i = 1; i <= VOTER_COUNT; i++) {
        if (voters[i].quorum != NULL && voters[i].is_ready) {
            return i;
        }
    }
    return 0;
}

static bool has_leader(void *context)
{
    (void)context;
    return leader() != 0;
}

static void wait_for_leader(int64_t limit_ms)
{
    cr_assert(sim_world_run_until(world, has_leader, NULL, limit_ms * SIM_MS));
}

struct ask {
    struct quorum_proposal proposal;
    struct quorum *quorum;
    bool is_done;
    enum status status;
};

static void ask_on_done(struct quorum_proposal *proposal, enum status status)
{
    struct ask *ask = container_of(proposal, struct ask, proposal);
    ask->is_done = true;
    ask->status = status;
}

static void ask_inside(void *context)
{
    struct ask *ask = context;
    ask->proposal =
        (struct quorum_proposal){.bytes = "command", .byte_count = 7, .on_done = ask_on_done};
    quorum_propose(ask->quorum, &ask->proposal);
}

static enum status propose_to(uint32_t id)
{
    struct ask ask = {.quorum = voters[id].quorum};
    cr_assert(sim_node_run(voters[id].node, ask_inside, &ask));
    for (int i = 0; i < 2000 && !ask.is_done; i++) {
        sim_world_run_for(world, SIM_MS);
    }
    cr_assert(ask.is_done);
    return ask.status;
}

static void start_all(void)
{
    for (uint32_t i = 1; i <= VOTER_COUNT; i++) {
        start(i);
    }
    wait_for_leader(10000);
}

TestSuite(quorum_cluster, .init = set_up, .fini = tear_down);

Test(quorum_cluster, three_empty_voters_are_born_as_one_cluster)
{
    start_all();
    for (int i = 0; i < 50; i++) {
        cr_assert_eq(propose_to(leader()), STATUS_OK);
    }
    sim_world_run_for(world, SIM_S);

    struct quorum_status first = quorum_status_of(voters[1].quorum);
    for (uint32_t i = 1; i <= VOTER_COUNT; i++) {
        struct quorum_status status = quorum_status_of(voters[i].quorum);
        cr_expect(status.is_born);
        cr_expect_arr_eq(status.cluster_id, first.cluster_id, 16);
        cr_expect_eq(status.leader_id, (int32_t)leader());
        cr_expect_eq(status.applied_index, 50);
        cr_expect_eq(voters[i].command_count, 50);
    }
}

Test(quorum_cluster, follower_refuses_proposals_and_names_the_leader)
{
    start_all();
    sim_world_run_for(world, SIM_S);
    uint32_t follower = leader() == 1 ? 2 : 1;

    cr_expect_eq(propose_to(follower), STATUS_NOT_LEADER);
    cr_expect_eq(quorum_status_of(voters[follower].quorum).leader_id, (int32_t)leader());
}

Test(quorum_cluster, nobody_is_born_before_all_answer)
{
    start(1);
    start(2);
    sim_world_run_for(world, 20 * SIM_S);
    cr_expect_not(quorum_status_of(voters[1].quorum).is_born);

    start(3);
    wait_for_leader(10000);
    cr_expect(quorum_status_of(voters[3].quorum).is_born);
}

static void wipe_inside(void *context)
{
    struct voter *self = context;
    static const char *const names[] = {"meta", "vote", "log-00000000000000000001"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "data/quorum/%s", names[i]);
        cr_assert_eq(disk_remove(sim_node_loop(self->node, 0)->disk, path), STATUS_OK);
    }
}

/* The directory is empty when it starts again. */
static void wipe(uint32_t id)
{
    sim_node_enter(voters[id].node);
    wipe_inside(&voters[id]);
    sim_node_leave(voters[id].node);
    sim_node_kill(voters[id].node);
}

Test(quorum_cluster, wiped_voter_does_not_vote)
{
    start_all();
    cr_assert_eq(propose_to(leader()), STATUS_OK);
    sim_world_run_for(world, SIM_S);
    uint32_t wiped = leader() == 3 ? 2 : 3;
    uint32_t other = 6 - wiped - leader();
    uint32_t old_leader = leader();
    wipe(wiped);
    start(wiped);
    sim_world_run_for(world, 5 * SIM_S);
    cr_expect_eq(leader(), old_leader);
    cr_expect_not(quorum_status_of(voters[wiped].quorum).is_born);

    /* With the vote of the wiped one the other could lead, and what is committed could be lost. */
    sim_node_kill(voters[old_leader].node);
    sim_world_run_for(world, 30 * SIM_S);
    cr_expect_eq(leader(), 0);
    cr_expect_not(quorum_status_of(voters[wiped].quorum).is_born);

    start(old_leader);
    wait_for_leader(10000);
    cr_expect_eq(propose_to(leader()), STATUS_OK);
    cr_expect(voters[other].command_count >= 1);
}

static enum status reopened;

static void reopen_inside(void *context)
{
    struct voter *self = context;
    struct quorum_options options = {.loop = self->loop,
                                     .directory = "data/quorum",
                                     .node_id = (int32_t)self->node->id,
                                     .voter_count = 1,
                                     .voters[0].node_id = (int32_t)self->node->id,
                                     .fsm = &self->fsm,
                                     .on_leadership = on_leadership,
                                     .on_fatal = on_fatal,
                                     .context = self};
    struct quorum *quorum = NULL;
    reopened = quorum_open(&options, &quorum);
}

Test(quorum_cluster, directory_without_its_meta_file_is_corrupt)
{
    start_all();
    sim_node_enter(voters[1].node);
    cr_assert_eq(disk_remove(voters[1].loop->disk, "data/quorum/meta"), STATUS_OK);
    reopen_inside(&voters[1]);
    sim_node_leave(voters[1].node);

    cr_expect_eq(reopened, STATUS_CORRUPT);
}

/* The connection of a process that dies breaks at once; a host without power is silent. */
Test(quorum_cluster, killed_leader_is_replaced_long_before_the_election_timeout)
{
    int64_t longest_ns = 0;
    start_all();
    for (int i = 0; i < 20; i++) {
        sim_world_run_for(world, 3 * SIM_S);
        uint32_t old = leader();
        sim_node_kill(voters[old].node);
        int64_t begin_ns = world->now_ns;
        wait_for_leader(10000);
        longest_ns = world->now_ns - begin_ns > longest_ns ? world->now_ns - begin_ns : longest_ns;
        start(old);
    }

    cr_expect(longest_ns < 400 * SIM_MS, "%ld ms", longest_ns / SIM_MS);
}

Test(quorum_cluster, leader_without_power_is_replaced_within_four_election_timeouts)
{
    start_all();
    sim_world_run_for(world, 3 * SIM_S);
    uint32_t old = leader();
    sim_node_lose_power(voters[old].node);

    wait_for_leader(4000);
}

static bool has_caught_up(void *context)
{
    const struct voter *voter = context;
    return voter->quorum != NULL && voter->command_count == voters[leader()].command_count;
}

/* Nobody answers what the leader has sent into the dead host: without a limit of its own its link
 * would be half open until TCP asks again, after pauses that double. */
Test(quorum_cluster, link_stays_half_open_when_the_peer_is_back_after_a_power_loss)
{
    start_all();
    uint32_t other = leader() % VOTER_COUNT + 1;
    sim_world_run_for(world, 3 * SIM_S);
    sim_node_lose_power(voters[other].node);
    sim_world_run_for(world, 200 * SIM_S);
    cr_assert_eq(propose_to(leader()), STATUS_OK);
    start(other);

    cr_expect(sim_world_run_until(world, has_caught_up, &voters[other], 3 * SIM_S));
}

Test(quorum_cluster, cut_leader_knows_that_it_may_lead_no_more)
{
    start_all();
    sim_world_run_for(world, 3 * SIM_S);
    uint32_t old = leader();
    for (uint32_t i = 1; i <= VOTER_COUNT; i++) {
        if (i != old) {
            sim_network_cut(voters[old].node, voters[i].node);
        }
    }
    sim_world_run_for(world, 5 * SIM_S);

    cr_expect_not(voters[old].is_ready);
    cr_expect_neq(leader(), 0);
    sim_network_heal_all(world);
    sim_world_run_for(world, 5 * SIM_S);
    cr_expect_neq(leader(), 0);
    cr_expect_eq(propose_to(leader()), STATUS_OK);
}

static void confirm_inside(void *context)
{
    struct ask *ask = context;
    ask->proposal = (struct quorum_proposal){.on_done = ask_on_done};
    quorum_confirm(ask->quorum, &ask->proposal);
}

Test(quorum_cluster, read_is_confirmed_by_a_leader_and_not_by_one_that_was_cut_off)
{
    start_all();
    sim_world_run_for(world, 3 * SIM_S);
    struct voter *old = &voters[leader()];
    struct ask first = {.quorum = old->quorum};
    struct ask second = {.quorum = old->quorum};
    cr_assert(sim_node_run(old->node, confirm_inside, &first));
    cr_assert(sim_node_run(old->node, confirm_inside, &second));
    sim_world_run_for(world, 100 * SIM_MS);
    cr_expect(first.is_done && first.status == STATUS_OK);
    cr_expect(second.is_done && second.status == STATUS_OK);

    for (uint32_t i = 1; i <= VOTER_COUNT; i++) {
        if (&voters[i] != old) {
            sim_network_cut(old->node, voters[i].node);
        }
    }
    struct ask third = {.quorum = old->quorum};
    cr_assert(sim_node_run(old->node, confirm_inside, &third));
    sim_world_run_for(world, 200 * SIM_MS);
    cr_expect_not(third.is_done);
    sim_world_run_for(world, 5 * SIM_S);
    cr_expect(third.is_done && third.status == STATUS_NOT_LEADER);
}

static void hand_over_inside(void *context)
{
    quorum_hand_over(((struct voter *)context)->quorum);
}

Test(quorum_cluster, leader_that_hands_over_is_followed_at_once)
{
    start_all();
    sim_world_run_for(world, 3 * SIM_S);
    uint32_t old = leader();
    int64_t begin_ns = world->now_ns;
    cr_assert(sim_node_run(voters[old].node, hand_over_inside, &voters[old]));
    cr_expect_neq(leader(), old);

    wait_for_leader(1000);

    cr_expect_neq(leader(), old);
    cr_expect(world->now_ns - begin_ns < 50 * SIM_MS, "%ld us",
              (world->now_ns - begin_ns) / SIM_US);
}

Test(quorum_cluster, voter_that_was_down_gets_the_snapshot)
{
    start_all();
    uint32_t away = leader() == 1 ? 2 : 1;
    sim_node_kill(voters[away].node);
    for (int i = 0; i < 200; i++) {
        cr_assert_eq(propose_to(leader()), STATUS_OK);
    }
    start(away);
    sim_world_run_for(world, 12 * SIM_S);

    cr_expect_eq(voters[away].command_count, 200);
}

static uint32_t closed_count;

static void note_closed(void *context)
{
    struct voter *self = context;
    closed_count += 1;
    self->quorum = NULL;
}

static void note_peers_closed(void *context)
{
    (void)context;
    closed_count += 1;
}

static void close_inside(void *context)
{
    struct voter *self = context;
    quorum_close(self->quorum, note_closed, self);
}

static void close_listener_inside(void *context)
{
    struct voter *self = context;
    listener_close(self->listener, note_peers_closed, self);
}

static void close_peers_inside(void *context)
{
    struct voter *self = context;
    peer_transport_close(self->peers, note_peers_closed, self);
}

Test(quorum_cluster, closing_leaves_nothing_behind)
{
    start_all();
    uint32_t old = leader();
    cr_assert(sim_node_run(voters[old].node, close_listener_inside, &voters[old]));
    sim_world_run_for(world, 100 * SIM_MS);
    cr_assert(sim_node_run(voters[old].node, close_inside, &voters[old]));
    sim_world_run_for(world, 100 * SIM_MS);
    cr_assert(sim_node_run(voters[old].node, close_peers_inside, &voters[old]));
    sim_world_run_for(world, 100 * SIM_MS);

    cr_expect_eq(closed_count, 3);
    wait_for_leader(10000);
    cr_expect_neq(leader(), old);
}

Test(quorum_cluster, frames_may_come_in_on_another_loop)
{
    tear_down();
    posts_frames = true;
    set_up_with(2);
    start_all();

    for (int i = 0; i < 20; i++) {
        cr_assert_eq(propose_to(leader()), STATUS_OK);
    }
}

Test(quorum_cluster, cluster_id_of_one_is_taken_by_all)
{
    memset(wanted_cluster_id[3], 0xab, 16);
    start_all();

    cr_expect_eq(quorum_status_of(voters[1].quorum).cluster_id[7], 0xab);
    cr_expect_eq(quorum_status_of(voters[2].quorum).cluster_id[7], 0xab);
}
