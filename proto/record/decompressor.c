#define ZLIB_CONST
#include "proto/record/decompressor.h"

#include "proto/record/batch.h"
#include "proto/sys/check.h"
#include "proto/wire/reader.h"

#include <lz4frame.h>
#include <snappy-c.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

/* zlib counts in unsigned int, and no batch comes near it. */
#define STREAM_BYTES_MAX ((size_t)INT32_MAX)
#define GZIP_WINDOW_BITS (15 + 16) /* The largest window, in gzip's own wrapping only. */

#define XERIAL_HEADER_BYTES 16U
#define XERIAL_MAGIC_HEAD 0x82534e41U
static const uint8_t xerial_magic[8] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};

/* Snappy's densest element turns 3 bytes into 64. */
#define SNAPPY_GROWTH_MAX 22U
/* A larger block's memory is not kept for the next stream. */
#define BLOCK_KEPT_BYTES_MAX (1U << 20)

#define LZ4_FRAME_MAGIC 0x184d2204U
#define LZ4_FLAG_INDEPENDENT 0x20U
#define LZ4_FLAGS_REFUSED 0x03U /* A dictionary, or reserved: Kafka refuses both. */

#define ZSTD_FRAME_MAGIC 0xfd2fb528U
#define ZSTD_SINGLE_SEGMENT 0x20U
/* What every decoder of the format should take; larger windows are paid from the budget. */
#define ZSTD_WINDOW_FREE_BYTES (8U << 20)
#define ZSTD_WINDOW_BYTES_MAX ((1U << 27) + 1) /* The library refuses more. */

#define OUTPUT_BYTES_MIN ((size_t)64 << 10)

void decompressor_init(struct decompressor *self, struct budget *budget)
{
    *self = (struct decompressor){
        .budget = budget, .is_at_end = true, .window_bytes = DECOMPRESSOR_WINDOW_BYTES};
}

static bool budget_taken(struct budget *budget, size_t byte_count)
{
    return budget == NULL || budget_take(budget, byte_count);
}

static void budget_given(struct budget *budget, size_t byte_count)
{
    if (budget != NULL) {
        budget_give(budget, byte_count);
    }
}

static void block_free(struct decompressor *self)
{
    free(self->block);
    budget_given(self->budget, self->block_bytes_max);
    self->block = NULL;
    self->block_bytes_max = 0;
}

/* A context that a frame with a large window has blown up is not kept either. */
static void zstd_release_window(struct decompressor *self)
{
    if (self->zstd_window_bytes > 0) {
        ZSTD_freeDCtx(self->zstd);
        self->zstd = NULL;
        budget_given(self->budget, self->zstd_window_bytes);
        self->zstd_window_bytes = 0;
    }
}

void decompressor_done(struct decompressor *self)
{
    zstd_release_window(self);
    block_free(self);
    if (self->window != NULL) {
        free(self->window);
        budget_given(self->budget, self->window_bytes);
    }
    if (self->gzip != NULL) {
        inflateEnd(self->gzip);
        free(self->gzip);
    }
    if (self->lz4 != NULL) {
        LZ4F_freeDecompressionContext(self->lz4);
    }
    ZSTD_freeDCtx(self->zstd);
    *self = (struct decompressor){.is_at_end = true};
}

static enum status gzip_start(struct decompressor *self)
{
    if (self->gzip != NULL) {
        return inflateReset(self->gzip) == Z_OK ? STATUS_OK : STATUS_NO_MEMORY;
    }
    z_stream *made = calloc(1, sizeof *made);
    if (made == NULL || inflateInit2(made, GZIP_WINDOW_BITS) != Z_OK) {
        free(made);
        return STATUS_NO_MEMORY;
    }
    self->gzip = made;
    return STATUS_OK;
}

static enum status snappy_start(struct decompressor *self)
{
    size_t left = (size_t)(self->end - self->next);
    self->is_framed =
        left >= XERIAL_HEADER_BYTES && memcmp(self->next, xerial_magic, sizeof xerial_magic) == 0;
    /* Nothing at all is no block; an xerial header without blocks is an empty stream. */
    return left == 0 ? STATUS_MALFORMED : STATUS_OK;
}

