/* Goal: each remedy for libraft 0.15 prevents the failure it is for, and that failure is real.
 * Method: one core in a simulated node; its peers are messages written by hand. Each scenario says
 * whether the right thing happened; it must with all remedies on, and must not (or the process must
 * die of it) in a child that takes the group away. */
#include "raft/quorum_birth.h"
#include "raft/quorum_core.h"
#include "raft/quorum_envelope.h"
#include "raft/quorum_receive.h"
#include "raft/quorum_remedy.h"
#include "tests/sim/sim_disk.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define OWN 2
#define SENT_MAX 256U

static struct sim_world *world;
static struct sim_node *node;
static struct quorum_meta meta;
static struct quorum_core *core;
static bool drops_all;

/* In the child a scenario that cannot be played ends it in a way that is seen. */
#define EXIT_HOLDS 0
#define EXIT_BREAKS 1
#define EXIT_UNPLAYED 2

static void must_at(bool is_true, int line)
{
    if (!is_true) {
        fprintf(stderr, "not played: line %d\n", line);
        _exit(EXIT_UNPLAYED);
    }
}
#define must(condition) must_at(condition, __LINE__)

static struct quorum_message *sent[SENT_MAX]; /* The newest; owned by the node. */
static uint32_t sent_count;

/* --- The state machine counts ----------------------------------------------------------------- */

static uint64_t applied_count;

static void count_apply(struct quorum_fsm *fsm, uint64_t index, int64_t term, const void *bytes,
                        size_t byte_count)
{
    (void)fsm;
    (void)term;
    (void)bytes;
    (void)byte_count;
    applied_count = index;
}

static enum status count_snapshot(struct quorum_fsm *fsm, void **out_bytes, size_t *out_byte_count)
{
    (void)fsm;
    *out_byte_count = sizeof applied_count;
    *out_bytes = malloc(sizeof applied_count);
    memcpy(*out_bytes, &applied_count, sizeof applied_count);
    return STATUS_OK;
}

static enum status count_restore(struct quorum_fsm *fsm, uint64_t index, const void *bytes,
                                 size_t byte_count)
{
    (void)fsm;
    (void)bytes;
    (void)byte_count;
    applied_count = index;
    return STATUS_OK;
}

static const struct quorum_fsm_ops count_ops = {
    .apply = count_apply, .snapshot = count_snapshot, .restore = count_restore};
static struct quorum_fsm machine = {.ops = &count_ops};

/* --- The core and what it sends --------------------------------------------------------------- */

static bool take_sent(void *context, int32_t node_id, uint8_t *frame, size_t byte_count)
{
    (void)context;
    (void)node_id;
    if (!drops_all) {
        struct quorum_message *message = NULL;
        must(quorum_message_decode(frame + 4, byte_count - 4, &message) == STATUS_OK);
        sent[sent_count % SENT_MAX] = message;
        sent_count += 1;
    }
    free(frame);
    return !drops_all;
}

static void on_turn(void *context)
{
    (void)context;
}

static void boot(struct sim_node *self, struct loop *loops, uint32_t loop_count)
{
    (void)self;
    (void)loop_count;
    core = calloc(1, sizeof *core);
    struct quorum_core_options options = {.loop = &loops[0],
                                          .directory = "q",
                                          .meta = &meta,
                                          .fsm = &machine,
                                          .election_ms = 200,
                                          .heartbeat_ms = 50,
                                          .snapshot_entries = 8,
                                          .trailing_entries = 2,
                                          .on_send = take_sent,
                                          .on_turn = on_turn};
    must(disk_make_directory(loops[0].disk, "q") == STATUS_OK);
    must(quorum_birth_write(&meta, &loops[0], "q") == STATUS_OK);
    must(quorum_core_open(core, &options) == STATUS_OK);
}

static uint64_t id_of(int32_t node_id)
{
    return quorum_meta_raft_id(node_id, meta.voters[node_id - 1].directory_id);
}

