#include "client/shell/dev_call.h"

#include "proto/sys/check.h"
#include "proto/sys/host/host_loop.h"
#include "proto/sys/list.h"

#include <stdio.h>
#include <string.h>

struct call {
    struct host_loop loop;
    struct socket socket;
    struct timer deadline;
    enum status status;
    char line[DEV_ANSWER_BYTES_MAX]; /* The question, then the answer. */
    size_t line_bytes;
    struct socket_buffer buffer;
    struct socket_write write;
};

static void finish(struct call *self, enum status status)
{
    self->status = status;
    timer_stop(&self->deadline);
    socket_close(&self->socket);
}

static void call_on_written(struct socket_write *write, enum status status)
{
    struct call *self = container_of(write, struct call, write);
    if (status == STATUS_OK) {
        socket_read_start(&self->socket);
    }
}

static void call_on_connected(struct socket *socket, enum status status)
{
    struct call *self = container_of(socket, struct call, socket);
    if (status != STATUS_OK) {
        /* The file is of a run that could not remove it. */
        self->status = status == STATUS_TIMEOUT ? status : STATUS_NOT_FOUND;
        timer_stop(&self->deadline);
        return;
    }
    self->buffer = (struct socket_buffer){self->line, strlen(self->line)};
    self->write = (struct socket_write){
        .buffers = &self->buffer, .buffer_count = 1, .on_done = call_on_written};
    socket_write(socket, &self->write);
}

static void call_on_room(struct socket *socket, uint8_t **out_base, size_t *out_byte_count)
{
    struct call *self = container_of(socket, struct call, socket);
    *out_base = (uint8_t *)self->line + self->line_bytes;
    *out_byte_count = sizeof self->line - 1 - self->line_bytes;
}

static void call_on_read(struct socket *socket, size_t byte_count)
{
    struct call *self = container_of(socket, struct call, socket);
    self->line_bytes += byte_count;
    self->line[self->line_bytes] = '\0';
    char *newline = strchr(self->line, '\n');
    if (newline != NULL) {
        *newline = '\0';
        finish(self, STATUS_OK);
    } else if (self->line_bytes + 1 == sizeof self->line) {
        finish(self, STATUS_MALFORMED);
    }
}

static void call_on_end(struct socket *socket, enum status why)
{
    (void)why;
    finish(container_of(socket, struct call, socket), STATUS_CLOSED);
}

static void call_on_closed(struct socket *socket)
{
    host_loop_stop(&container_of(socket, struct call, socket)->loop);
}

static const struct socket_events call_events = {
    .on_connected = call_on_connected,
    .on_room = call_on_room,
    .on_read = call_on_read,
    .on_end = call_on_end,
    .on_closed = call_on_closed,
};

static void call_on_deadline(struct timer *timer)
{
    finish(container_of(timer, struct call, deadline), STATUS_TIMEOUT);
}

static enum status run(struct call *self, uint16_t port)
{
    struct address address = {.host = DEV_HOST, .port = port};
    TRY(socket_connect(self->loop.loop.sockets, &self->socket, &address, &call_events));
    timer_start_after(&self->deadline, DEV_CALL_MS_MAX * CLOCK_NS_PER_MS);
    host_loop_run(&self->loop);
    return self->status;
}

enum status dev_call_make(struct disk *disk, const char *directory, const char *verb,
                          const char *node, char *answer)
{
    struct dev_control_point point;
    TRY(dev_plan_load_control(disk, directory, &point));
    struct call self = {.status = STATUS_CLOSED};
    int length = snprintf(self.line, sizeof self.line, "%s %s %.64s\n", point.secret, verb, node);
    check(length > 0 && (size_t)length < sizeof self.line);
    TRY(host_loop_init(&self.loop, &(struct host_loop_options){.name = "dev-call", .disk = disk}));
    timer_init(&self.deadline, &self.loop.loop.timers, call_on_deadline);
    enum status status = run(&self, point.port);
    timer_done(&self.deadline);
    host_loop_done(&self.loop);
    if (status == STATUS_OK) {
        memcpy(answer, self.line, sizeof self.line);
    }
    return status;
}
