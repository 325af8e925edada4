/* Walks the record frames of a client's batch without keeping any of them: are the lengths right,
 * are there as many as the header counts, are offset deltas, keys and timestamps as Produce wants
 * them.
 *
 * An uncompressed batch is walked where it lies. A compressed one passes through the decompressor's
 * window piece by piece; a record that crosses the window's end is read field by field and its key
 * and value are skipped, so the cost in memory is the window whatever the records claim.
 * Owner: batch_check. Loop: any. Limits: `decompressed_bytes_max`. */
#pragma once

#include "proto/record/batch_check.h"

/* A compressed batch needs the rules' decompressor. Fills the record index, the refused timestamp
 * and the greatest timestamp of `out_verdict`, and the fault. */
void record_walk_run(const struct batch_view *batch, const struct batch_rules *rules,
                     struct batch_verdict *out_verdict);