static void begin(void)
{
    world = sim_world_new(&(struct sim_world_options){.seed = 1});
    node = sim_node_add(world, &(struct sim_node_options){.loop_count = 1, .boot = boot});
    meta = (struct quorum_meta){.is_born = true, .node_id = OWN, .voter_count = 3};
    for (int32_t i = 1; i <= 3; i++) {
        meta.voters[i - 1].node_id = i;
        memset(meta.voters[i - 1].directory_id, i, 16);
    }
    memcpy(meta.directory_id, meta.voters[OWN - 1].directory_id, 16);
    memset(meta.cluster_id, 7, 16);
    must(sim_node_start(node));
}

static void wait_ms(int64_t ms)
{
    sim_world_run_for(world, ms * SIM_MS);
}

/* The newest message of that kind; NULL: none was sent. */
static const struct raft_message *last_sent(unsigned short type)
{
    for (uint32_t i = sent_count; i > 0 && i + SENT_MAX > sent_count; i--) {
        if (sent[(i - 1) % SENT_MAX]->raft.type == type) {
            return &sent[(i - 1) % SENT_MAX]->raft;
        }
    }
    return NULL;
}

/* --- What the peers say ----------------------------------------------------------------------- */

struct delivery {
    struct raft_message message;
    int32_t from;
};

static void deliver_inside(void *context)
{
    const struct delivery *delivery = context;
    struct quorum_message_head head = {
        .has_cluster_id = true, .from = id_of(delivery->from), .to = id_of(OWN)};
    memcpy(head.cluster_id, meta.cluster_id, 16);
    struct quorum_heap heap;
    quorum_heap_init(&heap);
    struct quorum_heap *before = quorum_heap_enter(&heap);
    uint8_t *frame = NULL;
    size_t byte_count = 0;
    uint32_t entry_count = 0;
    must(quorum_message_encode(&head, &delivery->message, &frame, &byte_count, &entry_count) ==
         STATUS_OK);
    (void)quorum_heap_enter(before);
    struct quorum_message *message = NULL;
    must(quorum_message_decode(frame + 4, byte_count - 4, &message) == STATUS_OK);
    free(frame);
    quorum_receive(core, message);
}

static void tell_at_once(int32_t from, struct raft_message message)
{
    struct delivery delivery = {.message = message, .from = from};
    must(sim_node_run(node, deliver_inside, &delivery));
}

static void tell(int32_t from, struct raft_message message)
{
    tell_at_once(from, message);
    wait_ms(20);
}

#define ENTRIES_MAX 64U

/* `count` commands of `entry_term` behind (previous_index, previous_term). */
static struct raft_message append_entries(uint64_t term, uint64_t previous_index,
                                          uint64_t previous_term, uint64_t commit_index,
                                          uint32_t count, uint64_t entry_term)
{
    static struct raft_entry entries[ENTRIES_MAX];
    static uint8_t bytes[ENTRIES_MAX][32];
    must(count <= ENTRIES_MAX);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t number = previous_index + 1 + i;
        quorum_envelope_write(
            bytes[i], entry_term,
            &(struct quorum_envelope_command){.bytes = &number, .byte_count = sizeof number}, 1);
        entries[i] = (struct raft_entry){
            .term = entry_term, .type = RAFT_COMMAND, .buf = {bytes[i], sizeof bytes[i]}};
    }
    return (struct raft_message){.type = RAFT_IO_APPEND_ENTRIES,
                                 .append_entries = {.term = term,
                                                    .prev_log_index = previous_index,
                                                    .prev_log_term = previous_term,
                                                    .leader_commit = commit_index,
                                                    .entries = entries,
                                                    .n_entries = count}};
}

static struct raft_message result_of(uint64_t term, uint64_t rejected, uint64_t last_index)
{
    return (struct raft_message){.type = RAFT_IO_APPEND_ENTRIES_RESULT,
                                 .append_entries_result = {.term = term,
                                                           .rejected = rejected,
                                                           .last_log_index = last_index}};
}

static struct raft_message request_vote(int32_t from, uint64_t term, uint64_t last_index,
                                        uint64_t last_term, bool is_pre_vote)
{
    return (struct raft_message){.type = RAFT_IO_REQUEST_VOTE,
                                 .request_vote = {.term = term,
                                                  .candidate_id = id_of(from),
                                                  .last_log_index = last_index,
                                                  .last_log_term = last_term,
                                                  .pre_vote = is_pre_vote}};
}

