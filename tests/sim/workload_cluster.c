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
#include "tests/sim/txn_actor.h"

#include <stdlib.h>
#include <string.h>

#define TXN_ACTORS_MAX 3U
#define FAULTY_NS (20 * SIM_S)
#define CALM_NS (60 * SIM_S)

struct play {
    struct sim_world *world;
    struct broker_world brokers;
    struct cluster_client client;
    struct sim_checker checker;
    struct txn_history history;
    struct txn_actor actors[TXN_ACTORS_MAX];
    uint32_t actor_count;
    bool is_id_shared; /* By the first two. */
    struct sim_fault fault;
    struct sim_node *client_node;
    struct log_match match;
    int64_t goals[CLUSTER_CLIENT_PARTITIONS_MAX]; /* Acknowledgements to be reached in the calm. */
    uint32_t full_count;                          /* Of the present look. */
    uint32_t ended_before[TXN_ACTORS_MAX];
    int telling; /* Broker. */
};

static const char *const settings[] = {
    "broker.session.timeout.ms=1500",
    "broker.heartbeat.interval.ms=200",
    "replica.lag.time.max.ms=2000",
    "journal.bytes=1048576",
    "controller.quorum.election.timeout.ms=500",
    "memory.limit.bytes=67108864",
    "internal.topic.partitions=2",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms=2000",
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
    return play->full_count == play->match.partition_count;
}

static bool has_progressed(void *context)
{
    const struct play *play = context;
    for (int32_t i = 0; i < play->client.partition_count; i++) {
        if (play->client.producers[i].acknowledged_count < play->goals[i]) {
            return false;
        }
    }
    return true;
}

static bool is_settled(void *context)
{
    const struct play *play = context;
    for (uint32_t i = 0; i < play->actor_count; i++) {
        if (!play->actors[i].is_idle) {
            return false;
        }
    }
    return cluster_client_is_settled(&play->client);
}

static bool has_read_all(void *context)
{
    const struct play *play = context;
    return cluster_client_has_read_all(&play->client);
}

/* Each producer has brought one to its end; of those who share an id, one has. */
static bool has_ended_txns(void *context)
{
    const struct play *play = context;
    for (uint32_t i = 0; i < play->actor_count; i++) {
        bool has_ended = play->actors[i].ended_count > play->ended_before[i];
        if (i < 2 && play->is_id_shared) {
            has_ended = play->actors[0].ended_count > play->ended_before[0] ||
                        play->actors[1].ended_count > play->ended_before[1];
        }
        if (!has_ended) {
            return false;
        }
    }
    return true;
}

/* What each replica believes, for the story of a failure. */
static void tell(void *context, struct partition *partition)
{
    struct play *play = context;
    struct partition_marks marks;
    partition_marks_of(partition, &marks);
    sim_world_note(play->world,
                   "  %s-%d on broker %d: %s epoch %d, ISR of %u, end %lld flushed %lld"
                   " mark %lld stable %lld",
                   partition_topic_name(partition), partition_index(partition), play->telling,
                   marks.is_leader ? "leads" : "follows", marks.leader_epoch,
                   partition_in_sync_count(partition), (long long)marks.log_end,
                   (long long)marks.flushed_end, (long long)marks.high_watermark,
                   (long long)marks.last_stable_offset);
}

