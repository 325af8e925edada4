/* What is wrong with a batch: as any reader must see it, as a log may store it, as a client may
 * send it.
 *
 * Each level contains the one before: header (checksum, codec, counts that can be), stored (offsets
 * that can be kept in a log), produce (every rule for a client's record set). An uncompressed
 * batch's record frames are walked by the last one always; a compressed batch is only opened where
 * the rules ask for it, and then in pieces, so that a decompression bomb costs time up to a limit
 * but no memory.
 *
 * Owner: the caller. Loop: any. Limits: those of the rules. */
#pragma once

#include "proto/record/batch.h"
#include "proto/record/batch_fault.h"
#include "proto/record/decompressor.h"

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

/* The rules let a record have this timestamp. */
bool batch_check_timestamp(const struct batch_rules *rules, int64_t timestamp_ms);

/* A client's record set: one whole batch and nothing else, base offset 0. Bytes that a client may
 * leave to the broker (leader epoch, append time flag, max timestamp) are not judged; see
 * batch_stamp_create_time(). */
MUST_USE enum status batch_check_produce(const void *bytes, size_t byte_count,
                                         const struct batch_rules *rules,
                                         struct batch_verdict *out_verdict);
