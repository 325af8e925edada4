/* The system's error numbers as our status: translated here and nowhere else.
 *
 * libuv's codes on this platform are negative errno values plus a few of its own; both functions
 * take them negative. Owner: nobody, pure. Loop: any. */
#pragma once

#include "proto/sys/status.h"

/* For files: what disk.h promises, STATUS_IO for the rest. 0 gives STATUS_OK. */
enum status host_status_of_disk(int negative_errno);
/* For streams and name look-ups: STATUS_CLOSED where an open stream broke. */
enum status host_status_of_socket(int negative_errno);
