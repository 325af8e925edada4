/* millrace-broker: the program around one broker. Reads settings, makes the world, runs the loops.
 *
 * Says `ready port=N` on standard output when clients can come; ends with 0 after SIGTERM or
 * SIGINT, with 1 when the node failed, with 2 for wrong usage. */
#include "broker/broker.h"
#include "proto/sys/host/host_clock.h"
#include "proto/sys/host/host_disk.h"
#include "proto/sys/host/host_lock.h"
#include "proto/sys/host/host_loop.h"
#include "proto/sys/host/host_memory.h"
#include "proto/sys/host/host_reserve.h"
#include "proto/sys/host/host_settings.h"
#include "proto/sys/host/host_signal.h"
#include "proto/sys/host/host_streams.h"
#include "proto/sys/host/host_trace.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONFIG_FILE_BYTES_MAX (1U << 20)
#define RESERVE_NAME "reserve"

struct program {
    struct broker_config config;
    struct host_trace trace;
    struct host_disk disk;
    struct host_reserve reserve;
    struct host_loop shards[BROKER_SHARDS_MAX];
    struct host_loop quorum;
    struct host_signal terminate;
    struct host_signal interrupt;
    struct host_lock lock;
    struct broker *broker;
    uint32_t shard_count;
};

static void print_help(void)
{
    puts("millrace-broker: one broker of a Millrace cluster\n"
         "\n"
         "  millrace-broker [--config FILE] [--set KEY=VALUE]...\n"
         "\n"
         "  --config FILE     settings, one KEY=VALUE a line\n"
         "  --set KEY=VALUE   one setting; beats the file\n"
         "  --version, --help\n"
         "\n"
         "example: millrace-broker --set log.dir=/var/lib/millrace --set listeners=127.0.0.1:9092\n"
         "\n"
         "settings (default):");
    struct broker_config_row row;
    for (uint32_t i = 0; broker_config_row_at(i, &row); i++) {
        printf("  %-40s %s (%s)\n", row.key, row.help, row.initial);
    }
}

static enum status settings_set(void *context, const char *key, const char *value,
                                char error[static HOST_SETTINGS_ERROR_BYTES])
{
    struct broker_config_error told;
    enum status status = broker_config_set(context, key, value, &told);
    if (status != STATUS_OK) {
        (void)snprintf(error, HOST_SETTINGS_ERROR_BYTES, "%s", told.text);
    }
    return status;
}

static enum status settings_read(void *context, const char *text, size_t byte_count,
                                 char error[static HOST_SETTINGS_ERROR_BYTES])
{
    struct broker_config_error told;
    enum status status = broker_config_read(context, text, byte_count, &told);
    if (status != STATUS_OK) {
        (void)snprintf(error, HOST_SETTINGS_ERROR_BYTES, "%s", told.text);
    }
    return status;
}

/* 0: go on; else the exit status plus one. */
static int read_arguments(struct program *self, int argument_count, char **arguments)
{
    struct host_settings settings = {.program = "millrace-broker",
                                     .version = "0.1.0",
                                     .example = "node.id=2",
                                     .disk = &self->disk.disk,
                                     .print_help = print_help,
                                     .set = settings_set,
                                     .read = settings_read,
                                     .context = &self->config};
    int outcome = host_settings_take(&settings, argument_count, arguments);
    struct broker_config_error error;
    if (outcome == 0 && broker_config_finish(&self->config, &error) != STATUS_OK) {
        outcome = host_settings_refuse(error.text);
    }
    return outcome;
}

static void broker_on_ready(void *context, uint16_t port)
{
    (void)context;
    printf("ready port=%u\n", port);
    fflush(stdout);
}

/* Whatever was acknowledged is flushed; anything written from here on could be wrong. */
static void broker_on_failed(void *context, enum status why)
{
    const struct program *self = context;
    if (why == STATUS_FENCED) {
        fprintf(
            stderr,
            "error NODE_ID_TAKEN: another process that lives is broker %lld of this cluster; two "
            "with one id and copied data would lose records; stop that one, or give this one "
            "its own node.id and an empty log.dir\n",
            (long long)self->config.node_id);
        _exit(1);
    }
    if (why == STATUS_EXISTS) {
        fprintf(stderr,
                "error START: the broker cannot start at %s; another process listens there; stop "
                "that one, or choose another address: --set listeners=HOST:PORT\n",
                self->config.listeners);
        _exit(1);
    }
    fprintf(stderr, "error STOPPED: the broker cannot go on; %s; see its trace for what happened\n",
            status_text(why));
    _exit(1);
}

static void broker_on_closed(void *context)
{
    struct program *self = context;
    self->broker = NULL;
    host_loop_stop(&self->shards[0]);
}

static void stop(struct program *self)
{
    if (self->broker != NULL) {
        broker_close(self->broker);
    }
}