static struct raft_message vote(uint64_t term, bool is_pre_vote)
{
    return (struct raft_message){
        .type = RAFT_IO_REQUEST_VOTE_RESULT,
        .request_vote_result = {.term = term,
                                .vote_granted = true,
                                .pre_vote = is_pre_vote ? raft_tribool_true : raft_tribool_false}};
}

static void wait_for_state(int state)
{
    for (int i = 0; i < 400 && core->raft.state != state; i++) {
        wait_ms(5);
    }
    must(core->raft.state == state);
}

/* Server 2 becomes candidate by itself, and server 3 votes for it, first in principle, then so. */
static void elect(void)
{
    wait_for_state(RAFT_CANDIDATE);
    uint64_t term = core->raft.current_term;
    tell_at_once(3, vote(term + 1, true));
    must(core->raft.current_term == term + 1);
    tell(3, vote(term + 1, false));
    must(core->raft.state == RAFT_LEADER);
}

static void transfer_inside(struct quorum_core *self, void *argument)
{
    static struct raft_transfer transfer;
    (void)argument;
    must(raft_transfer(&self->raft, &transfer, id_of(1), NULL) == 0);
}

static void transfer_in_node(void *context)
{
    (void)context;
    quorum_core_run(core, transfer_inside, NULL);
}

/* --- With and without ------------------------------------------------------------------------- */

static int play(uint32_t remedies_off, bool (*scenario)(void))
{
    fflush(NULL);
    pid_t child = fork();
    cr_assert(child >= 0);
    if (child == 0) {
        alarm(30);
        quorum_remedy_off = remedies_off;
        begin();
        _exit(scenario() && !world->has_failed ? EXIT_HOLDS : EXIT_BREAKS);
    }
    int state = 0;
    cr_assert_eq(waitpid(child, &state, 0), child);
    return WIFEXITED(state) ? WEXITSTATUS(state) : EXIT_BREAKS;
}

static void expect_holds(uint32_t remedies_off, bool (*scenario)(void))
{
    cr_expect_eq(play(remedies_off, scenario), EXIT_HOLDS, "without 0x%x", remedies_off);
}

static void expect_needed(uint32_t remedies, bool (*scenario)(void))
{
    expect_holds(0, scenario);
    cr_expect_eq(play(remedies, scenario), EXIT_BREAKS, "without 0x%x", remedies);
}

/* --- Scenarios -------------------------------------------------------------------------------- */

/* An entry of an older term, acknowledged by a majority, is not committed by counting. */
static bool old_entries_wait_for_the_own_barrier(void)
{
    tell(1, append_entries(2, 1, 1, 0, 1, 2));
    elect();
    uint64_t term = core->raft.current_term;
    tell(3, result_of(term, 0, 2));
    bool waited = core->raft.commit_index == 1;
    tell(3, result_of(term, 0, 3));
    return waited && core->raft.commit_index == 3 && core->is_ready;
}

Test(quorum_remedy, barrier)
{
    expect_needed(QUORUM_REMEDY_BARRIER, old_entries_wait_for_the_own_barrier);
}

/* A heartbeat of a new leader says nothing about entries that the old one left here. */
static bool heartbeat_acknowledges_only_what_it_covers(void)
{
    tell(1, append_entries(2, 1, 1, 0, 3, 2));
    tell(3, append_entries(3, 1, 1, 0, 0, 0));
    const struct raft_message *answer = last_sent(RAFT_IO_APPEND_ENTRIES_RESULT);
    return answer->append_entries_result.rejected == 0 &&
           answer->append_entries_result.last_log_index == 1;
}

Test(quorum_remedy, clamp)
{
    expect_needed(QUORUM_REMEDY_CLAMP, heartbeat_acknowledges_only_what_it_covers);
}

/* Entries of leader 1 are being written when leader 3 of the next term says hello: their end is not
 * told to leader 3. */
static bool write_for_an_old_leader_is_not_told_to_a_new_one(void)
{
    tell_at_once(1, append_entries(2, 1, 1, 0, 3, 2));
    tell_at_once(3, append_entries(3, 1, 1, 0, 0, 0));
    wait_ms(50);
    for (uint32_t i = 0; i < sent_count; i++) {
        const struct raft_message *message = &sent[i]->raft;
        if (message->type == RAFT_IO_APPEND_ENTRIES_RESULT && sent[i]->head.to == id_of(3) &&
            message->append_entries_result.rejected == 0 &&
            message->append_entries_result.last_log_index > 1) {
            return false;
        }
    }
    return true;
}

