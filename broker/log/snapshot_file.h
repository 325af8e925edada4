/* `<offset>.snapshot`: what a partition knew of its producers when its end was that offset.
 *
 * Kafka's version 1, numbers big endian:
 *
 *   offset size field
 *   0      2    int16 version, 1
 *   2      4    uint32 CRC-32C of bytes 6 up to the end
 *   6      4    int32 number of rows
 *   10     46   rows, in no particular order, one per producer id:
 *   +0     8    int64 producer id
 *   +8     2    int16 producer epoch
 *   +10    4    int32 last sequence, of the newest batch only; -1 no batch
 *   +14    8    int64 last offset; -1 no batch
 *   +22    4    int32 offset delta (last - first offset of that batch)
 *   +26    8    int64 timestamp, the newest of batch or marker
 *   +34    4    int32 coordinator epoch of the last marker; -1 none
 *   +38    8    int64 first offset of the open transaction; -1 none
 *
 * A row's first sequence is last sequence - offset delta, modulo 2^31.
 * Owner: none. Loop: any. Limits: SNAPSHOT_FILE_ROWS_MAX. */
#pragma once

#include "proto/sys/status.h"

#include <stddef.h>
#include <stdint.h>

#define SNAPSHOT_FILE_HEADER_BYTES 10U
#define SNAPSHOT_FILE_ROW_BYTES 46U
#define SNAPSHOT_FILE_ROWS_MAX (1U << 22)
#define SNAPSHOT_FILE_BYTES_MAX                                                                    \
    (SNAPSHOT_FILE_HEADER_BYTES + SNAPSHOT_FILE_ROWS_MAX * SNAPSHOT_FILE_ROW_BYTES)

struct snapshot_file_row {
    int64_t producer_id;
    int64_t last_offset;
    int64_t timestamp_ms;
    int64_t txn_first_offset;
    int32_t last_sequence;
    int32_t offset_delta;
    int32_t coordinator_epoch;
    int16_t producer_epoch;
};

/* CORRUPT: cut, longer than its rows, wrong checksum, or a row that cannot be (negative ids, a
 * producer id twice). UNSUPPORTED: another version. `out_rows` is for free(), ascending by producer
 * id; NULL without rows. */
MUST_USE enum status snapshot_file_decode(const uint8_t *bytes, size_t byte_count,
                                          struct snapshot_file_row **out_rows,
                                          uint32_t *out_row_count);
/* In the order given. `out_bytes` is for free(). */
MUST_USE enum status snapshot_file_encode(const struct snapshot_file_row *rows, uint32_t row_count,
                                          uint8_t **out_bytes, size_t *out_byte_count);
