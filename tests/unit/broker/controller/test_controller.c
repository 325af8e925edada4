/* Goal: what the controller answered is agreed for good, what it did not may or may not have
 * happened, and brokers that are not heard of are fenced in time.
 * Method: controller and quorum of one voter in a simulated node; requests in bulk, restarts,
 * deaths at every disk operation, hours of virtual time. */
#include "broker/controller/controller.h"

#include "broker/metadata/image_snapshot.h"
#include "tests/rig/image_maker.h"
#include "tests/sim/sim_disk.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct sim_world *world;
static struct sim_node *node;
static struct controller *controller;
static struct quorum *quorum;
static enum status open_status;
static enum status fatal_status;
static uint64_t image_count;
static uint64_t newest_index;
static uint32_t snapshot_entries = 1000;
static int32_t balance_interval_ms = -1;

static void note_image(void *context, struct image *image)
{
    (void)context;
    cr_assert(image_index(image) > newest_index || newest_index == 0);
    const char *broken = image_maker_broken_invariant(image);
    cr_assert_null(broken, "%s", broken);
    newest_index = image_index(image);
    image_count += 1;
}

static void note_fatal(void *context, enum status why)
{
    (void)context;
    fatal_status = why;
}

static void note_leadership(void *context, bool is_ready, int64_t term)
{
    (void)context;
    controller_set_leadership(controller, is_ready, term);
}

static void boot(struct sim_node *self, struct loop *loops, uint32_t loop_count)
{
    (void)self;
    (void)loop_count;
    newest_index = 0;
    struct controller_options options = {.loop = &loops[0],
                                         .node_id = 1,
                                         .session_timeout_ms = 3000,
                                         .balance_interval_ms = balance_interval_ms,
                                         .on_image = note_image,
                                         .on_fatal = note_fatal};
    cr_assert_eq(controller_new(&options, &controller), STATUS_OK);
    struct quorum_options quorum_options = {.loop = &loops[0],
                                            .directory = "quorum",
                                            .node_id = 1,
                                            .voter_count = 1,
                                            .voters[0] = {.node_id = 1},
                                            .fsm = controller_fsm(controller),
                                            .snapshot_entries = snapshot_entries,
                                            .segment_bytes = 65536,
                                            .on_leadership = note_leadership,
                                            .on_fatal = note_fatal};
    open_status = quorum_open(&quorum_options, &quorum);
    cr_assert_eq(open_status, STATUS_OK);
    controller_attach(controller, quorum);
}

static void set_up(void)
{
    world = sim_world_new(&(struct sim_world_options){.seed = 1});
    node = sim_node_add(world, &(struct sim_node_options){.loop_count = 2, .boot = boot});
}

static void tear_down(void)
{
    cr_expect_not(world->has_failed, "%s", world->failure);
    sim_world_free(world);
}

static void start(void)
{
    cr_assert(sim_node_start(node));
    sim_world_run_for(world, 200 * SIM_MS);
    cr_assert(controller_is_active(controller));
    cr_assert_not(wire_uuid_is_zero(image_cluster_id(controller_image(controller))));
}

TestSuite(controller, .init = set_up, .fini = tear_down);

/* ---- Calls. ---- */

#define CALLS_MAX 3000U

struct call {
    struct controller_request request;
    struct topic_decisions_create create;
    struct topic_decisions_create_request creates;
    struct producer_id_decisions_request producer_ids;
    struct broker_decisions_register registration;
    struct broker_decisions_heartbeat heartbeat;
    char name[32];
    bool is_done;
    enum status status;
};

static struct call calls[CALLS_MAX];
static uint32_t call_count;

static void call_on_done(struct controller_request *request, enum status status)
{
    struct call *call = container_of(request, struct call, request);
    cr_assert_not(call->is_done);
    call->is_done = true;
    call->status = status;
}

static struct call *next_call(enum controller_request_kind kind)
{
    cr_assert(call_count < CALLS_MAX);
    struct call *call = &calls[call_count++];
    *call =
        (struct call){.request = {.kind = kind, .deadline_ns = INT64_MAX, .on_done = call_on_done}};
    return call;
}

static void submit_inside(void *context)
{
    struct call *call = context;
    controller_submit(controller, &call->request);
    cr_assert_not(call->is_done);
}

