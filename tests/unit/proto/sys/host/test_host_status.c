/* Goal: an error number means to the caller what the headers of disk and socket promise.
 * Method: the numbers that have a meaning of their own, and some that have none. */
#include "proto/sys/host/host_status.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <uv.h>

Test(host_status, full_disk_and_full_quota_are_no_space)
{
    cr_expect_eq(host_status_of_disk(-ENOSPC), STATUS_NO_SPACE);
    cr_expect_eq(host_status_of_disk(-EDQUOT), STATUS_NO_SPACE);
}

Test(host_status, names_of_files_have_their_own_codes_and_the_rest_is_io)
{
    cr_expect_eq(host_status_of_disk(0), STATUS_OK);
    cr_expect_eq(host_status_of_disk(-ENOENT), STATUS_NOT_FOUND);
    cr_expect_eq(host_status_of_disk(-EEXIST), STATUS_EXISTS);
    cr_expect_eq(host_status_of_disk(-EIO), STATUS_IO);
    cr_expect_eq(host_status_of_disk(-EROFS), STATUS_IO);
    cr_expect_eq(host_status_of_disk(-EACCES), STATUS_IO);
}

Test(host_status, streams_tell_unreachable_from_closed)
{
    cr_expect_eq(host_status_of_socket(0), STATUS_OK);
    cr_expect_eq(host_status_of_socket(UV_ECONNREFUSED), STATUS_UNREACHABLE);
    cr_expect_eq(host_status_of_socket(UV_EAI_NONAME), STATUS_UNREACHABLE);
    cr_expect_eq(host_status_of_socket(UV_EOF), STATUS_CLOSED);
    cr_expect_eq(host_status_of_socket(UV_ECONNRESET), STATUS_CLOSED);
    cr_expect_eq(host_status_of_socket(UV_EPIPE), STATUS_CLOSED);
    cr_expect_eq(host_status_of_socket(UV_ECANCELED), STATUS_CANCELED);
    cr_expect_eq(host_status_of_socket(UV_EADDRINUSE), STATUS_EXISTS);
    cr_expect_eq(host_status_of_socket(UV_EMFILE), STATUS_FULL);
}