static bool must(struct play *play, bool (*is_done)(void *context), const char *what)
{
    if (!sim_world_run_until(play->world, is_done, play, CALM_NS)) {
        for (uint32_t i = 0; i < CLUSTER_CLIENT_BROKERS; i++) {
            play->telling = (int)i + 1;
            each_partition(play->brokers.brokers[i].node, tell, play);
        }
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
        play->goals[i] = play->client.producers[i].acknowledged_count + 5;
    }
    for (uint32_t i = 0; i < play->actor_count; i++) {
        play->ended_before[i] = play->actors[i].ended_count;
    }
    bool goes_on = must(play, has_progressed, "producers get no acknowledgements") &&
                   must(play, has_ended_txns, "transactions do not end");
    play->client.is_resting = true;
    for (uint32_t i = 0; i < play->actor_count; i++) {
        txn_actor_rest(&play->actors[i]);
    }
    goes_on = goes_on && must(play, is_settled, "a record or a transaction gets no answer");
    cluster_client_read_again(&play->client);
    goes_on = goes_on && must(play, has_read_all, "a reader is held back");
    goes_on = goes_on && read_all_replicas(play) && must(play, is_whole, "an ISR is not whole");
    if (goes_on) {
        sim_checker_begin_final(&play->checker);
        txn_history_begin_final(&play->history);
        cluster_client_read_again(&play->client);
        if (must(play, has_read_all, "the final read does not end")) {
            sim_checker_finish(&play->checker);
            txn_history_finish(&play->history);
        }
    }
}

/* --- The play --- */

static void client_boot(struct sim_node *node, struct loop *loops, uint32_t loop_count)
{
    struct play *play = node->options.context;
    check(loop_count == 1);
    cluster_client_start(&play->client, &loops[0]);
    static const char *const ids[TXN_ACTORS_MAX] = {"txn-0", "txn-1", "txn-2"};
    for (uint32_t i = 0; i < play->actor_count; i++) {
        struct txn_actor_options options = {
            .world = play->world,
            .loop = &loops[0],
            .history = &play->history,
            .producer = i,
            .transactional_id = ids[i == 1 && play->is_id_shared ? 0 : i],
            .partition_count = play->client.txn_partition_count,
            .broker_count = CLUSTER_CLIENT_BROKERS,
            .pace_ns_max = play->client.pace_ns_max,
        };
        txn_actor_start(&play->actors[i], &options);
    }
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
    if (profile.down_max > 0 && sim_world_chance(prng, 0.3)) {
        profile.weights[SIM_FAULT_READ_ERROR] = 1;
        profile.weights[SIM_FAULT_WRITE_ERROR] = 1;
        profile.weights[SIM_FAULT_DISK_FULL] = 2;
    }
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
                                .history = &play->history,
                                .partition_count = 1 + (int32_t)prng_below(prng, 3),
                                .txn_partition_count = 1 + (int32_t)prng_below(prng, 3),
                                .pace_ns_max = sim_world_between(prng, SIM_MS, 50 * SIM_MS)};
    txn_history_init(&play->history, world);
    play->actor_count = 1 + (uint32_t)prng_below(prng, TXN_ACTORS_MAX);
    play->is_id_shared = play->actor_count > 1 && sim_world_chance(prng, 0.3);
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
    sim_world_note(world, "transactions: %llu committed, %llu aborted, %llu unknown",
                   (unsigned long long)txn_history_count(&play->history, TXN_HISTORY_COMMITTED),
                   (unsigned long long)txn_history_count(&play->history, TXN_HISTORY_ABORTED),
                   (unsigned long long)txn_history_count(&play->history, TXN_HISTORY_UNKNOWN));
    txn_history_done(&play->history);
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
PLANTED(open_read, LOG_TAPS_OPEN_READ)
PLANTED(no_aborted, LOG_TAPS_NO_ABORTED)
PLANTED(lost_end, LOG_TAPS_LOST_END)

const struct sim_workload workload_cluster[] = {
    {"cluster", "three brokers, producers and consumers", false, run_sound},
    {"cluster-unflushed-mark", "the mark counts what its leader has not flushed", true,
     run_unflushed_mark},
    {"cluster-cut-to-mark", "followers cut to their mark", true, run_cut_to_mark},
    {"cluster-eager-join", "the ISR takes in who has not reached the mark", true, run_eager_join},
    {"cluster-agreed-isr", "the mark does not wait for who is joining", true, run_agreed_isr},
    {"cluster-open-read", "committed readers see open transactions", true, run_open_read},
    {"cluster-no-aborted", "committed readers are not told what was aborted", true, run_no_aborted},
    {"cluster-lost-end", "a new coordinator forgets ends that had begun", true, run_lost_end},
    {0},
};
