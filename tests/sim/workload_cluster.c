/* Three whole brokers under kills, power losses, cuts and pauses.
 *
 * Goal: no epoch of a partition ever has two leaders; what was acknowledged with acks=all is there
 * for good, once, at the offset that was told, in order; no consumer reads what can vanish; logs
 * are equal below the high watermark; all go on when the nemesis rests.
 * Method: idempotent producers and consumers of a few partitions on frames, the checker behind
 * them. After every few events the leaders of all brokers are looked at. In the calm each broker is
 * killed in turn, so that what the others hold is read as well. */
#include "tests/sim/sim_workload.h"

#include "broker/broker.h"
#include "broker/partition/partition_map.h"
#include "proto/sys/check.h"
#include "tests/rig/broker_world.h"
#include "tests/sim/cluster_client.h"
#include "tests/sim/sim_fault.h"

#include <stdlib.h>
#include <string.h>

#define EPOCHS_MAX 4096
#define LOOK_EVERY 16U
#define FAULTY_NS (20 * SIM_S)
#define CALM_NS (60 * SIM_S)

struct play {
    struct sim_world *world;
    struct broker_world brokers;
    struct cluster_client client;
    struct sim_checker checker;
    struct sim_fault fault;
    struct sim_node *client_node;
    uint64_t event_count;
    int32_t leaders[CLUSTER_CLIENT_PARTITIONS_MAX][EPOCHS_MAX]; /* 0: nobody seen. */
    int64_t goal;
    /* Of the present look: */
    int32_t looking_at;
    uint32_t full_count;
};

static const char *const settings[] = {"broker.session.timeout.ms=1500",
                                       "broker.heartbeat.interval.ms=200",
                                       "replica.lag.time.max.ms=2000",
                                       "journal.bytes=1048576",
                                       "controller.quorum.election.timeout.ms=500",
                                       "memory.limit.bytes=67108864",
                                       NULL};

/* --- One leader per epoch --- */

static void look_at(void *context, struct partition *partition)
{
    struct play *play = context;
    struct partition_marks marks;
    partition_marks_of(partition, &marks);
    int32_t index = partition_index(partition);
    if (marks.high_watermark > marks.log_end || marks.flushed_end > marks.log_end) {
        sim_world_fail(play->world, "broker %d partition %d: mark %lld, flushed %lld, end %lld",
                       play->looking_at, index, (long long)marks.high_watermark,
                       (long long)marks.flushed_end, (long long)marks.log_end);
    }
    if (!marks.is_leader || marks.leader_epoch >= EPOCHS_MAX) {
        return;
    }
    int32_t *leader = &play->leaders[index][marks.leader_epoch];
    if (*leader != 0 && *leader != play->looking_at) {
        sim_world_fail(play->world, "partition %d: brokers %d and %d both led in epoch %d", index,
                       *leader, play->looking_at, marks.leader_epoch);
    }
    *leader = play->looking_at;
}

static void each_partition(struct play *play, void (*visit)(void *, struct partition *))
{
    for (uint32_t i = 0; i < CLUSTER_CLIENT_BROKERS; i++) {
        struct sim_node *node = play->brokers.brokers[i].node;
        const struct broker_life *life = node->is_up ? node->state : NULL;
        if (life == NULL || life->broker == NULL) {
            continue;
        }
        play->looking_at = play->brokers.brokers[i].broker_id;
        for (uint32_t shard = 0; shard + 1 < node->loop_count; shard++) {
            struct partition_map *map = broker_partitions(life->broker, shard);
            if (map != NULL) {
                partition_map_each(map, visit, play);
            }
        }
    }
}

static void watch(void *context)
{
    struct play *play = context;
    play->event_count += 1;
    if (play->event_count % LOOK_EVERY == 0) {
        each_partition(play, look_at);
    }
}

/* --- Calm --- */

static void count_whole(void *context, struct partition *partition)
{
    struct play *play = context;
    struct partition_marks marks;
    partition_marks_of(partition, &marks);
    uint32_t in_sync = 0;
    if (marks.is_leader) {
        in_sync = partition_in_sync_count(partition);
    }
    play->full_count += in_sync == CLUSTER_CLIENT_BROKERS ? 1 : 0;
}

/* Every partition has a leader whose ISR is whole. */
static bool is_whole(void *context)
{
    struct play *play = context;
    play->full_count = 0;
    each_partition(play, count_whole);
    return play->full_count == (uint32_t)play->client.partition_count;
}

static bool has_progressed(void *context)
{
    const struct play *play = context;
    for (int32_t i = 0; i < play->client.partition_count; i++) {
        if (play->client.producers[i].acknowledged_count < play->goal) {
            return false;
        }
    }
    return true;
}

static bool is_settled(void *context)
{
    const struct play *play = context;
    return cluster_client_is_settled(&play->client);
}

static bool has_read_all(void *context)
{
    const struct play *play = context;
    return cluster_client_has_read_all(&play->client);
}