Test(quorum_remedy, stale)
{
    /* Holding back the second message hides it; so does the clamp, as far as numbers go. */
    expect_needed(QUORUM_REMEDY_STALE | QUORUM_REMEDY_HOLD | QUORUM_REMEDY_CLAMP,
                  write_for_an_old_leader_is_not_told_to_a_new_one);
    expect_holds(QUORUM_REMEDY_HOLD | QUORUM_REMEDY_CLAMP,
                 write_for_an_old_leader_is_not_told_to_a_new_one);
}

static bool failed_write_ends_a_leader(void)
{
    elect();
    tell(3, result_of(core->raft.current_term, 0, 2));
    sim_disk_fail(node->disk, SIM_DISK_FLUSH, 1, STATUS_NO_SPACE);
    struct raft_barrier *request = calloc(1, sizeof *request);
    struct quorum_heap *before = quorum_heap_enter(&core->heap);
    must(raft_barrier(&core->raft, request, NULL) == 0);
    (void)quorum_heap_enter(before);
    uint32_t sent_before = sent_count;
    wait_ms(300);
    return core->is_dead && core->death == STATUS_NO_SPACE && sent_count == sent_before;
}

Test(quorum_remedy, fail_stop)
{
    expect_needed(QUORUM_REMEDY_FAIL_STOP, failed_write_ends_a_leader);
}

/* A follower whose disk is busy does not stand for election on entries that it has not stored. */
static bool no_candidacy_while_writing(void)
{
    node->disk->faults.slow_flush = 1;
    node->disk->faults.slow_flush_ns_max = 100 * SIM_S;
    tell(1, append_entries(2, 1, 1, 0, 3, 2));
    wait_ms(1000);
    must(core->append_count > 0);
    return core->raft.state == RAFT_FOLLOWER;
}

Test(quorum_remedy, no_tick)
{
    expect_needed(QUORUM_REMEDY_NO_TICK, no_candidacy_while_writing);
}

/* The same entries are on their way to a slow disk twice, with a truncation between. */
static bool stored_index_stays_inside_the_log(void)
{
    tell_at_once(1, append_entries(2, 1, 1, 0, 3, 2));
    tell_at_once(3, append_entries(3, 1, 1, 0, 1, 3));
    tell_at_once(1, append_entries(4, 1, 1, 0, 3, 2));
    wait_ms(500);
    return core->raft.last_stored <= quorum_core_last_index(core);
}

Test(quorum_remedy, hold)
{
    expect_needed(QUORUM_REMEDY_HOLD, stored_index_stays_inside_the_log);
}

/* A former leader whose transfer to 1 is pending has voted for 3 and is asked by 1. */
static bool former_leader_votes_once(void)
{
    elect();
    must(sim_node_run(node, transfer_in_node, NULL));
    uint64_t term = core->raft.current_term + 1;
    tell(3, result_of(term, 1, 1));
    tell(3, request_vote(3, term, 9, term, false));
    must(core->raft.voted_for == id_of(3));
    struct raft_message again = request_vote(1, term, 9, term, false);
    again.request_vote.disrupt_leader = true;
    tell(1, again);
    return core->raft.voted_for == id_of(3) && core->raft.current_term == term;
}

Test(quorum_remedy, vote)
{
    expect_needed(QUORUM_REMEDY_VOTE, former_leader_votes_once);
}

/* The configuration before an uncommitted change is not in the log any more when it is rolled
 * back. */
