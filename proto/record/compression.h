/* The five codecs of a record batch, by their numbers on the wire. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define COMPRESSION_CODEC_TABLE(X)                                                                 \
    X(NONE, 0, "none")                                                                             \
    X(GZIP, 1, "gzip")                                                                             \
    X(SNAPPY, 2, "snappy")                                                                         \
    X(LZ4, 3, "lz4")                                                                               \
    X(ZSTD, 4, "zstd")

enum compression_codec {
#define X(name, number, text) COMPRESSION_##name = number,
    COMPRESSION_CODEC_TABLE(X)
#undef X
};

#define COMPRESSION_CODEC_COUNT 5U

static inline bool compression_is_known(enum compression_codec codec)
{
    return (unsigned)codec < COMPRESSION_CODEC_COUNT;
}

/* As `compression.type` spells it; "unknown" for a number that is no codec. */
const char *compression_text(enum compression_codec codec);
/* False: no codec is called so. */
bool compression_parse(const char *text, enum compression_codec *out_codec);
