/* Takes compressed record data apart, as a stream of bounded pieces or as a whole.
 *
 * One per loop: the libraries' contexts are made at first use and kept, so that a batch costs no
 * allocation. What is read is what Kafka's own reader reads: gzip with several members, snappy as
 * one bare block or in xerial framing, one lz4 frame of independent blocks, several zstd frames.
 * Sizes that the data claims are never believed: output grows with bytes that are really there, and
 * a snappy block may not claim more than its encoding can express.
 *
 * Owner: whoever embeds it. Loop: the owner's. Limits: `byte_count_max` of each stream; zstd
 * windows up to 128 MiB, of which those above 8 MiB are taken from the budget and given back after
 * the stream. */
#pragma once

#include "proto/record/compression.h"
#include "proto/sys/budget.h"
#include "proto/sys/status.h"

#include <stddef.h>

/* Holds two of the largest blocks that lz4 writers use, or snappy's four. */
#define DECOMPRESSOR_WINDOW_BYTES ((size_t)128 << 10)

struct decompressor {
    struct budget *budget; /* Borrowed for life; NULL: memory is not counted. */
    enum compression_codec codec;
    const uint8_t *next; /* Input, borrowed while a stream is open. */
    const uint8_t *end;
    size_t produced_bytes;
    size_t byte_count_max;
    bool is_at_end;
    bool is_inside_frame;    /* zstd: a frame has begun and is not complete. */
    bool is_framed;          /* snappy: xerial. */
    struct z_stream_s *gzip; /* Owned, made at first use, as those below. */
    struct LZ4F_dctx_s *lz4;
    struct ZSTD_DCtx_s *zstd;
    uint64_t zstd_content_left; /* What the present frame still promises; UINT64_MAX: nothing. */
    size_t zstd_window_bytes;   /* Taken from the budget for the present stream. */
    uint8_t *block;             /* Owned. A snappy block that did not fit its reader's room. */
    size_t block_bytes_max;
    uint8_t *window;     /* Owned. For a reader without memory of its own. */
    size_t window_bytes; /* DECOMPRESSOR_WINDOW_BYTES; may be changed before it is reserved. */
    const uint8_t *block_next;
    const uint8_t *block_end;
};

void decompressor_init(struct decompressor *self, struct budget *budget);
/* Accepts a zeroed one. */
void decompressor_done(struct decompressor *self);

/* Opens a stream; what an earlier one left is forgotten. UNSUPPORTED: unknown codec. */
MUST_USE enum status decompressor_start(struct decompressor *self, enum compression_codec codec,
                                        const void *bytes, size_t byte_count,
                                        size_t byte_count_max);
/* Up to `room` further bytes; 0 is the end of the stream. MALFORMED: not what the codec says, or
 * cut short; FULL: beyond `byte_count_max`; BUSY: the budget refuses. */
MUST_USE enum status decompressor_read(struct decompressor *self, uint8_t *out_bytes, size_t room,
                                       size_t *out_byte_count);
/* Makes `window` if there is none yet. BUSY: the budget refuses; NO_MEMORY. */
MUST_USE enum status decompressor_reserve_window(struct decompressor *self);
/* Input behind the stream's end, which Kafka's reader ignores (gzip and lz4 only). */
size_t decompressor_left(const struct decompressor *self);

/* Memory for one whole decompressed batch, used again for the next. */
struct decompressor_output {
    struct budget *budget; /* Borrowed for life; NULL: memory is not counted. */
    uint8_t *bytes;        /* Owned. */
    size_t byte_count;
    size_t capacity_bytes;
    size_t byte_count_max;
};

/* Allocates nothing yet. */
void decompressor_output_init(struct decompressor_output *self, struct budget *budget,
                              size_t byte_count_max);
/* Gives the memory back; the output can be used again. Accepts a zeroed one. */
void decompressor_output_done(struct decompressor_output *self);

/* The whole stream into `output`, replacing what it held. */
MUST_USE enum status decompressor_run(struct decompressor *self, enum compression_codec codec,
                                      const void *bytes, size_t byte_count,
                                      struct decompressor_output *output);
