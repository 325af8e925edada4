/* Goal: proposals come out of an entry as they went in, and nothing else is taken for an entry.
 * Method: golden bytes, cuts, lengths that lie. */
#include "raft/quorum_bytes.h"
#include "raft/quorum_envelope.h"
#include "tests/unit/raft/golden.h"

static size_t write_two(uint8_t *bytes)
{
    const struct quorum_envelope_command commands[2] = {{"abc", 3}, {"12345678", 8}};
    quorum_envelope_write(bytes, 9, commands, 2);
    return QUORUM_ENVELOPE_HEAD_BYTES + quorum_envelope_command_bytes(3) +
           quorum_envelope_command_bytes(8);
}

Test(quorum_envelope, bytes_are_those_of_version_1)
{
    uint8_t bytes[128];

    size_t byte_count = write_two(bytes);

    expect_golden(bytes, byte_count,
                  "0100000002000000090000000000000003000000000000006162630000000000"
                  "08000000000000003132333435363738");
    cr_expect_eq(byte_count % 8, 0);
}

Test(quorum_envelope, commands_come_out_in_order)
{
    uint8_t bytes[128];
    struct quorum_envelope envelope;
    struct quorum_envelope_command command;
    cr_assert_eq(quorum_envelope_read(bytes, write_two(bytes), &envelope), STATUS_OK);

    cr_expect_eq(envelope.term, 9);
    cr_expect_eq(envelope.count, 2);
    cr_assert(quorum_envelope_next(&envelope, &command));
    cr_expect_eq(command.byte_count, 3);
    cr_expect_arr_eq(command.bytes, "abc", 3);
    cr_assert(quorum_envelope_next(&envelope, &command));
    cr_expect_arr_eq(command.bytes, "12345678", 8);
    cr_expect_not(quorum_envelope_next(&envelope, &command));
}

Test(quorum_envelope, cuts_and_lying_lengths_are_malformed)
{
    uint8_t bytes[128];
    size_t byte_count = write_two(bytes);
    struct quorum_envelope envelope;

    for (size_t cut = 0; cut < byte_count; cut++) {
        cr_expect_eq(quorum_envelope_read(bytes, cut, &envelope), STATUS_MALFORMED);
    }
    quorum_bytes_put32(bytes + 4, 3);
    cr_expect_eq(quorum_envelope_read(bytes, byte_count, &envelope), STATUS_MALFORMED);
    quorum_bytes_put32(bytes + 4, 2);
    quorum_bytes_put32(bytes + 16, UINT32_MAX);
    cr_expect_eq(quorum_envelope_read(bytes, byte_count, &envelope), STATUS_MALFORMED);
}

Test(quorum_envelope, newer_version_is_unsupported)
{
    uint8_t bytes[128];
    size_t byte_count = write_two(bytes);
    quorum_bytes_put16(bytes, 2);
    struct quorum_envelope envelope;

    cr_expect_eq(quorum_envelope_read(bytes, byte_count, &envelope), STATUS_UNSUPPORTED);
}

static size_t write_state(uint8_t *bytes)
{
    memcpy(bytes + QUORUM_ENVELOPE_STATE_HEAD_BYTES, "state", 5);
    struct quorum_envelope_state state = {.command_count = 30,
                                          .raft_index = 33,
                                          .bytes = bytes + QUORUM_ENVELOPE_STATE_HEAD_BYTES,
                                          .byte_count = 5};
    size_t padding = quorum_envelope_write_state_head(bytes, &state);
    memset(bytes + QUORUM_ENVELOPE_STATE_HEAD_BYTES + 5, 0, padding);
    return QUORUM_ENVELOPE_STATE_HEAD_BYTES + 5 + padding;
}

Test(quorum_envelope, state_bytes_are_those_of_version_1)
{
    uint8_t bytes[64];

    expect_golden(bytes, write_state(bytes),
                  "46689d33010000001e0000000000000021000000000000000500000000000000"
                  "7374617465000000");
}

Test(quorum_envelope, damaged_state_is_malformed)
{
    uint8_t bytes[64];
    size_t byte_count = write_state(bytes);
    struct quorum_envelope_state state = {0};
    cr_assert_eq(quorum_envelope_read_state(bytes, byte_count, &state), STATUS_OK);
    cr_expect_eq(state.command_count, 30);
    cr_expect_eq(state.raft_index, 33);
    cr_expect_arr_eq(state.bytes, "state", 5);

    for (size_t bit = 0; bit < byte_count * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        cr_expect_eq(quorum_envelope_read_state(bytes, byte_count, &state), STATUS_MALFORMED);
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
}
