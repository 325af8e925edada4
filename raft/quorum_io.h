/* The disk half of the raft_io: load, term, vote, appends, truncations, snapshots, clock.
 *
 * Rules it keeps (raft/README.md): appends and truncations share one queue and their callbacks run
 * in order, after all of a batch is durable; a snapshot that is taken is written beside that queue
 * and then trims the log, one that is installed replaces the log behind everything queued before.
 * Owner: the core. Loop: the quorum's. */
#pragma once

#include "raft/quorum_core.h"

void quorum_io_init(struct quorum_core *core);
/* Frees what is not of the core's heap; behind the end of the lanes. */
void quorum_io_done(struct quorum_core *core);
/* The log's, for an install that waits for it. */
void quorum_io_on_log_idle(void *context);