static bool change_is_rolled_back_behind_a_snapshot(void)
{
    tell(1, append_entries(2, 1, 1, 0, 20, 2));
    tell(1, append_entries(2, 21, 2, 21, 0, 0));
    wait_ms(100);
    must(core->raft.log.offset > 1);

    struct quorum_heap heap;
    quorum_heap_init(&heap);
    struct quorum_heap *before = quorum_heap_enter(&heap);
    struct raft_configuration configuration;
    raft_configuration_init(&configuration);
    for (int32_t i = 1; i <= 2; i++) {
        char identity[QUORUM_CONFIGURATION_IDENTITY_BYTES];
        quorum_configuration_identity(i, meta.voters[i - 1].directory_id, identity);
        must(raft_configuration_add(&configuration, id_of(i), identity, RAFT_VOTER) == 0);
    }
    struct raft_entry entry = {.term = 2, .type = RAFT_CHANGE};
    must(raft_configuration_encode(&configuration, &entry.buf) == 0);
    (void)quorum_heap_enter(before);
    struct raft_message change = append_entries(2, 21, 2, 21, 0, 0);
    change.append_entries.entries = &entry;
    change.append_entries.n_entries = 1;
    tell(1, change);
    must(core->raft.configuration.n == 2);

    tell(3, append_entries(3, 21, 2, 21, 1, 3));
    return core->raft.configuration.n == 3 && core->raft.configuration_uncommitted_index == 0 &&
           quorum_core_term_at(core, 22) == 3;
}

Test(quorum_remedy, history)
{
    expect_needed(QUORUM_REMEDY_HISTORY, change_is_rolled_back_behind_a_snapshot);
}

static void demote_inside(struct quorum_core *self, void *argument)
{
    (void)argument;
    struct raft_change *change = raft_calloc(1, sizeof *change);
    must(raft_assign(&self->raft, change, id_of(1), RAFT_STANDBY, NULL) == 0);
}

static void demote_in_node(void *context)
{
    (void)context;
    quorum_core_run(core, demote_inside, NULL);
}

/* As above, but the change is the own one of a leader that steps down. */
static bool own_change_is_rolled_back_behind_a_snapshot(void)
{
    tell(1, append_entries(2, 1, 1, 0, 20, 2));
    elect();
    uint64_t term = core->raft.current_term;
    tell(3, result_of(term, 0, 22));
    wait_ms(100);
    must(core->raft.commit_index == 22 && core->raft.log.offset > 1);
    must(sim_node_run(node, demote_in_node, NULL));
    wait_ms(20);
    must(core->raft.configuration_uncommitted_index == 23);

    tell(3, append_entries(term + 1, 22, term, 22, 1, term + 1));
    return core->raft.state == RAFT_FOLLOWER &&
           core->raft.configuration.servers[0].role == RAFT_VOTER &&
           core->raft.configuration_uncommitted_index == 0 &&
           quorum_core_term_at(core, 23) == term + 1;
}

Test(quorum_remedy, history_of_a_leader_that_steps_down)
{
    expect_needed(QUORUM_REMEDY_HISTORY, own_change_is_rolled_back_behind_a_snapshot);
}

/* A snapshot up to 21 of term 4 meets an entry 21 of term 5 that was never committed. */
static bool conflicting_snapshot_gets_in(void)
{
    core->raft.snapshot.threshold = 100000;
    tell(1, append_entries(5, 1, 1, 0, 20, 5));
    must(quorum_core_term_at(core, 21) == 5);

    static uint8_t payload[QUORUM_ENVELOPE_STATE_HEAD_BYTES + 8];
    (void)quorum_envelope_write_state_head(
        payload,
        &(struct quorum_envelope_state){
            .command_count = 20, .raft_index = 21, .bytes = payload + 32, .byte_count = 8});
    struct raft_message install = {.type = RAFT_IO_INSTALL_SNAPSHOT,
                                   .install_snapshot = {.term = 6,
                                                        .last_index = 21,
                                                        .last_term = 4,
                                                        .conf_index = 1,
                                                        .conf = core->raft.configuration,
                                                        .data = {payload, sizeof payload}}};
    tell(3, install);
    wait_ms(1200); /* The leader tries again. */
    if (!core->is_dead && core->raft.log.snapshot.last_index != 21) {
        install.install_snapshot.conf = core->raft.configuration;
        tell(3, install);
    }
    wait_ms(100);
    return quorum_core_term_at(core, 21) == 4 && applied_count == 20 &&
           core->raft.configuration.n == 3;
}

Test(quorum_remedy, conflict)
{
    expect_needed(QUORUM_REMEDY_CONFLICT, conflicting_snapshot_gets_in);
}

