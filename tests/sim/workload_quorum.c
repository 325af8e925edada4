/* Voters of a metadata quorum on three or five nodes, with proposers on each of them.
 *
 * Goal: quorum_checker.h, and progress once the nemesis rests, also with a minority left down.
 * Method: the shipped quorum over the shipped transport and framing. The nemesis kills, cuts and
 * slows; on their way from the connection to the transport, frames are lost, doubled and delayed,
 * which streams alone would never do. Four kinds of seeds: mixed faults, changes of the
 * configuration, storms of elections, transfers of leadership. Each broken workload takes one group
 * of remedies for libraft away. */
#include "tests/sim/sim_workload.h"

#include "proto/frame/listener.h"
#include "proto/sys/check.h"
#include "raft/peer_transport.h"
#include "raft/quorum.h"
#include "raft/quorum_remedy.h"
#include "tests/sim/quorum_checker.h"
#include "tests/sim/sim_fault.h"
#include "tests/sim/sim_socket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define PORT 9093
#define FAULTY_NS (20 * SIM_S)
#define CALM_NS (40 * SIM_S)
#define STATE_BYTES_MAX 200U

enum kind { KIND_MIXED, KIND_CHANGES, KIND_ELECTIONS, KIND_TRANSFERS, KIND_COUNT };

struct play {
    struct sim_world *world;
    struct quorum_checker *checker;
    struct sim_fault fault;
    enum kind kind;
    uint32_t voter_count;
    bool is_born[QUORUM_VOTERS_MAX];
    bool is_calm;
    uint64_t goal; /* Acknowledgements to be reached in the calm. */
    double loss;
    double doubling;
    double delay;
    int64_t delay_ns_max;
    int64_t pace_ns_max;
    double transfer;
    double change;
    uint32_t election_ms;
    uint32_t heartbeat_ms;
    uint32_t snapshot_entries;
    uint32_t trailing_entries;
    uint32_t segment_bytes;
};

/* In the node's memory. */
struct server {
    struct play *play;
    struct sim_node *node;
    struct loop *loop;
    uint32_t place;
    struct budget budget;
    struct listener *listener;
    struct quorum_peers *peers;
    struct quorum *quorum;
    bool is_ready;
    bool is_met;
    uint32_t proposal_count; /* Waiting. */
    struct quorum_fsm fsm;
    uint64_t command_count;
    uint64_t state_hash;
    struct raft_transfer transfer;
};

static struct prng *workload_prng(const struct play *play)
{
    return sim_world_prng(play->world, SIM_STREAM_WORKLOAD);
}

/* --- The state machine ------------------------------------------------------------------------ */

static void machine_apply(struct quorum_fsm *fsm, uint64_t index, int64_t term, const void *bytes,
                          size_t byte_count)
{
    struct server *self = container_of(fsm, struct server, fsm);
    uint64_t value = 0;
    check(byte_count >= sizeof value);
    memcpy(&value, bytes, sizeof value);
    if (index != self->command_count + 1) {
        sim_world_fail(self->play->world, "node-%u applies command %llu after %llu", self->node->id,
                       (unsigned long long)index, (unsigned long long)self->command_count);
    }
    self->command_count = index;
    self->state_hash = XXH3_64bits_withSeed(bytes, byte_count, self->state_hash + (uint64_t)term);
    quorum_checker_apply(self->play->checker, index, value, self->state_hash);
}

static enum status machine_snapshot(struct quorum_fsm *fsm, void **out_bytes,
                                    size_t *out_byte_count)
{
    struct server *self = container_of(fsm, struct server, fsm);
    size_t byte_count = sizeof self->state_hash + self->command_count % STATE_BYTES_MAX;
    uint8_t *bytes = calloc(1, byte_count);
    check(bytes != NULL);
    memcpy(bytes, &self->state_hash, sizeof self->state_hash);
    *out_bytes = bytes;
    *out_byte_count = byte_count;
    return STATUS_OK;
}

static enum status machine_restore(struct quorum_fsm *fsm, uint64_t index, const void *bytes,
                                   size_t byte_count)
{
    struct server *self = container_of(fsm, struct server, fsm);
    check(byte_count == sizeof self->state_hash + index % STATE_BYTES_MAX);
    memcpy(&self->state_hash, bytes, sizeof self->state_hash);
    self->command_count = index;
    quorum_checker_restore(self->play->checker, index, self->state_hash);
    return STATUS_OK;
}

