/* Goal: streams end where they end, damage is told, and no claim of the data makes us allocate.
 * Method: the compressor's streams cut, strung together and patched; a budget that says no. */
#include "proto/record/compressor.h"
#include "proto/record/decompressor.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES ((size_t)100000)

static struct budget budget;
static struct compressor compressor;
static struct decompressor decompressor;
static struct decompressor_output output;
static uint8_t text[TEXT_BYTES];

static void set_up(void)
{
    budget_init(&budget, (size_t)64 << 20);
    compressor_init(&compressor);
    decompressor_init(&decompressor, &budget);
    decompressor_output_init(&output, &budget, (size_t)32 << 20);
    uint32_t noise = 3;
    for (size_t i = 0; i < TEXT_BYTES; i++) {
        noise = noise * 1664525U + 1013904223U;
        text[i] = (uint8_t)("abcdefgh"[(noise >> 20) % 8]);
    }
}

static void tear_down(void)
{
    decompressor_output_done(&output);
    decompressor_done(&decompressor);
    compressor_done(&compressor);
    cr_expect_eq(budget_taken_bytes(&budget), 0, "all memory is given back");
}

TestSuite(decompressor, .init = set_up, .fini = tear_down);

struct stream {
    uint8_t *bytes; /* Exactly as long as the stream. */
    size_t byte_count;
};

static struct stream stream_of(enum compression_codec codec, const void *bytes, size_t byte_count)
{
    struct wire_slice result;
    struct wire_slice whole = {.base = bytes, .byte_count = byte_count};
    cr_assert_eq(compressor_run(&compressor, codec, COMPRESSOR_LEVEL_DEFAULT, whole, &result),
                 STATUS_OK);
    struct stream stream = {.bytes = malloc(result.byte_count), .byte_count = result.byte_count};
    cr_assert_not_null(stream.bytes);
    memcpy(stream.bytes, result.base, result.byte_count);
    return stream;
}

static struct stream joined(struct stream first, struct stream second)
{
    struct stream both = {.byte_count = first.byte_count + second.byte_count};
    both.bytes = malloc(both.byte_count);
    cr_assert_not_null(both.bytes);
    memcpy(both.bytes, first.bytes, first.byte_count);
    memcpy(both.bytes + first.byte_count, second.bytes, second.byte_count);
    free(first.bytes);
    free(second.bytes);
    return both;
}

static enum status run(enum compression_codec codec, const struct stream *stream)
{
    return decompressor_run(&decompressor, codec, stream->bytes, stream->byte_count, &output);
}

static void expect_text(size_t copy_count)
{
    cr_assert_eq(output.byte_count, copy_count * TEXT_BYTES);
    for (size_t i = 0; i < copy_count; i++) {
        cr_expect(memcmp(output.bytes + i * TEXT_BYTES, text, TEXT_BYTES) == 0);
    }
}

Test(decompressor, pieces_of_any_size_add_up_to_the_whole)
{
    static const size_t pieces[] = {1, 3, 1000, 40000, 99999, 100000, 200000};
    uint8_t *out = malloc(200000 + TEXT_BYTES);
    cr_assert_not_null(out);
    for (int codec = COMPRESSION_GZIP; codec <= COMPRESSION_ZSTD; codec++) {
        struct stream stream = stream_of((enum compression_codec)codec, text, TEXT_BYTES);
        for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
            size_t total = 0;
            size_t made = 0;
            cr_assert_eq(decompressor_start(&decompressor, (enum compression_codec)codec,
                                            stream.bytes, stream.byte_count, TEXT_BYTES),
                         STATUS_OK);
            do {
                cr_assert_eq(decompressor_read(&decompressor, out + total, pieces[i], &made),
                             STATUS_OK);
                cr_assert_leq(made, pieces[i]);
                total += made;
            } while (made > 0);
            cr_expect_eq(total, TEXT_BYTES);
            cr_expect(memcmp(out, text, TEXT_BYTES) == 0);
        }
        free(stream.bytes);
    }
    free(out);
}

Test(decompressor, codec_none_is_copied_and_limited)
{
    struct stream stream = {.bytes = text, .byte_count = TEXT_BYTES};
    cr_expect_eq(run(COMPRESSION_NONE, &stream), STATUS_OK);
    expect_text(1);

    output.byte_count_max = TEXT_BYTES - 1;
    cr_expect_eq(run(COMPRESSION_NONE, &stream), STATUS_FULL);
}

Test(decompressor, gzip_members_and_zstd_frames_are_strung_together)
{
    static const enum compression_codec codecs[] = {COMPRESSION_GZIP, COMPRESSION_ZSTD,
                                                    COMPRESSION_SNAPPY};
    for (size_t i = 0; i < sizeof codecs / sizeof codecs[0]; i++) {
        struct stream both =
            joined(stream_of(codecs[i], text, TEXT_BYTES), stream_of(codecs[i], text, TEXT_BYTES));
        cr_expect_eq(run(codecs[i], &both), STATUS_OK, "%s", compression_text(codecs[i]));
        expect_text(2);
        free(both.bytes);
    }
}