static bool must(struct play *play, bool (*is_done)(void *context), const char *what)
{
    if (!sim_world_run_until(play->world, is_done, play, CALM_NS)) {
        sim_world_fail(play->world, "no progress in the calm: %s", what);
        return false;
    }
    return true;
}

/* Each broker is away once while everything is read from the others. */
static bool read_all_replicas(struct play *play)
{
    for (uint32_t i = 0; i < CLUSTER_CLIENT_BROKERS; i++) {
        if (!must(play, is_whole, "an ISR is not whole")) {
            return false;
        }
        sim_node_kill(play->brokers.brokers[i].node);
        cluster_client_read_again(&play->client);
        if (!must(play, has_read_all, "something acknowledged or seen cannot be read")) {
            return false;
        }
        broker_world_start(&play->brokers, i);
    }
    return true;
}

static void calm_down(struct play *play)
{
    sim_fault_stop(&play->fault);
    for (int32_t i = 0; i < play->client.partition_count; i++) {
        const struct cluster_actor *producer = &play->client.producers[i];
        play->goal = producer->acknowledged_count + 5 > play->goal
                         ? producer->acknowledged_count + 5
                         : play->goal;
    }
    bool goes_on = must(play, has_progressed, "producers get no acknowledgements");
    play->client.is_resting = true;
    goes_on = goes_on && must(play, is_settled, "a record gets no answer");
    goes_on = goes_on && read_all_replicas(play) && must(play, is_whole, "an ISR is not whole");
    if (goes_on) {
        sim_checker_begin_final(&play->checker);
        cluster_client_read_again(&play->client);
        if (must(play, has_read_all, "the final read does not end")) {
            sim_checker_finish(&play->checker);
        }
    }
}

/* --- The play --- */

static void client_boot(struct sim_node *node, struct loop *loops, uint32_t loop_count)
{
    struct play *play = node->options.context;
    check(loop_count == 1);
    cluster_client_start(&play->client, &loops[0]);
}

static void start_nemesis(struct play *play, struct prng *prng)
{
    static const char *const names[] = {"mixed", "mixed", "network", "crash"};
    struct sim_fault_profile profile = *sim_fault_profile(names[prng_below(prng, 4)]);
    profile.interval_ns_max = sim_world_between(prng, SIM_S / 2, 4 * SIM_S);
    profile.repair_ns_max = sim_world_between(prng, SIM_S / 2, 4 * SIM_S);
    profile.down_max = profile.down_max == 0 ? 0 : 1 + (uint32_t)prng_below(prng, 2);
    profile.weights[SIM_FAULT_WALL_JUMP] = 0;
    struct sim_node *targets[CLUSTER_CLIENT_BROKERS];
    for (uint32_t i = 0; i < CLUSTER_CLIENT_BROKERS; i++) {
        targets[i] = play->brokers.brokers[i].node;
    }
    sim_fault_start(&play->fault, play->world, &profile, targets, CLUSTER_CLIENT_BROKERS);
}

static void run(struct sim_world *world, const struct sim_workload_options *options)
{
    struct play *play = calloc(1, sizeof *play);
    check(play != NULL);
    struct prng *prng = sim_world_prng(world, SIM_STREAM_WORKLOAD);
    uint32_t drawn = 1 + (uint32_t)prng_below(prng, 2);
    struct broker_world_options brokers = {
        .broker_count = CLUSTER_CLIENT_BROKERS,
        .shard_count = options->loop_count == 0 ? drawn : options->loop_count,
        .settings = settings};
    play->world = world;
    sim_checker_init(&play->checker, world);
    broker_world_init(&play->brokers, &brokers, world);
    play->client =
        (struct cluster_client){.world = world,
                                .checker = &play->checker,
                                .partition_count = 1 + (int32_t)prng_below(prng, 3),
                                .pace_ns_max = sim_world_between(prng, SIM_MS, 50 * SIM_MS)};
    for (uint32_t i = 0; i < CLUSTER_CLIENT_BROKERS; i++) {
        broker_world_start(&play->brokers, i);
    }
    play->client_node = sim_node_add(
        world, &(struct sim_node_options){.loop_count = 1, .boot = client_boot, .context = play});
    check(sim_node_start(play->client_node));
    sim_world_watch(world, watch, play);
    sim_world_run_for(world, 3 * SIM_S);
    start_nemesis(play, prng);
    sim_world_run_for(world, FAULTY_NS);
    calm_down(play);
    sim_world_note(world, "%llu records acknowledged, %llu seen",
                   (unsigned long long)sim_checker_count(&play->checker, SIM_OUTCOME_OK),
                   (unsigned long long)play->checker.seen_count);
    sim_world_watch(world, NULL, NULL);
    for (uint32_t i = 0; i < world->node_count; i++) {
        sim_node_lose_power(world->nodes[i]);
    }
    sim_checker_done(&play->checker);
    free(play);
}

const struct sim_workload workload_cluster[] = {
    {"cluster", "three brokers, producers and consumers", false, run},
    {0},
};