static const struct quorum_fsm_ops machine_ops = {
    .apply = machine_apply, .snapshot = machine_snapshot, .restore = machine_restore};

/* --- Frames ----------------------------------------------------------------------------------- */

static void frame_on_time(void *context, uint64_t value)
{
    struct frame *frame = context;
    const struct server *self = (const struct server *)(uintptr_t)value;
    peer_transport_receive(self->peers, frame->bytes, frame->byte_count);
    frame_unref(frame);
}

/* Each frame is an event of its own, so that the checker looks between any two. */
static void server_on_frame(struct connection *connection, struct frame *frame,
                            struct ticket *ticket)
{
    struct server *self = connection_context(connection);
    const struct play *play = self->play;
    struct prng *prng = sim_world_prng(play->world, SIM_STREAM_NETWORK);
    connection_forget(ticket);
    uint32_t copies = sim_world_chance(prng, play->loss)       ? 0
                      : sim_world_chance(prng, play->doubling) ? 2
                                                               : 1;
    for (uint32_t i = 0; i < copies; i++) {
        int64_t delay_ns = sim_world_chance(prng, play->delay)
                               ? sim_world_between(prng, 1, play->delay_ns_max)
                               : 1;
        sim_node_after(self->node, delay_ns, frame_on_time, frame_ref(frame), (uintptr_t)self);
    }
    frame_unref(frame);
}

static void server_on_connection_closed(struct connection *connection)
{
    (void)connection;
}

/* --- A server --------------------------------------------------------------------------------- */

static void server_on_leadership(void *context, bool is_ready, int64_t term)
{
    struct server *self = context;
    if (is_ready == self->is_ready) {
        sim_world_fail(self->play->world, "node-%u is told its leadership twice", self->node->id);
    }
    self->is_ready = is_ready;
    sim_world_note(self->play->world, "node-%u %s term %lld", self->node->id,
                   is_ready ? "leads" : "leads no more in", (long long)term);
}

/* An injected error of the disk ends the process; its files must not be said to be damaged. */
static void server_stop(struct server *self, enum status why)
{
    if (why != STATUS_IO && why != STATUS_NO_SPACE) {
        sim_disk_note_files(self->node->disk);
        sim_world_fail(self->play->world, "node-%u stops: %s", self->node->id, status_text(why));
        return;
    }
    sim_node_exit(self->node);
}

static void server_on_fatal(void *context, enum status why)
{
    server_stop(context, why);
}

static enum status server_listen(struct server *self)
{
    struct connection_options shard = {.loop = self->loop,
                                       .budget = &self->budget,
                                       .frame_bytes_max = CONNECTION_FRAME_BYTES_MAX_DEFAULT,
                                       .on_frame = server_on_frame,
                                       .on_closed = server_on_connection_closed,
                                       .context = self};
    struct listener_options options = {.loop = self->loop,
                                       .address = {.host = "0.0.0.0", .port = PORT},
                                       .shards = &shard,
                                       .shard_count = 1,
                                       .connection_count_max = 100};
    return listener_open(&options, &self->listener);
}

static enum status server_start(struct server *self)
{
    const struct play *play = self->play;
    struct peer_transport_options transport = {
        .loop = self->loop, .node_id = (int32_t)self->node->id, .voter_count = play->voter_count};
    for (uint32_t i = 0; i < play->voter_count; i++) {
        struct quorum_voter *voter = &transport.voters[i];
        voter->node_id = (int32_t)i + 1;
        voter->address.port = PORT;
        (void)snprintf(voter->address.host, sizeof voter->address.host, "node-%u", i + 1);
    }
    TRY(peer_transport_open(&transport, &self->peers));
    TRY(server_listen(self));
    struct quorum_options options = {.loop = self->loop,
                                     .directory = "quorum",
                                     .node_id = (int32_t)self->node->id,
                                     .voter_count = play->voter_count,
                                     .fsm = &self->fsm,
                                     .peers = self->peers,
                                     .election_ms = play->election_ms,
                                     .heartbeat_ms = play->heartbeat_ms,
                                     .snapshot_entries = play->snapshot_entries,
                                     .trailing_entries = play->trailing_entries,
                                     .segment_bytes = play->segment_bytes,
                                     .on_leadership = server_on_leadership,
                                     .on_fatal = server_on_fatal,
                                     .context = self};
    memcpy(options.voters, transport.voters, sizeof options.voters);
    return quorum_open(&options, &self->quorum);
}

