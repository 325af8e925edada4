/* What it costs to keep what is acknowledged: appends through the log until they are flushed, beside
 * bare durable writes of the same bytes in the same run.
 *
 * bench_log [DIRECTORY [MIB]]: 64 KiB batches to 16 partitions, flat out, with so much unflushed at
 * once; then single small batches, one flush each, for the latency. The bare writes go to a file of
 * the journal's size that was written once before, in sheets of 1 MiB. Processor time is of the
 * whole process (loop and lanes); kernel threads are not in it. */
#include "broker/log/log.h"
#include "proto/record/batch_builder.h"
#include "proto/sys/check.h"
#include "proto/sys/host/host_disk.h"
#include "proto/sys/host/host_loop.h"
#include "proto/sys/host/host_memory.h"
#include "proto/sys/host/host_trace.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#define PARTITION_COUNT 16U
#define BATCH_BYTES (64U << 10)
#define WINDOW_BYTES (24U << 20)
#define RAW_BYTES (1U << 20)
#define SMALL_COUNT 1000U

struct part {
    struct log *log;
    int64_t flushed_end;
};

static struct host_disk disk;
static struct host_loop loop;
static struct host_trace trace;
static struct budget budget;
static struct log_store *store;
static struct part parts[PARTITION_COUNT];
static char directory[512];
static uint8_t *batch;
static size_t batch_bytes;
static uint64_t wanted_bytes;
static uint64_t appended_bytes;
static uint64_t flushed_bytes;
static uint64_t busy_count;
static uint32_t next_part;
static bool is_small;
static uint32_t small_count;
static int64_t small_start_ns;
static double small_us[SMALL_COUNT];

struct figure {
    double seconds;
    double cpu_seconds;
};

