/* The memory of a frame: made when its first bytes are there, grown while the others come.
 *
 * Owner: the connection until the frame is whole. Loop: any for the release. */
#pragma once

#include "proto/frame/connection.h"

#define FRAME_MEMORY_AHEAD_FIRST_BYTES ((size_t)64 << 10)
/* Who has sent this much is given the larger step: a first read brings more, so that a request of
 * 1 MiB gets its memory at once. */
#define FRAME_MEMORY_PROOF_BYTES ((size_t)32 << 10)
#define FRAME_MEMORY_AHEAD_BYTES ((size_t)1 << 20)

/* For a frame of `byte_count` bytes, of which `here_count` have come. One reference. NULL: the
 * budget or the system gives nothing now. */
struct frame *frame_memory_new(struct budget *budget, size_t byte_count, size_t here_count);
/* More room behind the `here_count` bytes that have filled it. False: nothing now. */
bool frame_memory_grow(struct frame *self, size_t here_count);
