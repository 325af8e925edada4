/* millrace-processor: the program around one processor. Reads settings, makes the world, runs it.
 *
 * Says `ready port=N` on standard output when jobs can be given to it; ends with 0 after SIGTERM or
 * SIGINT, with 1 when it failed, with 2 for wrong usage. It keeps nothing on disk. */
#include "processor/processor.h"
#include "proto/sys/host/host_disk.h"
#include "proto/sys/host/host_memory.h"
#include "proto/sys/host/host_settings.h"
#include "proto/sys/host/host_signal.h"
#include "proto/sys/host/host_streams.h"
#include "proto/sys/host/host_trace.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct program {
    struct processor_config config;
    struct host_trace trace;
    struct host_disk disk;
    struct host_loop loop;
    struct host_signal terminate;
    struct host_signal interrupt;
    struct processor *processor;
};

static void print_help(void)
{
    puts("millrace-processor: one processor of a Millrace cluster\n"
         "\n"
         "  millrace-processor [--config FILE] [--set KEY=VALUE]...\n"
         "\n"
         "  --config FILE     settings, one KEY=VALUE a line\n"
         "  --set KEY=VALUE   one setting; beats the file\n"
         "  --version, --help\n"
         "\n"
         "example: millrace-processor --set bootstrap.servers=127.0.0.1:9092\n"
         "\n"
         "settings (default):");
    struct processor_config_row row;
    for (uint32_t i = 0; processor_config_row_at(i, &row); i++) {
        printf("  %-24s %s (%s)\n", row.key, row.help, row.initial);
    }
}

static enum status settings_set(void *context, const char *key, const char *value,
                                char error[static HOST_SETTINGS_ERROR_BYTES])
{
    return processor_config_set(context, key, value, error);
}

static enum status settings_read(void *context, const char *text, size_t byte_count,
                                 char error[static HOST_SETTINGS_ERROR_BYTES])
{
    return processor_config_read(context, text, byte_count, error);
}

_Static_assert(PROCESSOR_CONFIG_ERROR_BYTES_MAX == HOST_SETTINGS_ERROR_BYTES, "handed through");

static void processor_on_ready(void *context, uint16_t port)
{
    (void)context;
    printf("ready port=%u\n", port);
    (void)fflush(stdout);
}

static void processor_on_failed(void *context, enum status why)
{
    (void)context;
    (void)fprintf(stderr, "error STOPPED: the processor cannot go on; %s; see its trace\n",
                  status_text(why));
    _exit(1);
}

static void processor_on_kill(void *context)
{
    (void)context;
    (void)raise(SIGKILL);
}

static void processor_on_closed(void *context)
{
    struct program *self = context;
    self->processor = NULL;
    host_loop_stop(&self->loop);
}

static void stop(struct program *self)
{
    if (self->processor != NULL) {
        processor_close(self->processor);
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

/* The parser's program lies beside ours, where both are built and where both are installed. */
static void find_parser(struct processor_config *config)
{
    char own[1024];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    own[length < 0 ? 0 : length] = '\0';
    char *slash = strrchr(own, '/');
    if (slash != NULL && config->parser[0] == '\0') {
        *slash = '\0';
        (void)snprintf(config->parser, sizeof config->parser, "%s/millrace-parser", own);
    }
}

static enum status start(struct program *self)
{
    TRY(host_trace_init(&self->trace, NULL, TRACE_INFO));
    struct host_disk_options disk = {.trace = &self->trace.trace};
    host_disk_init(&self->disk, &disk);
    struct host_loop_options loop = {
        .name = "processor", .disk = &self->disk.disk, .trace = &self->trace.trace};
    TRY(host_loop_init(&self->loop, &loop));
    struct processor_options options = {.loop = &self->loop,
                                        .config = &self->config,
                                        .on_ready = processor_on_ready,
                                        .on_failed = processor_on_failed,
                                        .on_kill = processor_on_kill,
                                        .on_closed = processor_on_closed,
                                        .context = self};
    TRY(processor_open(&options, &self->processor));
    TRY(host_signal_open(&self->terminate, &self->loop, SIGTERM, terminate_on_signal));
    return host_signal_open(&self->interrupt, &self->loop, SIGINT, interrupt_on_signal);
}

int main(int argument_count, char **arguments)
{
    static struct program self;
    host_streams_hold();
    processor_config_init(&self.config);
    struct host_disk_options quiet = {.trace = NULL};
    host_disk_init(&self.disk, &quiet);
    struct host_settings settings = {.program = "millrace-processor",
                                     .version = "0.1.0",
                                     .example = "listeners=127.0.0.1:9100",
                                     .disk = &self.disk.disk,
                                     .print_help = print_help,
                                     .set = settings_set,
                                     .read = settings_read,
                                     .context = &self.config};
    int outcome = host_settings_take(&settings, argument_count, arguments);
    if (outcome != 0) {
        return outcome - 1;
    }
    char error[PROCESSOR_CONFIG_ERROR_BYTES_MAX];
    if (processor_config_finish(&self.config, error) != STATUS_OK) {
        return host_settings_refuse(error) - 1;
    }
    find_parser(&self.config);
    if (access(self.config.parser, X_OK) != 0) {
        (void)fprintf(stderr,
                      "error NO_PROGRAM: '%s' cannot be started; %s, and no statement could be "
                      "parsed; put it there, or set parser.path\n",
                      self.config.parser, strerror(errno));
        return 1;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    host_memory_keep_freed();
    enum status status = start(&self);
    if (status != STATUS_OK) {
        (void)fprintf(stderr,
                      "error START: the processor cannot start at %s:%u; %s; choose another "
                      "address: --set listeners=HOST:PORT\n",
                      self.config.listener.host, self.config.listener.port,
                      status == STATUS_EXISTS ? "another process listens there"
                                              : status_text(status));
        return 1;
    }
    host_loop_run(&self.loop);
    host_signal_close(&self.terminate);
    host_signal_close(&self.interrupt);
    host_loop_done(&self.loop);
    host_trace_done(&self.trace);
    return 0;
}