static struct call *submit(struct call *call)
{
    (void)sim_node_run(node, submit_inside, call);
    return call;
}

static struct call *wait_for(struct call *call)
{
    sim_world_run_for(world, 100 * SIM_MS);
    cr_assert(call->is_done);
    return call;
}

static struct call *create(const char *name, int32_t partition_count)
{
    struct call *call = next_call(CONTROLLER_CREATE_TOPICS);
    snprintf(call->name, sizeof call->name, "%s", name);
    call->create = (struct topic_decisions_create){.name = wire_text_of(call->name),
                                                   .partition_count = partition_count,
                                                   .replication_factor = -1};
    call->creates =
        (struct topic_decisions_create_request){.items = &call->create, .item_count = 1};
    call->request.command.create_topics = &call->creates;
    return submit(call);
}

static const struct broker_decisions_endpoint endpoint = {
    .listener = {"CLIENT", 6}, .host = {"host", 4}, .port = 9092, .security = {"PLAINTEXT", 9}};

static uint32_t directory_base = 5000;

static struct call *register_broker(int32_t id, uint32_t incarnation)
{
    struct call *call = next_call(CONTROLLER_REGISTER_BROKER);
    call->registration = (struct broker_decisions_register){
        .broker_id = id,
        .incarnation_id = image_maker_id(incarnation),
        .directory_id = image_maker_id(directory_base + (uint32_t)id),
        .previous_epoch = -1,
        .rack = {.byte_count = -1},
        .endpoints = &endpoint,
        .endpoint_count = 1};
    call->request.command.register_broker = &call->registration;
    return submit(call);
}

static struct call *heartbeat(int32_t id, int64_t epoch)
{
    struct call *call = next_call(CONTROLLER_HEARTBEAT);
    call->heartbeat = (struct broker_decisions_heartbeat){
        .broker_id = id, .broker_epoch = epoch, .applied_index = newest_index};
    call->request.command.heartbeat = &call->heartbeat;
    return submit(call);
}

static struct call *allocate(int32_t id, int64_t epoch)
{
    struct call *call = next_call(CONTROLLER_ALLOCATE_PRODUCER_IDS);
    call->producer_ids =
        (struct producer_id_decisions_request){.broker_id = id, .broker_epoch = epoch};
    call->request.command.producer_ids = &call->producer_ids;
    return submit(call);
}

static const struct image *image(void)
{
    return controller_image(controller);
}

/* Registers and unfences; gives the epoch. */
static int64_t join(int32_t id)
{
    struct call *call = wait_for(register_broker(id, 100 + (uint32_t)id));
    cr_assert_eq(call->status, STATUS_OK);
    cr_assert_eq(call->registration.error.reason, DECISION_NONE);
    int64_t epoch = call->registration.epoch;
    cr_assert_eq(epoch, image_broker_by_id(image(), id)->epoch);
    call = wait_for(heartbeat(id, epoch));
    cr_assert_not(call->heartbeat.is_fenced);
    return epoch;
}

static const struct image_topic *topic(const char *name)
{
    return image_topic_by_name(image(), wire_text_of(name));
}

/* ---- Tests. ---- */

Test(controller, created_topic_is_there_after_a_restart)
{
    start();
    join(1);
    struct call *call = wait_for(create("orders", 3));
    cr_assert_eq(call->status, STATUS_OK);
    cr_assert_eq(call->create.error.reason, DECISION_NONE);
    cr_expect_eq(call->request.index, image_index(image()));
    struct wire_uuid id = topic("orders")->id;
    struct wire_uuid cluster_id = *image_cluster_id(image());

    sim_node_lose_power(node);
    start();

    cr_assert_not_null(topic("orders"));
    cr_expect(wire_uuid_equals(&topic("orders")->id, &id));
    cr_expect(wire_uuid_equals(&call->create.id, &id));
    cr_expect(wire_uuid_equals(image_cluster_id(image()), &cluster_id));
    cr_expect_eq(topic("orders")->partition_count, 3);
    cr_expect_not_null(image_broker_by_id(image(), 1));
}

