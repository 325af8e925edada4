/* What can be wrong with a batch, and the number that Kafka's clients know it by. Where a real
 * broker answers another number, README.md of this folder says why. */
#pragma once

#include "proto/sys/status.h"

#include <stdint.h>

/* Name, Kafka's number, status, text. */
#define BATCH_FAULT_TABLE(X)                                                                       \
    X(NONE, 0, OK, "nothing is wrong")                                                             \
    X(EMPTY_SET, 87, INVALID, "no record batch was sent")                                          \
    X(CUT, 2, MALFORMED, "the batch is cut short")                                                 \
    X(LENGTH, 2, MALFORMED, "no batch has this length")                                            \
    X(MAGIC, 87, UNSUPPORTED, "only record batches of magic 2 are taken")                          \
    X(CHECKSUM, 2, MALFORMED, "the checksum is wrong")                                             \
    X(CODEC, 76, UNSUPPORTED, "there is no such compression codec")                                \
    X(CODEC_REFUSED, 76, UNSUPPORTED, "zstd needs Produce version 7 or later")                     \
    X(TOO_LARGE, 10, FULL, "the batch is larger than max.message.bytes")                           \
    X(SEVERAL_BATCHES, 87, INVALID, "more than one batch was sent for a partition")                \
    X(BYTES_AFTER_BATCH, 87, INVALID, "bytes follow the batch")                                    \
    X(OFFSETS, 87, INVALID, "base offset or last offset delta cannot be")                          \
    X(RECORD_COUNT, 87, INVALID, "the record count cannot be")                                     \
    X(CONTROL, 87, INVALID, "clients may not write control batches")                               \
    X(DELETE_HORIZON, 87, INVALID, "clients may not set a delete horizon")                         \
    X(PRODUCER, 87, INVALID, "producer id, epoch and sequence do not fit together")                \
    X(TXN_WITHOUT_PRODUCER, 87, INVALID, "a transactional batch needs a producer id")              \
    X(TXN_WITHOUT_ID, 53, INVALID, "a transactional batch needs a transactional id")               \
    X(COMPRESSED_BYTES, 2, MALFORMED, "the compressed bytes are damaged")                          \
    X(BYTES_AFTER_STREAM, 87, MALFORMED, "bytes follow the compressed records")                    \
    X(DECOMPRESSED_TOO_LARGE, 10, FULL, "the records decompress to more than is allowed")          \
    X(RECORD_FRAME, 87, MALFORMED, "a record's lengths do not fit")                                \
    X(RECORDS_MISSING, 87, MALFORMED, "there are fewer records than the batch counts")             \
    X(RECORDS_LEFT, 87, MALFORMED, "bytes follow the last record")                                 \
    X(OFFSET_DELTA, 87, INVALID, "a record's offset delta is not its index")                       \
    X(KEY_MISSING, 87, INVALID, "a compacted topic needs a key in every record")                   \
    X(TIMESTAMP, 32, INVALID, "a record's timestamp is out of range")                              \
    X(NO_ROOM, 7, BUSY, "not enough memory to decompress now")

enum batch_fault {
#define X(name, number, status, text) BATCH_FAULT_##name,
    BATCH_FAULT_TABLE(X)
#undef X
};

/* Never NULL; a sentence fragment without a full stop. */
const char *batch_fault_text(enum batch_fault fault);

/* What the function that found the fault returns: MALFORMED, INVALID, UNSUPPORTED, FULL (too large)
 * or BUSY (no room). */
enum status batch_fault_status(enum batch_fault fault);
/* Kafka's error code for it; 0 for none. */
int16_t batch_fault_code(enum batch_fault fault);
