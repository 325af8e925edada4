/* Goal: what a ledger acknowledged is there after any end of the process, by snapshot or by log.
 * Method: commits to a whole broker in the simulated world, stops and power cuts, damaged files. */
#include "proto/kafka/error_code.h"
#include "tests/rig/group_talk.h"
#include "tests/rig/kafka_talk.h"

#include <criterion/criterion.h>

static struct broker_world world;
static struct wire_client tool;
static const char *const settings[] = {
    "internal.topic.partitions=1", "coordinator.snapshot.records=20",
    "offsets.retention.minutes=60", "offsets.retention.check.interval.ms=60000", NULL};

static void set_up(void)
{
    broker_world_init(&world,
                      &(struct broker_world_options){.shard_count = 2, .settings = settings}, NULL);
    broker_world_start_all(&world);
    wire_client_open(&tool, &world, 0);
    cr_assert_eq(kafka_talk_create(&tool, "t", 4, 1, NULL), 0);
    group_talk_find(&tool, "g");
}

static void tear_down(void)
{
    broker_world_done(&world);
}

TestSuite(ledger, .init = set_up, .fini = tear_down);

static void come_back(void)
{
    broker_world_start_all(&world);
    wire_client_open(&tool, &world, 0);
    group_talk_find(&tool, "g");
}

static int64_t settled(const char *group)
{
    int64_t offset;
    while ((offset = group_talk_committed(&tool, group)) ==
           -ERROR_CODE_COORDINATOR_LOAD_IN_PROGRESS) {
        broker_world_run_ms(&world, 10);
    }
    return offset;
}

Test(ledger, commits_survive_a_power_cut_at_any_number_of_records)
{
    int64_t offset = 0;
    for (int life = 0; life < 8; life++) {
        for (int i = 0; i < 7 + 9 * life; i++) {
            offset += 1;
            cr_assert_eq(group_talk_commit(&tool, "g", -1, NULL, offset), 0);
        }
        wire_client_close(&tool);
        sim_node_lose_power(world.brokers[0].node);
        come_back();
        cr_assert_eq(settled("g"), offset, "life %d", life);
    }
}

Test(ledger, a_commit_without_an_answer_is_there_whole_or_not_at_all)
{
    for (int64_t step = 0; step < 40; step++) {
        int64_t before = settled("g");
        wire_client_close(&tool);
        wire_client_open(&tool, &world, 0);
        group_talk_ask_commit(&tool, "g", 1000 + step);
        (void)sim_world_run_for(world.world, step * 25 * SIM_US);
        sim_node_lose_power(world.brokers[0].node);
        wire_client_close(&tool);
        come_back();
        int64_t after = settled("g");
        cr_assert(after == before || after == 1000 + step, "%ld after %ld", (long)after,
                  (long)before);
    }
}

static bool is_ready_or_dead(void *context)
{
    const struct sim_node *node = context;
    const struct broker_life *life = node->state;
    return !node->is_up || life->is_ready;
}

/* How long the group's partition was said to be loading. */
static int64_t wait_loaded_ms(int64_t offset)
{
    int64_t waited_ms = 0;
    int64_t committed;
    while ((committed = group_talk_committed(&tool, "g")) ==
           -ERROR_CODE_COORDINATOR_LOAD_IN_PROGRESS) {
        cr_assert_lt(waited_ms, 5000, "it loads for ever");
        broker_world_run_ms(&world, 10);
        waited_ms += 10;
    }
    cr_assert_eq(committed, offset);
    return waited_ms;
}

/* Which of a start's reads are the ledger's is not known, so tests let each fail once; those of the
 * recovery and of the quorum end the broker. False: there were fewer. */
static bool start_with_failing_read(uint64_t read)
{
    struct sim_node *node = world.brokers[0].node;
    struct sim_disk *disk = broker_world_disk(&world, 0);
    wire_client_close(&tool);
    if (node->is_up) {
        sim_node_lose_power(node);
    }
    uint64_t failure_count = disk->failure_count;
    sim_disk_fail(disk, SIM_DISK_READ, read, STATUS_IO);
    broker_world_start(&world, 0);
    broker_world_until(&world, is_ready_or_dead, node, 10000);
    broker_world_run_ms(&world, 100); /* The ledger may load behind that. */
    sim_disk_calm(disk);
    return disk->failure_count > failure_count;
}

Test(ledger, a_read_that_fails_while_it_loads_delays_it_and_no_more)
{
    cr_assert_eq(group_talk_commit(&tool, "g", -1, NULL, 5), 0);
    uint32_t delayed_count = 0;
    for (uint64_t read = 1; start_with_failing_read(read); read++) {
        if (!world.brokers[0].node->is_up) {
            broker_world_start_all(&world);
        }
        wire_client_open(&tool, &world, 0);
        group_talk_find(&tool, "g");
        delayed_count += wait_loaded_ms(5) >= 500 ? 1 : 0;
    }
    cr_expect_gt(delayed_count, 0, "no read of the ledger has failed");
}

Test(ledger, a_term_may_end_while_a_failed_read_waits)
{
    cr_assert_eq(group_talk_commit(&tool, "g", -1, NULL, 5), 0);
    for (uint64_t read = 1; start_with_failing_read(read); read++) {
        if (world.brokers[0].node->is_up) {
            broker_world_stop(&world, 0);
        }
    }
    wire_client_open(&tool, &world, 0);
    group_talk_find(&tool, "g");
    cr_expect_eq(settled("g"), 5);
}

Test(ledger, old_offsets_of_nobody_are_forgotten_and_stay_so)
{
    cr_assert_eq(group_talk_commit(&tool, "g", -1, NULL, 5), 0);
    wire_client_close(&tool); /* It would be idle for too long. */
    broker_world_run_ms(&world, 59 * 60000);
    wire_client_open(&tool, &world, 0);
    cr_expect_eq(group_talk_committed(&tool, "g"), 5);
    broker_world_run_ms(&world, 3 * 60000);
    cr_expect_eq(group_talk_committed(&tool, "g"), -1);
    cr_expect_str_eq(group_talk_state(&tool, "g"), "Dead");
    wire_client_close(&tool);
    sim_node_lose_power(world.brokers[0].node);
    come_back();
    cr_expect_eq(settled("g"), -1);
}

Test(ledger, what_is_not_allowed_is_not_written)
{
    cr_expect_eq(group_talk_commit(&tool, "g", 3, "m", 5), ERROR_CODE_GROUP_ID_NOT_FOUND);
    cr_expect_eq(group_talk_commit(&tool, "g", -1, NULL, -5), ERROR_CODE_INVALID_REQUEST);
    cr_expect_eq(group_talk_committed(&tool, "g"), -1);
    cr_expect_str_eq(group_talk_state(&tool, "g"), "Dead");
}
