/* A real loop for one test: runs until the test says that it has seen enough, and fails the test
 * when that has not come within HOST_RIG_DEADLINE_MS of the loop's own clock. */
#pragma once

#include "proto/sys/check.h"
#include "proto/sys/host/host_disk.h"
#include "proto/sys/host/host_loop.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define HOST_RIG_DEADLINE_MS 20000

struct host_rig {
    struct host_disk disk;
    struct host_loop loop;
    struct timer deadline;
    char directory[64];
};

static inline void host_rig_on_deadline(struct timer *timer)
{
    (void)timer;
    cr_assert_fail("what the test waits for did not come");
}

static inline void host_rig_init(struct host_rig *self)
{
    const char *parent = getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp";
    (void)snprintf(self->directory, sizeof self->directory, "%.40s/millrace-XXXXXX", parent);
    cr_assert_not_null(mkdtemp(self->directory));
    host_disk_init(&self->disk, &(struct host_disk_options){.trace = NULL});
    cr_assert_eq(host_loop_init(&self->loop, &(struct host_loop_options){.name = "rig",
                                                                         .disk = &self->disk.disk}),
                 STATUS_OK);
    timer_init(&self->deadline, &self->loop.loop.timers, host_rig_on_deadline);
}

/* The test ends it with host_rig_finish(). */
static inline void host_rig_run(struct host_rig *self)
{
    timer_start_after(&self->deadline, HOST_RIG_DEADLINE_MS * CLOCK_NS_PER_MS);
    host_loop_run(&self->loop);
    timer_stop(&self->deadline);
}

static inline void host_rig_finish(struct host_rig *self)
{
    host_loop_stop(&self->loop);
}

static inline void host_rig_done(struct host_rig *self)
{
    timer_done(&self->deadline);
    host_loop_done(&self->loop);
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", self->directory);
    check(system(command) == 0);
}

/* A path inside the rig's directory; good until the next call but three. */
static inline const char *host_rig_path(const struct host_rig *self, const char *name)
{
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/%s", self->directory, name);
    return path;
}
