/* Goal: the bytes of a journal stay what they are, and nothing else is taken for one.
 * Method: golden bytes of every kind (checksums computed apart from our code), round trips, each
 * single bit flipped, other identities, newer versions. */
#include "broker/log/journal_format.h"

#include "proto/record/batch.h"
#include "proto/wire/crc32c.h"
#include "tests/rig/batch_seal.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define ID_HEX "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"

static const struct journal_identity identity = {.generation = 7, .salt = 0x0123456789abcdef};

static size_t bytes_of(const char *hex, uint8_t *out_bytes)
{
    size_t count = strlen(hex) / 2;
    for (size_t i = 0; i < count; i++) {
        char digits[3] = {hex[i * 2], hex[i * 2 + 1], 0};
        out_bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return count;
}

static const uint8_t ingested[] = {0, 0, 1, 0x8b, 0xcf, 0xe5, 0x68, 0,
                                   0, 0, 1, 0x8b, 0xcf, 0xe5, 0x68, 5};
static const uint8_t batches[] = {1, 2, 3, 4, 5, 6, 7, 8};

struct golden {
    struct journal_record record;
    const char *hex;
};

static const struct golden goldens[] = {
    {{.kind = JOURNAL_BATCHES,
      .sequence = 41,
      .offset = 100,
      .next_offset = 102,
      .segment_base = 90,
      .segment_position = 4096,
      .leader_epoch = 2,
      .batch_count = 2,
      .ingested_count = 2,
      .ingested = ingested,
      .bytes = batches,
      .byte_count = sizeof batches},
     "4d524a5211baf3f1010100000000006c0000000000000029" ID_HEX "00000005"
     "00000000000000640000000000000066000000000000005a00001000000000020000000200000002"
     "0000018bcfe568000000018bcfe568050102030405060708"},
    {{.kind = JOURNAL_LOG_CREATED,
      .sequence = 42,
      .bytes = (const uint8_t *)"flights",
      .byte_count = 7},
     "4d524a526b46b9b8010200000000003d000000000000002a" ID_HEX "00000005"
     "00000000000000000007666c6967687473"},
    {{.kind = JOURNAL_LOG_DELETED, .sequence = 43},
     "4d524a529d916dac010300000000002c000000000000002b" ID_HEX "00000005"},
    {{.kind = JOURNAL_TRUNCATED,
      .sequence = 44,
      .offset = 101,
      .segment_base = 90,
      .segment_position = 4100},
     "4d524a525f1fcc4d0104000000000040000000000000002c" ID_HEX "00000005"
     "0000000000000065000000000000005a00001004"},
    {{.kind = JOURNAL_START_MOVED, .sequence = 45, .offset = 95},
     "4d524a52a86d26b80105000000000034000000000000002d" ID_HEX "00000005"
     "000000000000005f"},
    {{.kind = JOURNAL_RESET, .sequence = 46, .offset = 1000},
     "4d524a5254d4b9df0106000000000034000000000000002e" ID_HEX "00000005"
     "00000000000003e8"},
    {{.kind = JOURNAL_EPOCH_ASSIGNED, .sequence = 47, .offset = 1000, .leader_epoch = 3},
     "4d524a52e4b82c140107000000000038000000000000002f" ID_HEX "00000005"
     "00000000000003e800000003"},
    {{.kind = JOURNAL_TXN_ABORTED,
      .sequence = 48,
      .producer_id = 4000,
      .offset = 96,
      .next_offset = 101,
      .last_stable_offset = 102},
     "4d524a52eddad2ef010800000000004c0000000000000030" ID_HEX "00000005"
     "0000000000000fa0000000000000006000000000000000650000000000000066"},
};
#define GOLDEN_COUNT (sizeof goldens / sizeof goldens[0])

static struct journal_record record_of(const struct golden *golden)
{
    struct journal_record record = golden->record;
    record.partition = 5;
    for (size_t i = 0; i < sizeof record.topic_id.bytes; i++) {
        record.topic_id.bytes[i] = (uint8_t)(0xa0 + i);
    }
    return record;
}

static size_t encode(const struct journal_record *record, uint8_t *out_bytes)
{
    size_t count = journal_format_encode_head(record, &identity, out_bytes);
    if (record->kind == JOURNAL_BATCHES) {
        memcpy(out_bytes + count, record->ingested, (size_t)record->ingested_count * 8);
        count += (size_t)record->ingested_count * 8;
        memcpy(out_bytes + count, record->bytes, record->byte_count);
        count += record->byte_count;
    }
    return count;
}

static enum status decode(const uint8_t *bytes, size_t byte_count, uint64_t sequence,
                          struct journal_record *out_record)
{
    uint32_t record_bytes = 0;
    enum status status = journal_format_decode_record(bytes, byte_count, &identity, sequence,
                                                      out_record, &record_bytes);
    cr_expect(status != STATUS_OK || record_bytes <= byte_count);
    return status;
}

/* After a change of what the checksum covers. */
static void seal_again(uint8_t *bytes, size_t byte_count)
{
    static const uint8_t prefix[16] = {0,    0,    0,    0,    0,    0,    0,    7,
                                       0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};
    uint32_t crc = crc32c(crc32c(0, prefix, sizeof prefix), bytes + 8, byte_count - 8);
    for (int i = 0; i < 4; i++) {
        bytes[4 + i] = (uint8_t)(crc >> (24 - 8 * i));
    }
}

Test(journal_format, each_kind_of_record_has_its_golden_bytes)
{
    for (size_t i = 0; i < GOLDEN_COUNT; i++) {
        uint8_t wanted[512];
        uint8_t bytes[512] = {0};
        struct journal_record record = record_of(&goldens[i]);
        size_t wanted_count = bytes_of(goldens[i].hex, wanted);

        size_t count = encode(&record, bytes);

        cr_assert_eq(count, wanted_count, "kind %d", record.kind);
        cr_assert_eq(count, journal_format_record_bytes(&record));
        cr_expect_arr_eq(bytes, wanted, count, "kind %d", record.kind);
    }
}

#define LARGE_BYTES (40U << 10)
#define SMALL_BYTES 300U

static void make_batch(uint8_t *batch, uint32_t byte_count, uint32_t seed)
{
    for (uint32_t i = 0; i < byte_count; i++) {
        batch[i] = (uint8_t)(i * 7 + i / 251 + seed);
    }
    batch[16] = BATCH_MAGIC;
    batch_seal(batch, byte_count);
}

/* Two large batches around a small one, as the start of a record of many bytes. */
static struct journal_record large_record(uint8_t *bytes)
{
    make_batch(bytes, LARGE_BYTES, 1);
    make_batch(bytes + LARGE_BYTES, SMALL_BYTES, 2);
    make_batch(bytes + LARGE_BYTES + SMALL_BYTES, LARGE_BYTES + 1, 3);
    struct journal_record record = record_of(&goldens[0]);
    record.bytes = bytes;
    record.byte_count = 2 * LARGE_BYTES + SMALL_BYTES + 1;
    return record;
}

Test(journal_format, checksum_joined_of_large_batches_is_the_one_over_their_bytes)
{
    static uint8_t bytes[3 * LARGE_BYTES];
    static uint8_t encoded[3 * LARGE_BYTES + 512];
    struct journal_record wanted = large_record(bytes);
    struct journal_record record;
    /* Also with something behind them that is no batch. */
    for (uint32_t more = 0; more < 100; more += 33) {
        wanted.byte_count += more;
        size_t count = encode(&wanted, encoded);

        cr_assert_eq(decode(encoded, count, 41, &record), STATUS_OK, "%u bytes more", more);
        cr_expect_eq(record.byte_count, wanted.byte_count);
    }
}

Test(journal_format, large_batch_damaged_before_it_was_put_is_no_record)
{
    static uint8_t bytes[3 * LARGE_BYTES];
    static uint8_t encoded[3 * LARGE_BYTES + 512];
    struct journal_record wanted = large_record(bytes);
    struct journal_record record;
    bytes[LARGE_BYTES / 2] ^= 1;
    size_t count = encode(&wanted, encoded);

    cr_expect_eq(decode(encoded, count, 41, &record), STATUS_NOT_FOUND);
}

Test(journal_format, golden_records_are_read_back)
{
    for (size_t i = 0; i < GOLDEN_COUNT; i++) {
        uint8_t bytes[512];
        size_t count = bytes_of(goldens[i].hex, bytes);
        struct journal_record wanted = record_of(&goldens[i]);
        struct journal_record record;

        cr_assert_eq(decode(bytes, count, wanted.sequence, &record), STATUS_OK);

        cr_expect_eq(record.kind, wanted.kind);
        cr_expect_eq(record.sequence, wanted.sequence);
        cr_expect(wire_uuid_equals(&record.topic_id, &wanted.topic_id));
        cr_expect_eq(record.partition, 5);
        cr_expect_eq(record.offset, wanted.offset);
        cr_expect_eq(record.next_offset, wanted.next_offset);
        cr_expect_eq(record.segment_base, wanted.segment_base);
        cr_expect_eq(record.segment_position, wanted.segment_position);
        cr_expect_eq(record.leader_epoch, wanted.leader_epoch);
        cr_expect_eq(record.producer_id, wanted.producer_id);
        cr_expect_eq(record.last_stable_offset, wanted.last_stable_offset);
        cr_assert_eq(record.byte_count, wanted.byte_count);
        cr_expect(record.byte_count == 0 ||
                  memcmp(record.bytes, wanted.bytes, wanted.byte_count) == 0);
    }
    uint8_t bytes[512];
    struct journal_record record;
    size_t count = bytes_of(goldens[0].hex, bytes);
    cr_assert_eq(decode(bytes, count, 41, &record), STATUS_OK);
    cr_expect_eq(journal_format_ingested_ms(&record, 0), 1700000000000);
    cr_expect_eq(journal_format_ingested_ms(&record, 1), 1700000000005);
}

Test(journal_format, no_flipped_bit_and_no_cut_is_taken_for_a_record)
{
    for (size_t i = 0; i < GOLDEN_COUNT; i++) {
        uint8_t bytes[512];
        size_t count = bytes_of(goldens[i].hex, bytes);
        struct journal_record record;
        for (size_t bit = 0; bit < count * 8; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1U << (bit % 8));
            cr_expect_eq(decode(bytes, count, goldens[i].record.sequence, &record),
                         STATUS_NOT_FOUND, "kind %d bit %zu", goldens[i].record.kind, bit);
            bytes[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        }
        for (size_t cut = 0; cut < count; cut++) {
            cr_expect_eq(decode(bytes, cut, goldens[i].record.sequence, &record), STATUS_NOT_FOUND);
        }
    }
}

Test(journal_format, record_of_another_life_of_the_file_is_no_record)
{
    uint8_t bytes[512];
    size_t count = bytes_of(goldens[2].hex, bytes);
    struct journal_record record;
    uint32_t record_bytes = 0;
    const struct journal_identity older = {.generation = 6, .salt = identity.salt};
    const struct journal_identity guessed = {.generation = 7, .salt = 0};

    cr_expect_eq(journal_format_decode_record(bytes, count, &older, 43, &record, &record_bytes),
                 STATUS_NOT_FOUND);
    cr_expect_eq(journal_format_decode_record(bytes, count, &guessed, 43, &record, &record_bytes),
                 STATUS_NOT_FOUND);
    cr_expect_eq(decode(bytes, count, 42, &record), STATUS_NOT_FOUND);
    cr_expect_eq(decode(bytes, count, 44, &record), STATUS_NOT_FOUND);
}

Test(journal_format, newer_version_and_unknown_kind_are_unsupported)
{
    uint8_t bytes[512];
    struct journal_record record;
    size_t count = bytes_of(goldens[2].hex, bytes);
    bytes[8] = 2;
    seal_again(bytes, count);
    cr_expect_eq(decode(bytes, count, 43, &record), STATUS_UNSUPPORTED);

    count = bytes_of(goldens[2].hex, bytes);
    bytes[9] = 77;
    seal_again(bytes, count);
    cr_expect_eq(decode(bytes, count, 43, &record), STATUS_UNSUPPORTED);
}

Test(journal_format, bytes_in_a_segment_are_refused_as_unsupported_for_now)
{
    uint8_t bytes[512];
    struct journal_record record;
    size_t count = bytes_of(goldens[0].hex, bytes);
    bytes[9] = JOURNAL_BATCHES_IN_SEGMENT;
    seal_again(bytes, count);

    cr_expect_eq(decode(bytes, count, 41, &record), STATUS_UNSUPPORTED);
}

Test(journal_format, content_that_cannot_be_is_corrupt_in_spite_of_its_checksum)
{
    /* Next offset, segment base, position, batch count, ingested count of the BATCHES record. */
    static const size_t places[] = {52, 60, 68, 76, 80};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        uint8_t bytes[512];
        struct journal_record record;
        size_t count = bytes_of(goldens[0].hex, bytes);
        memset(bytes + places[i], i == 3 ? 0 : 0xff, 4);
        memset(bytes + places[i] + (i < 2 ? 4 : 0), i == 3 ? 0 : 0xff, 4);
        seal_again(bytes, count);
        cr_expect_eq(decode(bytes, count, 41, &record), STATUS_CORRUPT, "place %zu", places[i]);
    }
}

