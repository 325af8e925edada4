/* One question about a group, asked of the group's coordinator by a thread that waits.
 *
 * The coordinator is looked up first, and again when it says that it is not the one any more or
 * cannot be reached: who has died is named by the others until they have noticed.
 *
 * Owner: the waiting thread; it may live on its stack. Loop: the session's. */
#pragma once

#include "client/millrace/admin_wait.h"

struct group_wait {
    struct admin_wait admin; /* What to ask; whom is found. Its take calls group_wait_moved(). */
    struct millrace_bytes group;
    int32_t coordinator; /* Out. -1: not known. */
    bool is_moved;
    bool has_moved;   /* Who says so once more is first asked again, with pauses. */
    bool is_doubtful; /* As the operation's, over all whom it was asked of. */
};

/* As admin_wait_run(). */
int group_wait_run(struct millrace_client *client, struct group_wait *self, int64_t until_ns,
                   const char *what, struct millrace_error *error);
/* Loop, from a take: true where `error_code` says that another broker must be asked, which will
 * happen while there is time; the take returns OK then. Called for every answer. */
bool group_wait_moved(struct group_wait *self, int16_t error_code);
