/* A text → Script: its statements up to the first mistake, and that mistake.
 *
 * Owner: nobody. Loop: the program's; the grammar's library is not to be called from two threads.
 * Limits: SQL_SCRIPT_TEXT_BYTES_MAX, those of sql_tokens, the arena (SQL_SCRIPT_ARENA_BYTES
 * suffice for every text). */
#pragma once

#include "proto/internal/plan.pb-c.h"
#include "proto/sys/arena.h"
#include "proto/sys/status.h"

#include <stddef.h>

#define SQL_SCRIPT_TEXT_BYTES_MAX 65536U
#define SQL_SCRIPT_ARENA_BYTES ((size_t)64 << 20)

/* Any bytes are a text. The Script lives in `arena`. NO_MEMORY: the arena. */
MUST_USE enum status sql_script_parse(const char *text, size_t byte_count, struct arena *arena,
                                      Millrace__Plan__Script **out_script);