Test(controller, requests_in_bulk_see_one_another)
{
    start();
    join(1);
    uint64_t before = newest_index;
    uint32_t first = call_count;
    for (int i = 0; i < 300; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%d", i / 3 * 2);
        create(name, 1);
    }
    sim_world_run_for(world, 2 * SIM_S);
    for (uint32_t i = first; i < call_count; i++) {
        cr_assert(calls[i].is_done);
        cr_assert_eq(calls[i].status, STATUS_OK);
        cr_expect_eq(calls[i].create.error.reason,
                     (i - first) % 3 == 0 ? DECISION_NONE : DECISION_TOPIC_EXISTS);
    }

    cr_expect_eq(image_topic_count(image()), 100);
    cr_expect_eq(newest_index, before + 100); /* Nothing was proposed in vain. */
}

static void lose_leadership(void *context)
{
    (void)context;
    controller_set_leadership(controller, false, 0);
}

Test(controller, nothing_is_decided_without_leadership)
{
    start();
    join(1);
    cr_assert(sim_node_run(node, lose_leadership, NULL));

    cr_expect_eq(wait_for(create("orders", 1))->status, STATUS_NOT_LEADER);
    cr_expect_null(topic("orders"));
}

Test(controller, request_that_waits_too_long_is_told_so)
{
    start();
    join(1);
    struct call *call = next_call(CONTROLLER_CREATE_TOPICS);
    snprintf(call->name, sizeof call->name, "late");
    call->create = (struct topic_decisions_create){
        .name = wire_text_of(call->name), .partition_count = 1, .replication_factor = 1};
    call->creates =
        (struct topic_decisions_create_request){.items = &call->create, .item_count = 1};
    call->request.command.create_topics = &call->creates;
    call->request.deadline_ns = loop_now_ns(sim_node_loop(node, 0)); /* Over already. */
    submit(call);
    wait_for(call);

    cr_expect_eq(call->status, STATUS_UNKNOWN);
    cr_expect_not_null(topic("late")); /* It was under way, and came through. */
}

static void submit_many(void *context)
{
    (void)context;
    for (uint32_t i = 0; i < CONTROLLER_WAITING_MAX + CONTROLLER_FLIGHTS_MAX + 10; i++) {
        struct call *call = next_call(CONTROLLER_CREATE_TOPICS);
        snprintf(call->name, sizeof call->name, "m%u", i);
        call->create = (struct topic_decisions_create){
            .name = wire_text_of(call->name), .partition_count = 1, .replication_factor = 1};
        call->creates =
            (struct topic_decisions_create_request){.items = &call->create, .item_count = 1};
        call->request.command.create_topics = &call->creates;
        controller_submit(controller, &call->request);
    }
}

Test(controller, more_requests_than_may_wait_are_sent_away)
{
    uint32_t busy_count = 0;
    uint32_t done_count = 0;
    start();
    join(1);
    uint32_t first = call_count;
    cr_assert(sim_node_run(node, submit_many, NULL));
    sim_world_run_for(world, 20 * SIM_S);
    for (uint32_t i = first; i < call_count; i++) {
        cr_assert(calls[i].is_done);
        busy_count += calls[i].status == STATUS_BUSY;
        done_count += calls[i].status == STATUS_OK;
    }

    cr_expect_eq(busy_count, 10);
    cr_expect_eq(done_count, CONTROLLER_WAITING_MAX + CONTROLLER_FLIGHTS_MAX);
    cr_expect_eq(image_topic_count(image()), done_count);
}

Test(controller, producer_ids_are_given_once_over_restarts)
{
    int64_t next = 0;
    start();
    int64_t epoch = join(1);
    for (int i = 0; i < 20; i++) {
        struct call *call = wait_for(allocate(1, epoch));
        cr_assert_eq(call->status, STATUS_OK);
        cr_expect_eq(call->producer_ids.first_id, next);
        next += 1000;
        if (i % 5 == 4) {
            sim_node_lose_power(node);
            start();
        }
    }
}

