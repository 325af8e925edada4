/* Files of the machine: POSIX calls in place, and lanes of one thread each.
 *
 * A durable write is one call that writes and flushes (RWF_DSYNC: O_DSYNC for that write only), on
 * a direct file without the page cache between; where the system lacks it, a write and fdatasync.
 * Where O_DIRECT is refused the file is buffered, which is told once. A failed call whose errno
 * becomes STATUS_IO is told here, since the number is lost above.
 *
 * Owner: a main. Loop: any for the synchronous calls; lanes as disk.h says. */
#pragma once

#include "proto/sys/disk.h"

#include <stdatomic.h>
#include <stdbool.h>

struct host_reserve;
struct trace;

struct host_disk {
    struct disk disk;
    struct trace *trace;               /* Borrowed for life; may be NULL. */
    struct host_reserve *reserve;      /* Borrowed for life; may be NULL. */
    const char *const *realtime_lanes; /* Borrowed for life; NULL-terminated, or NULL. */
    _Atomic bool has_told_direct;
    _Atomic bool has_told_realtime;
};

struct host_disk_options {
    struct trace *trace;
    struct host_reserve *reserve; /* NULL: a full disk is full for everybody. */
    /* Names of lanes that run in the real-time class where that is permitted: those that commits
     * wait for, which otherwise stand behind any busy neighbour (bench_lane: 4 ms instead of
     * 0.25). NULL-terminated; NULL: none. */
    const char *const *realtime_lanes;
};

void host_disk_init(struct host_disk *self, const struct host_disk_options *options);