/* Kafka's reader knows a part of the frame format only, and nothing but that may pass here. */
static bool lz4_has_known_header(const struct decompressor *self)
{
    if (self->end - self->next < 7) {
        return false;
    }
    uint32_t magic = __builtin_bswap32(big_endian_get32(self->next));
    uint8_t flags = self->next[4];
    return magic == LZ4_FRAME_MAGIC && (flags & LZ4_FLAG_INDEPENDENT) != 0 &&
           (flags & LZ4_FLAGS_REFUSED) == 0;
}

static enum status lz4_start(struct decompressor *self)
{
    if (!lz4_has_known_header(self)) {
        return STATUS_MALFORMED;
    }
    if (self->lz4 == NULL) {
        LZ4F_errorCode_t code = LZ4F_createDecompressionContext(&self->lz4, LZ4F_VERSION);
        return LZ4F_isError(code) ? STATUS_NO_MEMORY : STATUS_OK;
    }
    LZ4F_resetDecompressionContext(self->lz4);
    return STATUS_OK;
}

static enum status zstd_start(struct decompressor *self)
{
    if (self->zstd == NULL) {
        self->zstd = ZSTD_createDCtx();
        return self->zstd == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    }
    size_t code = ZSTD_DCtx_reset(self->zstd, ZSTD_reset_session_only);
    check(!ZSTD_isError(code));
    return STATUS_OK;
}

static enum status stream_start(struct decompressor *self)
{
    switch (self->codec) {
    case COMPRESSION_NONE:
        return STATUS_OK;
    case COMPRESSION_GZIP:
        return gzip_start(self);
    case COMPRESSION_SNAPPY:
        return snappy_start(self);
    case COMPRESSION_LZ4:
        return lz4_start(self);
    case COMPRESSION_ZSTD:
        return zstd_start(self);
    }
    return STATUS_UNSUPPORTED;
}

static void stream_end(struct decompressor *self)
{
    self->is_at_end = true;
    zstd_release_window(self);
    if (self->block_bytes_max > BLOCK_KEPT_BYTES_MAX && self->block_next == self->block_end) {
        block_free(self);
    }
}

enum status decompressor_start(struct decompressor *self, enum compression_codec codec,
                               const void *bytes, size_t byte_count, size_t byte_count_max)
{
    check(byte_count <= STREAM_BYTES_MAX);

    self->block_next = NULL;
    self->block_end = NULL;
    stream_end(self);
    self->codec = codec;
    self->next = bytes;
    self->end = byte_count == 0 ? self->next : self->next + byte_count;
    self->produced_bytes = 0;
    self->byte_count_max = byte_count_max < STREAM_BYTES_MAX ? byte_count_max : STREAM_BYTES_MAX;
    self->is_inside_frame = false;
    TRY(stream_start(self));
    self->is_at_end = false;
    return STATUS_OK;
}

static enum status none_read(struct decompressor *self, uint8_t *out_bytes, size_t room,
                             size_t *out_byte_count)
{
    size_t left = (size_t)(self->end - self->next);
    size_t taken = left < room ? left : room;
    memcpy(out_bytes, self->next, taken);
    self->next += taken;
    self->is_at_end = self->next == self->end;
    *out_byte_count = taken;
    return STATUS_OK;
}

static bool gzip_has_next_member(const struct decompressor *self)
{
    return self->end - self->next >= 2 && self->next[0] == 0x1f && self->next[1] == 0x8b;
}

static enum status gzip_read(struct decompressor *self, uint8_t *out_bytes, size_t room,
                             size_t *out_byte_count)
{
    z_stream *stream = self->gzip;
    stream->next_out = out_bytes;
    stream->avail_out = (uInt)room;
    while (stream->avail_out > 0 && !self->is_at_end) {
        stream->next_in = self->next;
        stream->avail_in = (uInt)(self->end - self->next);
        int code = inflate(stream, Z_NO_FLUSH);
        self->next = stream->next_in;
        if (code == Z_STREAM_END) {
            /* What follows the last member is ignored, as Java's reader does. */
            self->is_at_end = !gzip_has_next_member(self);
            code = self->is_at_end ? Z_OK : inflateReset(stream);
        }
        if (code == Z_MEM_ERROR) {
            return STATUS_NO_MEMORY;
        }
        if (code != Z_OK) {
            return STATUS_MALFORMED; /* Cut short, too: that is Z_BUF_ERROR with room left. */
        }
    }
    *out_byte_count = room - stream->avail_out;
    return STATUS_OK;
}

