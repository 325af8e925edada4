/* Goal: a record is read only as it was written, and only behind the record it followed.
 * Method: golden bytes, every bit flipped, every cut. */
#include "raft/quorum_record.h"
#include "tests/unit/raft/golden.h"

#include <signal.h>

static size_t write_sealed(uint8_t *at, struct quorum_chain *chain, uint64_t flushed)
{
    static const uint8_t payload[5] = {'h', 'e', 'l', 'l', 'o'};
    quorum_record_write(at, &(struct quorum_record){.kind = QUORUM_RECORD_COMMAND,
                                                    .index = 17,
                                                    .term = 3,
                                                    .payload = payload,
                                                    .payload_bytes = sizeof payload});
    return quorum_record_seal(at, chain, flushed);
}

Test(quorum_record, bytes_are_those_of_version_1)
{
    uint8_t bytes[128];
    struct quorum_chain chain = {.generation = 2, .crc = 0x01020304, .sequence = 40};

    size_t byte_count = write_sealed(bytes, &chain, 39);

    expect_golden(bytes, byte_count,
                  "23c76efe01000100020000000500000029000000000000002700000000000000"
                  "11000000000000000300000000000000040302010000000068656c6c6f000000");
    cr_expect_eq(chain.sequence, 41);
}

Test(quorum_record, what_was_written_is_read)
{
    uint8_t bytes[128];
    struct quorum_chain chain = {.generation = 2, .crc = 0x01020304, .sequence = 40};
    size_t byte_count = write_sealed(bytes, &chain, 39);
    struct quorum_record record = {0};

    cr_assert_eq(quorum_record_read(bytes, sizeof bytes, &record), STATUS_OK);

    cr_expect_eq(byte_count, 64);
    cr_expect_eq(record.kind, QUORUM_RECORD_COMMAND);
    cr_expect_eq(record.generation, 2);
    cr_expect_eq(record.sequence, 41);
    cr_expect_eq(record.flushed_sequence, 39);
    cr_expect_eq(record.index, 17);
    cr_expect_eq(record.term, 3);
    cr_expect_eq(record.previous_crc, 0x01020304);
    cr_expect_eq(record.crc, chain.crc);
    cr_expect_eq(record.payload_bytes, 5);
    cr_expect_arr_eq(record.payload, "hello", 5);
}

Test(quorum_record, any_flipped_bit_and_any_cut_is_seen)
{
    uint8_t bytes[128] = {0};
    struct quorum_chain chain = {.generation = 2, .crc = 0x01020304, .sequence = 40};
    size_t byte_count = write_sealed(bytes, &chain, 39);
    struct quorum_record record;

    for (size_t bit = 0; bit < byte_count * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        cr_expect_eq(quorum_record_read(bytes, byte_count, &record), STATUS_NOT_FOUND, "bit %zu",
                     bit);
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (size_t cut = 0; cut < byte_count; cut++) {
        cr_expect_eq(quorum_record_read(bytes, cut, &record), STATUS_NOT_FOUND);
    }
}

Test(quorum_record, zeros_are_no_record)
{
    static const uint8_t zeros[256];
    struct quorum_record record;

    cr_expect_eq(quorum_record_read(zeros, sizeof zeros, &record), STATUS_NOT_FOUND);
}

Test(quorum_record, sealing_with_more_flushed_than_written_aborts, .signal = SIGABRT)
{
    uint8_t bytes[128];
    struct quorum_chain chain = {.generation = 1, .sequence = 40};

    (void)write_sealed(bytes, &chain, 41);
}
