/* The outgoing half of the raft_io, and what a positive answer may say.
 *
 * A follower of 0.15 acknowledges all that it has stored, whether or not the leader's request had
 * anything to do with it. Here it acknowledges no more than requests of this term covered, nothing
 * when term or role changed while it wrote, and a refusal never looks like success. Messages are
 * copied at once, and libraft is told that they left after it has returned, whatever became of
 * them: an error would make it start again at the first entry. Owner: the core. Loop: the quorum's,
 * inside the core. */
#pragma once

#include "raft/quorum_core.h"

int quorum_send(struct raft_io *io, struct raft_io_send *request,
                const struct raft_message *message, raft_io_send_cb callback);
/* The request at hand was accepted: what it covered may be acknowledged. */
void quorum_send_note_covered(struct quorum_core *core);
/* Calls back what was sent. */
void quorum_send_settle(struct quorum_core *core);
/* Entries that did not fit into a message go next, not later. */
void quorum_send_fix_cuts(struct quorum_core *core);
