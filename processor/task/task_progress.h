/* The progress record of a task: read with suspicion, made of what an epoch knows.
 *
 * Owner: the attempt. Loop: its. */
#pragma once

#include "processor/source/source.h"
#include "processor/task/task_setup.h"
#include "proto/sys/arena.h"

/* Whose progress this is, and whether a task of this setup may go on from it. MALFORMED: bytes that
 * no version wrote; UNSUPPORTED: a newer one did; INVALID: of another query; FENCED: a younger run
 * has begun. On success the caller frees it with millrace__processor__progress__free_unpacked(). */
MUST_USE enum status task_progress_unpack(const struct task_setup *setup, const uint8_t *bytes,
                                          size_t byte_count,
                                          Millrace__Processor__Progress **out_progress);

/* NULL: the progress says nothing of it. `progress` may be NULL. */
const Millrace__Processor__InputProgress *
task_progress_input(const Millrace__Processor__Progress *progress, int32_t partition);
/* Where restoring begins; 0 where nothing is said. */
int64_t task_progress_changelog_start(const Millrace__Processor__Progress *progress,
                                      int32_t partition);

/* Adds the epoch's stats to the totals of all epochs before; what is a state, not a sum, is taken
 * over. */
void task_progress_add(Millrace__Processor__EpochStats *totals,
                       const Millrace__Processor__EpochStats *epoch);