Test(controller, broker_that_falls_silent_is_fenced_when_its_session_ends)
{
    start();
    int64_t epoch = join(1);
    int64_t other = join(2);
    wait_for(create("orders", 4));
    for (int i = 0; i < 6; i++) {
        heartbeat(2, other);
        sim_world_run_for(world, 500 * SIM_MS);
        cr_assert_not(image_broker_by_id(image(), 2)->is_fenced);
        if (i == 3) {
            cr_assert_not(image_broker_by_id(image(), 1)->is_fenced);
        }
    }
    cr_expect(image_broker_by_id(image(), 1)->is_fenced);
    for (int32_t i = 0; i < 4; i++) {
        cr_expect_eq(image_topic_partition(topic("orders"), i)->leader, 2);
        cr_expect_eq(image_topic_partition(topic("orders"), i)->isr_count, 1);
    }

    struct call *back = wait_for(heartbeat(1, epoch));
    cr_expect_not(back->heartbeat.is_fenced);
    cr_expect_not(image_broker_by_id(image(), 1)->is_fenced);
}

static int32_t lost_id;
static void lose_broker(void *context)
{
    (void)context;
    controller_broker_lost(controller, lost_id, -1);
}

Test(controller, broker_whose_connection_broke_is_fenced_at_once)
{
    start();
    join(1);
    join(2);
    wait_for(create("orders", 4));
    lost_id = 2;
    cr_assert(sim_node_run(node, lose_broker, NULL));
    sim_world_run_for(world, 20 * SIM_MS);

    cr_expect(image_broker_by_id(image(), 2)->is_fenced);
    cr_expect_not(image_broker_by_id(image(), 1)->is_fenced);
    for (int32_t i = 0; i < 4; i++) {
        cr_expect_eq(image_topic_partition(topic("orders"), i)->leader, 1);
    }
}

Test(controller, restarted_controller_waits_a_session_before_it_fences)
{
    start();
    join(1);
    sim_node_lose_power(node);
    start();
    sim_world_run_for(world, 2 * SIM_S);
    cr_expect_not(image_broker_by_id(image(), 1)->is_fenced);
    sim_world_run_for(world, 1 * SIM_S);
    cr_expect(image_broker_by_id(image(), 1)->is_fenced);
}

Test(controller, second_process_of_a_living_broker_is_refused_until_the_first_is_gone)
{
    start();
    join(1);
    struct call *call = wait_for(register_broker(1, 999)); /* On a copy of its directory. */
    cr_expect_eq(call->registration.error.reason, DECISION_DUPLICATE_BROKER);
    directory_base = 6000;
    call = wait_for(register_broker(1, 999));
    cr_expect_eq(call->registration.error.reason, DECISION_DUPLICATE_BROKER);
    lost_id = 1;
    cr_assert(sim_node_run(node, lose_broker, NULL));
    call = wait_for(register_broker(1, 999));
    cr_expect_eq(call->registration.error.reason, DECISION_NONE);
    cr_expect_eq(call->registration.epoch, image_broker_by_id(image(), 1)->epoch);
}

Test(controller, requests_that_follow_a_registration_at_once_know_its_epoch)
{
    start();
    join(1);
    for (uint32_t i = 0; i < 20; i++) {
        register_broker(2 + (int32_t)i, 500 + i);
        create("twin", 1);
    }
    sim_world_run_for(world, SIM_S);
    for (uint32_t i = 0; i < 20; i++) {
        int32_t id = 2 + (int32_t)i;
        int64_t epoch = image_broker_by_id(image(), id)->epoch;
        struct call *beat = wait_for(heartbeat(id, epoch));
        cr_expect_eq(beat->heartbeat.error.reason, DECISION_NONE);
    }
    cr_expect_eq(image_topic_count(image()), 1);
}

Test(controller, leadership_goes_back_to_first_replicas_in_time)
{
    balance_interval_ms = 10000;
    start();
    int64_t epochs[3] = {0, join(1), join(2)};
    wait_for(create("orders", 10));
    lost_id = 2;
    cr_assert(sim_node_run(node, lose_broker, NULL));
    sim_world_run_for(world, 50 * SIM_MS);
    wait_for(heartbeat(2, epochs[2]));
    for (int32_t i = 0; i < 10; i++) {
        const struct image_partition *p = image_topic_partition(topic("orders"), i);
        struct isr_decisions_member isr[] = {{1, epochs[1]}, {2, epochs[2]}};
        struct isr_decisions_item item = {.topic_id = topic("orders")->id,
                                          .index = i,
                                          .leader_epoch = p->leader_epoch,
                                          .partition_epoch = p->partition_epoch,
                                          .isr = isr,
                                          .isr_count = 2};
        struct isr_decisions_request request = {
            .broker_id = 1, .broker_epoch = epochs[1], .items = &item, .item_count = 1};
        struct call *call = next_call(CONTROLLER_ALTER_PARTITIONS);
        call->request.command.alter_partitions = &request;
        wait_for(submit(call));
        cr_assert_eq(item.reason, DECISION_NONE);
    }
    for (int i = 0; i < 22; i++) {
        heartbeat(1, epochs[1]);
        heartbeat(2, epochs[2]);
        sim_world_run_for(world, 500 * SIM_MS);
    }
    for (int32_t i = 0; i < 10; i++) {
        const struct image_partition *p = image_topic_partition(topic("orders"), i);
        cr_expect_eq(p->leader, p->replicas[0]);
    }
}

