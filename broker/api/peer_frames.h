/* Frames of the quorum that come in over the common listener, on their way to the quorum's loop.
 *
 * Owner: the node. Loop: peer_frames_take() on the connection's shard. Limits: what the budget
 * admits as frames. */
#pragma once

#include "broker/api/dispatch.h"

/* Takes the frame and the ticket: such frames are not answered. */
void peer_frames_take(struct api_shard *shard, struct frame *frame, struct ticket *ticket);
