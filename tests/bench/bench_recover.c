/* What a start costs: many logs with a record each since the last checkpoint, after a death and
 * after a clean stop, beside the flushes that treating them one by one would take.
 *
 * bench_recover [DIRECTORY [LOGS]]: four lives of a store, each a process of its own, over the same
 * directory. Seconds of the wall clock. */
#include "broker/log/log.h"
#include "proto/record/batch_builder.h"
#include "proto/sys/check.h"
#include "proto/sys/host/host_disk.h"
#include "proto/sys/host/host_loop.h"
#include "proto/sys/host/host_trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BATCH_BYTES_MAX 512U
#define FLUSHES_OF_A_LOG 5U /* Segment, ingest index, epoch file and its name, directory. */

static struct host_disk disk;
static struct host_loop loop;
static struct host_trace trace;
static struct budget budget;
static struct log_store *store;
static struct log **logs;
static uint32_t log_count;
static uint32_t flushed_count;
static char directory[512];
static uint8_t batch[BATCH_BYTES_MAX];
static size_t batch_bytes;

static double now_seconds(void)
{
    return (double)loop_now_ns(&loop.loop) * 1e-9;
}

static void flushed_on_event(void *context, int64_t flushed_end)
{
    (void)context;
    (void)flushed_end;
    flushed_count += 1;
    if (flushed_count == log_count) {
        host_loop_stop(&loop);
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

static void make_batch(void)
{
    struct batch_builder builder;
    batch_builder_init_over(&builder, batch, sizeof batch);
    const struct batch_builder_record record = {.timestamp_ms = clock_wall_ms(loop.loop.clock),
                                                .value = {.bytes = batch, .byte_count = 100}};
    check(batch_builder_append(&builder, &record) == STATUS_OK);
    struct batch_builder_finish finish = BATCH_BUILDER_FINISH_PLAIN;
    struct batch_view view;
    check(batch_builder_finish(&builder, &finish, NULL, &view) == STATUS_OK);
    batch_bytes = view.byte_count;
}

static void make_world(void)
{
    check(host_trace_init(&trace, NULL, TRACE_WARN) == STATUS_OK);
    host_disk_init(&disk, &(struct host_disk_options){.trace = &trace.trace});
    check(host_loop_init(&loop, &(struct host_loop_options){.name = "bench",
                                                            .disk = &disk.disk,
                                                            .trace = &trace.trace}) == STATUS_OK);
    budget_init(&budget, (size_t)512 << 20);
    make_batch();
}

static void open_logs(void)
{
    const struct log_store_options options = {.loop = &loop.loop,
                                              .directory = directory,
                                              .journal_bytes = 64 << 20,
                                              .budget = &budget,
                                              .on_failed = failed_on_event};
    check(log_store_open(&options, &store) == STATUS_OK);
    for (uint32_t i = 0; i < log_count; i++) {
        struct log_options log_options = {.topic_name = "bench",
                                          .partition = (int32_t)i,
                                          .config = {.segment_bytes = 128 << 20,
                                                     .segment_ms = INT64_MAX,
                                                     .retention_bytes = -1,
                                                     .retention_ms = -1,
                                                     .index_interval_bytes = 4096,
                                                     .is_delete_policy = true},
                                          .events = {.on_flushed = flushed_on_event}};
        memset(log_options.topic_id.bytes, 7, sizeof log_options.topic_id.bytes);
        check(log_open(store, &log_options, &logs[i]) == STATUS_OK);
    }
}

static void append_each(void)
{
    for (uint32_t i = 0; i < log_count; i++) {
        batch_stamp_offset(batch, log_end(logs[i]), 0);
        const struct log_append append = {.bytes = batch,
                                          .byte_count = batch_bytes,
                                          .ingested_ms = clock_wall_ms(loop.loop.clock)};
        check(log_append(logs[i], &append) == STATUS_OK);
    }
    host_loop_run(&loop);
}

static void close_logs(void)
{
    double started = now_seconds();
    log_store_close(store, closed_on_event, NULL);
    host_loop_run(&loop);
    (void)printf("  %-44s %8.3f s\n", "clean stop after that", now_seconds() - started);
}

static void live(const char *name, bool has_appends, bool is_clean)
{
    make_world();
    double started = now_seconds();
    check(log_recover(&loop.loop, directory) == STATUS_OK);
    double recovered = now_seconds();
    open_logs();
    if (name != NULL) {
        (void)printf("  %-44s %8.3f s, opening the logs %.3f s\n", name, recovered - started,
                     now_seconds() - recovered);
    }
    if (has_appends) {
        append_each();
    }
    if (is_clean) {
        close_logs();
    }
    (void)fflush(stdout);
    _exit(0); /* Without a stop: a death, for the files. */
}

static void run_life(const char *name, bool has_appends, bool is_clean)
{
    pid_t child = fork();
    check(child >= 0);
    if (child == 0) {
        live(name, has_appends, is_clean);
    }
    int outcome = 0;
    check(waitpid(child, &outcome, 0) == child);
    check(WIFEXITED(outcome) && WEXITSTATUS(outcome) == 0);
}

static void print_bare(void)
{
    make_world();
    double started = now_seconds();
    for (uint32_t i = 0; i < 100; i++) {
        check(disk_replace_file(&disk.disk, directory, "bare", "x", 1) == STATUS_OK);
    }
    double flush_seconds = (now_seconds() - started) / 200; /* The file and its name. */
    (void)printf("  %-44s %8.3f s (%.2f ms each)\n", "bare flushes, five a log",
                 flush_seconds * FLUSHES_OF_A_LOG * log_count, flush_seconds * 1000);
}

int main(int argc, char **argv)
{
    (void)snprintf(directory, sizeof directory, "%s/bench-recover-%d", argc > 1 ? argv[1] : ".",
                   (int)getpid());
    log_count = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 1001;
    check(log_count > 0);
    logs = calloc(log_count, sizeof(struct log *));
    check(logs != NULL);
    (void)printf("%u logs, one record each before every stop\n", log_count);
    (void)fflush(stdout);
    run_life(NULL, true, false);
    run_life("recovery after a death, logs made since", true, false);
    run_life("recovery after a death", true, true);
    run_life("recovery after a clean stop", false, true);
    print_bare();
    free(logs);
    char command[600];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", directory);
    return system(command) == 0 ? 0 : 1;
}