static enum status snappy_take_xerial_header(struct decompressor *self)
{
    if (self->end - self->next < (ptrdiff_t)XERIAL_HEADER_BYTES ||
        memcmp(self->next, xerial_magic, sizeof xerial_magic) != 0 ||
        (int32_t)big_endian_get32(self->next + 8) < 1) {
        return STATUS_MALFORMED;
    }
    self->next += XERIAL_HEADER_BYTES;
    return STATUS_OK;
}

/* The next compressed block; the stream is at its end when there is none. */
static enum status snappy_take_block(struct decompressor *self, struct wire_slice *out_block)
{
    if (!self->is_framed) {
        out_block->base = self->next;
        out_block->byte_count = (size_t)(self->end - self->next);
        self->next = self->end;
        return STATUS_OK;
    }
    /* The first thing in a stream is a header, and streams may be strung together. */
    while (self->end - self->next >= 4 && big_endian_get32(self->next) == XERIAL_MAGIC_HEAD) {
        TRY(snappy_take_xerial_header(self));
    }
    size_t left = (size_t)(self->end - self->next);
    if (left == 0) {
        out_block->byte_count = 0;
        return STATUS_OK;
    }
    uint32_t byte_count = left < 4 ? 0 : big_endian_get32(self->next);
    if (byte_count == 0 || byte_count > left - 4) {
        return STATUS_MALFORMED;
    }
    out_block->base = self->next + 4;
    out_block->byte_count = byte_count;
    self->next += 4 + byte_count;
    return STATUS_OK;
}

static enum status block_reserve(struct decompressor *self, size_t byte_count)
{
    if (byte_count <= self->block_bytes_max) {
        return STATUS_OK;
    }
    block_free(self);
    if (!budget_taken(self->budget, byte_count)) {
        return STATUS_BUSY;
    }
    self->block = malloc(byte_count);
    if (self->block == NULL) {
        budget_given(self->budget, byte_count);
        return STATUS_NO_MEMORY;
    }
    self->block_bytes_max = byte_count;
    return STATUS_OK;
}

/* Straight into the reader's room where the block fits, else into memory of our own. */
static enum status snappy_decode_block(struct decompressor *self, struct wire_slice block,
                                       uint8_t *out_bytes, size_t room, size_t *out_byte_count)
{
    size_t claimed = 0;
    if (snappy_uncompressed_length(block.base, block.byte_count, &claimed) != SNAPPY_OK ||
        claimed > block.byte_count * SNAPPY_GROWTH_MAX) {
        return STATUS_MALFORMED;
    }
    if (claimed > self->byte_count_max - self->produced_bytes) {
        return STATUS_FULL;
    }
    bool is_direct = claimed <= room;
    if (!is_direct) {
        TRY(block_reserve(self, claimed));
    }
    uint8_t *place = is_direct ? out_bytes : self->block;
    if (snappy_uncompress(block.base, block.byte_count, (char *)place, &claimed) != SNAPPY_OK) {
        return STATUS_MALFORMED;
    }
    *out_byte_count = is_direct ? claimed : 0;
    if (!is_direct) {
        self->block_next = self->block;
        self->block_end = self->block + claimed;
    }
    return STATUS_OK;
}

static enum status snappy_read(struct decompressor *self, uint8_t *out_bytes, size_t room,
                               size_t *out_byte_count)
{
    size_t made = 0;
    while (made == 0 && !self->is_at_end) {
        if (self->block_next == self->block_end) {
            struct wire_slice block = {0};
            TRY(snappy_take_block(self, &block));
            if (block.byte_count > 0) {
                TRY(snappy_decode_block(self, block, out_bytes, room, &made));
            }
        }
        size_t kept = (size_t)(self->block_end - self->block_next);
        if (kept > 0) {
            made = kept < room ? kept : room;
            memcpy(out_bytes, self->block_next, made);
            self->block_next += made;
        }
        self->is_at_end = self->next == self->end && self->block_next == self->block_end;
    }
    *out_byte_count = made;
    return STATUS_OK;
}

