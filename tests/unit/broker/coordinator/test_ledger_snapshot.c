/* Goal: a snapshot says what went in, or is refused as a whole.
 * Method: golden bytes, then every bit of them flipped. */
#include "broker/coordinator/ledger_snapshot.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const struct ledger_snapshot_head head = {
    .topic_id = {{1, 2, 3}}, .partition = 7, .leader_epoch = 5, .next_offset = 99};
static uint8_t *bytes;
static size_t byte_count;

static void set_up(void)
{
    struct ledger_snapshot_writer writer;
    struct ledger_record record = {.key = {(const uint8_t *)"key", 3},
                                   .value = {(const uint8_t *)"value", 5},
                                   .offset = 42,
                                   .producer_id = -1,
                                   .producer_epoch = -1};
    ledger_snapshot_begin(&writer);
    ledger_snapshot_add(&writer, &record);
    cr_assert_eq(ledger_snapshot_finish(&writer, &head, &bytes, &byte_count), STATUS_OK);
}

static void tear_down(void)
{
    free(bytes);
}

TestSuite(ledger_snapshot, .init = set_up, .fini = tear_down);

Test(ledger_snapshot, bytes_are_those_of_version_1)
{
    static const uint8_t golden[] = {
        'M', 'L', 'S', 'N', 0, 1, 0x1d, 0x49, 0x88, 0x9e, 1,    2,    3,    0,    0,    0,    0,
        0,   0,   0,   0,   0, 0, 0,    0,    0,    0,    0,    0,    7,    0,    0,    0,    5,
        0,   0,   0,   0,   0, 0, 0,    99,   0,    0,    0,    0,    0,    0,    0,    1,    0,
        0,   0,   0,   0,   0, 0, 42,   0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0,   0,   0,   3,   0, 0, 0,    5,    'k',  'e',  'y',  'v',  'a',  'l',  'u',  'e'};
    cr_assert_eq(byte_count, sizeof golden);
    cr_expect_arr_eq(bytes, golden, sizeof golden);
}

Test(ledger_snapshot, comes_back_as_it_went_in)
{
    struct ledger_snapshot_head found;
    struct wire_reader reader;
    struct ledger_record record;
    cr_assert_eq(ledger_snapshot_open(bytes, byte_count, &found, &reader), STATUS_OK);
    cr_expect_eq(found.next_offset, 99);
    cr_expect_eq(found.partition, 7);
    cr_expect_eq(found.leader_epoch, 5);
    cr_expect_eq(found.record_count, 1);
    cr_assert_eq(ledger_snapshot_next(&reader, &record), STATUS_OK);
    cr_expect_eq(record.offset, 42);
    cr_expect_eq(record.value.byte_count, 5);
    cr_expect_eq(ledger_snapshot_next(&reader, &record), STATUS_NOT_FOUND);
}

Test(ledger_snapshot, any_flipped_bit_refuses_it)
{
    struct ledger_snapshot_head found;
    struct wire_reader reader;
    for (size_t bit = 0; bit < byte_count * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        cr_expect_neq(ledger_snapshot_open(bytes, byte_count, &found, &reader), STATUS_OK);
        bytes[bit / 8] ^= (uint8_t)(1U << (bit % 8));
    }
}

Test(ledger_snapshot, any_cut_refuses_it_and_a_newer_version_is_said_to_be_one)
{
    struct ledger_snapshot_head found;
    struct wire_reader reader;
    for (size_t length = 0; length < byte_count; length++) {
        cr_expect_eq(ledger_snapshot_open(bytes, length, &found, &reader), STATUS_CORRUPT);
    }
    bytes[5] = 2;
    cr_expect_eq(ledger_snapshot_open(bytes, byte_count, &found, &reader), STATUS_UNSUPPORTED);
}
