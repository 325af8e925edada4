/* Messages whose memory is an arena's: copied, or read from bytes, to be dropped with it.
 *
 * Owner: the arena. Loop: any. */
#pragma once

#include "proto/internal/plan.pb-c.h"
#include "proto/sys/arena.h"
#include "proto/sys/status.h"

/* NO_MEMORY: the arena. */
MUST_USE enum status plan_copy_table(struct arena *arena, const Millrace__Plan__Table *table,
                                     Millrace__Plan__Table **out_table);
MUST_USE enum status plan_copy_text(struct arena *arena, const char *text, char **out_text);
