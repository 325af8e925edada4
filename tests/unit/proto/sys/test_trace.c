/* Goal: a trace line is one printable line, whatever its values hold.
 * Method: a sink that keeps the last line; ordinary, hostile and overlong values. */
#include "proto/sys/trace.h"

#include <criterion/criterion.h>
#include <string.h>

static char last_line[TRACE_LINE_BYTES_MAX + 1];
static enum trace_level last_level;
static int line_count;

static void keep_line(struct trace *self, enum trace_level level, const char *line,
                      size_t byte_count)
{
    (void)self;
    cr_assert_leq(byte_count, TRACE_LINE_BYTES_MAX);
    memcpy(last_line, line, byte_count);
    last_line[byte_count] = '\0';
    last_level = level;
    line_count += 1;
}

static struct trace trace = {.level = TRACE_INFO, .write_line = keep_line};

Test(trace, line_names_level_component_event_and_values)
{
    trace_line(&trace, TRACE_WARN, "frame", "connection_closed", "peer=\"%s\" port=%d", "::1", 9);

    cr_expect_str_eq(last_line, "warn frame connection_closed peer=\"::1\" port=9");
    cr_expect_eq(last_level, TRACE_WARN);
}

Test(trace, line_without_values_ends_after_the_event)
{
    trace_line(&trace, TRACE_ERROR, "log", "disk_full", "%s", "");

    cr_expect_str_eq(last_line, "error log disk_full");
}

Test(trace, lines_below_the_level_are_dropped)
{
    trace_line(&trace, TRACE_DEBUG, "frame", "opened", "count=%d", 1);
    cr_expect_eq(line_count, 0);

    trace_line(&trace, TRACE_INFO, "frame", "opened", "count=%d", 1);
    cr_expect_eq(line_count, 1);
}

Test(trace, missing_trace_swallows_everything)
{
    trace_line(NULL, TRACE_ERROR, "frame", "opened", "count=%d", 1);

    cr_expect_eq(line_count, 0);
}

Test(trace, control_and_foreign_bytes_are_escaped)
{
    trace_line(&trace, TRACE_INFO, "api", "refused", "client=\"%s\"",
               "a\nb\x1b[31m\x7f\\n\xc2\x9b");

    cr_expect_str_eq(last_line, "info api refused client=\"a\\nb\\x1b[31m\\x7f\\\\n\\xc2\\x9b\"");
}

Test(trace, overlong_line_is_cut_and_says_so)
{
    char plain[3000];
    memset(plain, 'x', sizeof plain - 1);
    plain[sizeof plain - 1] = '\0';
    trace_line(&trace, TRACE_INFO, "api", "refused", "%s", plain);
    cr_expect_eq(strlen(last_line), TRACE_LINE_BYTES_MAX);
    cr_expect_str_eq(last_line + TRACE_LINE_BYTES_MAX - 4, "x...");

    memset(plain, '\n', 600); /* Fits as it is, but not when escaped. */
    plain[600] = '\0';
    trace_line(&trace, TRACE_INFO, "api", "refused", "%s", plain);
    cr_expect_str_eq(last_line + strlen(last_line) - 3, "...");

    memset(plain, '\x01', 600);
    trace_line(&trace, TRACE_INFO, "api", "refused", "%s", plain);
    cr_expect_str_eq(last_line + strlen(last_line) - 3, "...");
}