/* A heartbeat commits nothing but what it covers: entries of an older term stay uncommitted. */
static bool heartbeat_commits_only_what_it_covers(void)
{
    tell(1, append_entries(2, 1, 1, 0, 3, 2));
    tell(3, append_entries(3, 1, 1, 3, 0, 0));
    return core->raft.commit_index == 1;
}

/* "Rejected 0" is what success looks like. */
static bool refusal_of_a_first_entry_is_a_refusal(void)
{
    tell(3, append_entries(3, 1, 1, 0, 0, 0));
    tell(1, append_entries(2, 0, 0, 0, 0, 0));
    return last_sent(RAFT_IO_APPEND_ENTRIES_RESULT)->append_entries_result.rejected != 0;
}

Test(quorum_remedy, reply)
{
    expect_needed(QUORUM_REMEDY_REPLY, heartbeat_commits_only_what_it_covers);
    expect_needed(QUORUM_REMEDY_REPLY, refusal_of_a_first_entry_is_a_refusal);
}

/* A candidate that won the question and lost the election asks again before the next term. */
static bool lost_election_goes_back_to_asking(void)
{
    wait_for_state(RAFT_CANDIDATE);
    uint64_t term = core->raft.current_term + 1;
    tell(3, vote(term, true));
    must(core->raft.current_term == term);
    wait_ms(2000);
    return core->raft.current_term == term &&
           last_sent(RAFT_IO_REQUEST_VOTE)->request_vote.pre_vote;
}

Test(quorum_remedy, pre_vote)
{
    expect_needed(QUORUM_REMEDY_PRE_VOTE, lost_election_goes_back_to_asking);
}

/* A snapshot install ends after its follower became a candidate: the answer is addressed by a union
 * of another state. */
static bool late_answer_goes_nowhere(void)
{
    node->disk->faults.slow_flush = 1;
    node->disk->faults.slow_flush_ns_max = 20 * SIM_S;
    static uint8_t payload[QUORUM_ENVELOPE_STATE_HEAD_BYTES + 8];
    (void)quorum_envelope_write_state_head(
        payload,
        &(struct quorum_envelope_state){
            .command_count = 20, .raft_index = 21, .bytes = payload + 32, .byte_count = 8});
    tell(3, (struct raft_message){.type = RAFT_IO_INSTALL_SNAPSHOT,
                                  .install_snapshot = {.term = 2,
                                                       .last_index = 21,
                                                       .last_term = 2,
                                                       .conf_index = 1,
                                                       .conf = core->raft.configuration,
                                                       .data = {payload, sizeof payload}}});
    wait_ms(1000);
    must(core->is_installing);
    wait_ms(60000);
    return core->raft.log.snapshot.last_index == 21;
}

Test(quorum_remedy, route)
{
    /* No candidacy while installing hides it, and so does the silence about stale writes. */
    expect_needed(QUORUM_REMEDY_ROUTE | QUORUM_REMEDY_NO_TICK | QUORUM_REMEDY_STALE,
                  late_answer_goes_nowhere);
    expect_holds(QUORUM_REMEDY_NO_TICK | QUORUM_REMEDY_STALE, late_answer_goes_nowhere);
}

/* A follower that has compacted its log gets all of it once more, from the first entry on. */
static bool old_prefix_is_passed_over(void)
{
    tell(1, append_entries(2, 1, 1, 0, 20, 2));
    tell(1, append_entries(2, 21, 2, 21, 0, 0));
    wait_ms(100);
    must(core->raft.log.offset > 1);
    tell(1, append_entries(2, 1, 1, 21, 24, 2));
    wait_ms(100);
    return !core->is_dead && quorum_core_last_index(core) == 25 && core->raft.last_stored == 25 &&
           core->raft.state == RAFT_FOLLOWER;
}

/* The same from the very first, which libraft puts in at the wrong place. */
static bool first_entry_is_passed_over(void)
{
    tell(1, append_entries(2, 1, 1, 0, 20, 2));
    tell(1, append_entries(2, 21, 2, 21, 0, 0));
    wait_ms(100);
    tell(1, append_entries(2, 0, 0, 21, 22, 2));
    wait_ms(100);
    return !core->is_dead && quorum_core_last_index(core) == 22 && core->raft.last_stored == 22 &&
           core->raft.state == RAFT_FOLLOWER;
}

