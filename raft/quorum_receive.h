/* Everything that comes from peers, before libraft sees it.
 *
 * Messages that would change the term or cut the log wait while appends or an install are under
 * way, so that nothing that 0.15 does not expect can happen meanwhile. Requests are moved, refused
 * or corrected where it would go wrong; raft/README.md lists the cases. Owner: the core. Loop: the
 * quorum's, outside the core but for the two that say so. */
#pragma once

#include "raft/quorum_core.h"

/* Takes the message. It is of this cluster and for this voter. */
void quorum_receive(struct quorum_core *core, struct quorum_message *message);
/* Inside: one acknowledgement that had to wait. */
void quorum_receive_result(struct quorum_core *core, uint64_t raft_id,
                           const struct raft_append_entries_result *result);
/* Inside, at the end of an entry: sees to it that held messages go on when they may. */
void quorum_receive_settle(struct quorum_core *core);
void quorum_receive_drop_held(struct quorum_core *core);
