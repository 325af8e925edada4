/* Control records: what Kafka's log says about itself, above all how a transaction ended.
 *
 * A control batch holds one record. Its key is int16 version 0, int16 type; the value of an end of
 * transaction is int16 version 0, int32 coordinator epoch. Readers skip versions they do not know
 * by the type alone, as Kafka does.
 *
 * Owner: the caller. Loop: any. Limits: a marker batch has CONTROL_RECORD_MARKER_BYTES. */
#pragma once

#include "proto/record/record_iterator.h"

#define CONTROL_RECORD_MARKER_BYTES 78U

enum control_record_type {
    CONTROL_RECORD_ABORT = 0,
    CONTROL_RECORD_COMMIT = 1,
    CONTROL_RECORD_LEADER_CHANGE = 2,
    CONTROL_RECORD_SNAPSHOT_HEADER = 3,
    CONTROL_RECORD_SNAPSHOT_FOOTER = 4,
    CONTROL_RECORD_KRAFT_VERSION = 5,
    CONTROL_RECORD_KRAFT_VOTERS = 6,
    CONTROL_RECORD_UNKNOWN = -1, /* A type of a later time: skipped. */
};

struct control_record {
    enum control_record_type type;
    int32_t coordinator_epoch; /* Of ABORT and COMMIT; else -1. */
};

/* Of a record in a control batch. MALFORMED: key or marker value too short or of a negative
 * version. */
MUST_USE enum status control_record_decode(const struct record *record,
                                           struct control_record *out_control);
/* The marker that a control batch holds; for the producer's state and for read_committed readers.
 * NOT_FOUND: an empty one, as compaction leaves it. */
MUST_USE enum status control_record_of_batch(const struct batch_view *batch,
                                             struct control_record *out_control);

struct control_record_marker {
    int64_t base_offset;
    int32_t leader_epoch;
    int64_t timestamp_ms;
    int64_t producer_id;
    int16_t producer_epoch;
    bool is_commit; /* Else abort. */
    int32_t coordinator_epoch;
};

/* The whole batch that ends a transaction in one partition. */
void control_record_encode_marker(const struct control_record_marker *marker,
                                  uint8_t out_bytes[CONTROL_RECORD_MARKER_BYTES]);
