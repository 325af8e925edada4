/* Kafka's offset checkpoints of a data directory: one offset per partition, as text.
 *
 *   0                    version
 *   2                    number of rows that follow
 *   golden 0 314         topic, partition, offset
 *   golden-compacted 0 144
 *
 * Each line ends in a newline. Owner: the store. Loop: any. Limits: CHECKPOINT_FILE_ROWS_MAX. */
#pragma once

#include "proto/sys/status.h"
#include "proto/wire/reader.h"

#include <stddef.h>
#include <stdint.h>

#define CHECKPOINT_FILE_RECOVERY_POINT "recovery-point-offset-checkpoint"
#define CHECKPOINT_FILE_LOG_START "log-start-offset-checkpoint"
#define CHECKPOINT_FILE_REPLICATION "replication-offset-checkpoint" /* High watermarks. */
#define CHECKPOINT_FILE_CLEANER "cleaner-offset-checkpoint"
#define CHECKPOINT_FILE_ROWS_MAX 1000000U
#define CHECKPOINT_FILE_BYTES_MAX (256U << 20)

struct checkpoint_file_row {
    struct wire_text topic_name; /* Borrowed. */
    int32_t partition;
    int64_t offset;
};

/* MALFORMED: not such a text, rows missing or surplus. UNSUPPORTED: another version. `out_rows` is
 * for free() and borrows its names from `bytes`; NULL without rows. */
MUST_USE enum status checkpoint_file_decode(const uint8_t *bytes, size_t byte_count,
                                            struct checkpoint_file_row **out_rows,
                                            uint32_t *out_row_count);
/* `out_bytes` is for free(). */
MUST_USE enum status checkpoint_file_encode(const struct checkpoint_file_row *rows,
                                            uint32_t row_count, uint8_t **out_bytes,
                                            size_t *out_byte_count);
