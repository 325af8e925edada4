/* Goal: each line reaches the file whole, with its time, also when two traces share the file.
 * Method: write to a file in a temporary directory and read it back. */
#include "proto/sys/host/host_trace.h"

#include "tests/unit/proto/sys/host/host_rig.h"

#include <string.h>

static struct host_rig rig;

static void set_up(void)
{
    host_rig_init(&rig);
}

static void tear_down(void)
{
    host_rig_done(&rig);
}

TestSuite(host_trace, .init = set_up);

Test(host_trace, lines_of_two_traces_share_a_file)
{
    struct host_trace left;
    struct host_trace right;
    const char *path = host_rig_path(&rig, "trace.log");
    cr_assert_eq(host_trace_init(&left, path, TRACE_INFO), STATUS_OK);
    cr_assert_eq(host_trace_init(&right, path, TRACE_INFO), STATUS_OK);

    trace_line(&left.trace, TRACE_INFO, "a", "one", "n=%d", 1);
    trace_line(&right.trace, TRACE_WARN, "b", "two", "n=%d", 2);
    trace_line(&left.trace, TRACE_ERROR, "c", "three", "n=%d", 3);
    trace_line(&left.trace, TRACE_DEBUG, "d", "dropped", "n=%d", 4);

    char text[512] = {0};
    uint8_t *bytes = NULL;
    size_t byte_count = 0;
    cr_assert_eq(disk_read_file(&rig.disk.disk, path, sizeof text - 1, &bytes, &byte_count),
                 STATUS_OK);
    memcpy(text, bytes, byte_count);
    free(bytes);
    int year = 0;
    int end = 0;
    cr_expect_eq(sscanf(text, "%d-%*d-%*dT%*d:%*d:%*d.%*3dZ info a one n=1\n%n", &year, &end), 1);
    cr_expect_gt(year, 2023);
    cr_expect_eq(end, (int)strlen("2024-01-01T00:00:00.000Z info a one n=1\n"));
    cr_expect_not_null(strstr(text, "Z warn b two n=2\n"));
    cr_expect_not_null(strstr(text, "Z error c three n=3\n"));
    cr_expect_null(strstr(text, "dropped"));
    host_trace_done(&left);
    host_trace_done(&right);
    tear_down();
}

Test(host_trace, path_that_cannot_be_opened_is_told)
{
    struct host_trace trace;

    cr_expect_eq(host_trace_init(&trace, host_rig_path(&rig, "no/trace.log"), TRACE_INFO),
                 STATUS_NOT_FOUND);

    host_trace_done(&trace);
    tear_down();
}

Test(host_trace, stderr_is_left_open)
{
    struct host_trace trace;
    cr_assert_eq(host_trace_init(&trace, NULL, TRACE_INFO), STATUS_OK);

    host_trace_done(&trace);

    cr_expect_geq(fileno(stderr), 0);
    cr_expect_eq(fprintf(stderr, "%s", ""), 0);
    tear_down();
}