static void terminate_on_signal(struct host_signal *signal, int number)
{
    (void)number;
    stop(container_of(signal, struct program, terminate));
}

static void interrupt_on_signal(struct host_signal *signal, int number)
{
    (void)number;
    stop(container_of(signal, struct program, interrupt));
}

static uint32_t core_count(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count < 1 ? 1 : count > (long)BROKER_SHARDS_MAX ? BROKER_SHARDS_MAX : (uint32_t)count;
}

/* A commit waits for these writes, so they should not wait behind busy neighbours. */
static const char *const realtime_lanes[] = {"journal", "quorum-log", NULL};

static enum status make_world(struct program *self)
{
    TRY(host_trace_init(&self->trace, NULL, TRACE_INFO));
    char path[DISK_PATH_BYTES_MAX];
    int length = snprintf(path, sizeof path, "%s/" RESERVE_NAME, self->config.log_dir);
    if (length < 0 || (size_t)length >= sizeof path) {
        return STATUS_INVALID;
    }
    TRY(host_reserve_open(&self->reserve, path, (uint64_t)self->config.reserve_bytes,
                          &self->trace.trace));
    struct host_disk_options disk = {
        .trace = &self->trace.trace, .reserve = &self->reserve, .realtime_lanes = realtime_lanes};
    host_disk_init(&self->disk, &disk);
    self->shard_count =
        self->config.shard_count > 0 ? (uint32_t)self->config.shard_count : core_count();
    for (uint32_t i = 0; i < self->shard_count; i++) {
        char name[HOST_THREAD_NAME_BYTES_MAX + 8];
        snprintf(name, sizeof name, "shard-%u", i);
        struct host_loop_options options = {
            .name = name, .disk = &self->disk.disk, .trace = &self->trace.trace};
        TRY(host_loop_init(&self->shards[i], &options));
    }
    struct host_loop_options options = {
        .name = "quorum", .disk = &self->disk.disk, .trace = &self->trace.trace};
    return host_loop_init(&self->quorum, &options);
}

static enum status start(struct program *self)
{
    for (uint32_t i = 1; i < self->shard_count; i++) {
        TRY(host_loop_start(&self->shards[i]));
    }
    TRY(host_loop_start(&self->quorum));
    struct broker_options options = {.config = &self->config,
                                     .shard_count = self->shard_count,
                                     .quorum_loop = &self->quorum.loop,
                                     .on_ready = broker_on_ready,
                                     .on_failed = broker_on_failed,
                                     .on_closed = broker_on_closed,
                                     .context = self};
    for (uint32_t i = 0; i < self->shard_count; i++) {
        options.shard_loops[i] = &self->shards[i].loop;
    }
    return broker_open(&options, &self->broker);
}

static void unmake_world(struct program *self)
{
    host_signal_close(&self->terminate);
    host_signal_close(&self->interrupt);
    for (uint32_t i = 1; i < self->shard_count; i++) {
        host_loop_stop(&self->shards[i]);
        host_loop_join(&self->shards[i]);
    }
    host_loop_stop(&self->quorum);
    host_loop_join(&self->quorum);
    for (uint32_t i = 0; i < self->shard_count; i++) {
        host_loop_done(&self->shards[i]);
    }
    host_loop_done(&self->quorum);
    host_reserve_close(&self->reserve);
    host_trace_done(&self->trace);
    host_lock_give(&self->lock);
}

int main(int argument_count, char **arguments)
{
    static struct program self;
    host_streams_hold();
    broker_config_init(&self.config);
    struct host_disk_options quiet = {.trace = NULL};
    host_disk_init(&self.disk, &quiet);
    int outcome = read_arguments(&self, argument_count, arguments);
    if (outcome != 0) {
        return outcome - 1;
    }
    signal(SIGPIPE, SIG_IGN);
    host_memory_keep_freed();
    enum status status = host_lock_take(&self.lock, self.config.log_dir);
    if (status == STATUS_BUSY) {
        fprintf(stderr,
                "error IN_USE: '%s' belongs to a running broker; two on the same data would "
                "destroy it; stop that one, or choose another log.dir\n",
                self.config.log_dir);
        return 1;
    }
    status = status == STATUS_OK ? make_world(&self) : status;
    status = status == STATUS_OK ? start(&self) : status;
    if (status != STATUS_OK) {
        fprintf(stderr, "error START: the broker cannot start in '%s'; %s; its trace says more\n",
                self.config.log_dir, status_text(status));
        return 1;
    }
    if (host_signal_open(&self.terminate, &self.shards[0], SIGTERM, terminate_on_signal) !=
            STATUS_OK ||
        host_signal_open(&self.interrupt, &self.shards[0], SIGINT, interrupt_on_signal) !=
            STATUS_OK) {
        fputs("error START: signals cannot be heard; try again\n", stderr);
        return 1;
    }
    host_loop_run(&self.shards[0]);
    unmake_world(&self);
    return 0;
}
