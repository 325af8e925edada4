/* Trace lines to stderr or to a file: wall time in UTC, then the line, in one write each.
 *
 * The file is opened for appending, so that lines of several loops or processes do not mix.
 * Owner: the node. Loop: any. Limits: a line that cannot be written is lost, and counted. */
#pragma once

#include "proto/sys/clock.h"
#include "proto/sys/status.h"
#include "proto/sys/trace.h"

#include <stdatomic.h>
#include <stdint.h>

struct host_trace {
    struct trace trace;
    struct clock *clock; /* Borrowed for life. */
    int fd;
    _Atomic uint64_t lost_count;
};

/* `path` NULL: stderr. On failure `self` may still be passed to host_trace_done(). */
MUST_USE enum status host_trace_init(struct host_trace *self, const char *path,
                                     enum trace_level level);
/* Accepts a zeroed one. */
void host_trace_done(struct host_trace *self);
