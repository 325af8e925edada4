/* Three whole brokers under kills, power losses (of one and of all), cuts, delays, pauses, slow
 * disks and jumps of the wall clock.
 *
 * Goal: no epoch of a partition ever has two leaders; what was acknowledged with acks=all is there
 * for good, once, at the offset that was told, in order; no consumer reads what can vanish; logs
 * are equal below the high watermark; all go on when the nemesis rests.
 * Method: idempotent producers and consumers of a few partitions on frames, sim_checker behind
 * them, log_match behind the brokers after every event. In the calm each broker is killed in turn,
 * so that what the others hold is read as well. Broken ones plant a bug each (log_taps.h). */
#include "tests/sim/sim_workload.h"

#include "broker/broker.h"
#include "broker/partition/partition_map.h"
#include "proto/sys/check.h"
#include "tests/rig/broker_world.h"
#include "tests/sim/cluster_client.h"
#include "tests/sim/log_match.h"
#include "tests/sim/log_taps.h"
#include "tests/sim/sim_fault.h"

#include <stdlib.h>
#include <string.h>

#define FAULTY_NS (20 * SIM_S)
#define CALM_NS (60 * SIM_S)

struct play {
    struct sim_world *world;
    struct broker_world brokers;
    struct cluster_client client;
    struct sim_checker checker;
    struct sim_fault fault;
    struct sim_node *client_node;
    struct log_match match;
    int64_t goal;
    uint32_t full_count; /* Of the present look. */
};

static const char *const settings[] = {"broker.session.timeout.ms=1500",
                                       "broker.heartbeat.interval.ms=200",
                                       "replica.lag.time.max.ms=2000",
                                       "journal.bytes=1048576",
                                       "controller.quorum.election.timeout.ms=500",
                                       "memory.limit.bytes=67108864",
                                       NULL};

/* --- Looking --- */

static void each_partition(const struct sim_node *node,
                           void (*visit)(void *context, struct partition *partition), void *context)
{
    const struct broker_life *life = node->is_up ? node->state : NULL;
    for (uint32_t shard = 0; life != NULL && life->broker != NULL && shard + 1 < node->loop_count;
         shard++) {
        struct partition_map *map = broker_partitions(life->broker, shard);
        if (map != NULL) {
            partition_map_each(map, visit, context);
        }
    }
}

static void watch(void *context)
{
    struct play *play = context;
    const struct sim_node *node = play->world->ran;
    if (node != NULL && node->id <= CLUSTER_CLIENT_BROKERS) {
        log_match_look(&play->match, node);
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
    for (uint32_t i = 0; i < CLUSTER_CLIENT_BROKERS; i++) {
        each_partition(play->brokers.brokers[i].node, count_whole, play);
    }
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
    profile.weights[SIM_FAULT_WALL_JUMP] = 1;
    profile.weights[SIM_FAULT_SLOW_FLUSH] = 1;
    profile.weights[SIM_FAULT_BLACKOUT] = profile.down_max > 0 ? 1 : 0;
    struct sim_node *targets[CLUSTER_CLIENT_BROKERS];
    for (uint32_t i = 0; i < CLUSTER_CLIENT_BROKERS; i++) {
        targets[i] = play->brokers.brokers[i].node;
    }
    sim_fault_start(&play->fault, play->world, &profile, targets, CLUSTER_CLIENT_BROKERS);
}

static void run(struct sim_world *world, const struct sim_workload_options *options,
                enum log_taps_plant plant)
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
    log_match_begin(&play->match, world);
    log_taps_plant(plant);
    broker_world_init(&play->brokers, &brokers, world);
    play->client =
        (struct cluster_client){.world = world,
                                .checker = &play->checker,
                                .match = &play->match,
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
    sim_world_note(world, "%llu records acknowledged, %llu seen, %llu batches compared",
                   (unsigned long long)sim_checker_count(&play->checker, SIM_OUTCOME_OK),
                   (unsigned long long)play->checker.seen_count,
                   (unsigned long long)play->match.compared_count);
    sim_world_watch(world, NULL, NULL);
    for (uint32_t i = 0; i < world->node_count; i++) {
        sim_node_lose_power(world->nodes[i]);
    }
    log_match_end(&play->match);
    sim_checker_done(&play->checker);
    free(play);
}

static void run_sound(struct sim_world *world, const struct sim_workload_options *options)
{
    run(world, options, LOG_TAPS_SOUND);
}

#define PLANTED(name, plant)                                                                       \
    static void run_##name(struct sim_world *world, const struct sim_workload_options *options)    \
    {                                                                                              \
        run(world, options, plant);                                                                \
    }
PLANTED(unflushed_mark, LOG_TAPS_UNFLUSHED_MARK)
PLANTED(cut_to_mark, LOG_TAPS_CUT_TO_MARK)
PLANTED(eager_join, LOG_TAPS_EAGER_JOIN)
PLANTED(agreed_isr, LOG_TAPS_AGREED_ISR)

const struct sim_workload workload_cluster[] = {
    {"cluster", "three brokers, producers and consumers", false, run_sound},
    {"cluster-unflushed-mark", "the mark counts what its leader has not flushed", true,
     run_unflushed_mark},
    {"cluster-cut-to-mark", "followers cut to their mark", true, run_cut_to_mark},
    {"cluster-eager-join", "the ISR takes in who has not reached the mark", true, run_eager_join},
    {"cluster-agreed-isr", "the mark does not wait for who is joining", true, run_agreed_isr},
    {0},
};
