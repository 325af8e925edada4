/* Goal: codecs are spelled as `compression.type` spells them. */
#include "proto/record/compression.h"

#include <criterion/criterion.h>

Test(compression, names_and_numbers_go_both_ways)
{
    static const char *const names[] = {"none", "gzip", "snappy", "lz4", "zstd"};
    for (unsigned i = 0; i < COMPRESSION_CODEC_COUNT; i++) {
        enum compression_codec codec = COMPRESSION_NONE;

        cr_expect_str_eq(compression_text((enum compression_codec)i), names[i]);
        cr_expect(compression_parse(names[i], &codec));
        cr_expect_eq(codec, i);
    }
}

Test(compression, other_names_and_numbers_are_unknown)
{
    enum compression_codec codec = COMPRESSION_LZ4;

    cr_expect_not(compression_parse("brotli", &codec));
    cr_expect_eq(codec, COMPRESSION_LZ4);
    cr_expect_str_eq(compression_text((enum compression_codec)5), "unknown");
    cr_expect_not(compression_is_known((enum compression_codec)7));
}
