/* Walks the records of one batch, decompressing it first if need be.
 *
 * Records point into the batch, or into `output` when it was compressed: they live as long as those
 * bytes stay as they are. Every length is checked before it is followed. Like Kafka's own reader it
 * lets some oddities pass that Produce refuses (batch_check.h): offset deltas of any value, a
 * header value of a negative length (null).
 *
 * Owner: the walker. Loop: any. Limits: the output's, for what a compressed batch may grow to. */
#pragma once

#include "proto/record/batch.h"
#include "proto/record/decompressor.h"
#include "proto/wire/reader.h"

struct record {
    int64_t offset;
    int64_t timestamp_ms;    /* -1: none. The batch's append time where it has one. */
    struct wire_bytes key;   /* Null is not empty. */
    struct wire_bytes value; /* Null is not empty; it deletes the key in a compacted topic. */
    const uint8_t *headers;  /* For record_header_init(). */
    const uint8_t *headers_end;
    int32_t header_count;
    int8_t attributes; /* None are defined. */
};

struct record_iterator {
    const uint8_t *next;
    const uint8_t *end;
    int64_t base_offset;
    int64_t base_timestamp_ms;
    int64_t append_time_ms;
    int32_t left_count; /* Records to come. */
    bool has_append_time;
    bool has_failed;
};

/* `decompressor` and `output` may be NULL when the batch is known to be uncompressed. The output's
 * former content is dropped; an uncompressed batch does not touch it. UNSUPPORTED: unknown codec;
 * FULL: more bytes than the output may hold; BUSY: the budget refuses; MALFORMED: record count or
 * compressed bytes. */
MUST_USE enum status record_iterator_init(struct record_iterator *self,
                                          const struct batch_view *batch,
                                          struct decompressor *decompressor,
                                          struct decompressor_output *output);

/* NOT_FOUND: all records were returned, and nothing is left over; MALFORMED: the bytes are no
 * records, fewer or more than the header counts. After a failure the iterator is at its end. */
MUST_USE enum status record_iterator_next(struct record_iterator *self, struct record *out_record);

struct record_header {
    struct wire_text key;    /* Never null. */
    struct wire_bytes value; /* May be null. */
    const uint8_t *next;     /* The iterator's, as the rest. */
    const uint8_t *end;
    int32_t left_count;
};

/* Before the first header of a record that record_iterator_next() returned, or whose headers passed
 * record_frame_headers(). */
void record_header_init(struct record_header *self, const struct record *record);
/* Moves to the next one; false: there is none. */
bool record_header_next(struct record_header *self);
