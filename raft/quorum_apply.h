/* libraft's state machine interface, translated to ours: envelopes opened, commands counted.
 *
 * A core that is restarted in place loads an older snapshot and applies entries again; the state
 * machine has seen them, so they are passed over here.
 * Owner: the core. Loop: the quorum's, inside the core. */
#pragma once

#include "raft/quorum_core.h"

void quorum_apply_init(struct quorum_core *core);