Test(decompressor, bytes_behind_a_gzip_member_are_left_over)
{
    struct stream noise = {.bytes = malloc(3), .byte_count = 3};
    memcpy(noise.bytes, "abc", 3);
    struct stream both = joined(stream_of(COMPRESSION_GZIP, text, TEXT_BYTES), noise);

    cr_expect_eq(run(COMPRESSION_GZIP, &both), STATUS_OK);
    expect_text(1);
    cr_expect_eq(decompressor_left(&decompressor), 3);
    free(both.bytes);
}

/* Kafka's reader stops at the end of the first frame. */
Test(decompressor, second_lz4_frame_is_left_over)
{
    struct stream second = stream_of(COMPRESSION_LZ4, text, TEXT_BYTES);
    size_t second_bytes = second.byte_count;
    struct stream both = joined(stream_of(COMPRESSION_LZ4, text, TEXT_BYTES), second);

    cr_expect_eq(run(COMPRESSION_LZ4, &both), STATUS_OK);
    expect_text(1);
    cr_expect_eq(decompressor_left(&decompressor), second_bytes);
    free(both.bytes);
}

Test(decompressor, stream_cut_anywhere_is_malformed)
{
    static const enum compression_codec codecs[] = {COMPRESSION_GZIP, COMPRESSION_LZ4,
                                                    COMPRESSION_ZSTD};
    for (size_t i = 0; i < sizeof codecs / sizeof codecs[0]; i++) {
        struct stream stream = stream_of(codecs[i], text, 2000);
        for (size_t cut = 1; cut < stream.byte_count; cut++) {
            cr_expect_eq(decompressor_run(&decompressor, codecs[i], stream.bytes, cut, &output),
                         STATUS_MALFORMED, "%s cut to %zu", compression_text(codecs[i]), cut);
        }
        free(stream.bytes);
    }
}

Test(decompressor, nothing_is_malformed_but_for_zstd)
{
    uint8_t none = 0;
    cr_expect_eq(decompressor_run(&decompressor, COMPRESSION_GZIP, &none, 0, &output),
                 STATUS_MALFORMED);
    cr_expect_eq(decompressor_run(&decompressor, COMPRESSION_SNAPPY, &none, 0, &output),
                 STATUS_MALFORMED);
    cr_expect_eq(decompressor_run(&decompressor, COMPRESSION_LZ4, &none, 0, &output),
                 STATUS_MALFORMED);
    cr_expect_eq(decompressor_run(&decompressor, COMPRESSION_ZSTD, &none, 0, &output), STATUS_OK);
    cr_expect_eq(output.byte_count, 0);
}

Test(decompressor, limit_itself_may_be_reached_but_not_passed)
{
    for (int codec = COMPRESSION_GZIP; codec <= COMPRESSION_ZSTD; codec++) {
        struct stream stream = stream_of((enum compression_codec)codec, text, TEXT_BYTES);
        output.byte_count_max = TEXT_BYTES;
        cr_expect_eq(run((enum compression_codec)codec, &stream), STATUS_OK, "%d", codec);
        expect_text(1);

        decompressor_output_done(&output);
        output.byte_count_max = TEXT_BYTES - 1;
        cr_expect_eq(run((enum compression_codec)codec, &stream), STATUS_FULL, "%d", codec);
        decompressor_output_done(&output);
        free(stream.bytes);
    }
}

Test(decompressor, bomb_ends_at_the_limit_with_little_memory)
{
    size_t bomb_bytes = (size_t)16 << 20;
    uint8_t *zeros = calloc(1, bomb_bytes);
    cr_assert_not_null(zeros);
    for (int codec = COMPRESSION_GZIP; codec <= COMPRESSION_ZSTD; codec++) {
        struct stream stream = stream_of((enum compression_codec)codec, zeros, bomb_bytes);
        output.byte_count_max = (size_t)1 << 20;

        cr_expect_eq(run((enum compression_codec)codec, &stream), STATUS_FULL, "%d", codec);
        cr_expect_leq(budget_taken_bytes(&budget), (size_t)1 << 20, "%d", codec);
        free(stream.bytes);
    }
    free(zeros);
}

Test(decompressor, bare_snappy_block_is_told_from_xerial_framing)
{
    /* Length 5, then a literal of 5 bytes. */
    static const uint8_t block[] = {5, 4 << 2, 'h', 'e', 'l', 'l', 'o'};
    struct stream stream = {.byte_count = sizeof block, .bytes = malloc(sizeof block)};
    memcpy(stream.bytes, block, sizeof block);

    cr_expect_eq(run(COMPRESSION_SNAPPY, &stream), STATUS_OK);
    cr_expect_eq(output.byte_count, 5);
    cr_expect(memcmp(output.bytes, "hello", 5) == 0);
    free(stream.bytes);
}