static struct call *beat(struct broker_decisions_heartbeat command)
{
    struct call *call = next_call(CONTROLLER_HEARTBEAT);
    call->heartbeat = command;
    call->request.command.heartbeat = &call->heartbeat;
    return wait_for(submit(call));
}

Test(controller, shutdown_is_answered_when_the_others_know)
{
    start();
    int64_t epochs[3] = {0, join(1), join(2)};
    wait_for(create("orders", 4));
    uint64_t before = newest_index;
    struct broker_decisions_heartbeat wish = {.broker_id = 1,
                                              .broker_epoch = epochs[1],
                                              .applied_index = before,
                                              .wants_shut_down = true};
    struct broker_decisions_heartbeat other = {
        .broker_id = 2, .broker_epoch = epochs[2], .applied_index = before};

    cr_expect_not(beat(wish)->heartbeat.should_shut_down);
    cr_expect_eq(image_topic_partition(topic("orders"), 0)->leader, 2);
    wish.applied_index = newest_index;
    beat(other);
    cr_expect_not(beat(wish)->heartbeat.should_shut_down);
    other.applied_index = newest_index;
    beat(other);
    cr_expect(beat(wish)->heartbeat.should_shut_down);
    cr_expect(image_broker_by_id(image(), 1)->is_fenced);
}

Test(controller, allowing_unclean_elections_brings_a_leader_at_once)
{
    start();
    int64_t epochs[3] = {0, join(1), join(2)};
    wait_for(create("orders", 1));
    const struct image_partition *p = image_topic_partition(topic("orders"), 0);
    int32_t leader = p->leader;
    int32_t other = 3 - leader;
    struct isr_decisions_member isr = {leader, -1};
    struct isr_decisions_item item = {
        .topic_id = topic("orders")->id, .index = 0, .isr = &isr, .isr_count = 1};
    struct isr_decisions_request shrink = {
        .broker_id = leader, .broker_epoch = epochs[leader], .items = &item, .item_count = 1};
    struct call *call = next_call(CONTROLLER_ALTER_PARTITIONS);
    call->request.command.alter_partitions = &shrink;
    wait_for(submit(call));
    cr_assert_eq(item.reason, DECISION_NONE);
    lost_id = leader;
    cr_assert(sim_node_run(node, lose_broker, NULL));
    sim_world_run_for(world, 20 * SIM_MS);
    cr_assert_eq(image_topic_partition(topic("orders"), 0)->leader, -1);

    struct config_decisions_entry entry = {.key = wire_text_of("unclean.leader.election.enable"),
                                           .value = wire_text_of("true")};
    struct config_decisions_resource resource = {.kind = IMAGE_CONFIG_TOPIC,
                                                 .name = wire_text_of("orders"),
                                                 .entries = &entry,
                                                 .entry_count = 1};
    struct config_decisions_request allow = {.items = &resource, .item_count = 1};
    call = next_call(CONTROLLER_ALTER_CONFIGS);
    call->request.command.alter_configs = &allow;
    wait_for(submit(call));

    cr_expect_eq(image_topic_partition(topic("orders"), 0)->leader, other);
    cr_expect(image_topic_partition(topic("orders"), 0)->is_recovering);
}

