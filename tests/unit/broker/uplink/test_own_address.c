/* Goal: a second process of a voter finds the first one at the address that is both's; nobody else
 * is taken for such a one: not the process itself, not who is dead, not another broker. Method:
 * three whole brokers in the simulated world; what a second process would ask is asked from the
 * clients' node. */
#include "broker/metadata/image.h"
#include "broker/partition/partition_map.h"
#include "broker/uplink/own_address.h"
#include "tests/rig/broker_world.h"

#include <criterion/criterion.h>

#define PATIENCE_MS 6000

static struct broker_world world;
static struct own_address *subject;
static struct wire_uuid incarnation_id = {.bytes = {7}};
static uint32_t found_count;
static bool is_led;
static bool is_closed;

static void set_up(void)
{
    struct broker_world_options options = {.broker_count = 3};
    broker_world_init(&world, &options, NULL);
}

static bool has_leader(void *context)
{
    (void)context;
    return is_led;
}

static void on_other(void *context)
{
    (void)context;
    found_count += 1;
}

static void on_closed(void *context)
{
    (void)context;
    is_closed = true;
}

/* A second process of broker `node_id`, which the list has at `host`. */
static void begin(int32_t node_id, const char *host)
{
    sim_node_enter(world.client_node);
    struct own_address_options options = {.loop = sim_node_loop(world.client_node, 0),
                                          .node_id = node_id,
                                          .incarnation_id = incarnation_id,
                                          .address = {.port = BROKER_WORLD_PORT},
                                          .patience_ms = PATIENCE_MS,
                                          .has_leader = has_leader,
                                          .on_other = on_other};
    (void)snprintf(options.address.host, sizeof options.address.host, "%s", host);
    cr_assert_eq(own_address_new(&options, &subject), STATUS_OK);
    sim_node_leave(world.client_node);
}

static void tear_down(void)
{
    if (subject != NULL) {
        sim_node_enter(world.client_node);
        own_address_close(subject, on_closed, NULL);
        sim_node_leave(world.client_node);
        broker_world_run_ms(&world, 3000);
        cr_expect(is_closed);
    }
    broker_world_done(&world);
}

TestSuite(own_address, .init = set_up, .fini = tear_down, .timeout = 120);

Test(own_address, a_second_process_finds_the_first_and_is_told_once)
{
    broker_world_start_all(&world);
    begin(1, "node-1");
    broker_world_run_ms(&world, PATIENCE_MS);
    cr_expect_eq(found_count, 0, "without patience");
    broker_world_run_ms(&world, 4000);
    cr_expect_eq(found_count, 1);
    broker_world_run_ms(&world, 20000);
    cr_expect_eq(found_count, 1);
}

/* A broker answers nobody before it has an image of the cluster. */
Test(own_address, a_first_process_that_waits_itself_is_found_when_it_works)
{
    broker_world_start(&world, 0);
    begin(1, "node-1");
    broker_world_run_ms(&world, 20000);
    cr_expect_eq(found_count, 0);
    broker_world_start(&world, 1);
    broker_world_start(&world, 2);
    broker_world_run_ms(&world, 20000);
    cr_expect_eq(found_count, 1);
}

Test(own_address, the_process_itself_is_no_second_one)
{
    broker_world_start_all(&world);
    const struct broker_life *life = world.brokers[0].node->state;
    const struct image *image = partition_map_image(broker_partitions(life->broker, 0));
    incarnation_id = image_broker_by_id(image, 1)->incarnation_id;
    begin(1, "node-1");
    broker_world_run_ms(&world, 30000);
    cr_expect_eq(found_count, 0);
}

Test(own_address, a_first_process_that_dies_in_time_is_forgotten)
{
    broker_world_start_all(&world);
    begin(1, "node-1");
    broker_world_run_ms(&world, 4000);
    sim_node_kill(world.brokers[0].node);
    broker_world_run_ms(&world, 20000);
    cr_expect_eq(found_count, 0);
    broker_world_start(&world, 0);
    broker_world_run_ms(&world, PATIENCE_MS - 1000);
    cr_expect_eq(found_count, 0, "the patience goes on where it was");
    broker_world_run_ms(&world, 5000);
    cr_expect_eq(found_count, 1);
}

Test(own_address, another_broker_at_the_address_is_no_second_process)
{
    broker_world_start_all(&world);
    begin(2, "node-1");
    broker_world_run_ms(&world, 30000);
    cr_expect_eq(found_count, 0);
}

Test(own_address, whoever_hears_a_leader_asks_no_more)
{
    broker_world_start_all(&world);
    begin(1, "node-1");
    broker_world_run_ms(&world, 4000);
    is_led = true;
    broker_world_run_ms(&world, 2000);
    is_led = false;
    broker_world_run_ms(&world, 20000);
    cr_expect_eq(found_count, 0);
}

Test(own_address, a_voter_that_waits_for_the_others_stays)
{
    broker_world_start(&world, 0);
    broker_world_run_ms(&world, 40000);
    cr_expect_eq(world.brokers[0].failure_count, 0);
    broker_world_start(&world, 1);
    broker_world_start(&world, 2);
    for (uint32_t i = 0; i < 3; i++) {
        broker_world_wait_ready(&world, i);
    }
}

Test(own_address, a_voter_that_was_killed_is_back_at_once)
{
    broker_world_start_all(&world);
    for (int i = 0; i < 5; i++) {
        sim_node_kill(world.brokers[0].node);
        broker_world_run_ms(&world, 100);
        broker_world_start(&world, 0);
        broker_world_wait_ready(&world, 0);
    }
    cr_expect_eq(world.brokers[0].failure_count, 0);
}
