/* Three controllers on a quorum of three, with requests at whichever is active.
 *
 * Goal: what was answered is so for good: a topic that was made is there, one that was refused or
 * said not to have happened never is, no producer id is given twice; all nodes have the same image
 * at the same index, in every life; progress once the nemesis rests.
 * Method: the shipped controller, quorum, transport and framing under kills, power losses, cuts and
 * pauses; every topic has a name of its own, so that each answer can be held against the images.
 * The broken one takes UNKNOWN for a no. */
#include "tests/sim/sim_workload.h"

#include "broker/controller/controller.h"
#include "broker/metadata/image_snapshot.h"
#include "proto/frame/listener.h"
#include "proto/sys/check.h"
#include "raft/peer_transport.h"
#include "tests/rig/image_maker.h"
#include "tests/sim/sim_fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define NODES 3U
#define PORT 9093
#define TOPICS_MAX 1500U
#define INDEXES_MAX 60000U
#define BLOCKS_MAX 4000U
#define HASH_EVERY 16U
#define FAULTY_NS (15 * SIM_S)
#define CALM_NS (40 * SIM_S)

enum claim { CLAIM_NONE, CLAIM_MADE, CLAIM_NOT_MADE };

struct play {
    struct sim_world *world;
    struct sim_fault fault;
    bool is_unknown_no; /* The broken one. */
    bool is_calm;
    uint32_t snapshot_entries;
    int64_t pace_ns_max;
    uint32_t topic_count;
    enum claim claims[TOPICS_MAX];
    bool has_twin[TOPICS_MAX]; /* Asked for twice at once: either may have made it. */
    uint32_t block_count;
    bool is_given[BLOCKS_MAX];
    uint64_t hashes[INDEXES_MAX]; /* Of the image at an index; 0: not seen yet. */
    uint64_t newest_index;
    uint64_t made_count;
    uint64_t unknown_count;
    uint64_t goal;
};

/* In the node's memory. */
struct server {
    struct play *play;
    struct sim_node *node;
    struct loop *loop;
    struct budget budget;
    struct listener *listener;
    struct quorum_peers *peers;
    struct quorum *quorum;
    struct controller *controller;
    uint64_t applied_index;
    uint32_t call_count; /* Waiting. */
};

struct call {
    struct controller_request request;
    struct server *server;
    uint32_t topic;
    char name[16];
    struct topic_decisions_create create;
    struct topic_decisions_create_request creates;
    struct producer_id_decisions_request producer_ids;
    struct broker_decisions_register registration;
    struct broker_decisions_heartbeat heartbeat;
};

static struct prng *prng_of(const struct play *play)
{
    return sim_world_prng(play->world, SIM_STREAM_WORKLOAD);
}

/* --- What must hold --------------------------------------------------------------------------- */

/* Every topic that is there was not said not to be; at the end also the other way round. */
static void hold_claims(struct play *play, const struct image *image, bool is_final)
{
    for (uint32_t i = 0; i < play->topic_count; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "c%u", i);
        bool is_there = image_topic_by_name(image, wire_text_of(name)) != NULL;
        if (is_there && play->claims[i] == CLAIM_NOT_MADE) {
            sim_world_fail(play->world, "topic %s is there and was said not to be", name);
        }
        if (!is_there && is_final && play->claims[i] == CLAIM_MADE) {
            sim_world_fail(play->world, "topic %s was answered and is gone", name);
        }
    }
}

static void server_on_image(void *context, struct image *image)
{
    struct server *self = context;
    struct play *play = self->play;
    uint64_t index = image_index(image);
    const char *broken = image_maker_broken_invariant(image);
    size_t byte_count = 0;
    if (broken != NULL) {
        sim_world_fail(play->world, "node-%u at %llu: not true: %s", self->node->id,
                       (unsigned long long)index, broken);
    }
    self->applied_index = index;
    play->newest_index = index > play->newest_index ? index : play->newest_index;
    if (index >= INDEXES_MAX || index % HASH_EVERY != 0) {
        return; /* Images differ for good once they differ. */
    }
    uint8_t *bytes = image_snapshot_write(image, &byte_count);
    uint64_t hash = XXH3_64bits(bytes, byte_count) | 1;
    free(bytes);
    if (play->hashes[index] != 0 && play->hashes[index] != hash) {
        sim_world_fail(play->world, "node-%u has another image at %llu", self->node->id,
                       (unsigned long long)index);
    }
    play->hashes[index] = hash;
}

/* --- Calls ------------------------------------------------------------------------------------ */

