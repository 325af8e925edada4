/* Compresses record data for batches of our own, in the forms every Kafka client reads: one gzip
 * member, snappy in xerial framing, one lz4 frame of independent blocks, one zstd frame.
 *
 * One per loop: contexts and the output are made at first use and kept.
 * Owner: whoever embeds it. Loop: the owner's. Limits: input up to COMPRESSOR_INPUT_BYTES_MAX. */
#pragma once

#include "proto/record/compression.h"
#include "proto/sys/status.h"
#include "proto/wire/reader.h"

#include <limits.h>
#include <stddef.h>

#define COMPRESSOR_INPUT_BYTES_MAX (1U << 30)
#define COMPRESSOR_LEVEL_DEFAULT INT_MIN

struct compressor {
    struct z_stream_s *gzip; /* Owned, made at first use, as those below. */
    int gzip_level;
    struct LZ4F_cctx_s *lz4;
    struct ZSTD_CCtx_s *zstd;
    uint8_t *bytes; /* Owned. The last result. */
    size_t capacity_bytes;
};

void compressor_init(struct compressor *self);
/* Accepts a zeroed one. */
void compressor_done(struct compressor *self);

/* The result lives until the next run. `codec` is known and not NONE. A level outside the codec's
 * range counts as the nearest one inside. */
MUST_USE enum status compressor_run(struct compressor *self, enum compression_codec codec,
                                    int level, struct wire_slice input,
                                    struct wire_slice *out_result);
