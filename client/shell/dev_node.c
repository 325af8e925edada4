#include "client/shell/dev_node.h"

#include "proto/sys/check.h"
#include "proto/sys/list.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODE_MAGIC 0xde70de01U
#define TAIL_BYTES_MAX 2048U
#define READY_LINE "ready port="

enum status dev_node_init(struct dev_node *self, const struct dev_node_options *options)
{
    *self = (struct dev_node){.magic = NODE_MAGIC,
                              .number = options->number,
                              .program = options->program,
                              .loop = options->loop,
                              .events = options->events};
    (void)snprintf(self->name, sizeof self->name, "%s-%u", options->kind, options->number);
    /* Room for the names of its files, too. */
    int length =
        snprintf(self->directory, sizeof self->directory, "%s/%s", options->directory, self->name);
    return length < 0 || (size_t)length + 32 > sizeof self->directory ? STATUS_INVALID : STATUS_OK;
}

void dev_node_done(struct dev_node *self)
{
    if (self->magic == NODE_MAGIC) {
        check(self->state == DEV_NODE_DOWN);
        timer_done(&self->deadline);
    }
    *self = (struct dev_node){0};
}

static void path_of(const struct dev_node *self, const char *name, char *path)
{
    int length = snprintf(path, DISK_PATH_BYTES_MAX, "%s/%s", self->directory, name);
    check(length > 0 && (size_t)length < DISK_PATH_BYTES_MAX); /* As init saw to. */
}

static void end_when_all_is_over(struct dev_node *self)
{
    if (self->process != NULL || self->has_output) {
        return;
    }
    timer_stop(&self->deadline);
    char path[DISK_PATH_BYTES_MAX];
    path_of(self, "pid", path);
    status_ignore(disk_remove(self->loop->loop.disk, path), "it may not have come to be");
    self->state_before = self->state;
    self->state = DEV_NODE_DOWN;
    self->events->on_ended(self, &self->end);
}

static void process_on_exit(struct host_process *process, const struct host_process_end *end)
{
    struct dev_node *self = host_process_context(process);
    check(self->magic == NODE_MAGIC);
    self->process = NULL;
    self->end = *end;
    if (self->has_output) {
        socket_close(&self->output);
    }
    end_when_all_is_over(self);
}

static void read_line(struct dev_node *self)
{
    self->line[self->line_bytes] = '\0';
    bool is_ready = strncmp(self->line, READY_LINE, strlen(READY_LINE)) == 0;
    self->line_bytes = 0;
    if (is_ready && self->state == DEV_NODE_STARTING) {
        timer_stop(&self->deadline);
        self->state = DEV_NODE_SERVING;
        self->events->on_serving(self);
    }
}

static void output_on_room(struct socket *socket, uint8_t **out_base, size_t *out_byte_count)
{
    struct dev_node *self = container_of(socket, struct dev_node, output);
    check(self->magic == NODE_MAGIC);
    if (self->line_bytes + 1 == sizeof self->line) {
        self->line_bytes = 0; /* No line of the protocol is so long. */
    }
    *out_base = (uint8_t *)self->line + self->line_bytes;
    *out_byte_count = 1; /* Lines are few and short; this keeps them apart. */
}

static void output_on_read(struct socket *socket, size_t byte_count)
{
    struct dev_node *self = container_of(socket, struct dev_node, output);
    for (size_t i = 0; i < byte_count; i++) {
        if (self->line[self->line_bytes] == '\n') {
            read_line(self);
        } else {
            self->line_bytes += 1;
        }
    }
}

static void output_on_end(struct socket *socket, enum status why)
{
    (void)why; /* The child closes it by ending, which is told elsewhere. */
    socket_close(socket);
}

static void output_on_closed(struct socket *socket)
{
    struct dev_node *self = container_of(socket, struct dev_node, output);
    check(self->magic == NODE_MAGIC);
    self->has_output = false;
    end_when_all_is_over(self);
}

static const struct socket_events output_events = {
    .on_room = output_on_room,
    .on_read = output_on_read,
    .on_end = output_on_end,
    .on_closed = output_on_closed,
};

