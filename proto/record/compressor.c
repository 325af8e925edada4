#define ZLIB_CONST
#include "proto/record/compressor.h"

#include "proto/record/batch.h"
#include "proto/sys/check.h"

#include <lz4frame.h>
#include <snappy-c.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#define GZIP_WINDOW_BITS (15 + 16)
#define GZIP_MEMORY_LEVEL 8

#define LZ4_LEVEL_MIN (-64) /* Negative levels trade size for speed. */
#define LZ4_LEVEL_MAX 12

/* As Java's writer cuts its input. */
#define SNAPPY_BLOCK_BYTES ((size_t)32 << 10)
static const uint8_t xerial_header[16] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0,
                                          0,    0,   0,   1,   0,   0,   0,   1};

void compressor_init(struct compressor *self)
{
    *self = (struct compressor){0};
}

void compressor_done(struct compressor *self)
{
    if (self->gzip != NULL) {
        deflateEnd(self->gzip);
        free(self->gzip);
    }
    LZ4F_freeCompressionContext(self->lz4);
    ZSTD_freeCCtx(self->zstd);
    free(self->bytes);
    *self = (struct compressor){0};
}

static int level_within(int level, int default_level, int min, int max)
{
    int wanted = level == COMPRESSOR_LEVEL_DEFAULT ? default_level : level;
    wanted = wanted < min ? min : wanted;
    return wanted > max ? max : wanted;
}

static enum status reserve(struct compressor *self, size_t byte_count)
{
    if (byte_count <= self->capacity_bytes) {
        return STATUS_OK;
    }
    /* Not realloc(): the old content is of no use. */
    free(self->bytes);
    self->bytes = malloc(byte_count);
    self->capacity_bytes = self->bytes == NULL ? 0 : byte_count;
    return self->bytes == NULL ? STATUS_NO_MEMORY : STATUS_OK;
}