static void note_create(struct play *play, const struct call *call, enum status status)
{
    enum decision_reason reason = call->create.error.reason;
    bool is_made = status == STATUS_OK && reason == DECISION_NONE;
    if (play->has_twin[call->topic]) {
        bool is_there = is_made || (status == STATUS_OK && reason == DECISION_TOPIC_EXISTS);
        play->claims[call->topic] = is_there ? CLAIM_MADE : play->claims[call->topic];
        return;
    }
    if (status == STATUS_OK && reason == DECISION_TOPIC_EXISTS) {
        sim_world_fail(play->world, "topic %s is said to exist before it was made", call->name);
    }
    play->made_count += is_made;
    if (status == STATUS_UNKNOWN) {
        play->unknown_count += 1;
        play->claims[call->topic] = play->is_unknown_no ? CLAIM_NOT_MADE : CLAIM_NONE;
        return;
    }
    play->claims[call->topic] = is_made ? CLAIM_MADE : CLAIM_NOT_MADE;
}

static void note_producer_ids(struct play *play, const struct call *call, enum status status)
{
    if (status != STATUS_OK || call->producer_ids.error.reason != DECISION_NONE) {
        return;
    }
    uint64_t block = (uint64_t)call->producer_ids.first_id / PRODUCER_ID_DECISIONS_BLOCK;
    if (block < BLOCKS_MAX && play->is_given[block]) {
        sim_world_fail(play->world, "producer ids from %lld are given twice",
                       (long long)call->producer_ids.first_id);
    }
    if (block < BLOCKS_MAX) {
        play->is_given[block] = true;
    }
}

static void call_on_done(struct controller_request *request, enum status status)
{
    struct call *call = container_of(request, struct call, request);
    struct play *play = call->server->play;
    call->server->call_count -= 1;
    if (request->kind == CONTROLLER_CREATE_TOPICS) {
        note_create(play, call, status);
    } else if (request->kind == CONTROLLER_ALLOCATE_PRODUCER_IDS) {
        note_producer_ids(play, call, status);
    }
    free(call);
}

static void call_create(struct call *call, uint32_t topic)
{
    call->topic = topic;
    (void)snprintf(call->name, sizeof call->name, "c%u", topic);
    call->create = (struct topic_decisions_create){
        .name = wire_text_of(call->name), .partition_count = 1, .replication_factor = -1};
    call->creates =
        (struct topic_decisions_create_request){.items = &call->create, .item_count = 1};
    call->request.kind = CONTROLLER_CREATE_TOPICS;
    call->request.command.create_topics = &call->creates;
}

static void call_register(struct server *self, struct call *call, int32_t id)
{
    static const struct broker_decisions_endpoint endpoint = {
        .listener = {"CLIENT", 6}, .host = {"host", 4}, .port = 9092, .security = {"PLAINTEXT", 9}};
    call->registration = (struct broker_decisions_register){
        .broker_id = id,
        .incarnation_id = image_maker_id((uint32_t)prng_next(prng_of(self->play)) | 1),
        .directory_id = image_maker_id(5000 + (uint32_t)id),
        .previous_epoch = -1,
        .rack = {.byte_count = -1},
        .endpoints = &endpoint,
        .endpoint_count = 1};
    call->request.kind = CONTROLLER_REGISTER_BROKER;
    call->request.command.register_broker = &call->registration;
}

static struct call *call_new(struct server *self)
{
    struct call *call = calloc(1, sizeof *call);
    check(call != NULL);
    call->server = self;
    call->request.on_done = call_on_done;
    call->request.deadline_ns =
        loop_now_ns(self->loop) + sim_world_between(prng_of(self->play), SIM_MS, 3 * SIM_S);
    return call;
}

static void submit(struct server *self, struct call *call)
{
    self->call_count += 1;
    controller_submit(self->controller, &call->request);
}

static void ask_create(struct server *self, struct call *call)
{
    struct play *play = self->play;
    uint32_t topic = play->topic_count++;
    play->has_twin[topic] = sim_world_chance(prng_of(play), 0.2);
    call_create(call, topic);
    submit(self, call);
    if (play->has_twin[topic]) {
        struct call *twin = call_new(self);
        call_create(twin, topic);
        submit(self, twin);
    }
}