static enum status lz4_read(struct decompressor *self, uint8_t *out_bytes, size_t room,
                            size_t *out_byte_count)
{
    size_t made = 0;
    while (made < room && !self->is_at_end) {
        size_t taken = (size_t)(self->end - self->next);
        size_t part = room - made;
        size_t hint = LZ4F_decompress(self->lz4, out_bytes + made, &part, self->next, &taken, NULL);
        if (LZ4F_isError(hint)) {
            return STATUS_MALFORMED;
        }
        self->next += taken;
        made += part;
        self->is_at_end = hint == 0; /* Kafka reads one frame and ignores what follows. */
        if (!self->is_at_end && taken == 0 && part == 0) {
            return STATUS_MALFORMED; /* Cut short. */
        }
    }
    *out_byte_count = made;
    return STATUS_OK;
}

static uint64_t zstd_promised_content(const struct decompressor *self)
{
    unsigned long long content =
        ZSTD_getFrameContentSize(self->next, (size_t)(self->end - self->next));
    bool is_known = content != ZSTD_CONTENTSIZE_UNKNOWN && content != ZSTD_CONTENTSIZE_ERROR;
    return is_known ? content : UINT64_MAX;
}

/* How large a window the frame at the input's head wants; 0 when it does not tell. A frame of a
 * single segment wants as much as its content. */
static uint64_t zstd_window_wanted(const struct decompressor *self)
{
    size_t left = (size_t)(self->end - self->next);
    if (left < 6 || __builtin_bswap32(big_endian_get32(self->next)) != ZSTD_FRAME_MAGIC) {
        return 0;
    }
    if ((self->next[4] & ZSTD_SINGLE_SEGMENT) != 0) {
        return self->zstd_content_left;
    }
    uint8_t window = self->next[5];
    uint64_t base = (uint64_t)1 << (10 + (window >> 3));
    return base + base / 8 * (window & 7U);
}

/* A frame begins: its window is paid before the library allocates it. Windows beyond its own limit
 * the library refuses by itself. */
static enum status zstd_begin_frame(struct decompressor *self)
{
    self->zstd_content_left = zstd_promised_content(self);
    uint64_t wanted = zstd_window_wanted(self);
    if (wanted <= ZSTD_WINDOW_FREE_BYTES || wanted <= self->zstd_window_bytes ||
        wanted > ZSTD_WINDOW_BYTES_MAX) {
        return STATUS_OK;
    }
    size_t missing = (size_t)wanted - self->zstd_window_bytes;
    if (!budget_taken(self->budget, missing)) {
        return STATUS_BUSY;
    }
    self->zstd_window_bytes += missing;
    return STATUS_OK;
}

/* The library compares content with promise only when it decodes a frame in one go, so that a
 * reader with less room would take what another refuses. */
static bool zstd_keeps_promise(struct decompressor *self, size_t byte_count)
{
    if (self->zstd_content_left == UINT64_MAX) {
        return true;
    }
    if (byte_count > self->zstd_content_left) {
        return false;
    }
    self->zstd_content_left -= byte_count;
    return self->is_inside_frame || self->zstd_content_left == 0;
}

static enum status zstd_read(struct decompressor *self, uint8_t *out_bytes, size_t room,
                             size_t *out_byte_count)
{
    ZSTD_outBuffer output = {.dst = out_bytes, .size = room};
    while (output.pos < room && !self->is_at_end) {
        if (!self->is_inside_frame && self->next == self->end) {
            self->is_at_end = true;
            break;
        }
        if (!self->is_inside_frame) {
            TRY(zstd_begin_frame(self));
        }
        ZSTD_inBuffer input = {.src = self->next, .size = (size_t)(self->end - self->next)};
        size_t made_before = output.pos;
        size_t hint = ZSTD_decompressStream(self->zstd, &output, &input);
        if (ZSTD_isError(hint)) {
            return STATUS_MALFORMED;
        }
        self->next += input.pos;
        self->is_inside_frame = hint != 0;
        bool is_cut = self->is_inside_frame && input.pos == 0 && output.pos == made_before;
        if (is_cut || !zstd_keeps_promise(self, output.pos - made_before)) {
            return STATUS_MALFORMED;
        }
    }
    self->is_at_end = !self->is_inside_frame && self->next == self->end;
    *out_byte_count = output.pos;
    return STATUS_OK;
}

