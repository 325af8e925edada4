/* The rows of an answer to AddPartitionsToTxn, one for each partition that was named.
 *
 * Owner: the arena they lie in. Loop: any. */
#pragma once

#include "broker/coordinator/txn.h"
#include "proto/sys/arena.h"

/* Without errors yet. FULL: no memory. */
MUST_USE enum status txn_rows_make(struct arena *arena, const txn_topic_in *topics,
                                   int32_t topics_count, txn_topic_out **out_rows);
/* Of all rows that have none. */
void txn_rows_fill(txn_topic_out *rows, int32_t row_count, int16_t code);
/* `to` in the place of `from`. */
void txn_rows_replace(txn_topic_out *rows, int32_t row_count, int16_t from, int16_t to);
/* The code of the first partition that has one. */
int16_t txn_rows_code(const txn_topic_out *rows, int32_t row_count);