static void server_pace(void *context, uint64_t value);

static void server_boot(struct sim_node *node, struct loop *loops, uint32_t loop_count)
{
    (void)loop_count;
    struct server *self = calloc(1, sizeof *self);
    check(self != NULL);
    self->play = node->options.context;
    self->node = node;
    self->loop = &loops[0];
    self->place = node->id - 1;
    self->fsm.ops = &machine_ops;
    budget_init(&self->budget, (size_t)1 << 30);
    node->state = self;
    enum status status = server_start(self);
    if (status != STATUS_OK) {
        server_stop(self, status);
        return;
    }
    sim_node_after(node, 1, server_pace, self, 0);
}

static void server_on_death(struct sim_node *node, enum sim_node_death death)
{
    (void)death;
    struct play *play = node->options.context;
    quorum_checker_forget(play->checker, node->id - 1);
}

/* --- Proposers -------------------------------------------------------------------------------- */

struct proposal {
    struct quorum_proposal base;
    struct server *server;
    uint64_t bytes[32];
};

static void proposal_on_done(struct quorum_proposal *base, enum status status)
{
    struct proposal *proposal = container_of(base, struct proposal, base);
    struct server *self = proposal->server;
    self->proposal_count -= 1;
    if (status == STATUS_OK) {
        quorum_checker_acknowledge(self->play->checker, proposal->bytes[0], base->index);
    }
    free(proposal);
}

static void propose(struct server *self)
{
    struct quorum_checker *checker = self->play->checker;
    if (checker->value_count + 1 == QUORUM_CHECKER_ENTRIES_MAX ||
        checker->commit_count + 1000 > QUORUM_CHECKER_ENTRIES_MAX) {
        return;
    }
    struct proposal *proposal = calloc(1, sizeof *proposal);
    check(proposal != NULL);
    checker->value_count += 1;
    self->proposal_count += 1;
    proposal->server = self;
    proposal->bytes[0] = checker->value_count;
    proposal->base = (struct quorum_proposal){
        .bytes = proposal->bytes,
        .byte_count = 8 + prng_below(workload_prng(self->play), sizeof proposal->bytes - 8),
        .on_done = proposal_on_done};
    quorum_propose(self->quorum, &proposal->base);
}

/* --- Transfers and changes of the configuration ----------------------------------------------- */

static void transfer_inside(struct quorum_core *core, void *argument)
{
    struct server *self = argument;
    int32_t target = (int32_t)prng_below(workload_prng(self->play), self->play->voter_count) + 1;
    for (unsigned i = 0; i < core->raft.configuration.n; i++) {
        const struct raft_server *server = &core->raft.configuration.servers[i];
        if (quorum_meta_node_id(server->id) == target && core->raft.transfer == NULL &&
            raft_transfer(&core->raft, &self->transfer, server->id, NULL) == 0) {
            sim_world_note(self->play->world, "node-%u hands over to node-%d", self->node->id,
                           target);
        }
    }
}

static void change_on_done(struct raft_change *change, int code)
{
    struct server *self = change->data;
    sim_world_note(self->play->world, "node-%u change ends with %d", self->node->id, code);
}

static int change_known(struct server *self, struct raft *raft, struct raft_change *change,
                        const struct raft_server *server)
{
    struct prng *prng = workload_prng(self->play);
    uint32_t voter_count = 0;
    for (unsigned i = 0; i < raft->configuration.n; i++) {
        voter_count += raft->configuration.servers[i].role == RAFT_VOTER ? 1 : 0;
    }
    if (server->role != RAFT_VOTER) {
        return raft_assign(raft, change, server->id,
                           sim_world_chance(prng, 0.7) ? RAFT_VOTER : RAFT_STANDBY, change_on_done);
    }
    if (voter_count <= 2) {
        return RAFT_BADROLE;
    }
    if (sim_world_chance(prng, 0.5)) {
        return raft_remove(raft, change, server->id, change_on_done);
    }
    return raft_assign(raft, change, server->id,
                       sim_world_chance(prng, 0.5) ? RAFT_STANDBY : RAFT_SPARE, change_on_done);
}

