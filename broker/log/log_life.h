/* The beginning and the end of a log in its store.
 *
 * A log is found in the base of the last recovery, or begins anew with a record of the journal. A
 * deleted log leaves its name at once: its directory is renamed, and removed when the deletion is
 * flushed and the delay is over.
 *
 * Owner: the store. Loop: the shard's; synchronous. */
#pragma once

#include "broker/log/log_store.h"

MUST_USE enum status log_life_open(struct log_store *store, const struct log_options *options,
                                   struct log **out_log);
/* Takes a last producer snapshot; the log stays in the store without a user. */
void log_life_forget(struct log *log);
void log_life_delete(struct log *log);
/* A deleted log goes once no request holds it. */
void log_life_reap(struct log *log);
void log_life_free(struct log *log);