Test(controller, answer_comes_on_the_loop_that_asked)
{
    start();
    join(1);
    struct call *call = next_call(CONTROLLER_CREATE_TOPICS);
    snprintf(call->name, sizeof call->name, "posted");
    call->create = (struct topic_decisions_create){
        .name = wire_text_of(call->name), .partition_count = 1, .replication_factor = 1};
    call->creates =
        (struct topic_decisions_create_request){.items = &call->create, .item_count = 1};
    call->request.command.create_topics = &call->creates;
    sim_node_enter(node);
    controller_post(controller, &call->request, sim_node_loop(node, 1));
    sim_node_leave(node);
    wait_for(call);

    cr_expect_eq(call->status, STATUS_OK);
    cr_expect_not_null(topic("posted"));
}

/* ---- Unknown fates: the disk fails under a proposal, then the log comes from elsewhere. ---- */

static uint8_t unknown_token[IMAGE_TOKEN_BYTES];

/* A request of unknown fate; what its command was is known from the numbers of the loop. */
static struct call *lose_sight(int64_t epoch)
{
    struct prng copy = sim_node_loop(node, 0)->prng;
    prng_fill(&copy, unknown_token, sizeof unknown_token);
    sim_disk_fail(node->disk, SIM_DISK_FLUSH, 1, STATUS_IO);
    struct call *call = allocate(1, epoch);
    sim_world_run_for(world, 100 * SIM_MS);
    cr_assert_eq(fatal_status, STATUS_IO);
    cr_assert_not(call->is_done);
    return call;
}

struct arrival {
    uint64_t index;
    bool has_command;
};

/* The image goes on in another node's hands and comes back as a snapshot. */
static void restore_inside(void *context)
{
    const struct arrival *arrival = context;
    struct quorum_fsm *fsm = controller_fsm(controller);
    struct cluster_writer writer;
    struct image_delta delta;
    size_t byte_count = 0;
    cluster_writer_init_command(&writer);
    cluster_writer_producer_ids(&writer, 1, image_broker_by_id(image(), 1)->epoch, 1000);
    uint8_t *bytes = cluster_writer_command(&writer, arrival->has_command ? unknown_token : NULL, 0,
                                            &byte_count);
    cr_assert_eq(
        image_delta_apply(controller_image(controller), arrival->index, bytes, byte_count, &delta),
        STATUS_OK);
    free(bytes);
    bytes = image_snapshot_write(delta.image, &byte_count);
    image_unref(delta.image);
    cr_assert_eq(fsm->ops->restore(fsm, arrival->index, bytes, byte_count), STATUS_OK);
    free(bytes);
    cluster_writer_done(&writer);
}

static void apply_inside(void *context)
{
    const struct arrival *arrival = context;
    struct quorum_fsm *fsm = controller_fsm(controller);
    struct cluster_writer writer;
    size_t byte_count = 0;
    cluster_writer_init_command(&writer);
    uint8_t *bytes = cluster_writer_command(&writer, arrival->has_command ? unknown_token : NULL, 0,
                                            &byte_count);
    fsm->ops->apply(fsm, arrival->index, 1000, bytes, byte_count);
    free(bytes);
}

static enum status fate(struct call *call)
{
    sim_world_run_for(world, 10 * SIM_MS);
    return call->is_done ? call->status : STATUS_PENDING;
}

Test(controller, proposal_of_unknown_fate_is_found_when_it_is_applied)
{
    start();
    struct call *call = lose_sight(join(1));
    struct arrival arrival = {.index = newest_index + 1, .has_command = true};
    cr_assert(sim_node_run(node, apply_inside, &arrival));

    cr_expect_eq(fate(call), STATUS_OK);
    cr_expect_eq(call->request.index, arrival.index);
}

Test(controller, proposal_of_unknown_fate_is_lost_when_a_later_term_goes_on_without_it)
{
    start();
    struct call *call = lose_sight(join(1));
    struct arrival arrival = {.index = newest_index + 1};
    cr_assert(sim_node_run(node, apply_inside, &arrival));

    cr_expect_eq(fate(call), STATUS_NOT_LEADER);
}

Test(controller, proposal_of_unknown_fate_is_found_in_a_snapshot)
{
    start();
    struct call *call = lose_sight(join(1));
    struct arrival arrival = {.index = newest_index + 40, .has_command = true};
    cr_assert(sim_node_run(node, restore_inside, &arrival));

    cr_expect_eq(fate(call), STATUS_OK);
    cr_expect_eq(call->request.index, arrival.index);
    cr_expect_eq(call->producer_ids.first_id, 0);
}

