/* `leader-epoch-checkpoint` of a partition's directory: the epoch history as Kafka's text.
 *
 *   0            version
 *   2            number of rows that follow
 *   0 7          epoch, start offset
 *   2 269
 *
 * Each line ends in a newline. Owner: the log. Loop: any. Limits: EPOCH_HISTORY_ENTRIES_MAX rows.
 */
#pragma once

#include "broker/log/epoch_history.h"
#include "proto/sys/status.h"

#include <stddef.h>
#include <stdint.h>

#define EPOCH_FILE_NAME "leader-epoch-checkpoint"
#define EPOCH_FILE_BYTES_MAX (4U << 20)

/* Fills `out_history`, which is initialised and empty. MALFORMED: not such a text, rows missing or
 * not ascending. UNSUPPORTED: another version. */
MUST_USE enum status epoch_file_decode(const uint8_t *bytes, size_t byte_count,
                                       struct epoch_history *out_history);
/* `out_bytes` is for free(). */
MUST_USE enum status epoch_file_encode(const struct epoch_history *history, uint8_t **out_bytes,
                                       size_t *out_byte_count);