/* A leader never removes or demotes itself: it would hand over first. */
static void change_inside(struct quorum_core *core, void *argument)
{
    struct server *self = argument;
    struct raft *raft = &core->raft;
    const struct quorum_meta *meta = core->options.meta;
    const struct quorum_meta_voter *voter =
        &meta->voters[prng_below(workload_prng(self->play), meta->voter_count)];
    raft_id id = quorum_meta_raft_id(voter->node_id, voter->directory_id);
    if (id == core->raft_id) {
        return;
    }
    const struct raft_server *server = NULL;
    for (unsigned i = 0; i < raft->configuration.n; i++) {
        if (raft->configuration.servers[i].id == id) {
            server = &raft->configuration.servers[i];
        }
    }
    /* libraft may touch it when it is long over: it lives as long as the core. */
    struct raft_change *change = raft_malloc(sizeof *change);
    change->data = self;
    char identity[QUORUM_CONFIGURATION_IDENTITY_BYTES];
    quorum_configuration_identity(voter->node_id, voter->directory_id, identity);
    int code = server == NULL ? raft_add(raft, change, id, identity, change_on_done)
                              : change_known(self, raft, change, server);
    sim_world_note(self->play->world, "node-%u changes node-%d: %d", self->node->id, voter->node_id,
                   code);
}

/* What a server does of itself, at random times. */
static void server_pace(void *context, uint64_t value)
{
    struct server *self = context;
    struct play *play = self->play;
    struct prng *prng = workload_prng(play);
    (void)value;
    sim_node_after(self->node, sim_world_between(prng, 1, play->pace_ns_max), server_pace, self, 0);
    if (self->quorum == NULL || !self->is_ready) {
        return;
    }
    struct quorum_core *core = quorum_core_of(self->quorum);
    if (!play->is_calm && sim_world_chance(prng, play->transfer)) {
        quorum_core_run(core, transfer_inside, self);
    } else if (!play->is_calm && sim_world_chance(prng, play->change)) {
        quorum_core_run(core, change_inside, self);
    } else if (self->proposal_count < 16) {
        propose(self);
    }
}

/* --- The play --------------------------------------------------------------------------------- */

static double pick(struct prng *prng, const double *from, uint32_t count)
{
    return from[prng_below(prng, count)];
}

#define PICK(prng, ...)                                                                            \
    pick(prng, (const double[]){__VA_ARGS__}, sizeof((double[]){__VA_ARGS__}) / sizeof(double))

static void choose(struct play *play)
{
    struct prng *prng = workload_prng(play);
    play->kind = (enum kind)(play->world->seed % KIND_COUNT);
    play->voter_count = play->kind == KIND_CHANGES || sim_world_chance(prng, 0.4) ? 5 : 3;
    play->election_ms = sim_world_chance(prng, 0.5) ? 300 : 1000;
    play->heartbeat_ms = play->election_ms / 10 + 20;
    play->snapshot_entries = (uint32_t)PICK(prng, 8, 16, 64, 256, 100000);
    play->trailing_entries = (uint32_t)PICK(prng, 1, 4, 32, 512);
    play->segment_bytes = (uint32_t)PICK(prng, 1024, 16384, 1048576);
    play->loss = PICK(prng, 0, 0, 0.01, 0.1);
    play->doubling = PICK(prng, 0, 0, 0.02, 0.1);
    play->delay = PICK(prng, 0, 0.01, 0.1, 0.5);
    play->delay_ns_max = (int64_t)PICK(prng, 2e6, 4e7, 2e9);
    play->pace_ns_max = (int64_t)PICK(prng, 5e6, 4e7, 4e8);
    play->transfer = PICK(prng, 0, 0, 0.01);
    if (play->kind == KIND_CHANGES) {
        play->change = PICK(prng, 0.02, 0.1);
    } else if (play->kind == KIND_ELECTIONS) {
        play->election_ms = (uint32_t)PICK(prng, 60, 120, 200);
        play->heartbeat_ms = play->election_ms / 4;
        play->snapshot_entries = (uint32_t)PICK(prng, 4, 8, 32, 100000);
        play->trailing_entries = (uint32_t)PICK(prng, 1, 2, 16);
        play->pace_ns_max = (int64_t)PICK(prng, 2e6, 2e7);
        play->delay_ns_max = (int64_t)PICK(prng, 1e6, 1e7, 3e7);
    } else if (play->kind == KIND_TRANSFERS) {
        play->election_ms = 100;
        play->heartbeat_ms = 20;
        play->transfer = 0.2;
        play->delay_ns_max = (int64_t)PICK(prng, 1e7, 4e7);
    }
}

