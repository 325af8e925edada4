/* The beginning and the end of a log in its store.
 *
 * A log is found in the base of the last recovery, or begins anew with a record of the journal. A
 * deleted log keeps its directory until the deletion is flushed; then it is renamed, and removed
 * when the delay is over. So a directory that a recovery does not find was deleted, or is lost.
 *
 * Owner: the store. Loop: the shard's; synchronous. */
#pragma once

#include "broker/log/log_store.h"

MUST_USE enum status log_life_open(struct log_store *store, const struct log_options *options,
                                   struct log **out_log);
/* Takes a last producer snapshot; the log stays in the store without a user. */
void log_life_forget(struct log *log);
/* The same without a snapshot. */
void log_life_abandon(struct log *log);
void log_life_delete(struct log *log);
/* Of those that found the journal full. */
void log_life_retry_deletions(struct log_store *store);
/* A deleted log goes once no request holds it. */
void log_life_reap(struct log *log);
void log_life_free(struct log *log);
