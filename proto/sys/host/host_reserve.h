/* Room that is kept back on the disk for what must go on when the disk is full.
 *
 * One file of allocated blocks beside the data. When the file system refuses a call of host_disk
 * for want of room, a piece of the file is given back and the call is tried again; what files leave
 * free later fills it up again, before anybody else's bytes can. So a full disk stops neither the
 * quorum nor a checkpoint nor a start, although every block that others left was taken. Allocating
 * ahead for bulk data does not draw on it (DISK_OPEN_VITAL).
 *
 * Owner: a main, beside its host_disk. Loop: any; it has a lock of its own. Limits: as large as
 * asked, and an eighth of the file system at most. */
#pragma once

#include "proto/sys/status.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct trace;

struct host_reserve {
    struct trace *trace; /* Borrowed for life; may be NULL. */
    uv_mutex_t mutex;
    int fd;
    uint64_t byte_count_max;
    uint64_t byte_count; /* Allocated; under the mutex. */
    bool is_used;        /* Told already; under the mutex. */
    _Atomic bool is_short;
};

/* One call that may be tried again. */
struct host_reserve_draw {
    struct host_reserve *reserve; /* NULL: none is kept. */
    bool is_held;
};

/* Takes over the file that an earlier process left, makes it as large as can be. A disk that is
 * full already is no failure. On failure `self` must not be passed on. */
MUST_USE enum status host_reserve_open(struct host_reserve *self, const char *path,
                                       uint64_t byte_count, struct trace *trace);
void host_reserve_close(struct host_reserve *self);

/* True: `why` was STATUS_NO_SPACE and some room was made, so the call may be tried again. Nobody
 * else draws until host_reserve_end(). */
bool host_reserve_draw(struct host_reserve_draw *self, enum status why, uint64_t byte_count);
void host_reserve_end(struct host_reserve_draw *self);

/* Something may have become free. Accepts NULL. */
void host_reserve_fill(struct host_reserve *self);
