#include "proto/sys/host/host_trace.h"

#include "proto/sys/check.h"
#include "proto/sys/host/host_clock.h"
#include "proto/sys/host/host_status.h"
#include "proto/sys/list.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STAMP_BYTES_MAX 64U

static size_t write_stamp(struct host_trace *self, char *place)
{
    int64_t wall_ms = clock_wall_ms(self->clock);
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts = {0};
    check(gmtime_r(&seconds, &parts) != NULL);
    size_t count = strftime(place, STAMP_BYTES_MAX, "%Y-%m-%dT%H:%M:%S", &parts);
    check(count > 0);
    int added = snprintf(place + count, STAMP_BYTES_MAX - count, ".%03dZ ", (int)(wall_ms % 1000));
    check(added == 6);
    return count + 6;
}

static void write_line(struct trace *trace, enum trace_level level, const char *line,
                       size_t byte_count)
{
    (void)level;
    struct host_trace *self = container_of(trace, struct host_trace, trace);
    char text[STAMP_BYTES_MAX + TRACE_LINE_BYTES_MAX + 1];
    check(byte_count <= TRACE_LINE_BYTES_MAX);
    size_t count = write_stamp(self, text);
    memcpy(text + count, line, byte_count);
    count += byte_count;
    text[count] = '\n';
    count += 1;

    ssize_t written = 0;
    do {
        written = write(self->fd, text, count);
    } while (written < 0 && errno == EINTR);
    if (written != (ssize_t)count) {
        atomic_fetch_add_explicit(&self->lost_count, 1, memory_order_relaxed);
    }
}

enum status host_trace_init(struct host_trace *self, const char *path, enum trace_level level)
{
    *self = (struct host_trace){.trace = {.level = level, .write_line = write_line},
                                .clock = host_clock(),
                                .fd = STDERR_FILENO};
    if (path == NULL) {
        return STATUS_OK;
    }
    self->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    return self->fd < 0 ? host_status_of_disk(-errno) : STATUS_OK;
}

void host_trace_done(struct host_trace *self)
{
    if (self->fd > STDERR_FILENO) {
        (void)close(self->fd);
    }
    *self = (struct host_trace){0};
}
