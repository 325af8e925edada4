/* What is wrong with a batch: as any reader must see it, as a log may store it, as a client may
 * send it.
 *
 * Each level contains the one before: header (checksum, codec, counts that can be), stored (offsets
 * that can be kept in a log), produce (every rule for a client's record set). An uncompressed
 * batch's record frames are walked by the last one always; a compressed batch is only opened where
 * the rules ask for it, and then in pieces, so that a decompression bomb costs time up to a limit
 * but no memory.
 *
 * A verdict names the fault; broker/api turns faults into Kafka's numbers. The number beside each
 * fault is the one meant: where facts of the wire and a real broker differ, README.md says why.
 * Owner: the caller. Loop: any. Limits: those of the rules. */
#pragma once

#include "proto/record/batch.h"
#include "proto/record/decompressor.h"

#define BATCH_FAULT_TABLE(X)                                                                       \
    X(NONE, 0, "nothing is wrong")                                                                 \
    X(EMPTY_SET, 87, "no record batch was sent")                                                   \
    X(CUT, 2, "the batch is cut short")                                                            \
    X(LENGTH, 2, "no batch has this length")                                                       \
    X(MAGIC, 87, "only record batches of magic 2 are taken")                                       \
    X(CHECKSUM, 2, "the checksum is wrong")                                                        \
    X(CODEC, 76, "there is no such compression codec")                                             \
    X(CODEC_REFUSED, 76, "zstd needs Produce version 7 or later")                                  \
    X(TOO_LARGE, 10, "the batch is larger than max.message.bytes")                                 \
    X(SEVERAL_BATCHES, 87, "more than one record batch was sent for a partition")                  \
    X(BYTES_AFTER_BATCH, 87, "bytes follow the record batch")                                      \
    X(OFFSETS, 87, "base offset or last offset delta cannot be")                                   \
    X(RECORD_COUNT, 87, "the record count cannot be")                                              \
    X(CONTROL, 87, "clients may not write control batches")                                        \
    X(DELETE_HORIZON, 87, "clients may not set a delete horizon")                                  \
    X(PRODUCER, 87, "producer id, producer epoch and base sequence do not fit together")           \
    X(TXN_WITHOUT_PRODUCER, 87, "a transactional batch needs a producer id")                       \
    X(TXN_WITHOUT_ID, 53, "a transactional batch needs a transactional id")                        \
    X(COMPRESSED_BYTES, 2, "the compressed bytes are damaged")                                     \
    X(BYTES_AFTER_STREAM, 87, "bytes follow the compressed records")                               \
    X(DECOMPRESSED_TOO_LARGE, 10, "the records decompress to more than is allowed")                \
    X(RECORD_FRAME, 87, "a record's lengths do not fit")                                           \
    X(RECORDS_MISSING, 87, "there are fewer records than the batch counts")                        \
    X(RECORDS_LEFT, 87, "bytes follow the last record")                                            \
    X(OFFSET_DELTA, 87, "a record's offset delta is not its index")                                \
    X(KEY_MISSING, 87, "a compacted topic needs a key in every record")                            \
    X(TIMESTAMP, 32, "a record's timestamp is out of range")                                       \
    X(NO_ROOM, 0, "not enough memory to decompress now")

enum batch_fault {
#define X(name, number, text) BATCH_FAULT_##name,
    BATCH_FAULT_TABLE(X)
#undef X
};

/* Never NULL; a sentence fragment without a full stop. */
const char *batch_fault_text(enum batch_fault fault);

/* MALFORMED, INVALID, UNSUPPORTED, FULL (too large) or BUSY (NO_ROOM): the result of the function
 * that found the fault. */
enum status batch_fault_status(enum batch_fault fault);

struct batch_verdict {
    enum batch_fault fault;
    int32_t record_index; /* Of the first record at fault; -1: the batch as a whole. */
    int64_t timestamp_ms; /* With TIMESTAMP: the one that was refused. */

    /* After batch_check_produce() found nothing: */
    struct batch_view batch;
    bool is_walked;           /* Every record was seen, so the next two are true. */
    int64_t max_timestamp_ms; /* The greatest of the records' (the header's when not walked). */
    int32_t max_timestamp_index;
};

/* As any reader: the checksum, a known codec, no negative count. On every result but OK the verdict
 * says why; this holds for all functions here. */
MUST_USE enum status batch_check_header(const struct batch_view *batch,
                                        struct batch_verdict *out_verdict);

/* As a log that takes batches from a leader or from its own files: also offsets that ascend and
 * do not overflow, and no more records than offsets. */
MUST_USE enum status batch_check_stored(const struct batch_view *batch,
                                        struct batch_verdict *out_verdict);

struct batch_rules {
    size_t byte_count_max;         /* max.message.bytes. */
    size_t decompressed_bytes_max; /* When a compressed batch is opened. */
    int64_t timestamp_ms_min;      /* Inclusive, as the next; -1 (no timestamp) always passes, */
    int64_t timestamp_ms_max;      /* other negative ones never. */
    bool is_append_time;           /* The topic stamps; clients' timestamps do not matter. */
    bool is_full;                  /* record.validation=full: open compressed batches. */
    bool is_compacted;             /* Keys are needed, so compressed batches are opened, too. */
    bool is_zstd_refused;          /* The request is older than zstd. */
    bool has_transactional_id;     /* The request named one. */
    struct decompressor *decompressor; /* Needed when compressed batches are opened. */
};

/* A client's record set: one whole batch and nothing else, base offset 0. Bytes that a client may
 * leave to the broker (leader epoch, append time flag, max timestamp) are not judged; see
 * batch_stamp_create_time(). */
MUST_USE enum status batch_check_produce(const void *bytes, size_t byte_count,
                                         const struct batch_rules *rules,
                                         struct batch_verdict *out_verdict);
