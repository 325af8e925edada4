/* Goal: what is compressed comes back, at any level and from contexts used again and again.
 * Method: text and noise of several sizes through every codec. */
#include "proto/record/compressor.h"
#include "proto/record/decompressor.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_BYTES_MAX ((size_t)300000)

static struct compressor compressor;
static struct decompressor decompressor;
static struct decompressor_output output;
static uint8_t *input;

/* Half of it repeats, half does not. */
static void set_up(void)
{
    uint32_t noise = 1;
    compressor_init(&compressor);
    decompressor_init(&decompressor, NULL);
    decompressor_output_init(&output, NULL, INPUT_BYTES_MAX);
    input = malloc(INPUT_BYTES_MAX);
    cr_assert_not_null(input);
    for (size_t i = 0; i < INPUT_BYTES_MAX; i++) {
        noise = noise * 1664525U + 1013904223U;
        input[i] = (uint8_t)((i / 100) % 2 == 0 ? i % 100 : noise >> 24);
    }
}

static void tear_down(void)
{
    free(input);
    decompressor_output_done(&output);
    decompressor_done(&decompressor);
    compressor_done(&compressor);
}

TestSuite(compressor, .init = set_up, .fini = tear_down);

static void expect_round_trip(enum compression_codec codec, int level, size_t byte_count)
{
    struct wire_slice result;
    struct wire_slice whole = {.base = input, .byte_count = byte_count};
    cr_assert_eq(compressor_run(&compressor, codec, level, whole, &result), STATUS_OK);

    cr_assert_eq(decompressor_run(&decompressor, codec, result.base, result.byte_count, &output),
                 STATUS_OK, "%s %zu", compression_text(codec), byte_count);
    cr_assert_eq(output.byte_count, byte_count, "%s", compression_text(codec));
    cr_expect(memcmp(output.bytes, input, byte_count) == 0, "%s", compression_text(codec));
    cr_expect(byte_count < 1000 || result.byte_count < byte_count * 9 / 10, "%s",
              compression_text(codec));
}

Test(compressor, every_size_comes_back_from_reused_contexts)
{
    static const size_t sizes[] = {INPUT_BYTES_MAX, 1, 32768, 32769, 65536, 7, 65537, 100000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        expect_round_trip(COMPRESSION_GZIP, COMPRESSOR_LEVEL_DEFAULT, sizes[i]);
        expect_round_trip(COMPRESSION_SNAPPY, COMPRESSOR_LEVEL_DEFAULT, sizes[i]);
        expect_round_trip(COMPRESSION_LZ4, COMPRESSOR_LEVEL_DEFAULT, sizes[i]);
        expect_round_trip(COMPRESSION_ZSTD, COMPRESSOR_LEVEL_DEFAULT, sizes[i]);
    }
}

Test(compressor, levels_outside_the_range_count_as_the_nearest_inside)
{
    static const int levels[] = {-100000, -5, 1, 9, 100000};
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        /* Level 0 of gzip stores, and so may the fastest of zstd: sizes are not compared there. */
        expect_round_trip(COMPRESSION_GZIP, levels[i], 999);
        expect_round_trip(COMPRESSION_LZ4, levels[i], 999);
        expect_round_trip(COMPRESSION_ZSTD, levels[i], 999);
    }
}

Test(compressor, higher_level_makes_less_of_it)
{
    struct wire_slice whole = {.base = input, .byte_count = INPUT_BYTES_MAX};
    struct wire_slice fast;
    struct wire_slice small;
    cr_assert_eq(compressor_run(&compressor, COMPRESSION_GZIP, 1, whole, &fast), STATUS_OK);
    cr_assert_eq(compressor_run(&compressor, COMPRESSION_GZIP, 9, whole, &small), STATUS_OK);

    cr_expect_lt(small.byte_count, fast.byte_count);
}

Test(compressor, noise_grows_by_little)
{
    uint8_t noise[1000];
    uint32_t state = 7;
    for (size_t i = 0; i < sizeof noise; i++) {
        state = state * 1664525U + 1013904223U;
        noise[i] = (uint8_t)(state >> 24);
    }
    for (int codec = COMPRESSION_GZIP; codec <= COMPRESSION_ZSTD; codec++) {
        struct wire_slice whole = {.base = noise, .byte_count = sizeof noise};
        struct wire_slice result;
        cr_assert_eq(compressor_run(&compressor, (enum compression_codec)codec,
                                    COMPRESSOR_LEVEL_DEFAULT, whole, &result),
                     STATUS_OK);
        cr_expect_lt(result.byte_count, 1100);
    }
}