/* What is asked of an active controller; a broker that is not registered is, first of all. */
static void ask(struct server *self)
{
    struct prng *prng = prng_of(self->play);
    struct call *call = call_new(self);
    int32_t id = 1 + (int32_t)prng_below(prng, NODES);
    const struct image_broker *broker = image_broker_by_id(controller_image(self->controller), id);
    uint64_t dice = prng_below(prng, 100);
    if (broker == NULL || dice < 3) {
        call_register(self, call, id);
    } else if (dice < 40) {
        call->heartbeat = (struct broker_decisions_heartbeat){
            .broker_id = id, .broker_epoch = broker->epoch, .applied_index = self->applied_index};
        call->request.kind = CONTROLLER_HEARTBEAT;
        call->request.command.heartbeat = &call->heartbeat;
    } else if (dice < 55) {
        call->producer_ids =
            (struct producer_id_decisions_request){.broker_id = id, .broker_epoch = broker->epoch};
        call->request.kind = CONTROLLER_ALLOCATE_PRODUCER_IDS;
        call->request.command.producer_ids = &call->producer_ids;
    } else {
        ask_create(self, call);
        return;
    }
    submit(self, call);
}

static void server_pace(void *context, uint64_t value)
{
    struct server *self = context;
    struct play *play = self->play;
    struct prng *prng = prng_of(play);
    (void)value;
    sim_node_after(self->node, sim_world_between(prng, 1, play->pace_ns_max), server_pace, self, 0);
    if (play->topic_count < TOPICS_MAX && self->call_count < 100 &&
        (controller_is_active(self->controller) || sim_world_chance(prng, 0.02))) {
        ask(self);
    }
    if (!play->is_calm && sim_world_chance(prng, 0.01)) {
        controller_broker_lost(self->controller, 1 + (int32_t)prng_below(prng, NODES), -1);
    }
}

/* --- A server --------------------------------------------------------------------------------- */

static void server_on_frame(struct connection *connection, struct frame *frame,
                            struct ticket *ticket)
{
    struct server *self = connection_context(connection);
    connection_forget(ticket);
    peer_transport_post(self->peers, frame);
    frame_unref(frame);
}

static void server_on_connection_closed(struct connection *connection)
{
    (void)connection;
}

static void server_on_leadership(void *context, bool is_ready, int64_t term)
{
    struct server *self = context;
    sim_world_note(self->play->world, "node-%u %s term %lld", self->node->id,
                   is_ready ? "is active in" : "is not active in", (long long)term);
    controller_set_leadership(self->controller, is_ready, term);
}

