/* The broker's log store on one node, under deaths at every disk operation.
 *
 * Goal: after any death everything acknowledged is there, nothing else appears, and starts,
 * truncations, resets and deletions are honoured; failing and full disks do what log.h says.
 * Method: random users of a few logs over one to four stores, whose number changes with each start;
 * after each start every log is read whole and must be one of the states that its model allows. */
#include "tests/sim/sim_workload.h"

#include "proto/sys/check.h"
#include "tests/sim/log_reader.h"
#include "tests/sim/sim_disk.h"
#include "tests/sim/sim_fault.h"

#include <stdlib.h>
#include <string.h>

#define DIRECTORY "data"
#define SHARDS_MAX 4U
#define JOURNAL_BYTES_MIN (256U << 10)
#define RUN_NS (1500 * SIM_MS)
#define CALM_NS (200 * SIM_MS)
#define SETTLE_NS (30 * SIM_S)
#define STEP_NS_MAX (4 * SIM_MS)
#define BUDGET_BYTES_MIN (4U << 20)

/* One store in the node's memory. */
struct shard {
    struct play *play;
    struct loop *loop;
    uint32_t index;
    struct log_store *store;
    struct timer timer;
    bool is_closing;
    bool is_closed;
};

struct life {
    struct budget budget; /* Of the process. */
    struct shard shards[SHARDS_MAX];
    uint32_t shard_count;
};

/* The world's side. */
struct play {
    struct sim_world *world;
    struct sim_node *node;
    struct sim_fault fault;
    struct log_user user;
    struct log_part parts[LOG_USER_PARTS_MAX];
    uint64_t journal_bytes;
    size_t budget_bytes;
    uint32_t loop_count; /* 0: another one with each start. */
    bool has_booted;
    bool is_resting;                    /* No new things are done. */
    bool must_close;                    /* The stores close at the next step. */
    bool is_closing;                    /* They do. */
    bool has_taken[LOG_USER_PARTS_MAX]; /* The last append. */
    uint64_t start_count;
    uint64_t close_count;
};

/* --- The node --- */

static void exit_event(void *context, uint64_t value)
{
    (void)value;
    sim_node_exit(context);
}

static void on_failed(void *context, enum status why)
{
    struct shard *shard = context;
    struct play *play = shard->play;
    bool is_expected = play->node->disk->failure_count > play->user.failure_count_at_start ||
                       play->user.may_be_damaged;
    if (!is_expected || why == STATUS_OK || why == STATUS_NO_SPACE) {
        sim_world_fail(play->world, "store %u failed by itself: %s", shard->index,
                       status_text(why));
    }
    play->user.failed_shards |= 1U << shard->index;
    /* Not at once: nothing may be acknowledged meanwhile. */
    sim_node_after(play->node, sim_world_between(&shard->loop->prng, 0, 5 * SIM_MS), exit_event,
                   play->node, 0);
}

static void on_room(void *context)
{
    struct shard *shard = context;
    for (uint32_t i = 0; i < shard->play->user.part_count; i++) {
        struct log_part *part = &shard->play->parts[i];
        part->waits_for_room &= part->shard != shard->index;
    }
}

static void on_closed(void *context)
{
    struct shard *shard = context;
    struct play *play = shard->play;
    const struct life *life = play->node->state;
    shard->is_closed = true;
    for (uint32_t i = 0; i < life->shard_count; i++) {
        if (!life->shards[i].is_closed) {
            return;
        }
    }
    /* A store that fails while it closes tells nobody: its end is as good as any death. */
    if (play->user.failed_shards == 0 &&
        play->node->disk->failure_count == play->user.failure_count_at_start) {
        for (uint32_t i = 0; i < play->user.part_count; i++) {
            if (!play->parts[i].is_unreadable) { /* Else its state is not known. */
                log_model_flush_all(&play->parts[i].model);
            }
        }
        play->close_count += 1;
    }
    sim_node_after(play->node, 0, exit_event, play->node, 0);
}

/* True: no read is under way, so the store may close. */
static bool shard_is_clear(const struct shard *shard)
{
    bool is_clear = true;
    for (uint32_t i = 0; i < shard->play->user.part_count; i++) {
        struct log_part *part = &shard->play->parts[i];
        if (part->shard == shard->index && part->log != NULL) {
            is_clear &= log_reader_release(part);
        }
    }
    return is_clear;
}

static void shard_close(struct shard *shard)
{
    shard->is_closing = true;
    shard->play->is_closing = true;
    for (uint32_t i = 0; i < shard->play->user.part_count; i++) {
        struct log_part *part = &shard->play->parts[i];
        if (part->shard == shard->index) {
            part->log = NULL;
        }
    }
    log_store_close(shard->store, on_closed, shard);
}

