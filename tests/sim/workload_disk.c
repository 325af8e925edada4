/* A toy store on one node: append-only logs, one per loop, written and flushed on lanes.
 *
 * Goal: the simulated disk is fair to a program that flushes properly, and finds each of five
 * classic mistakes within a few hundred seeds. Method: appends at random times; deaths at random
 * disk operations; after each start the store reads its logs, and the checker compares. */
#include "tests/sim/sim_workload.h"

#include "proto/sys/check.h"
#include "tests/sim/sim_checker.h"
#include "tests/sim/sim_disk.h"
#include "tests/sim/sim_fault.h"
#include "tests/sim/sim_node.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define LOG_COUNT 4U
#define BATCH_BYTES_MAX 16384U
#define PAYLOAD_BYTES_MAX 1500U
#define BATCH_RECORDS_MAX 64U
#define LOG_BYTES_MAX (8U << 20)
#define RUN_NS (3 * SIM_S)
#define CALM_NS (200 * SIM_MS)

enum mistake {
    MISTAKE_NONE,
    MISTAKE_EARLY_ACK,         /* Acknowledges when written, before the flush. */
    MISTAKE_NO_DIRECTORY_SYNC, /* Trusts that a new file has a name. */
    MISTAKE_NO_CHECKSUM,       /* Takes a torn record for whole. */
    MISTAKE_UNSYNCED_RECOVERY, /* Serves what it found without flushing it. */
    MISTAKE_FLUSH_AGAIN,       /* Believes the second flush after a failed one. */
};

struct record {
    uint32_t byte_count; /* Of the payload behind it. */
    uint32_t number;     /* In the log, from 0. */
    uint64_t value;
    uint64_t checksum; /* Of all but itself. */
};

struct batch {
    uint8_t bytes[BATCH_BYTES_MAX];
    size_t byte_count;
    uint64_t values[BATCH_RECORDS_MAX];
    uint32_t record_count;
};

/* One log, on its loop, in the node's memory. */
struct toy {
    struct play *play;
    struct loop *loop;
    struct disk_file *file;
    struct disk_lane *lane;
    uint32_t key;
    uint64_t end; /* Bytes. */
    uint32_t record_count;
    struct timer timer;
    struct batch batches[2];
    struct batch *filling;
    struct batch *flushing; /* NULL: the lane is idle. */
    struct disk_buffer buffer;
    struct disk_request request;
    bool has_flushed_again;
};

/* The world's side. */
struct play {
    struct sim_world *world;
    struct sim_node *node;
    struct sim_checker checker;
    struct sim_fault fault;
    enum mistake mistake;
    uint64_t life; /* The last that the store has told. */
    bool has_booted;
};

/* The store's only answer to a failing disk: stop, and look at what is there. */
static void must(struct toy *toy, enum status status)
{
    if (status != STATUS_OK) {
        sim_node_exit(sim_node_of(toy->loop));
    }
}

static uint64_t checksum(const struct record *record, const uint8_t *payload)
{
    uint64_t seed = record->value * 31 + record->number;
    return XXH3_64bits_withSeed(payload, record->byte_count, seed);
}

/* Equal values have equal payloads, so a reader can tell a torn one. */
static void payload_fill(uint64_t value, uint8_t *payload, uint32_t byte_count)
{
    uint64_t word = value * UINT64_C(0x9e3779b97f4a7c15);
    for (uint32_t i = 0; i < byte_count; i += sizeof word) {
        memcpy(payload + i, &word, byte_count - i < sizeof word ? byte_count - i : sizeof word);
        word += i;
    }
}

/* --- Appending --- */

static void batch_begin(struct toy *toy);

static void acknowledge(struct toy *toy)
{
    struct batch *batch = toy->flushing;
    for (uint32_t i = 0; i < batch->record_count; i++) {
        sim_checker_end(&toy->play->checker, batch->values[i], SIM_OUTCOME_OK,
                        toy->record_count + i);
    }
}

