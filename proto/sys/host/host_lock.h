/* A directory that only one process may use: a lock file in it, held until the process ends however
 * it ends.
 *
 * Owner: a main. Loop: none. */
#pragma once

#include "proto/sys/status.h"

struct host_lock {
    int fd; /* -1: not held. */
};

/* Makes the directory where it is missing. BUSY: another process holds it. */
MUST_USE enum status host_lock_take(struct host_lock *self, const char *directory);
void host_lock_give(struct host_lock *self);
