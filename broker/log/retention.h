/* Deletes whole old segments by time and by size, a few logs at a tick.
 *
 * A segment's age is told by the earlier of its greatest record time and its newest ingested time,
 * so that a record from the future pins nothing, against the guarded wall clock (wall_guard.h). Of
 * time, the active segment goes, too, once it is rolled; of size it never does. Nothing at or
 * beyond the retention limit or the durable end goes. What was below the log's start goes anyway.
 *
 * Owner: the store. Loop: the shard's. Limits: RETENTION_LOGS_PER_TICK. */
#pragma once

#include "broker/log/log_store.h"

#define RETENTION_INTERVAL_NS (300 * CLOCK_NS_PER_S)
#define RETENTION_LOGS_PER_TICK 500U

void retention_tick(struct log_store *store);
/* One log, now. Returns the start that it should have. */
int64_t retention_start_of(const struct log *log, int64_t now_ms);
