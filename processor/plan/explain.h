/* A plan as people read it: stages, operators, expressions as SQL again, watermark, topics, and
 * what the latency is made of. EXPLAIN prints it, the catalog's `describe` too.
 *
 * Owner: nobody. Loop: any. Limits: the arena. */
#pragma once

#include "proto/internal/plan.pb-c.h"
#include "proto/sys/arena.h"
#include "proto/sys/status.h"

/* Lines end in a newline; the text is NUL-terminated and lives in `arena`. The plan must be one
 * that plan_check made or a packed one read back. NO_MEMORY: the arena. */
MUST_USE enum status explain_plan(const Millrace__Plan__JobPlan *plan, struct arena *arena,
                                  const char **out_text);