static void on_step(struct timer *timer)
{
    struct shard *shard = container_of(timer, struct shard, timer);
    struct play *play = shard->play;
    struct prng *prng = &shard->loop->prng;
    if (play->must_close) {
        if (shard_is_clear(shard)) {
            shard_close(shard);
            return;
        }
    } else if (play->is_resting) {
        shard_is_clear(shard); /* What reads pin is memory that an append may wait for. */
    } else {
        for (uint64_t i = prng_below(prng, 6); i > 0; i--) {
            struct log_part *part = &play->parts[prng_below(prng, play->user.part_count)];
            if (part->shard == shard->index) {
                log_user_act(part, shard->store);
            }
        }
        play->must_close = prng_below(prng, 3000) == 0;
    }
    timer_start_after(timer, sim_world_between(prng, SIM_US, STEP_NS_MAX));
}

static void must_start(const struct play *play, const char *what, enum status status)
{
    if (status == STATUS_OK) {
        return;
    }
    const struct sim_disk *disk = play->node->disk;
    bool is_excused =
        (status == STATUS_IO && disk->failure_count > play->user.failure_count_at_start) ||
        (status == STATUS_NO_SPACE && disk->has_been_full) || play->user.may_be_damaged;
    if (!is_excused) {
        sim_world_fail(play->world, "%s: %s", what, status_text(status));
    }
    sim_node_exit(play->node);
}

static void boot(struct sim_node *node, struct loop *loops, uint32_t loop_count)
{
    struct play *play = node->options.context;
    play->start_count += 1;
    play->user.failed_shards = 0;
    play->is_closing = false;
    play->user.failure_count_at_start = node->disk->failure_count;
    node->disk->has_been_full = false;
    play->must_close = false;
    struct life *life = calloc(1, sizeof *life);
    check(life != NULL);
    node->state = life;
    budget_init(&life->budget, play->budget_bytes);
    must_start(play, "log_recover", log_recover(&loops[0], DIRECTORY));
    for (uint32_t i = 0; i < loop_count; i++) {
        struct shard *shard = &life->shards[i];
        *shard = (struct shard){.play = play, .loop = &loops[i], .index = i};
        struct log_store_options options = {.loop = &loops[i],
                                            .directory = DIRECTORY,
                                            .shard_index = i,
                                            .journal_bytes = play->journal_bytes,
                                            .budget = &life->budget,
                                            .on_failed = on_failed,
                                            .on_room = on_room,
                                            .context = shard};
        must_start(play, "log_store_open", log_store_open(&options, &shard->store));
        timer_init(&shard->timer, &loops[i].timers, on_step);
        timer_start_after(&shard->timer, 1);
    }
    life->shard_count = loop_count;
    for (uint32_t i = 0; i < play->user.part_count; i++) {
        struct log_part *part = &play->parts[i];
        part->shard = i % loop_count;
        log_user_open(part, life->shards[part->shard].store, &loops[part->shard], true);
    }
    play->has_booted = true;
}

static void on_death(struct sim_node *node, enum sim_node_death death)
{
    struct play *play = node->options.context;
    (void)death;
    for (uint32_t i = 0; i < play->user.part_count; i++) {
        log_user_forget(&play->parts[i]);
        play->parts[i].shard = UINT32_MAX;
    }
    play->has_booted = false;
    if (play->loop_count == 0) {
        struct prng *prng = sim_world_prng(play->world, SIM_STREAM_WORKLOAD);
        sim_node_set_loop_count(node, (uint32_t)prng_below(prng, SHARDS_MAX) + 1);
    }
}

/* --- The play --- */

static bool is_all_flushed(void *context)
{
    const struct play *play = context;
    for (uint32_t i = 0; i < play->user.part_count; i++) {
        const struct log_part *part = &play->parts[i];
        if (part->log == NULL || log_flushed_end(part->log) != log_end(part->log)) {
            return false;
        }
    }
    return play->has_booted;
}

static bool is_down(void *context)
{
    const struct play *play = context;
    return !play->node->is_up;
}

/* Once more for each log that has not taken its last append yet. */
static void append_everywhere(void *context)
{
    struct play *play = context;
    for (uint32_t i = 0; i < play->user.part_count; i++) {
        struct log_part *part = &play->parts[i];
        const struct life *life = play->node->state;
        if (play->has_taken[i] || part->waits_for_room) {
            continue;
        }
        if (part->log == NULL) {
            log_user_open(part, life->shards[part->shard].store, part->loop, false);
        }
        play->has_taken[i] = part->log != NULL && log_user_append(part) == STATUS_OK;
    }
}

