/* Growth of the entry arrays of this folder: doubling, from small to a limit.
 *
 * Owner: the array's. Loop: any. Limits: the caller's `room_max`. */
#pragma once

#include "proto/sys/status.h"

#include <stddef.h>
#include <stdint.h>

/* Makes room for at least `needed` entries of `entry_bytes` in the array at `*entries`, which may
 * be NULL. FULL: `needed` is above `room_max`. On failure nothing is changed. */
MUST_USE enum status entry_room_reserve(void **entries, uint32_t *room, uint32_t needed,
                                        uint32_t room_max, size_t entry_bytes);
