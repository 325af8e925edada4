#include "proto/sys/trace.h"

#include "proto/sys/check.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct line {
    char bytes[TRACE_LINE_BYTES_MAX];
    size_t byte_count;
};

static const char *level_text(enum trace_level level)
{
    switch (level) {
    case TRACE_DEBUG:
        return "debug";
    case TRACE_INFO:
        return "info";
    case TRACE_WARN:
        return "warn";
    case TRACE_ERROR:
        return "error";
    }
    check_unreachable("trace level outside its enum");
}

/* Values can hold anything a peer sent, so only printable ASCII goes through: a terminal must not
 * obey a client id. */
static bool append_escaped(struct line *line, const char *text)
{
    static const char digits[] = "0123456789abcdef";

    for (const char *at = text; *at != '\0'; at++) {
        unsigned char byte = (unsigned char)*at;
        char escaped[4] = {*at};
        size_t escaped_count = 1;
        if (byte == '\\' || byte == '\n') {
            memcpy(escaped, byte == '\n' ? "\\n" : "\\\\", 2);
            escaped_count = 2;
        } else if (byte < 0x20 || byte > 0x7e) {
            memcpy(escaped, (char[]){'\\', 'x', digits[byte >> 4], digits[byte & 15]}, 4);
            escaped_count = 4;
        }
        if (line->byte_count + escaped_count > sizeof line->bytes) {
            return false;
        }
        memcpy(line->bytes + line->byte_count, escaped, escaped_count);
        line->byte_count += escaped_count;
    }
    return true;
}

void trace_line(struct trace *self, enum trace_level level, const char *component,
                const char *event, const char *format, ...)
{
    if (self == NULL || level < self->level) {
        return;
    }

    char values[TRACE_LINE_BYTES_MAX];
    va_list arguments;
    va_start(arguments, format);
    int count = vsnprintf(values, sizeof values, format, arguments);
    va_end(arguments);
    check(count >= 0);

    struct line line = {.byte_count = 0};
    bool is_whole = (size_t)count < sizeof values;
    const char *parts[] = {level_text(level),    " ",   component, " ", event,
                           count > 0 ? " " : "", values};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        is_whole = append_escaped(&line, parts[i]) && is_whole;
    }
    if (!is_whole) {
        size_t end =
            line.byte_count < sizeof line.bytes - 3 ? line.byte_count : sizeof line.bytes - 3;
        memcpy(line.bytes + end, "...", 3);
        line.byte_count = end + 3;
    }
    self->write_line(self, level, line.bytes, line.byte_count);
}