static bool have_all_taken(void *context)
{
    struct play *play = context;
    if (play->node->is_up && play->has_booted) {
        sim_node_run(play->node, append_everywhere, play);
    }
    for (uint32_t i = 0; i < play->user.part_count; i++) {
        if (!play->has_taken[i]) {
            return false;
        }
    }
    return true;
}

static bool has_room_everywhere(void *context)
{
    const struct play *play = context;
    for (uint32_t i = 0; i < play->user.part_count; i++) {
        if (play->parts[i].log != NULL && play->parts[i].waits_for_room) {
            return false;
        }
    }
    return true;
}

static void expect(struct play *play, bool (*is_so)(void *context), const char *what)
{
    if (!sim_world_run_until(play->world, is_so, play, SETTLE_NS)) {
        sim_world_fail(play->world, "although the disk is healthy, it never comes to this: %s",
                       what);
    }
}

static void start(struct play *play)
{
    if (!play->world->has_failed && !play->node->is_up) {
        sim_node_start(play->node);
        if (!play->has_booted) {
            sim_world_fail(play->world, "it does not start on a healthy disk");
        }
    }
}

/* With a healthy disk: progress, a clean stop, and nothing lost over a power cut and a kill. */
static void finish(struct play *play)
{
    play->must_close = false;
    sim_world_run_for(play->world, CALM_NS);
    if (play->is_closing) { /* It was stopping by itself. */
        expect(play, is_down, "the stores close");
    }
    start(play);
    play->is_resting = true;
    play->must_close = false;
    expect(play, has_room_everywhere, "room after BUSY");
    expect(play, have_all_taken, "each log takes an append");
    expect(play, is_all_flushed, "all that was appended is flushed");
    if (play->world->has_failed) {
        return;
    }
    if (prng_below(sim_world_prng(play->world, SIM_STREAM_WORKLOAD), 2) == 0) {
        sim_node_lose_power(play->node);
        start(play);
    }
    play->must_close = true;
    play->user.failure_count_at_start = play->node->disk->failure_count; /* Its life is healthy. */
    expect(play, is_down, "the stores close");
    for (uint32_t i = 0; i < play->user.part_count; i++) {
        if (play->parts[i].model.durable_count != play->parts[i].model.change_count) {
            sim_world_fail(play->world, "log %u: a clean stop left something open", i);
        }
    }
    sim_node_lose_power(play->node);
    start(play);
    sim_node_kill(play->node);
    start(play);
}

/* --- Damage --- */

static bool has_suffix(const char *text, const char *suffix)
{
    size_t length = strlen(text);
    size_t suffix_length = strlen(suffix);
    return length >= suffix_length && strcmp(text + length - suffix_length, suffix) == 0;
}

/* A bit in one of the files of a segment. The journal is left alone: the end of what it holds is
 * where it is damaged, so losing some of it is right. */
static void flip_somewhere(struct play *play)
{
    static const char *const suffixes[] = {".log", ".index", ".timeindex", ".txnindex", ".ingest"};
    struct prng *prng = sim_world_prng(play->world, SIM_STREAM_WORKLOAD);
    const char *suffix = suffixes[prng_below(prng, sizeof suffixes / sizeof suffixes[0])];
    struct sim_inode *chosen = NULL;
    uint64_t count = 0;
    for (size_t i = 0; i < play->node->disk->tree.seen.count; i++) {
        const struct sim_name *name = &play->node->disk->tree.seen.names[i];
        if (has_suffix(name->text, suffix) && name->inode->file.byte_count > 0) {
            count += 1;
            chosen = prng_below(prng, count) == 0 ? name->inode : chosen;
        }
    }
    if (chosen == NULL) {
        return;
    }
    uint64_t position = prng_below(prng, chosen->file.byte_count);
    check(sim_file_flip_bit(&chosen->file, position, (unsigned)prng_below(prng, 8)));
    sim_world_note(play->world, "a bit flips in inode %llu, a %s, at %llu",
                   (unsigned long long)chosen->id, suffix, (unsigned long long)position);
}

/* Whatever it refuses, it serves no other bytes, and does not fall over. */
static void run_damaged(struct play *play)
{
    play->user.may_be_damaged = true;
    for (uint32_t i = 0; i < play->user.part_count; i++) {
        play->parts[i].model.is_damaged = true;
    }
    struct prng *prng = sim_world_prng(play->world, SIM_STREAM_WORKLOAD);
    for (uint32_t i = 0; i < 10 && !play->world->has_failed; i++) {
        for (uint64_t k = prng_below(prng, 4); k > 0; k--) {
            flip_somewhere(play);
        }
        if (prng_below(prng, 2) == 0) {
            sim_node_lose_power(play->node);
        } else {
            sim_node_kill(play->node);
        }
        sim_node_start(play->node);
        sim_world_run_for(play->world, 100 * SIM_MS);
    }
}