Test(decompressor, large_bare_snappy_block_passes_through_memory_of_our_own)
{
    struct stream framed = stream_of(COMPRESSION_SNAPPY, text, 32768);
    const uint8_t *block = framed.bytes + 20; /* Behind header and length. */
    uint8_t out[1000];
    size_t total = 0;
    size_t made = 0;
    cr_assert_eq(
        decompressor_start(&decompressor, COMPRESSION_SNAPPY, block, framed.byte_count - 20, 32768),
        STATUS_OK);
    do {
        cr_assert_eq(decompressor_read(&decompressor, out, sizeof out, &made), STATUS_OK);
        cr_expect(memcmp(out, text + total, made) == 0);
        total += made;
    } while (made > 0);

    cr_expect_eq(total, 32768);
    free(framed.bytes);
}

Test(decompressor, snappy_claim_that_its_bytes_cannot_hold_is_malformed)
{
    /* A claim of 2^31 - 1, and of 100 by three bytes of data. */
    static const uint8_t huge[] = {0xff, 0xff, 0xff, 0xff, 0x07, 0, 'a'};
    static const uint8_t more[] = {200, 1, 0, 'a'};
    cr_expect_eq(decompressor_run(&decompressor, COMPRESSION_SNAPPY, huge, sizeof huge, &output),
                 STATUS_MALFORMED);
    cr_expect_eq(decompressor_run(&decompressor, COMPRESSION_SNAPPY, more, sizeof more, &output),
                 STATUS_MALFORMED);
    cr_expect_leq(output.capacity_bytes, (size_t)64 << 10);
}

Test(decompressor, memory_for_a_large_snappy_block_is_given_back_after_it)
{
    /* Length 2 MiB, a literal of one byte, then copies of 64 bytes from one byte before. */
    size_t claimed = (size_t)2 << 20;
    size_t copy_count = (claimed - 1) / 64;
    struct stream stream = {.byte_count = 4 + 2 + copy_count * 3 + 3,
                            .bytes = malloc(4 + 2 + copy_count * 3 + 3)};
    uint8_t *place = stream.bytes;
    memcpy(place, "\x80\x80\x80\x01\x00z", 6);
    for (size_t i = 0; i < copy_count; i++) {
        memcpy(place + 6 + i * 3, "\xfe\x01\x00", 3);
    }
    memcpy(place + 6 + copy_count * 3, "\xfa\x01\x00", 3);
    uint8_t out[1000];
    size_t total = 0;
    size_t made = 0;
    cr_assert_eq(decompressor_start(&decompressor, COMPRESSION_SNAPPY, stream.bytes,
                                    stream.byte_count, claimed),
                 STATUS_OK);
    do {
        cr_assert_eq(decompressor_read(&decompressor, out, sizeof out, &made), STATUS_OK);
        cr_expect_eq(budget_taken_bytes(&budget), total + made < claimed ? claimed : 0);
        total += made;
    } while (made > 0);

    cr_expect_eq(total, claimed);
    free(stream.bytes);
}

Test(decompressor, xerial_chunk_lengths_that_lie_are_malformed)
{
    struct stream stream = stream_of(COMPRESSION_SNAPPY, text, 1000);
    uint32_t right = (uint32_t)stream.byte_count - 20;
    const uint32_t lengths[] = {0,          right - 1,   right + 1,   right + 4,
                                right + 16, 0x7fffffffU, 0x80000000U, 0xffffffffU};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        uint32_t raw = __builtin_bswap32(lengths[i]);
        memcpy(stream.bytes + 16, &raw, sizeof raw);
        cr_expect_eq(run(COMPRESSION_SNAPPY, &stream), STATUS_MALFORMED, "%x", lengths[i]);
    }
    free(stream.bytes);
}

Test(decompressor, lz4_frames_that_kafka_refuses_are_malformed)
{
    /* Magic, flags, block size, header checksum, end mark; the checksums are right ones. */
    static const uint8_t plain[] = {4, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82, 0, 0, 0, 0};
    static const uint8_t dependent[] = {4, 0x22, 0x4d, 0x18, 0x40, 0x40, 0xc0, 0, 0, 0, 0};
    static const uint8_t skippable[8 + 0x20] = {0x50, 0x2a, 0x4d, 0x18, 0x20, 0, 0, 0};
    cr_expect_eq(decompressor_run(&decompressor, COMPRESSION_LZ4, plain, sizeof plain, &output),
                 STATUS_OK);
    cr_expect_eq(
        decompressor_run(&decompressor, COMPRESSION_LZ4, dependent, sizeof dependent, &output),
        STATUS_MALFORMED);
    cr_expect_eq(
        decompressor_run(&decompressor, COMPRESSION_LZ4, skippable, sizeof skippable, &output),
        STATUS_MALFORMED);
}