static enum status decode_with(const struct golden *golden, size_t place, uint8_t value)
{
    uint8_t bytes[512];
    struct journal_record record;
    size_t count = bytes_of(golden->hex, bytes);
    bytes[place] = value;
    seal_again(bytes, count);
    return decode(bytes, count, golden->record.sequence, &record);
}

Test(journal_format, numbers_below_zero_end_the_start)
{
    for (size_t i = 0; i < GOLDEN_COUNT; i++) {
        cr_expect_eq(decode_with(&goldens[i], 40, 0x80), STATUS_CORRUPT, "partition, %zu", i);
    }
    cr_expect_eq(decode_with(&goldens[0], 84, 0x80), STATUS_CORRUPT, "ingested");
    cr_expect_eq(decode_with(&goldens[0], 92, 0xff), STATUS_CORRUPT, "ingested");
    cr_assert_eq(goldens[6].record.kind, JOURNAL_EPOCH_ASSIGNED);
    cr_expect_eq(decode_with(&goldens[6], 52, 0x80), STATUS_CORRUPT, "leader epoch");
}

Test(journal_format, file_header_has_its_golden_bytes)
{
    static const char hex[] = "4d524a468756dcb2010000000000000300000000000000070123456789abcdef"
                              "0000000000100000000000000000000000000000000000000000000000000000";
    uint8_t wanted[64];
    uint8_t bytes[64];
    cr_assert_eq(bytes_of(hex, wanted), sizeof bytes);
    const struct journal_file_header header = {
        .identity = identity, .byte_count = 1 << 20, .shard = 3};

    journal_format_encode_file_header(&header, bytes);

    cr_expect_arr_eq(bytes, wanted, sizeof bytes);
    struct journal_file_header read;
    cr_assert_eq(journal_format_decode_file_header(wanted, sizeof wanted, &read), STATUS_OK);
    cr_expect_eq(read.identity.generation, 7);
    cr_expect_eq(read.identity.salt, identity.salt);
    cr_expect_eq(read.byte_count, 1 << 20);
    cr_expect_eq(read.shard, 3);
    for (size_t bit = 0; bit < 64 * 8; bit++) {
        wanted[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        cr_expect_eq(journal_format_decode_file_header(wanted, sizeof wanted, &read),
                     STATUS_CORRUPT);
        wanted[bit / 8] ^= (uint8_t)(1U << (bit % 8));
    }
    memset(wanted, 0, sizeof wanted);
    cr_expect_eq(journal_format_decode_file_header(wanted, sizeof wanted, &read), STATUS_NOT_FOUND);
}

Test(journal_format, sheet_header_has_its_golden_bytes)
{
    static const char hex[] = "4d524a53e7e691e801000000000001f400000000000000070000000000000029"
                              "00000000000000290000000200000000";
    uint8_t wanted[48];
    uint8_t bytes[48];
    cr_assert_eq(bytes_of(hex, wanted), sizeof bytes);
    const struct journal_sheet_header header = {
        .first_sequence = 41, .acknowledged_sequence = 41, .byte_count = 500, .record_count = 2};

    journal_format_encode_sheet_header(&header, &identity, bytes);

    cr_expect_arr_eq(bytes, wanted, sizeof bytes);
    struct journal_sheet_header read;
    cr_assert_eq(journal_format_decode_sheet_header(wanted, 48, &identity, &read), STATUS_OK);
    cr_expect_eq(read.first_sequence, 41);
    cr_expect_eq(read.acknowledged_sequence, 41);
    cr_expect_eq(read.byte_count, 500);
    cr_expect_eq(read.record_count, 2);
    const struct journal_identity older = {.generation = 6, .salt = identity.salt};
    cr_expect_eq(journal_format_decode_sheet_header(wanted, 48, &older, &read), STATUS_NOT_FOUND);
    wanted[30] ^= 1;
    cr_expect_eq(journal_format_decode_sheet_header(wanted, 48, &identity, &read),
                 STATUS_NOT_FOUND);
}
