/* Makes one record batch out of records: the writing side of our own client and coordinators.
 *
 * Records are appended in wire form behind room for the header; finishing compresses them, writes
 * the header and the checksum. The result stays in the builder's memory until it is reset, so a
 * producer can keep it for a retry.
 *
 * Owner: whoever embeds it. Loop: the owner's. Limits: `byte_count_max`, of the uncompressed
 * batch. */
#pragma once

#include "proto/record/compressor.h"
#include "proto/record/record_iterator.h"

struct batch_builder_header {
    struct wire_text key; /* Never null. */
    struct wire_bytes value;
};

struct batch_builder_record {
    int64_t timestamp_ms; /* -1: none. */
    struct wire_bytes key;
    struct wire_bytes value;
    const struct batch_builder_header *headers;
    int32_t header_count;
};

struct batch_builder {
    struct budget *budget; /* Borrowed for life; NULL: memory is not counted. */
    uint8_t *bytes;        /* Owned, unless borrowed. */
    size_t byte_count;     /* Header included. */
    size_t capacity_bytes;
    size_t byte_count_max;
    int64_t base_timestamp_ms;
    int64_t max_timestamp_ms;
    int32_t record_count;
    int32_t next_offset_delta;
    bool has_base_timestamp;
    bool is_finished;
    bool is_borrowed;
};

/* Allocates nothing yet. */
void batch_builder_init(struct batch_builder *self, struct budget *budget, size_t byte_count_max);
/* Builds in the caller's memory, which holds the batch afterwards. */
void batch_builder_init_over(struct batch_builder *self, void *bytes, size_t byte_count);
/* Accepts a zeroed one. */
void batch_builder_done(struct batch_builder *self);
/* Empty again; keeps its memory. */
void batch_builder_reset(struct batch_builder *self);

/* Copies the record. FULL: it does not fit any more (or never will, when the builder is empty);
 * BUSY: the budget refuses; NO_MEMORY. Nothing was added then. */
MUST_USE enum status batch_builder_append(struct batch_builder *self,
                                          const struct batch_builder_record *record);
/* For a writer that keeps another batch's gaps, as compaction does: record offsets need not follow
 * each other, but must ascend, and the base timestamp may be any, set while the builder is empty.
 */
MUST_USE enum status batch_builder_append_at(struct batch_builder *self,
                                             const struct batch_builder_record *record,
                                             int32_t offset_delta);
void batch_builder_set_base_timestamp(struct batch_builder *self, int64_t base_timestamp_ms);
/* Bytes that `record` would take at most. */
size_t batch_builder_record_bytes_max(const struct batch_builder_record *record);

struct batch_builder_keep;

struct batch_builder_finish {
    enum compression_codec codec;
    int compression_level; /* COMPRESSOR_LEVEL_DEFAULT: the codec's own default. */
    int64_t base_offset;   /* 0 for a client. */
    int32_t leader_epoch;  /* -1 for a client. */
    int64_t producer_id;   /* -1: none. */
    int16_t producer_epoch;
    int32_t base_sequence;
    bool is_transactional;
    bool is_control;
    const struct batch_builder_keep *keep; /* NULL: offsets and times are those of the records. */
};

/* What a thinned out batch keeps, even when no record is left. */
struct batch_builder_keep {
    int32_t last_offset_delta; /* Not below the last record's. */
    int64_t max_timestamp_ms;
    bool has_delete_horizon; /* Which is the base timestamp. */
};
/* -1 wherever that means none. */
#define BATCH_BUILDER_FINISH_PLAIN                                                                 \
    ((struct batch_builder_finish){.compression_level = COMPRESSOR_LEVEL_DEFAULT,                  \
                                   .leader_epoch = -1,                                             \
                                   .producer_id = -1,                                              \
                                   .producer_epoch = -1,                                           \
                                   .base_sequence = -1})

/* At least one record must be there, unless options keep something. `compressor` may be NULL for
 * codec none. Records that do not become smaller are sent uncompressed. The batch lives in the
 * builder until it is reset. */
MUST_USE enum status batch_builder_finish(struct batch_builder *self,
                                          const struct batch_builder_finish *options,
                                          struct compressor *compressor,
                                          struct batch_view *out_batch);