static void server_stop(struct server *self, enum status why)
{
    if (why != STATUS_IO && why != STATUS_NO_SPACE) {
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
    struct peer_transport_options transport = {
        .loop = self->loop, .node_id = (int32_t)self->node->id, .voter_count = NODES};
    struct controller_options controller = {.loop = self->loop,
                                            .node_id = (int32_t)self->node->id,
                                            .session_timeout_ms = 2000,
                                            .balance_interval_ms = 1000,
                                            .on_image = server_on_image,
                                            .on_fatal = server_on_fatal,
                                            .context = self};
    for (uint32_t i = 0; i < NODES; i++) {
        struct quorum_voter *voter = &transport.voters[i];
        voter->node_id = (int32_t)i + 1;
        voter->address.port = PORT;
        (void)snprintf(voter->address.host, sizeof voter->address.host, "node-%u", i + 1);
    }
    TRY(peer_transport_open(&transport, &self->peers));
    TRY(server_listen(self));
    TRY(controller_new(&controller, &self->controller));
    struct quorum_options options = {.loop = self->loop,
                                     .directory = "quorum",
                                     .node_id = (int32_t)self->node->id,
                                     .voter_count = NODES,
                                     .fsm = controller_fsm(self->controller),
                                     .peers = self->peers,
                                     .election_ms = 300,
                                     .heartbeat_ms = 50,
                                     .snapshot_entries = self->play->snapshot_entries,
                                     .trailing_entries = 2, /* Who is behind gets a snapshot. */
                                     .segment_bytes = 65536,
                                     .on_leadership = server_on_leadership,
                                     .on_fatal = server_on_fatal,
                                     .context = self};
    memcpy(options.voters, transport.voters, sizeof options.voters);
    TRY(quorum_open(&options, &self->quorum));
    controller_attach(self->controller, self->quorum);
    return STATUS_OK;
}

static void server_boot(struct sim_node *node, struct loop *loops, uint32_t loop_count)
{
    (void)loop_count;
    struct server *self = calloc(1, sizeof *self);
    check(self != NULL);
    self->play = node->options.context;
    self->node = node;
    self->loop = &loops[0];
    budget_init(&self->budget, (size_t)1 << 30);
    node->state = self;
    enum status status = server_start(self);
    if (status != STATUS_OK) {
        server_stop(self, status);
        return;
    }
    sim_node_after(node, 1, server_pace, self, 0);
}

/* --- The play --------------------------------------------------------------------------------- */

static bool has_converged(void *context)
{
    struct play *play = context;
    for (uint32_t i = 0; i < NODES; i++) {
        const struct server *server = play->world->nodes[i]->state;
        if (!play->world->nodes[i]->is_up || server == NULL ||
            server->applied_index + 20 < play->newest_index) {
            return false;
        }
    }
    return play->made_count >= play->goal;
}

static void note_nodes(const struct play *play)
{
    for (uint32_t i = 0; i < NODES; i++) {
        const struct sim_node *node = play->world->nodes[i];
        const struct server *server = node->state;
        if (!node->is_up || server == NULL || server->quorum == NULL) {
            sim_world_note(play->world, "node-%u is not there", node->id);
            continue;
        }
        struct quorum_status status = quorum_status_of(server->quorum);
        sim_world_note(play->world, "node-%u term %lld leader %d applied %llu of %llu", node->id,
                       (long long)status.term, status.leader_id,
                       (unsigned long long)status.applied_index,
                       (unsigned long long)status.last_index);
    }
}

static void start_nemesis(struct play *play)
{
    static const struct sim_fault_profile profile = {.name = "controller",
                                                     .interval_ns_max = 800 * SIM_MS,
                                                     .repair_ns_max = 2 * SIM_S,
                                                     .down_max = 2,
                                                     .weights = {[SIM_FAULT_KILL] = 4,
                                                                 [SIM_FAULT_POWER] = 4,
                                                                 [SIM_FAULT_DISK_DEATH] = 4,
                                                                 [SIM_FAULT_PAUSE] = 2,
                                                                 [SIM_FAULT_CUT] = 4,
                                                                 [SIM_FAULT_CUT_ONE_WAY] = 2,
                                                                 [SIM_FAULT_ISOLATE] = 6,
                                                                 [SIM_FAULT_BREAK] = 3,
                                                                 [SIM_FAULT_FLUSH_ERROR] = 1,
                                                                 [SIM_FAULT_SLOW_FLUSH] = 4}};
    sim_fault_start(&play->fault, play->world, &profile, play->world->nodes, NODES);
}

static void run(struct sim_world *world, bool is_unknown_no)
{
    struct play *play = calloc(1, sizeof *play);
    check(play != NULL);
    play->world = world;
    play->is_unknown_no = is_unknown_no;
    play->snapshot_entries = sim_world_chance(prng_of(play), 0.5) ? 8 : 1000;
    play->pace_ns_max = sim_world_chance(prng_of(play), 0.5) ? 20 * SIM_MS : 100 * SIM_MS;
    for (uint32_t i = 0; i < NODES; i++) {
        sim_node_add(world, &(struct sim_node_options){
                                .loop_count = 1, .boot = server_boot, .context = play});
    }
    for (uint32_t i = 0; i < NODES; i++) {
        sim_node_start(world->nodes[i]);
    }
    start_nemesis(play);
    sim_world_run_for(world, FAULTY_NS);
    play->is_calm = true;
    sim_fault_stop(&play->fault);
    play->goal = play->made_count + (play->topic_count < TOPICS_MAX - 100 ? 5 : 0);
    if (!sim_world_run_until(world, has_converged, play, CALM_NS)) {
        note_nodes(play);
        sim_world_fail(world, "no progress in the calm: %llu made, should be %llu",
                       (unsigned long long)play->made_count, (unsigned long long)play->goal);
    }
    for (uint32_t i = 0; i < NODES && !world->has_failed; i++) {
        const struct server *server = world->nodes[i]->state;
        hold_claims(play, controller_image(server->controller),
                    server->applied_index == play->newest_index);
    }
    sim_world_note(world, "%u topics asked for, %llu made, %llu unknown, index %llu",
                   play->topic_count, (unsigned long long)play->made_count,
                   (unsigned long long)play->unknown_count, (unsigned long long)play->newest_index);
    for (uint32_t i = 0; i < NODES; i++) {
        sim_node_lose_power(world->nodes[i]);
    }
    free(play);
}

static void run_whole(struct sim_world *world, const struct sim_workload_options *options)
{
    (void)options;
    run(world, false);
}

static void run_unknown_no(struct sim_world *world, const struct sim_workload_options *options)
{
    (void)options;
    run(world, true);
}

const struct sim_workload workload_controller[] = {
    {"controller", "three controllers on their quorum", false, run_whole},
    {"controller-unknown-is-no", "takes an unknown fate for a no", true, run_unknown_no},
    {0},
};