static double cpu_seconds(void)
{
    struct rusage usage;
    check(getrusage(RUSAGE_SELF, &usage) == 0);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

static double now_seconds(void)
{
    return (double)loop_now_ns(&loop.loop) * 1e-9;
}

static enum status append_one(struct part *part)
{
    batch_stamp_offset(batch, log_end(part->log), 0);
    const struct log_append append = {
        .bytes = batch, .byte_count = batch_bytes, .ingested_ms = clock_wall_ms(loop.loop.clock)};
    return log_append(part->log, &append);
}

static void pump(void)
{
    while (appended_bytes < wanted_bytes && appended_bytes - flushed_bytes < WINDOW_BYTES) {
        struct part *part = &parts[next_part];
        enum status status = append_one(part);
        if (status == STATUS_BUSY) {
            busy_count += 1;
            return;
        }
        check(status == STATUS_OK);
        next_part = (next_part + 1) % PARTITION_COUNT;
        appended_bytes += batch_bytes;
    }
}

static void append_small(void)
{
    small_start_ns = loop_now_ns(&loop.loop);
    check(append_one(&parts[small_count % PARTITION_COUNT]) == STATUS_OK);
}

static void flushed_on_event(void *context, int64_t flushed_end)
{
    struct part *part = context;
    if (is_small) {
        small_us[small_count] = (double)(loop_now_ns(&loop.loop) - small_start_ns) / 1000;
        small_count += 1;
        if (small_count == SMALL_COUNT) {
            host_loop_stop(&loop);
        } else {
            append_small();
        }
        return;
    }
    /* All batches have the same number of records. */
    int64_t records = batch_record_count(&(struct batch_view){batch, (uint32_t)batch_bytes});
    flushed_bytes += (uint64_t)((flushed_end - part->flushed_end) / records) * batch_bytes;
    part->flushed_end = flushed_end;
    if (flushed_bytes >= wanted_bytes) {
        host_loop_stop(&loop);
        return;
    }
    pump();
}

static void room_on_event(void *context)
{
    (void)context;
    if (!is_small) {
        pump();
    }
}

static void failed_on_event(void *context, enum status why)
{
    (void)context;
    (void)fprintf(stderr, "the store failed: %s\n", status_text(why));
    exit(1);
}

static void closed_on_event(void *context)
{
    (void)context;
    host_loop_stop(&loop);
}

static void make_batch(uint32_t byte_count)
{
    static uint8_t value[1024];
    for (size_t i = 0; i < sizeof value; i++) {
        value[i] = (uint8_t)(i * 31);
    }
    free(batch);
    batch = malloc(byte_count + 4096);
    check(batch != NULL);
    struct batch_builder builder;
    batch_builder_init_over(&builder, batch, byte_count);
    const struct batch_builder_record record = {
        .timestamp_ms = clock_wall_ms(loop.loop.clock),
        .value = {.bytes = value, .byte_count = byte_count > 2048 ? 1024 : 64}};
    while (batch_builder_append(&builder, &record) == STATUS_OK) {
    }
    struct batch_builder_finish finish = BATCH_BUILDER_FINISH_PLAIN;
    struct batch_view view;
    check(batch_builder_finish(&builder, &finish, NULL, &view) == STATUS_OK);
    batch_bytes = view.byte_count;
}

static void open_store(void)
{
    check(log_recover(&loop.loop, directory) == STATUS_OK);
    const struct log_store_options options = {.loop = &loop.loop,
                                              .directory = directory,
                                              .budget = &budget,
                                              .on_failed = failed_on_event,
                                              .on_room = room_on_event};
    check(log_store_open(&options, &store) == STATUS_OK);
    for (uint32_t i = 0; i < PARTITION_COUNT; i++) {
        struct log_options log_options = {
            .topic_name = "bench",
            .partition = (int32_t)i,
            .config = {.segment_bytes = 128 << 20,
                       .segment_ms = INT64_MAX,
                       .retention_bytes = -1,
                       .retention_ms = -1,
                       .index_interval_bytes = 4096,
                       .is_delete_policy = true},
            .events = {.on_flushed = flushed_on_event, .context = &parts[i]}};
        memset(log_options.topic_id.bytes, 7, sizeof log_options.topic_id.bytes);
        check(log_open(store, &log_options, &parts[i].log) == STATUS_OK);
    }
}

static struct figure run_log(void)
{
    struct figure figure = {.seconds = now_seconds(), .cpu_seconds = cpu_seconds()};
    pump();
    host_loop_run(&loop);
    figure.seconds = now_seconds() - figure.seconds;
    figure.cpu_seconds = cpu_seconds() - figure.cpu_seconds;
    return figure;
}

static struct figure run_raw(void)
{
    char path[600];
    (void)snprintf(path, sizeof path, "%s/raw", directory);
    int fd = open(path, O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
    uint8_t *bytes = aligned_alloc(4096, RAW_BYTES);
    check(fd >= 0 && bytes != NULL);
    memset(bytes, 7, RAW_BYTES);
    for (uint64_t position = 0; position < LOG_JOURNAL_BYTES_DEFAULT; position += RAW_BYTES) {
        check(pwrite(fd, bytes, RAW_BYTES, (off_t)position) == RAW_BYTES);
    }
    check(fsync(fd) == 0);
    struct figure figure = {.seconds = now_seconds(), .cpu_seconds = cpu_seconds()};
    for (uint64_t done = 0; done < wanted_bytes; done += RAW_BYTES) {
        struct iovec piece = {.iov_base = bytes, .iov_len = RAW_BYTES};
        off_t position = (off_t)(done % LOG_JOURNAL_BYTES_DEFAULT);
        check(pwritev2(fd, &piece, 1, position, RWF_DSYNC) == RAW_BYTES);
    }
    figure.seconds = now_seconds() - figure.seconds;
    figure.cpu_seconds = cpu_seconds() - figure.cpu_seconds;
    free(bytes);
    check(close(fd) == 0);
    check(unlink(path) == 0);
    return figure;
}

static double run_raw_small(void)
{
    char path[600];
    (void)snprintf(path, sizeof path, "%s/raw", directory);
    int fd = open(path, O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
    uint8_t *bytes = aligned_alloc(4096, RAW_BYTES);
    check(fd >= 0 && bytes != NULL);
    memset(bytes, 7, RAW_BYTES);
    check(pwrite(fd, bytes, RAW_BYTES, 0) == RAW_BYTES);
    check(fsync(fd) == 0);
    double started = now_seconds();
    for (uint32_t i = 0; i < SMALL_COUNT; i++) {
        struct iovec piece = {.iov_base = bytes, .iov_len = 4096};
        check(pwritev2(fd, &piece, 1, (off_t)(i % 256) * 4096, RWF_DSYNC) == 4096);
    }
    double seconds = (now_seconds() - started) / SMALL_COUNT;
    free(bytes);
    check(close(fd) == 0);
    check(unlink(path) == 0);
    return seconds * 1e6;
}

static int compare(const void *left, const void *right)
{
    const double *a = left;
    const double *b = right;
    return *a < *b ? -1 : *a > *b;
}

static void print_row(const char *name, struct figure figure, struct figure raw)
{
    double gigabytes = (double)wanted_bytes * 1e-9;
    (void)printf("  %-34s %6.0f MB/s  %5.2f CPU-s/GB   %4.0f %% of the bare speed\n", name,
                 gigabytes * 1000 / figure.seconds, figure.cpu_seconds / gigabytes,
                 raw.seconds / figure.seconds * 100);
}

int main(int argc, char **argv)
{
    (void)snprintf(directory, sizeof directory, "%s/bench-log-%d", argc > 1 ? argv[1] : ".",
                   (int)getpid());
    wanted_bytes = (argc > 2 ? strtoull(argv[2], NULL, 10) : 2048) << 20;
    host_memory_keep_freed();
    check(host_trace_init(&trace, NULL, TRACE_WARN) == STATUS_OK);
    host_disk_init(&disk, &(struct host_disk_options){.trace = &trace.trace});
    check(host_loop_init(&loop, &(struct host_loop_options){
                                    .name = "bench", .disk = &disk.disk, .trace = &trace.trace}) ==
          STATUS_OK);
    budget_init(&budget, (size_t)512 << 20);
    make_batch(BATCH_BYTES);
    open_store();

    struct figure raw = run_raw();
    struct figure first = run_log(); /* The journal's first lap is into fresh extents. */
    uint64_t first_busy = busy_count;
    appended_bytes = flushed_bytes = busy_count = 0;
    struct figure raw_again = run_raw();
    struct figure second = run_log();
    (void)printf("64 KiB batches to %u partitions, %llu MiB, appended until flushed\n",
                 PARTITION_COUNT, (unsigned long long)(wanted_bytes >> 20));
    print_row("bare durable writes of 1 MiB", raw, raw);
    print_row("log", first, raw);
    print_row("bare, again", raw_again, raw_again);
    print_row("log, again", second, raw_again);
    (void)printf("  met a full journal or memory %llu and %llu times\n",
                 (unsigned long long)first_busy, (unsigned long long)busy_count);

    double raw_us = run_raw_small();
    make_batch(200);
    is_small = true;
    append_small();
    host_loop_run(&loop);
    qsort(small_us, SMALL_COUNT, sizeof small_us[0], compare);
    (void)printf("one batch of %zu bytes until flushed\n"
                 "  p50 %.0f us  p99 %.0f us; bare durable write of 4 KiB, mean %.0f us\n",
                 batch_bytes, small_us[SMALL_COUNT / 2], small_us[SMALL_COUNT * 99 / 100], raw_us);

    double started = now_seconds();
    log_store_close(store, closed_on_event, NULL);
    host_loop_run(&loop);
    (void)printf("  clean stop in %.0f ms\n", (now_seconds() - started) * 1000);
    host_loop_done(&loop);
    char command[600];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", directory);
    return system(command) == 0 ? 0 : 1;
}