static enum status gzip_prepare(struct compressor *self, int level)
{
    if (self->gzip != NULL && self->gzip_level == level) {
        return deflateReset(self->gzip) == Z_OK ? STATUS_OK : STATUS_NO_MEMORY;
    }
    if (self->gzip == NULL) {
        self->gzip = calloc(1, sizeof *self->gzip);
    } else {
        deflateEnd(self->gzip);
    }
    if (self->gzip == NULL || deflateInit2(self->gzip, level, Z_DEFLATED, GZIP_WINDOW_BITS,
                                           GZIP_MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
        free(self->gzip);
        self->gzip = NULL;
        return STATUS_NO_MEMORY;
    }
    self->gzip_level = level;
    return STATUS_OK;
}

static enum status gzip_run(struct compressor *self, int level, struct wire_slice input,
                            size_t *out_byte_count)
{
    TRY(gzip_prepare(self, level_within(level, Z_DEFAULT_COMPRESSION, -1, 9)));
    TRY(reserve(self, deflateBound(self->gzip, input.byte_count)));
    self->gzip->next_in = input.base;
    self->gzip->avail_in = (uInt)input.byte_count;
    self->gzip->next_out = self->bytes;
    self->gzip->avail_out = (uInt)self->capacity_bytes;
    int code = deflate(self->gzip, Z_FINISH);
    check(code == Z_STREAM_END);
    *out_byte_count = self->capacity_bytes - self->gzip->avail_out;
    return STATUS_OK;
}

static enum status snappy_run(struct compressor *self, struct wire_slice input,
                              size_t *out_byte_count)
{
    const char *next = input.base;
    size_t left = input.byte_count;
    size_t block_count = left / SNAPPY_BLOCK_BYTES + 1;
    size_t block_bytes_max = 4 + snappy_max_compressed_length(SNAPPY_BLOCK_BYTES);
    TRY(reserve(self, sizeof xerial_header + block_count * block_bytes_max));
    memcpy(self->bytes, xerial_header, sizeof xerial_header);
    size_t made = sizeof xerial_header;
    while (left > 0) {
        size_t taken = left < SNAPPY_BLOCK_BYTES ? left : SNAPPY_BLOCK_BYTES;
        size_t block_bytes = self->capacity_bytes - made - 4;
        snappy_status code =
            snappy_compress(next, taken, (char *)self->bytes + made + 4, &block_bytes);
        check(code == SNAPPY_OK);
        big_endian_put32(self->bytes + made, (uint32_t)block_bytes);
        made += 4 + block_bytes;
        next += taken;
        left -= taken;
    }
    *out_byte_count = made;
    return STATUS_OK;
}

static enum status lz4_run(struct compressor *self, int level, struct wire_slice input,
                           size_t *out_byte_count)
{
    if (self->lz4 == NULL) {
        LZ4F_errorCode_t code = LZ4F_createCompressionContext(&self->lz4, LZ4F_VERSION);
        if (LZ4F_isError(code)) {
            return STATUS_NO_MEMORY;
        }
    }
    const LZ4F_preferences_t preferences = {
        .frameInfo = {.blockSizeID = LZ4F_max64KB, .blockMode = LZ4F_blockIndependent},
        .compressionLevel = level_within(level, 0, LZ4_LEVEL_MIN, LZ4_LEVEL_MAX),
        .autoFlush = 1,
    };
    TRY(reserve(self, LZ4F_HEADER_SIZE_MAX + LZ4F_compressBound(input.byte_count, &preferences)));
    size_t made = LZ4F_compressBegin(self->lz4, self->bytes, self->capacity_bytes, &preferences);
    check(!LZ4F_isError(made));
    size_t part = LZ4F_compressUpdate(self->lz4, self->bytes + made, self->capacity_bytes - made,
                                      input.base, input.byte_count, NULL);
    if (LZ4F_isError(part)) {
        return STATUS_NO_MEMORY;
    }
    made += part;
    part = LZ4F_compressEnd(self->lz4, self->bytes + made, self->capacity_bytes - made, NULL);
    check(!LZ4F_isError(part));
    *out_byte_count = made + part;
    return STATUS_OK;
}

static enum status zstd_run(struct compressor *self, int level, struct wire_slice input,
                            size_t *out_byte_count)
{
    if (self->zstd == NULL) {
        self->zstd = ZSTD_createCCtx();
    }
    if (self->zstd == NULL) {
        return STATUS_NO_MEMORY;
    }
    TRY(reserve(self, ZSTD_compressBound(input.byte_count)));
    int wanted = level_within(level, ZSTD_CLEVEL_DEFAULT, ZSTD_minCLevel(), ZSTD_maxCLevel());
    size_t made = ZSTD_compressCCtx(self->zstd, self->bytes, self->capacity_bytes, input.base,
                                    input.byte_count, wanted);
    if (ZSTD_isError(made)) {
        return STATUS_NO_MEMORY; /* The room suffices, so nothing else can be missing. */
    }
    *out_byte_count = made;
    return STATUS_OK;
}

static enum status codec_run(struct compressor *self, enum compression_codec codec, int level,
                             struct wire_slice input, size_t *out_byte_count)
{
    switch (codec) {
    case COMPRESSION_NONE:
        break;
    case COMPRESSION_GZIP:
        return gzip_run(self, level, input, out_byte_count);
    case COMPRESSION_SNAPPY:
        return snappy_run(self, input, out_byte_count);
    case COMPRESSION_LZ4:
        return lz4_run(self, level, input, out_byte_count);
    case COMPRESSION_ZSTD:
        return zstd_run(self, level, input, out_byte_count);
    }
    check_unreachable("a codec that compresses nothing");
}

enum status compressor_run(struct compressor *self, enum compression_codec codec, int level,
                           struct wire_slice input, struct wire_slice *out_result)
{
    check(input.byte_count <= COMPRESSOR_INPUT_BYTES_MAX);

    size_t byte_count = 0;
    TRY(codec_run(self, codec, level, input, &byte_count));
    check(byte_count <= self->capacity_bytes);
    *out_result = (struct wire_slice){.base = self->bytes, .byte_count = byte_count};
    return STATUS_OK;
}