static void deadline_on_fire(struct timer *timer)
{
    struct dev_node *self = container_of(timer, struct dev_node, deadline);
    check(self->magic == NODE_MAGIC);
    fprintf(stderr, "%s does not serve after %d s and is killed\n", self->name,
            DEV_START_MS_MAX / 1000);
    dev_node_kill(self);
}

static enum status start_child(struct dev_node *self, struct socket_token *out_token)
{
    char trace[DISK_PATH_BYTES_MAX];
    path_of(self, "trace.log", trace);
    const char *const arguments[] = {self->program, "--config", "config.properties", NULL};
    const struct host_process_options options = {
        .loop = self->loop,
        .arguments = arguments,
        .directory = self->directory,
        .streams = {{.kind = HOST_PROCESS_NOTHING},
                    {.kind = HOST_PROCESS_PIPE, .out_token = out_token},
                    {.kind = HOST_PROCESS_FILE, .path = trace}},
        .on_exit = process_on_exit,
        .context = self};
    return host_process_open(&options, &self->process);
}

enum status dev_node_start(struct dev_node *self, const char *config)
{
    check(self->magic == NODE_MAGIC);
    check(self->state == DEV_NODE_DOWN);

    struct disk *disk = self->loop->loop.disk;
    TRY(disk_make_directory(disk, self->directory));
    TRY(disk_replace_file(disk, self->directory, "config.properties", config, strlen(config)));
    struct socket_token token;
    TRY(start_child(self, &token));

    self->state = DEV_NODE_STARTING;
    self->line_bytes = 0;
    timer_done(&self->deadline);
    timer_init(&self->deadline, &self->loop->loop.timers, deadline_on_fire);
    timer_start_after(&self->deadline, DEV_START_MS_MAX * CLOCK_NS_PER_MS);
    enum status status =
        socket_adopt(self->loop->loop.sockets, &self->output, token, &output_events);
    self->has_output = status == STATUS_OK;
    if (self->has_output) {
        socket_read_start(&self->output);
    } else {
        dev_node_kill(self); /* Without its output it could never be heard to serve. */
    }
    char pid[24];
    int length = snprintf(pid, sizeof pid, "%d\n", host_process_id(self->process));
    status_ignore(disk_replace_file(disk, self->directory, "pid", pid, (size_t)length),
                  "people miss the file, the cluster does not");
    return STATUS_OK;
}

void dev_node_stop(struct dev_node *self)
{
    check(self->state != DEV_NODE_DOWN);
    if (self->state == DEV_NODE_STARTING || self->state == DEV_NODE_SERVING) {
        self->state = DEV_NODE_STOPPING;
        timer_stop(&self->deadline);
        if (self->process != NULL) {
            host_process_signal(self->process, SIGTERM);
        }
    }
}

void dev_node_kill(struct dev_node *self)
{
    check(self->state != DEV_NODE_DOWN);
    self->state = DEV_NODE_KILLED;
    timer_stop(&self->deadline);
    if (self->process != NULL) {
        host_process_signal(self->process, SIGKILL);
    }
}

char *dev_node_trace_tail(struct dev_node *self)
{
    struct disk *disk = self->loop->loop.disk;
    char path[DISK_PATH_BYTES_MAX];
    path_of(self, "trace.log", path);
    char *text = calloc(1, TAIL_BYTES_MAX + 1);
    struct disk_file *file = NULL;
    if (text == NULL || disk_open(disk, path, DISK_OPEN_READ, &file) != STATUS_OK) {
        return text;
    }
    uint64_t size = 0;
    size_t byte_count = 0;
    enum status status = disk_file_size(disk, file, &size);
    uint64_t from = size > TAIL_BYTES_MAX ? size - TAIL_BYTES_MAX : 0;
    if (status == STATUS_OK) {
        status = disk_file_read(disk, file, from, text, TAIL_BYTES_MAX, &byte_count);
    }
    disk_file_close(disk, file);
    text[status == STATUS_OK ? byte_count : 0] = '\0';
    char *whole = from == 0 ? NULL : strchr(text, '\n');
    if (whole != NULL) {
        memmove(text, whole + 1, strlen(whole + 1) + 1);
    }
    return text;
}