static void config_make(struct play *play, struct log_part *part, struct prng *prng)
{
    bool has_retention = prng_below(prng, 4) == 0;
    part->config = (struct log_config){.segment_bytes = 4096 << prng_below(prng, 7),
                                       .segment_ms = 604800000,
                                       .retention_bytes = has_retention ? 40000 : -1,
                                       .retention_ms = -1,
                                       .index_interval_bytes = 512 << prng_below(prng, 4),
                                       .file_delete_delay_ms = (int64_t)prng_below(prng, 200),
                                       .is_delete_policy = has_retention,
                                       .is_memory_durable = prng_below(prng, 8) == 0};
    part->user = &play->user;
    log_model_init(&part->model);
    part->model.retention_limit_max = has_retention ? 0 : -1;
    part->shard = UINT32_MAX;
    log_user_name_part(part, prng);
}

static void run(struct sim_world *world, const struct sim_workload_options *options,
                const char *profile)
{
    struct prng *prng = sim_world_prng(world, SIM_STREAM_WORKLOAD);
    struct play *play = calloc(1, sizeof *play);
    check(play != NULL);
    play->world = world;
    play->loop_count = options->loop_count < SHARDS_MAX ? options->loop_count : SHARDS_MAX;
    play->journal_bytes = JOURNAL_BYTES_MIN << prng_below(prng, 3);
    play->budget_bytes = (size_t)BUDGET_BYTES_MIN << prng_below(prng, 4);
    play->node = sim_node_add(world, &(struct sim_node_options){.loop_count = play->loop_count,
                                                                .boot = boot,
                                                                .on_death = on_death,
                                                                .context = play});
    play->node->disk->has_direct = prng_below(prng, 4) > 0;
    play->user =
        (struct log_user){.world = world,
                          .node = play->node,
                          .parts = play->parts,
                          .part_count = (uint32_t)prng_below(prng, LOG_USER_PARTS_MAX) + 1};
    for (uint32_t i = 0; i < play->user.part_count; i++) {
        play->parts[i].index = i;
        config_make(play, &play->parts[i], prng);
    }
    bool is_damaged = strcmp(profile, "damage") == 0;
    sim_fault_start(&play->fault, world, sim_fault_profile(is_damaged ? "quiet" : profile),
                    &play->node, 1);
    sim_node_start(play->node);
    sim_world_run_for(world, is_damaged ? RUN_NS / 3 : RUN_NS);
    sim_fault_stop(&play->fault);
    if (is_damaged) {
        run_damaged(play);
    } else if (!world->has_failed) {
        finish(play);
    }
    sim_world_note(
        world,
        "%llu starts, %llu clean stops, %llu appends, %llu refusals, %llu flushes, %llu "
        "reads, %llu of them cold, %llu disk operations, node memory %zu KiB at most",
        (unsigned long long)play->start_count, (unsigned long long)play->close_count,
        (unsigned long long)play->user.append_count, (unsigned long long)play->user.refused_count,
        (unsigned long long)play->user.flush_count, (unsigned long long)play->user.read_count,
        (unsigned long long)play->user.cold_read_count,
        (unsigned long long)play->node->disk->operation_count,
        play->node->heap.byte_count_max >> 10);
    sim_node_kill(play->node);
    for (uint32_t i = 0; i < play->user.part_count; i++) {
        log_model_done(&play->parts[i].model);
    }
    free(play);
}

static void run_crash(struct sim_world *world, const struct sim_workload_options *options)
{
    run(world, options, "crash");
}

static void run_disk(struct sim_world *world, const struct sim_workload_options *options)
{
    run(world, options, "disk");
}

static void run_damage(struct sim_world *world, const struct sim_workload_options *options)
{
    run(world, options, "damage");
}

static void run_quiet(struct sim_world *world, const struct sim_workload_options *options)
{
    run(world, options, "quiet");
}

const struct sim_workload workload_log[] = {
    {"log", "the log store under deaths at any disk operation", false, run_crash},
    {"log-disk", "the log store on failing, slow and full disks", false, run_disk},
    {"log-damage", "the log store over flipped bits", false, run_damage},
    {"log-quiet", "the log store left alone", false, run_quiet},
    {0},
};