static void on_flushed(struct disk_request *request)
{
    struct toy *toy = container_of(request, struct toy, request);
    if (request->status != STATUS_OK && toy->play->mistake == MISTAKE_FLUSH_AGAIN &&
        !toy->has_flushed_again) {
        toy->has_flushed_again = true;
        disk_submit(toy->loop->disk, toy->lane, request);
        return;
    }
    must(toy, request->status);
    if (toy->play->mistake != MISTAKE_EARLY_ACK) {
        acknowledge(toy);
    }
    toy->record_count += toy->flushing->record_count;
    toy->end += toy->flushing->byte_count;
    *toy->flushing = (struct batch){0};
    toy->flushing = NULL;
    batch_begin(toy);
}

static void on_written(struct disk_request *request)
{
    struct toy *toy = container_of(request, struct toy, request);
    must(toy, request->status);
    if (toy->play->mistake == MISTAKE_EARLY_ACK) {
        acknowledge(toy);
    }
    toy->request.kind = DISK_SYNC;
    toy->request.on_done = on_flushed;
    disk_submit(toy->loop->disk, toy->lane, request);
}

static void batch_begin(struct toy *toy)
{
    if (toy->flushing != NULL || toy->filling->record_count == 0) {
        return;
    }
    toy->flushing = toy->filling;
    toy->filling = toy->flushing == &toy->batches[0] ? &toy->batches[1] : &toy->batches[0];
    toy->buffer =
        (struct disk_buffer){.base = toy->flushing->bytes, .byte_count = toy->flushing->byte_count};
    toy->request = (struct disk_request){.kind = DISK_WRITE,
                                         .file = toy->file,
                                         .position = toy->end,
                                         .buffers = &toy->buffer,
                                         .buffer_count = 1,
                                         .on_done = on_written};
    disk_submit(toy->loop->disk, toy->lane, &toy->request);
}

static void append(struct toy *toy)
{
    struct batch *batch = toy->filling;
    struct record record = {.byte_count =
                                (uint32_t)prng_below(&toy->loop->prng, PAYLOAD_BYTES_MAX)};
    if (batch->record_count == BATCH_RECORDS_MAX ||
        batch->byte_count + sizeof record + record.byte_count > BATCH_BYTES_MAX) {
        return;
    }
    record.number = toy->record_count + batch->record_count;
    if (toy->flushing != NULL) {
        record.number += toy->flushing->record_count;
    }
    record.value =
        sim_checker_begin(&toy->play->checker, toy->key, sim_node_of(toy->loop)->incarnation);
    uint8_t *payload = batch->bytes + batch->byte_count + sizeof record;
    payload_fill(record.value, payload, record.byte_count);
    record.checksum = checksum(&record, payload);
    memcpy(payload - sizeof record, &record, sizeof record);
    batch->byte_count += sizeof record + record.byte_count;
    batch->values[batch->record_count] = record.value;
    batch->record_count += 1;
}

static void on_timer(struct timer *timer)
{
    struct toy *toy = container_of(timer, struct toy, timer);
    for (uint64_t i = prng_below(&toy->loop->prng, 4); i > 0; i--) {
        append(toy);
    }
    batch_begin(toy);
    timer_start_after(timer, sim_world_between(&toy->loop->prng, 100 * SIM_US, 5 * SIM_MS));
}

/* --- Recovery --- */

/* Gives the bytes of the record at `bytes`; 0: the log ends here. */
static size_t record_check(const struct toy *toy, const uint8_t *bytes, size_t byte_count,
                           struct record *out_record)
{
    if (byte_count < sizeof *out_record) {
        return 0;
    }
    memcpy(out_record, bytes, sizeof *out_record);
    if (out_record->byte_count > byte_count - sizeof *out_record ||
        out_record->number != toy->record_count || out_record->value == 0) {
        return 0;
    }
    const uint8_t *payload = bytes + sizeof *out_record;
    if (toy->play->mistake != MISTAKE_NO_CHECKSUM &&
        out_record->checksum != checksum(out_record, payload)) {
        return 0;
    }
    return sizeof *out_record + out_record->byte_count;
}

