#include "proto/record/compression.h"

#include <string.h>

static const char *const codec_texts[COMPRESSION_CODEC_COUNT] = {
#define X(name, number, text) [number] = text,
    COMPRESSION_CODEC_TABLE(X)
#undef X
};

const char *compression_text(enum compression_codec codec)
{
    return compression_is_known(codec) ? codec_texts[codec] : "unknown";
}

bool compression_parse(const char *text, enum compression_codec *out_codec)
{
    for (unsigned i = 0; i < COMPRESSION_CODEC_COUNT; i++) {
        if (strcmp(text, codec_texts[i]) == 0) {
            *out_codec = (enum compression_codec)i;
            return true;
        }
    }
    return false;
}
