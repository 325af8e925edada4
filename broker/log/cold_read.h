/* Reads of what is not in memory any more: on a lane, checked there, into memory of the reader's.
 *
 * First the segment's indexes, if they are not here; then one read from the place that they name.
 * Every batch is held against its checksum before it is served, and its offsets and leader epoch,
 * which no checksum covers, against those before it and the log's history; a damaged one ends the
 * read before it, and fails it when it is the first.
 * A truncation meanwhile starts the read again.
 *
 * Owner: the log. Loop: the shard's; the read lane works. Limits: COLD_READ_COUNT_MAX at once, the
 * budget. */
#pragma once

#include "broker/log/log_store.h"

#define COLD_READ_COUNT_MAX 1024U
#define COLD_READ_BYTES_MAX (8U << 20) /* Of one read, but for a larger first batch. */

/* PENDING, or why it cannot begin: BUSY, NO_MEMORY, or what kept the file from being opened. */
MUST_USE enum status cold_read_start(struct log *log, struct log_read *read);
/* The log goes: its reads end with CANCELED, from a later turn. */
void cold_read_cancel_all(struct log *log);