/* What the log holds is told to a reader. */
static void record_show(struct toy *toy, const struct record *record, const uint8_t *payload)
{
    uint8_t expected[PAYLOAD_BYTES_MAX];
    check(record->byte_count <= PAYLOAD_BYTES_MAX);
    payload_fill(record->value, expected, record->byte_count);
    if (memcmp(payload, expected, record->byte_count) != 0) {
        sim_world_fail(toy->play->world, "key %u record %u is torn and was served", toy->key,
                       record->number);
    }
    sim_checker_see(&toy->play->checker, toy->key, record->number, record->value);
}

static void log_scan(struct toy *toy, const uint8_t *bytes, size_t byte_count, bool shows)
{
    toy->record_count = 0;
    toy->end = 0;
    for (;;) {
        struct record record;
        size_t taken = record_check(toy, bytes + toy->end, byte_count - toy->end, &record);
        if (taken == 0) {
            return;
        }
        if (shows) {
            record_show(toy, &record, bytes + toy->end + sizeof record);
        }
        toy->end += taken;
        toy->record_count += 1;
    }
}

static void log_recover(struct toy *toy)
{
    struct disk *disk = toy->loop->disk;
    char path[32];
    snprintf(path, sizeof path, "toy/log-%u", toy->key);
    must(toy, disk_open(disk, path, DISK_OPEN_WRITE | DISK_OPEN_CREATE, &toy->file));
    if (toy->play->mistake != MISTAKE_NO_DIRECTORY_SYNC) {
        must(toy, disk_sync_directory(disk, "toy"));
    }
    uint8_t *bytes = malloc(LOG_BYTES_MAX);
    check(bytes != NULL);
    size_t byte_count = 0;
    must(toy, disk_file_read(disk, toy->file, 0, bytes, LOG_BYTES_MAX, &byte_count));
    check(byte_count < LOG_BYTES_MAX);
    log_scan(toy, bytes, byte_count, false);
    must(toy, disk_file_truncate(disk, toy->file, toy->end));
    if (toy->play->mistake != MISTAKE_UNSYNCED_RECOVERY) {
        /* A flush that failed in an earlier life left pages that look clean: what they hold must
         * be written again, or this flush does not cover it. */
        must(toy, disk_file_write(disk, toy->file, 0, bytes, (size_t)toy->end));
        must(toy, disk_file_sync(disk, toy->file));
    }
    sim_checker_cut(&toy->play->checker, toy->key, toy->record_count);
    log_scan(toy, bytes, byte_count, true);
    free(bytes);
}

/* The number of this life is kept by replacing a small file; it must rise. */
static void life_begin(struct toy *toy)
{
    struct disk *disk = toy->loop->disk;
    must(toy, disk_make_directory(disk, "toy"));
    if (toy->play->mistake != MISTAKE_NO_DIRECTORY_SYNC) {
        must(toy, disk_sync_directory(disk, "/"));
    }
    uint64_t life = 0;
    uint8_t *bytes = NULL;
    size_t byte_count = 0;
    enum status status = disk_read_file(disk, "toy/life", sizeof life, &bytes, &byte_count);
    if (status == STATUS_OK && byte_count == sizeof life) {
        memcpy(&life, bytes, sizeof life);
        free(bytes);
    } else if (status != STATUS_NOT_FOUND) {
        must(toy, status == STATUS_OK ? STATUS_CORRUPT : status);
    }
    if (life < toy->play->life) {
        sim_world_fail(toy->play->world, "life %llu is followed by %llu",
                       (unsigned long long)toy->play->life, (unsigned long long)life + 1);
    }
    life += 1;
    must(toy, disk_replace_file(disk, "toy", "life", &life, sizeof life));
    toy->play->life = life;
}

