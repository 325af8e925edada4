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

struct trace;

struct host_disk {
    struct disk disk;
    struct trace *trace;       /* Borrowed for life; may be NULL. */
    const char *realtime_lane; /* Borrowed for life. */
    _Atomic bool has_told_direct;
    _Atomic bool has_told_realtime;
};

struct host_disk_options {
    struct trace *trace;
    /* Lanes whose name begins so run in the real-time class where that is permitted, because a
     * commit otherwise waits behind any busy neighbour (performance facts, E1). NULL: none. */
    const char *realtime_lane;
};

void host_disk_init(struct host_disk *self, const struct host_disk_options *options);
