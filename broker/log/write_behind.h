/* Copies flushed bytes from the tails to the segments' files, behind the acknowledgements.
 *
 * Only bytes that the journal has durably are written, so that a crash can never find newer bytes
 * in a segment than in the journal. Whole blocks go straight from the tail's memory; the last,
 * unfinished block is written padded, from a copy, when a checkpoint wants all.
 * A full disk is no failure here: the bytes are in the journal, and the write is tried again.
 *
 * Owner: the store. Loop: the shard's; the segment lane works. Limits: WRITE_BEHIND_JOBS_MAX. */
#pragma once

#include "broker/log/log_store.h"

#define WRITE_BEHIND_JOBS_MAX 4U
#define WRITE_BEHIND_BYTES_MIN (512U << 10) /* Of one log, before it is worth a write. */

struct write_behind;

MUST_USE enum status write_behind_new(struct log_store *store, struct write_behind **out_self);
void write_behind_free(struct write_behind *self); /* Nothing is under way. Accepts NULL. */

/* The durable end of the log moved: writes when it is worth it, or when memory is short. */
void write_behind_note(struct log *log);
/* Everything durable goes to the files; checkpoint_on_written() tells. */
void write_behind_all(struct log *log);
/* Everything durable is in the files. */
bool write_behind_is_done(const struct log *log);
/* Writes what all logs have, since memory is needed. */
void write_behind_hurry(struct log_store *store);
/* Goes on where it had to stop (disk full, no memory). */
void write_behind_resume(struct log_store *store);
/* The log is being freed or cut. */
void write_behind_forget(struct log *log);
bool write_behind_is_idle(const struct write_behind *self); /* No request is under way. */