Test(controller, proposal_that_is_not_in_a_snapshot_is_lost_in_a_later_term)
{
    start();
    struct call *call = lose_sight(join(1));
    struct arrival arrival = {.index = newest_index + 40};
    cr_assert(sim_node_run(node, restore_inside, &arrival));
    cr_expect_eq(fate(call), STATUS_PENDING);
    arrival.index += 1;
    cr_assert(sim_node_run(node, apply_inside, &arrival));

    cr_expect_eq(fate(call), STATUS_NOT_LEADER);
}

Test(controller, snapshot_that_passes_over_more_than_it_remembers_leaves_the_fate_unknown)
{
    start();
    struct call *call = lose_sight(join(1));
    struct arrival arrival = {.index = newest_index + IMAGE_TOKENS_REMEMBERED + 1};
    cr_assert(sim_node_run(node, restore_inside, &arrival));

    cr_expect_eq(fate(call), STATUS_UNKNOWN);
}

/* What was answered is there; what is there was asked for. */
static void expect_kept(void)
{
    for (uint32_t i = 0; i < call_count; i++) {
        const struct call *call = &calls[i];
        if (call->request.kind == CONTROLLER_CREATE_TOPICS && call->is_done &&
            call->status == STATUS_OK && call->create.error.reason == DECISION_NONE) {
            cr_assert_not_null(topic(call->name), "%s was answered and is gone", call->name);
            cr_assert(wire_uuid_equals(&topic(call->name)->id, &call->create.id));
        }
    }
    cr_assert(image_topic_count(image()) <= call_count);
}

Test(controller, any_death_at_any_disk_operation_loses_nothing_answered)
{
    uint32_t death_count = 0;
    snapshot_entries = 8;
    for (uint64_t operation = 1; operation < 130; operation++) {
        sim_world_free(world);
        world = sim_world_new(&(struct sim_world_options){.seed = operation});
        node = sim_node_add(world, &(struct sim_node_options){.loop_count = 2, .boot = boot});
        call_count = 0;
        sim_disk_die_at(node->disk, operation,
                        operation % 3 == 0 ? SIM_NODE_KILLED : SIM_NODE_POWERLESS);
        (void)sim_node_start(node);
        for (uint32_t i = 0; i < 60 && node->is_up; i++) {
            char name[16];
            snprintf(name, sizeof name, "d%u", i);
            if (i == 10) {
                register_broker(1, 4711);
            } else {
                create(name, 1 + (int32_t)(i % 3));
            }
            sim_world_run_for(world, (int64_t)(i % 4) * 3 * SIM_MS);
            if (i == 15 && node->is_up) {
                heartbeat(1, image_broker_by_id(image(), 1)->epoch);
            }
        }
        sim_world_run_for(world, 100 * SIM_MS);
        death_count += node->is_up ? 0 : 1;
        sim_disk_spare(node->disk);
        if (!node->is_up) {
            start();
        }
        expect_kept();
        cr_assert_not(world->has_failed, "%s", world->failure);
    }
    cr_expect_gt(death_count, 80, "%u deaths", death_count);
}

static void note_closed(void *context)
{
    bool *is_closed = context;
    *is_closed = true;
}

static void close_inside(void *context)
{
    quorum_close(quorum, note_closed, context);
}

static void free_inside(void *context)
{
    (void)context;
    controller_free(controller);
}

Test(controller, closing_answers_everything)
{
    bool is_closed = false;
    start();
    join(1);
    uint32_t first = call_count;
    for (int i = 0; i < 200; i++) {
        char name[16];
        snprintf(name, sizeof name, "c%d", i);
        create(name, 1);
    }
    cr_assert(sim_node_run(node, close_inside, &is_closed));
    sim_world_run_for(world, SIM_S);
    cr_assert(is_closed);
    cr_assert(sim_node_run(node, free_inside, NULL));
    sim_world_run_for(world, 10 * SIM_MS);
    for (uint32_t i = first; i < call_count; i++) {
        cr_assert(calls[i].is_done, "call %u", i - first);
    }
    sim_node_kill(node);
    start();
    expect_kept();
}
