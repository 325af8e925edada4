/* Goal: what a program opens never bears the number of a standard stream that was closed.
 * Method: streams are closed, held, and used; the test's own ones are put aside and put back. */
#include "proto/sys/host/host_streams.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <unistd.h>

static int aside[3];

static void set_up(void)
{
    for (int i = 0; i < 3; i++) {
        aside[i] = fcntl(i, F_DUPFD, 64);
        cr_assert_geq(aside[i], 64);
    }
}

static void tear_down(void)
{
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(dup2(aside[i], i), i);
        close(aside[i]);
    }
}

TestSuite(host_streams, .init = set_up, .fini = tear_down);

Test(host_streams, a_closed_stream_s_number_is_not_given_to_a_file)
{
    close(0);
    close(1);
    close(2);

    host_streams_hold();
    int file = open("/dev/zero", O_RDWR);

    cr_expect_gt(file, 2);
    close(file);
}

Test(host_streams, a_closed_stream_stays_of_no_use)
{
    char byte = 'x';
    close(0);
    close(1);

    host_streams_hold();

    cr_expect_eq(read(0, &byte, 1), -1);
    cr_expect_eq(write(1, &byte, 1), -1);
}

Test(host_streams, an_open_stream_is_left_alone)
{
    int pipes[2];
    char byte = 'x';
    cr_assert_eq(pipe(pipes), 0);
    cr_assert_eq(dup2(pipes[1], 1), 1);
    close(0);

    host_streams_hold();

    cr_expect_eq(write(1, &byte, 1), 1);
    cr_expect_eq(read(pipes[0], &byte, 1), 1);
    close(pipes[0]);
    close(pipes[1]);
}