/* A frame header that names a window, then a raw block of one byte that is the last. */
static struct stream zstd_with_window(uint8_t window)
{
    const uint8_t frame[] = {0x28, 0xb5, 0x2f, 0xfd, 0x00, window, 0x09, 0x00, 0x00, 'z'};
    struct stream stream = {.bytes = malloc(sizeof frame), .byte_count = sizeof frame};
    cr_assert_not_null(stream.bytes);
    memcpy(stream.bytes, frame, sizeof frame);
    return stream;
}

Test(decompressor, zstd_windows_above_the_free_ones_are_paid_from_the_budget)
{
    struct stream small = zstd_with_window(13 << 3);
    struct stream large = zstd_with_window(16 << 3);
    struct stream largest = zstd_with_window(17 << 3);

    cr_expect_eq(run(COMPRESSION_ZSTD, &small), STATUS_OK, "8 MiB");
    cr_expect_eq(run(COMPRESSION_ZSTD, &large), STATUS_BUSY, "64 MiB and the output");
    budget.limit_bytes = (size_t)200 << 20;
    cr_expect_eq(run(COMPRESSION_ZSTD, &large), STATUS_OK, "64 MiB");
    cr_expect_eq(run(COMPRESSION_ZSTD, &largest), STATUS_OK, "128 MiB");
    cr_expect_eq(output.byte_count, 1);
    cr_expect_eq(budget_taken_bytes(&budget), output.capacity_bytes);
    cr_expect_eq(run(COMPRESSION_ZSTD, &small), STATUS_OK, "a context is there again");
    free(small.bytes);
    free(large.bytes);
    free(largest.bytes);
}

Test(decompressor, zstd_frame_holds_what_it_promises_whatever_the_readers_room)
{
    /* Single segments that promise five bytes and have one, or the other way round, then an empty
     * last block: with little room the library finds nothing wrong with that. */
    static const struct {
        uint8_t bytes[20];
        size_t byte_count;
    } frames[] = {
        {{0x28, 0xb5, 0x2f, 0xfd, 0x20, 5, 0x08, 0, 0, 'z', 1, 0, 0}, 13},
        {{0x28, 0xb5, 0x2f, 0xfd, 0x20, 1, 0x28, 0, 0, 'a', 'b', 'c', 'd', 'e', 1, 0, 0}, 17},
    };
    for (size_t i = 0; i < 2; i++) {
        for (size_t room = 1; room < 8; room++) {
            uint8_t out[8];
            size_t made = 0;
            cr_assert_eq(decompressor_start(&decompressor, COMPRESSION_ZSTD, frames[i].bytes,
                                            frames[i].byte_count, 100),
                         STATUS_OK);
            enum status status = STATUS_OK;
            do {
                status = decompressor_read(&decompressor, out, room, &made);
            } while (status == STATUS_OK && made > 0);
            cr_expect_eq(status, STATUS_MALFORMED, "%zu, %zu", i, room);
        }
    }
}

Test(decompressor, zstd_window_beyond_the_greatest_is_malformed)
{
    struct stream stream = zstd_with_window(18 << 3);
    cr_expect_eq(run(COMPRESSION_ZSTD, &stream), STATUS_MALFORMED);
    free(stream.bytes);
}

Test(decompressor, budget_that_refuses_is_busy)
{
    struct stream stream = stream_of(COMPRESSION_LZ4, text, TEXT_BYTES);
    budget.limit_bytes = 1000;

    cr_expect_eq(run(COMPRESSION_LZ4, &stream), STATUS_BUSY);
    cr_expect_eq(decompressor_reserve_window(&decompressor), STATUS_BUSY);
    budget.limit_bytes = (size_t)1 << 20;
    cr_expect_eq(run(COMPRESSION_LZ4, &stream), STATUS_OK);
    expect_text(1);
    free(stream.bytes);
}

Test(decompressor, damaged_stream_does_not_spoil_the_next)
{
    for (int codec = COMPRESSION_GZIP; codec <= COMPRESSION_ZSTD; codec++) {
        struct stream stream = stream_of((enum compression_codec)codec, text, TEXT_BYTES);
        cr_expect_neq(decompressor_run(&decompressor, (enum compression_codec)codec, stream.bytes,
                                       stream.byte_count / 2, &output),
                      STATUS_OK);
        cr_expect_eq(run((enum compression_codec)codec, &stream), STATUS_OK, "%d", codec);
        expect_text(1);
        free(stream.bytes);
    }
}