static void boot(struct sim_node *node, struct loop *loops, uint32_t loop_count)
{
    struct play *play = node->options.context;
    for (uint32_t i = 0; i < LOG_COUNT; i++) {
        struct toy *toy = calloc(1, sizeof *toy);
        check(toy != NULL);
        toy->play = play;
        toy->loop = &loops[i % loop_count];
        toy->key = i;
        toy->filling = &toy->batches[0];
        if (i == 0) {
            life_begin(toy);
        }
        log_recover(toy);
        must(toy, disk_lane_open(toy->loop->disk, toy->loop, "toy", &toy->lane));
        timer_init(&toy->timer, &toy->loop->timers, on_timer);
        timer_start_after(&toy->timer, SIM_MS);
    }
    play->has_booted = true;
}

/* --- The play --- */

static void restart_clean(struct play *play, bool is_final)
{
    sim_node_kill(play->node);
    play->has_booted = false;
    if (is_final) {
        sim_checker_begin_final(&play->checker);
    }
    sim_node_start(play->node);
    if (!play->has_booted) {
        sim_world_fail(play->world, "the store does not start on a healthy disk");
    }
}

static void run(struct sim_world *world, const struct sim_workload_options *options,
                enum mistake mistake)
{
    struct prng *prng = sim_world_prng(world, SIM_STREAM_WORKLOAD);
    struct play play = {.world = world, .mistake = mistake};
    sim_checker_init(&play.checker, world);
    uint32_t loop_count =
        options->loop_count > 0 ? options->loop_count : (uint32_t)prng_below(prng, LOG_COUNT) + 1;
    play.node = sim_node_add(world, &(struct sim_node_options){
                                        .loop_count = loop_count, .boot = boot, .context = &play});
    const char *profile = prng_below(prng, 2) == 0 ? "crash" : "disk";
    struct sim_fault_profile own = *sim_fault_profile(profile);
    sim_fault_start(&play.fault, world, &own, &play.node, 1);
    sim_node_start(play.node);
    sim_world_run_for(world, RUN_NS);
    sim_fault_stop(&play.fault);
    sim_world_run_for(world, CALM_NS);
    if (!world->has_failed) {
        restart_clean(&play, true);
        sim_checker_finish(&play.checker);
        sim_world_note(world, "%llu appends, %llu acknowledged, %llu disk operations",
                       (unsigned long long)play.checker.append_count,
                       (unsigned long long)sim_checker_count(&play.checker, SIM_OUTCOME_OK),
                       (unsigned long long)play.node->disk->operation_count);
    }
    sim_node_kill(play.node);
    sim_checker_done(&play.checker);
}

static void run_right(struct sim_world *world, const struct sim_workload_options *options)
{
    run(world, options, MISTAKE_NONE);
}

static void run_early_ack(struct sim_world *world, const struct sim_workload_options *options)
{
    run(world, options, MISTAKE_EARLY_ACK);
}

static void run_no_directory_sync(struct sim_world *world,
                                  const struct sim_workload_options *options)
{
    run(world, options, MISTAKE_NO_DIRECTORY_SYNC);
}

static void run_no_checksum(struct sim_world *world, const struct sim_workload_options *options)
{
    run(world, options, MISTAKE_NO_CHECKSUM);
}

static void run_unsynced_recovery(struct sim_world *world,
                                  const struct sim_workload_options *options)
{
    run(world, options, MISTAKE_UNSYNCED_RECOVERY);
}

static void run_flush_again(struct sim_world *world, const struct sim_workload_options *options)
{
    run(world, options, MISTAKE_FLUSH_AGAIN);
}

const struct sim_workload workload_disk[] = {
    {"disk", "a toy store that flushes properly", false, run_right},
    {"disk-early-ack", "acknowledges before the flush", true, run_early_ack},
    {"disk-no-directory-sync", "new files without a durable name", true, run_no_directory_sync},
    {"disk-no-checksum", "torn records are taken for whole", true, run_no_checksum},
    {"disk-unsynced-recovery", "serves what it found unflushed", true, run_unsynced_recovery},
    {"disk-flush-again", "believes a flush after a failed one", true, run_flush_again},
    {0},
};