static enum status stream_read(struct decompressor *self, uint8_t *out_bytes, size_t room,
                               size_t *out_byte_count)
{
    switch (self->codec) {
    case COMPRESSION_NONE:
        return none_read(self, out_bytes, room, out_byte_count);
    case COMPRESSION_GZIP:
        return gzip_read(self, out_bytes, room, out_byte_count);
    case COMPRESSION_SNAPPY:
        return snappy_read(self, out_bytes, room, out_byte_count);
    case COMPRESSION_LZ4:
        return lz4_read(self, out_bytes, room, out_byte_count);
    case COMPRESSION_ZSTD:
        return zstd_read(self, out_bytes, room, out_byte_count);
    }
    return STATUS_UNSUPPORTED;
}

enum status decompressor_read(struct decompressor *self, uint8_t *out_bytes, size_t room,
                              size_t *out_byte_count)
{
    check(room > 0);
    check(self->produced_bytes <= self->byte_count_max);

    size_t made = 0;
    if (!self->is_at_end) {
        /* One byte more than allowed, so that reaching the limit differs from passing it. */
        size_t allowed = self->byte_count_max - self->produced_bytes + 1;
        enum status status = stream_read(self, out_bytes, room < allowed ? room : allowed, &made);
        if (status == STATUS_OK && made == allowed) {
            status = STATUS_FULL;
        }
        if (status != STATUS_OK || self->is_at_end) {
            stream_end(self);
        }
        TRY(status);
    }
    self->produced_bytes += made;
    *out_byte_count = made;
    return STATUS_OK;
}

enum status decompressor_reserve_window(struct decompressor *self)
{
    if (self->window != NULL) {
        return STATUS_OK;
    }
    if (!budget_taken(self->budget, self->window_bytes)) {
        return STATUS_BUSY;
    }
    self->window = malloc(self->window_bytes);
    if (self->window == NULL) {
        budget_given(self->budget, self->window_bytes);
        return STATUS_NO_MEMORY;
    }
    return STATUS_OK;
}

size_t decompressor_left(const struct decompressor *self)
{
    return (size_t)(self->end - self->next);
}

void decompressor_output_init(struct decompressor_output *self, struct budget *budget,
                              size_t byte_count_max)
{
    *self = (struct decompressor_output){.budget = budget, .byte_count_max = byte_count_max};
}

void decompressor_output_done(struct decompressor_output *self)
{
    free(self->bytes);
    budget_given(self->budget, self->capacity_bytes);
    self->bytes = NULL;
    self->byte_count = 0;
    self->capacity_bytes = 0;
}

/* Never from a size that the data claims: twice what was filled with real bytes. */
static enum status output_grow(struct decompressor_output *self, size_t wanted_bytes)
{
    size_t capacity = wanted_bytes < OUTPUT_BYTES_MIN ? OUTPUT_BYTES_MIN : wanted_bytes;
    capacity = capacity < self->byte_count_max ? capacity : self->byte_count_max;
    if (capacity <= self->capacity_bytes) {
        return STATUS_OK;
    }
    size_t added = capacity - self->capacity_bytes;
    if (!budget_taken(self->budget, added)) {
        return STATUS_BUSY;
    }
    uint8_t *bytes = realloc(self->bytes, capacity);
    if (bytes == NULL) {
        budget_given(self->budget, added);
        return STATUS_NO_MEMORY;
    }
    self->bytes = bytes;
    self->capacity_bytes = capacity;
    return STATUS_OK;
}

enum status decompressor_run(struct decompressor *self, enum compression_codec codec,
                             const void *bytes, size_t byte_count,
                             struct decompressor_output *output)
{
    output->byte_count = 0;
    TRY(decompressor_start(self, codec, bytes, byte_count, output->byte_count_max));
    TRY(output_grow(output, byte_count * 4));
    while (!self->is_at_end) {
        uint8_t probe = 0;
        size_t room = output->capacity_bytes - output->byte_count;
        size_t made = 0;
        if (room > 0) {
            TRY(decompressor_read(self, output->bytes + output->byte_count, room, &made));
        } else if (output->capacity_bytes < output->byte_count_max) {
            TRY(output_grow(output, output->capacity_bytes * 2));
        } else {
            TRY(decompressor_read(self, &probe, sizeof probe, &made));
            check(made == 0); /* A byte more would have been FULL. */
        }
        output->byte_count += made;
    }
    return STATUS_OK;
}
