/* Makes the journal's space free again: segments durable, then one file that says so.
 *
 * A round begins with a cut in the journal. Each log that changed is captured at a moment of its
 * own (state, producer snapshot, index entries), then its records up to there are flushed
 * (journal), bytes written and all settled (synced; sides, epoch file). Its entry carries the
 * sequence of the last record in it, so replay skips what it has. A log whose bytes are taken back
 * meanwhile, or whose segments go before they were written, is captured again. When all are settled
 * (a round of many logs is made durable by one flush of everything then), `checkpoint-<shard>` is
 * replaced and the journal before the cut is free. A full disk only delays a round.
 *
 * Owner: the store. Loop: the shard's; the segment lane works. Limits: CHECKPOINT_LOGS_MAX under
 * way at once. */
#pragma once

#include "broker/log/log_store.h"

#define CHECKPOINT_LOGS_MAX 16U
#define CHECKPOINT_INTERVAL_NS (60 * CLOCK_NS_PER_S)

struct checkpoint;

MUST_USE enum status checkpoint_new(struct log_store *store, struct checkpoint **out_self);
void checkpoint_free(struct checkpoint *self); /* No round is under way. Accepts NULL. */

/* The log is not what its entry says. */
void checkpoint_note_change(struct log *log);
/* More of it is in the journal. */
void checkpoint_on_flushed(struct log *log);
/* Everything durable of it is in its segments. */
void checkpoint_on_written(struct log *log);
/* Segments of the log go, and with them what was still to be written to their files. */
void checkpoint_note_dropped(struct log *log);
/* The log is deleted: the record has this sequence. */
void checkpoint_note_removal(struct log *log, uint64_t sequence);
/* A log of a former run that nobody opened is deleted, durably when this returns. BUSY: the journal
 * is full. */
MUST_USE enum status checkpoint_remove_former(struct log_store *store,
                                              const struct wire_uuid *topic_id, int32_t partition);
/* Deleted in this run and not made again. */
bool checkpoint_has_removed(const struct log_store *store, const struct wire_uuid *topic_id,
                            int32_t partition);
void checkpoint_forget(struct log *log); /* It is being freed. */

/* Starts a round unless one is under way. */
void checkpoint_begin(struct log_store *store);
/* Goes on where it had to stop; begins a round when the journal is half full or the interval is
 * over. */
void checkpoint_tick(struct log_store *store);
bool checkpoint_is_busy(const struct checkpoint *self);
bool checkpoint_is_quiet(const struct checkpoint *self); /* No request is under way. */

/* The last round: all logs, files cut to their data, the clean mark. True once it is done. */
bool checkpoint_close(struct log_store *store);