Test(quorum_remedy, trim)
{
    expect_holds(0, old_prefix_is_passed_over);
    expect_needed(QUORUM_REMEDY_TRIM, first_entry_is_passed_over);
}

/* A new leader whose first messages were lost goes on where it was, not at the first entry. */
static bool unsent_message_is_not_a_step_back(void)
{
    tell(1, append_entries(2, 1, 1, 0, 10, 2));
    wait_for_state(RAFT_CANDIDATE);
    uint64_t term = core->raft.current_term;
    tell_at_once(3, vote(term + 1, true));
    drops_all = true;
    tell(3, vote(term + 1, false));
    wait_ms(60);
    drops_all = false;
    wait_ms(60);
    return last_sent(RAFT_IO_APPEND_ENTRIES)->append_entries.prev_log_index >= 11;
}

Test(quorum_remedy, send_ok)
{
    expect_needed(QUORUM_REMEDY_SEND_OK, unsent_message_is_not_a_step_back);
}

/* An uncommitted change says that this server is no voter; a candidate of the old configuration
 * needs its vote. */
static bool no_voter_votes_all_the_same(void)
{
    struct quorum_heap heap;
    quorum_heap_init(&heap);
    struct quorum_heap *before = quorum_heap_enter(&heap);
    struct raft_configuration configuration;
    raft_configuration_init(&configuration);
    for (int32_t i = 1; i <= 3; i += 2) {
        char identity[QUORUM_CONFIGURATION_IDENTITY_BYTES];
        quorum_configuration_identity(i, meta.voters[i - 1].directory_id, identity);
        must(raft_configuration_add(&configuration, id_of(i), identity, RAFT_VOTER) == 0);
    }
    struct raft_entry entry = {.term = 2, .type = RAFT_CHANGE};
    must(raft_configuration_encode(&configuration, &entry.buf) == 0);
    (void)quorum_heap_enter(before);
    struct raft_message change = append_entries(2, 1, 1, 0, 0, 0);
    change.append_entries.entries = &entry;
    change.append_entries.n_entries = 1;
    tell(1, change);
    wait_ms(5000);
    tell(3, request_vote(3, 3, 9, 2, false));
    return core->raft.current_term == 3 && core->raft.voted_for == id_of(3);
}

Test(quorum_remedy, non_voter)
{
    expect_needed(QUORUM_REMEDY_NON_VOTER, no_voter_votes_all_the_same);
}

/* A candidate with the better log but an older term learns the term from the refusal. */
static bool refused_pre_vote_tells_the_term(void)
{
    tell(3, append_entries(5, 1, 1, 0, 0, 0));
    wait_for_state(RAFT_CANDIDATE);
    tell(1, request_vote(1, 3, 9, 2, true));
    const struct raft_message *answer = last_sent(RAFT_IO_REQUEST_VOTE_RESULT);
    return !answer->request_vote_result.vote_granted && answer->request_vote_result.term == 5;
}

Test(quorum_remedy, term)
{
    expect_needed(QUORUM_REMEDY_TERM, refused_pre_vote_tells_the_term);
}

/* Elected again while an old transfer is pending, a leader gets no barrier; it must wait for one,
 * not give up, and acknowledgements wait with it. */
static bool barrier_waits_for_an_old_transfer(void)
{
    elect();
    must(sim_node_run(node, transfer_in_node, NULL));
    tell(3, result_of(core->raft.current_term + 1, 1, 1));
    must(core->raft.state == RAFT_FOLLOWER);
    core->raft.election_timer_start -= 1000; /* The next election is quicker than the transfer. */
    elect();
    must(core->raft.transfer != NULL);
    tell(3, result_of(core->raft.current_term, 0, 2));
    bool waited = core->raft.commit_index == 1 && !core->is_ready;
    for (int i = 0; i < 20; i++) {
        wait_ms(50);
        tell(3, result_of(core->raft.current_term, 0, quorum_core_last_index(core)));
    }
    return waited && core->is_ready;
}

Test(quorum_remedy, barrier_behind_a_transfer)
{
    expect_holds(0, barrier_waits_for_an_old_transfer);
}
