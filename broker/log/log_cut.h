/* Taking bytes away from a log: truncation, reset, moves of the start.
 *
 * The record is put, the state changes at once, and the files of segments that went are renamed and
 * removed only when the record is flushed; a crash before that finds them as they were.
 *
 * Owner: the log. Loop: the shard's. */
#pragma once

#include "broker/log/log_store.h"

MUST_USE enum status log_cut_truncate(struct log *log, int64_t offset);
MUST_USE enum status log_cut_reset(struct log *log, int64_t offset);
/* `offset` lies in [start, end]. */
MUST_USE enum status log_cut_start(struct log *log, int64_t offset);
/* A new segment takes the name of one that is about to go. */
void log_cut_keep_file(struct log *log, int64_t base_offset);
void log_cut_forget(struct log *log); /* The log goes with all its files. */