static void start_nemesis(struct play *play)
{
    static const struct sim_fault_profile profile = {.name = "quorum",
                                                     .interval_ns_max = 600 * SIM_MS,
                                                     .repair_ns_max = 2 * SIM_S,
                                                     .down_max = 5,
                                                     .weights = {[SIM_FAULT_KILL] = 4,
                                                                 [SIM_FAULT_POWER] = 4,
                                                                 [SIM_FAULT_DISK_DEATH] = 6,
                                                                 [SIM_FAULT_PAUSE] = 2,
                                                                 [SIM_FAULT_CUT] = 3,
                                                                 [SIM_FAULT_CUT_ONE_WAY] = 3,
                                                                 [SIM_FAULT_ISOLATE] = 4,
                                                                 [SIM_FAULT_BREAK] = 3,
                                                                 [SIM_FAULT_WEATHER] = 1,
                                                                 [SIM_FAULT_READ_ERROR] = 1,
                                                                 [SIM_FAULT_WRITE_ERROR] = 1,
                                                                 [SIM_FAULT_FLUSH_ERROR] = 1,
                                                                 [SIM_FAULT_SLOW_FLUSH] = 4}};
    struct sim_fault_profile own = profile;
    if (play->kind == KIND_ELECTIONS) {
        own.interval_ns_max = 150 * SIM_MS;
        own.repair_ns_max = 300 * SIM_MS;
    }
    sim_fault_start(&play->fault, play->world, &own, play->world->nodes, play->voter_count);
}

static void look(void *context)
{
    struct play *play = context;
    for (uint32_t i = 0; i < play->voter_count; i++) {
        struct sim_node *node = play->world->nodes[i];
        struct server *server = node->is_up ? node->state : NULL;
        struct quorum_core *core =
            server != NULL && server->quorum != NULL ? quorum_core_of(server->quorum) : NULL;
        if (core != NULL && !server->is_met && core->log.file_count > 0 && !core->is_dead) {
            server->is_met = true;
            play->is_born[i] = true;
            quorum_checker_meet(play->checker, i, core);
        }
    }
    quorum_checker_look(play->checker);
}

/* All that are up, and not left out of the configuration, have applied nearly all there is. */
static bool has_converged(void *context)
{
    struct play *play = context;
    const struct quorum_core *leader = NULL;
    for (uint32_t i = 0; i < play->voter_count; i++) {
        const struct quorum_core *core = play->checker->nodes[i].core;
        if (core != NULL && core->raft.state == RAFT_LEADER &&
            (leader == NULL || core->raft.current_term > leader->raft.current_term)) {
            leader = core;
        }
    }
    for (unsigned i = 0; leader != NULL && i < leader->raft.configuration.n; i++) {
        const struct raft_server *server = &leader->raft.configuration.servers[i];
        uint32_t place = (uint32_t)quorum_meta_node_id(server->id) - 1;
        const struct quorum_core *core = play->checker->nodes[place].core;
        if (server->role != RAFT_SPARE && play->world->nodes[place]->is_up &&
            (core == NULL || core->command_count + 40 < play->checker->command_count)) {
            return false;
        }
    }
    return leader != NULL && play->checker->acknowledged_count >= play->goal;
}

