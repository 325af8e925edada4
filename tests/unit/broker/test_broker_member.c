/* Goal: a broker is a member as long as nobody else is, and gives up only before one that lives.
 * Method: whole brokers in the simulated world; the fourth does not vote, so that it can be made
 * anew. */
#include "tests/rig/broker_world.h"

#include <criterion/criterion.h>

#define VOTERS 3U
#define MEMBER 3U /* Its index. */
#define SESSION_MS 3000

static struct broker_world world;

static void set_up(void)
{
    struct broker_world_options options = {.broker_count = VOTERS + 1};
    broker_world_init(&world, &options, NULL);
    broker_world_start_all(&world);
}

static void tear_down(void)
{
    broker_world_done(&world);
}

TestSuite(broker_member, .init = set_up, .fini = tear_down, .timeout = 120);

/* Nobody hears of it. Then another process, with a directory of its own, takes the id. */
static void be_replaced(void)
{
    struct broker_world_host *host = &world.brokers[MEMBER];
    const struct broker_life *life = host->node->state;
    char directory[DISK_PATH_BYTES_MAX];
    snprintf(directory, sizeof directory, "%s", life->config.log_dir);
    sim_node_lose_power(host->node);
    cr_assert_eq(sim_tree_rename(&broker_world_disk(&world, MEMBER)->tree, directory, "former"),
                 STATUS_OK);
    broker_world_start(&world, MEMBER);
}

Test(broker_member, successor_of_who_died_in_silence_waits_for_its_session)
{
    be_replaced();
    broker_world_wait_ready(&world, MEMBER);
    cr_expect_eq(world.brokers[MEMBER].failure_count, 0);
}

/* A new controller gives all sessions anew, so that the time without one does not count. */
Test(broker_member, successor_gives_up_when_no_controller_answered_for_long)
{
    be_replaced();
    broker_world_run_ms(&world, 1500);
    for (uint32_t i = 0; i < VOTERS; i++) {
        sim_node_lose_power(world.brokers[i].node);
    }
    broker_world_run_ms(&world, 4 * SESSION_MS);
    for (uint32_t i = 0; i < VOTERS; i++) {
        broker_world_start(&world, i);
    }
    for (uint32_t i = 0; i < VOTERS; i++) {
        broker_world_wait_ready(&world, i);
    }
    broker_world_run_ms(&world, 4 * SESSION_MS);
    cr_expect_eq(world.brokers[MEMBER].failure_count, 0);
    broker_world_wait_ready(&world, MEMBER);
}
