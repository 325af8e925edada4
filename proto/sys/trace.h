/* One-line diagnostics: `level component event key=value…`, one line at the edge that gives up.
 *
 * Each node has a trace of its own, so that nodes of one simulated cluster do not mix.
 * Owner: the node. Loop: any; the sink writes a whole line at once. Limits: TRACE_LINE_BYTES_MAX,
 * longer lines are cut. */
#pragma once

#include <stddef.h>

#define TRACE_LINE_BYTES_MAX 1024U

enum trace_level { TRACE_DEBUG, TRACE_INFO, TRACE_WARN, TRACE_ERROR };

struct trace {
    enum trace_level level; /* Lines below it are dropped. */
    /* `line` has no newline; it is printable (control bytes are escaped). */
    void (*write_line)(struct trace *self, enum trace_level level, const char *line,
                       size_t byte_count);
};

/* `format` gives the key=value part. Accepts a NULL trace (nothing is written). */
void trace_line(struct trace *self, enum trace_level level, const char *component,
                const char *event, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