static void calm_down(struct play *play)
{
    play->is_calm = true;
    play->loss = play->doubling = play->delay = 0;
    sim_fault_stop(&play->fault);
    bool are_all_born = true;
    for (uint32_t i = 0; i < play->voter_count; i++) {
        are_all_born = are_all_born && play->is_born[i];
    }
    if (play->kind == KIND_CHANGES || !are_all_born) {
        return; /* Who votes is not known, or the birth needs everybody: all stay. */
    }
    uint64_t leave = prng_below(workload_prng(play), (play->voter_count + 1) / 2);
    for (uint64_t i = 0; i < leave; i++) {
        struct sim_node *node =
            play->world->nodes[prng_below(workload_prng(play), play->voter_count)];
        sim_world_note(play->world, "node-%u stays down", node->id);
        sim_node_kill(node);
    }
}

static void run(struct sim_world *world, uint32_t remedies_off)
{
    quorum_remedy_off = remedies_off;
    struct play *play = calloc(1, sizeof *play);
    check(play != NULL);
    play->world = world;
    play->checker = quorum_checker_new(world);
    choose(play);
    play->checker->node_count = play->voter_count;
    for (uint32_t i = 0; i < play->voter_count; i++) {
        play->checker->nodes[i].node =
            sim_node_add(world, &(struct sim_node_options){.loop_count = 1,
                                                           .boot = server_boot,
                                                           .on_death = server_on_death,
                                                           .context = play});
    }
    sim_world_watch(world, look, play);
    for (uint32_t i = 0; i < play->voter_count; i++) {
        sim_node_start(world->nodes[i]);
    }
    start_nemesis(play);
    sim_world_run_for(world, FAULTY_NS);
    calm_down(play);
    play->goal = play->checker->acknowledged_count + 5;
    if (!sim_world_run_until(world, has_converged, play, CALM_NS)) {
        sim_world_fail(world, "no progress in the calm: %llu acknowledged, should be %llu",
                       (unsigned long long)play->checker->acknowledged_count,
                       (unsigned long long)play->goal);
    }
    sim_world_note(world, "%llu commands, %llu acknowledged, %llu leaders",
                   (unsigned long long)play->checker->command_count,
                   (unsigned long long)play->checker->acknowledged_count,
                   (unsigned long long)play->checker->leader_count);
    sim_world_watch(world, NULL, NULL);
    for (uint32_t i = 0; i < play->voter_count; i++) {
        sim_node_lose_power(world->nodes[i]);
    }
    quorum_checker_free(play->checker);
    free(play);
}

static void run_whole(struct sim_world *world, const struct sim_workload_options *options)
{
    (void)options;
    run(world, 0);
}

#define BROKEN(name, remedies)                                                                     \
    static void run_without_##name(struct sim_world *world,                                        \
                                   const struct sim_workload_options *options)                     \
    {                                                                                              \
        (void)options;                                                                             \
        run(world, remedies);                                                                      \
    }
BROKEN(all, UINT32_MAX & ~(uint32_t)QUORUM_REMEDY_FAIL_STOP)
BROKEN(barrier, QUORUM_REMEDY_BARRIER)
BROKEN(clamp, QUORUM_REMEDY_CLAMP)
BROKEN(vote, QUORUM_REMEDY_VOTE)
BROKEN(history, QUORUM_REMEDY_HISTORY)
BROKEN(hold, QUORUM_REMEDY_HOLD | QUORUM_REMEDY_STALE | QUORUM_REMEDY_NO_TICK)
BROKEN(trim, QUORUM_REMEDY_TRIM | QUORUM_REMEDY_SEND_OK)

const struct sim_workload workload_quorum[] = {
    {"quorum", "voters of the metadata quorum", false, run_whole},
    {"quorum-bare", "libraft 0.15 as it is", true, run_without_all},
    {"quorum-no-barrier", "a leader without a barrier of its term", true, run_without_barrier},
    {"quorum-no-clamp", "acknowledges all it has stored", true, run_without_clamp},
    {"quorum-no-vote-filter", "a transfer may cause a second vote", true, run_without_vote},
    {"quorum-no-history", "libraft's own idea of configurations", true, run_without_history},
    {"quorum-no-hold", "terms change while the disk is busy", true, run_without_hold},
    {"quorum-no-trim", "requests from below the commit index", true, run_without_trim},
    {0},
};
