/* Goal: the bytes of a checkpoint stay what they are, and damage or nonsense is never believed.
 * Method: golden bytes (checksum computed apart from our code), a round trip, flips and cuts. */
#include "broker/log/checkpoint_format.h"

#include "proto/wire/crc32c.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const char golden[] = "4d5243506edd79e2010101000000000300000000000000070000000000002000"
                             "000000000000002800000000000000310000018bcfe5687b0000000200000000"
                             "000000bfa0a1a2a3a4a5a6a7a8a9aaabacadaeaf000000050000000000000030"
                             "00000007666c6967687473000000000000000a00000000000000660000018bcf"
                             "e568050000000200000000000000000000000000000003000000000000003200"
                             "000001000000000000000000002000000000010000018bcfe568000000018bcf"
                             "e568050000018bcfe567ff00000008111111110000000c222222220000000000"
                             "0000000000001c3333333300000000000000000000006600000004534e415000"
                             "000028a0a1a2a3a4a5a6a7a8a9aaabacadaeaf00000006000000000000003101"
                             "000004676f6e65";

static uint8_t bytes[512];
static size_t byte_count;

static void set_up(void)
{
    byte_count = strlen(golden) / 2;
    for (size_t i = 0; i < byte_count; i++) {
        char digits[3] = {golden[i * 2], golden[i * 2 + 1], 0};
        bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
}

TestSuite(checkpoint_format, .init = set_up);

static struct wire_uuid topic_id(void)
{
    struct wire_uuid id;
    for (size_t i = 0; i < sizeof id.bytes; i++) {
        id.bytes[i] = (uint8_t)(0xa0 + i);
    }
    return id;
}

static const struct epoch_history_entry epochs[] = {{0, 0}, {3, 50}};
static const struct checkpoint_segment segment = {
    .base_offset = 0,
    .max_timestamp_ms = 1700000000000,
    .last_ingested_ms = 1700000000005,
    .created_ms = 1699999999999,
    .byte_count = 8192,
    .has_snapshot = true,
    .sides = {{8, 0x11111111}, {12, 0x22222222}, {0, 0}, {28, 0x33333333}}};

Test(checkpoint_format, file_has_its_golden_bytes)
{
    const struct checkpoint_entry entry = {.topic_id = topic_id(),
                                           .topic_name = wire_text_of("flights"),
                                           .partition = 5,
                                           .sequence = 48,
                                           .start = 10,
                                           .end = 102,
                                           .last_ingested_ms = 1700000000005,
                                           .epochs = epochs,
                                           .epoch_count = 2,
                                           .segments = &segment,
                                           .segment_count = 1,
                                           .snapshot_offset = 102,
                                           .snapshot = (const uint8_t *)"SNAP",
                                           .snapshot_byte_count = 4};
    const struct checkpoint_entry removed = {.topic_id = topic_id(),
                                             .topic_name = wire_text_of("gone"),
                                             .partition = 6,
                                             .sequence = 49,
                                             .is_removed = true};
    const struct checkpoint_header header = {.run = 7,
                                             .cut_position = 8192,
                                             .cut_sequence = 40,
                                             .acknowledged_sequence = 49,
                                             .wall_ms = 1700000000123,
                                             .shard = 3,
                                             .entry_count = 2,
                                             .is_shard = true,
                                             .is_clean = true};
    uint8_t written[512];
    uint8_t *part = NULL;
    uint32_t count = 0;
    size_t end = CHECKPOINT_FORMAT_HEADER_BYTES;
    cr_assert_eq(checkpoint_format_encode_entry(&entry, &part, &count), STATUS_OK);
    memcpy(written + end, part, count);
    end += count;
    free(part);
    cr_assert_eq(checkpoint_format_encode_entry(&removed, &part, &count), STATUS_OK);
    memcpy(written + end, part, count);
    end += count;
    free(part);

    checkpoint_format_seal(&header, written, end);

    cr_assert_eq(end, byte_count);
    cr_expect_arr_eq(written, bytes, byte_count);
}

Test(checkpoint_format, golden_file_is_read_back)
{
    struct checkpoint_header header;
    cr_assert_eq(checkpoint_format_open(bytes, byte_count, &header), STATUS_OK);
    cr_expect_eq(header.run, 7);
    cr_expect_eq(header.cut_position, 8192);
    cr_expect_eq(header.cut_sequence, 40);
    cr_expect_eq(header.acknowledged_sequence, 49);
    cr_expect_eq(header.wall_ms, 1700000000123);
    cr_expect_eq(header.shard, 3);
    cr_expect(header.is_shard && header.is_clean);
    cr_assert_eq(header.entry_count, 2);

    size_t position = CHECKPOINT_FORMAT_HEADER_BYTES;
    struct checkpoint_blob blob;
    struct checkpoint_entry entry;
    cr_assert_eq(checkpoint_format_next(bytes, byte_count, &position, &blob), STATUS_OK);
    cr_assert_eq(checkpoint_format_decode_entry(&blob, &entry), STATUS_OK);
    cr_expect(wire_text_equals(entry.topic_name, "flights"));
    cr_expect_eq(entry.start, 10);
    cr_expect_eq(entry.end, 102);
    cr_assert_eq(entry.epoch_count, 2);
    cr_expect_eq(entry.epochs[1].epoch, 3);
    cr_expect_eq(entry.epochs[1].start_offset, 50);
    cr_assert_eq(entry.segment_count, 1);
    cr_expect_eq(entry.segments[0].byte_count, 8192);
    cr_expect(entry.segments[0].has_snapshot);
    cr_expect_eq(entry.segments[0].sides[3].crc, 0x33333333);
    cr_expect_eq(entry.segments[0].created_ms, 1699999999999);
    cr_expect_eq(entry.snapshot_offset, 102);
    cr_expect_arr_eq(entry.snapshot, "SNAP", 4);
    checkpoint_format_entry_done(&entry);
    cr_assert_eq(checkpoint_format_next(bytes, byte_count, &position, &blob), STATUS_OK);
    cr_expect(blob.is_removed);
    cr_expect_eq(blob.sequence, 49);
    cr_expect_eq(position, byte_count);
}

Test(checkpoint_format, every_flipped_bit_and_every_cut_is_corrupt)
{
    struct checkpoint_header header;
    for (size_t bit = 0; bit < byte_count * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        cr_expect_eq(checkpoint_format_open(bytes, byte_count, &header), STATUS_CORRUPT);
        bytes[bit / 8] ^= (uint8_t)(1U << (bit % 8));
    }
    for (size_t cut = 0; cut < byte_count; cut++) {
        cr_expect_eq(checkpoint_format_open(bytes, cut, &header), STATUS_CORRUPT);
    }
}

Test(checkpoint_format, newer_version_is_unsupported)
{
    struct checkpoint_header header;
    bytes[8] = 2;
    uint32_t crc = crc32c(0, bytes + 8, byte_count - 8);
    for (int i = 0; i < 4; i++) {
        bytes[4 + i] = (uint8_t)(crc >> (24 - 8 * i));
    }
    cr_expect_eq(checkpoint_format_open(bytes, byte_count, &header), STATUS_UNSUPPORTED);
}

Test(checkpoint_format, entry_with_lengths_that_lie_is_corrupt)
{
    for (size_t place = 0; place < 191; place++) {
        for (int value = 0; value < 256; value += 51) {
            uint8_t copy[512];
            memcpy(copy, bytes, byte_count);
            copy[CHECKPOINT_FORMAT_HEADER_BYTES + place] = (uint8_t)value;
            size_t position = CHECKPOINT_FORMAT_HEADER_BYTES;
            struct checkpoint_blob blob;
            struct checkpoint_entry entry = {0};
            /* Whatever it answers, it stays inside (the sanitizer tells). */
            if (checkpoint_format_next(copy, byte_count, &position, &blob) == STATUS_OK &&
                checkpoint_format_decode_entry(&blob, &entry) == STATUS_OK) {
                cr_expect_leq(entry.segment_count, 1);
                cr_expect_leq(entry.epoch_count, 2);
            }
            checkpoint_format_entry_done(&entry);
        }
    }
}

/* The two epochs begin behind start, end, time and their count. */
Test(checkpoint_format, epoch_below_zero_ends_the_start)
{
    size_t first = CHECKPOINT_FORMAT_HEADER_BYTES + 36 + strlen("flights") + 28;
    static const size_t places[] = {0, 4, 12, 16};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        size_t position = CHECKPOINT_FORMAT_HEADER_BYTES;
        struct checkpoint_blob blob;
        struct checkpoint_entry entry;
        bytes[first + places[i]] ^= 0x80;
        cr_assert_eq(checkpoint_format_next(bytes, byte_count, &position, &blob), STATUS_OK);
        cr_expect_eq(checkpoint_format_decode_entry(&blob, &entry), STATUS_CORRUPT, "%zu", i);
        bytes[first + places[i]] ^= 0x80;
    }
}
