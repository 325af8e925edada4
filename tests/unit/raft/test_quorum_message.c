/* Goal: messages arrive as they were sent, and nothing malformed reaches libraft.
 * Method: golden frames, round trips, every bit flipped with the checksum made good again. */
#include "proto/wire/crc32c.h"
#include "raft/quorum_configuration.h"
#include "raft/quorum_envelope.h"
#include "raft/quorum_heap.h"
#include "raft/quorum_message.h"
#include "tests/unit/raft/golden.h"

#include <endian.h>

static struct quorum_heap heap;
static struct quorum_message_head head;
static uint8_t *frame;
static size_t frame_bytes;
static struct quorum_message *message;

static void set_up(void)
{
    quorum_heap_init(&heap);
    (void)quorum_heap_enter(&heap);
    head = (struct quorum_message_head){
        .has_cluster_id = true, .from = UINT64_C(0x100000011), .to = UINT64_C(0x200000022)};
    memset(head.cluster_id, 0xcc, 16);
}

static void tear_down(void)
{
    free(frame);
    quorum_message_free(message);
    quorum_heap_drop(&heap);
}

TestSuite(quorum_message, .init = set_up, .fini = tear_down);

static uint32_t encode(const struct raft_message *raft)
{
    uint32_t entry_count = 0;
    cr_assert_eq(quorum_message_encode(&head, raft, &frame, &frame_bytes, &entry_count), STATUS_OK);
    return entry_count;
}

static enum status decode(void)
{
    quorum_message_free(message);
    message = NULL;
    return quorum_message_decode(frame + 4, frame_bytes - 4, &message);
}

static uint8_t entry_bytes[2][64];
static struct raft_entry entries[2];

static struct raft_message append_entries(void)
{
    for (uint32_t i = 0; i < 2; i++) {
        quorum_envelope_write(entry_bytes[i], 5,
                              &(struct quorum_envelope_command){.bytes = "xyz", .byte_count = 3},
                              1);
        entries[i] =
            (struct raft_entry){.term = 5, .type = RAFT_COMMAND, .buf = {entry_bytes[i], 32}};
    }
    return (struct raft_message){.type = RAFT_IO_APPEND_ENTRIES,
                                 .append_entries = {.term = 6,
                                                    .prev_log_index = 9,
                                                    .prev_log_term = 4,
                                                    .leader_commit = 8,
                                                    .entries = entries,
                                                    .n_entries = 2}};
}

Test(quorum_message, append_entries_is_the_golden_frame)
{
    struct raft_message raft = append_entries();

    cr_expect_eq(encode(&raft), 2);

    expect_golden(frame, frame_bytes,
                  "000000897530000000000000ffff001f0efbe40000003608011210cccccccccc"
                  "cccccccccccccccccccccc18918080801020a280808020321408061009180420"
                  "082a020505320201013a02202001000000010000000500000000000000030000"
                  "000000000078797a000000000001000000010000000500000000000000030000"
                  "000000000078797a0000000000");
}

Test(quorum_message, append_entries_arrives_whole)
{
    struct raft_message raft = append_entries();
    (void)encode(&raft);

    cr_assert_eq(decode(), STATUS_OK);

    cr_expect_eq(message->head.from, head.from);
    cr_expect_eq(message->head.to, head.to);
    cr_expect_arr_eq(message->head.cluster_id, head.cluster_id, 16);
    cr_expect_eq(message->raft.type, RAFT_IO_APPEND_ENTRIES);
    cr_expect_eq(message->raft.append_entries.term, 6);
    cr_expect_eq(message->raft.append_entries.prev_log_index, 9);
    cr_expect_eq(message->raft.append_entries.leader_commit, 8);
    cr_assert_eq(message->entry_count, 2);
    cr_expect_eq(message->entries[1].term, 5);
    cr_expect_eq(message->entries[1].position, 32);
    cr_expect_arr_eq(message->payload + 32, entry_bytes[1], 32);
}

Test(quorum_message, votes_and_results_arrive)
{
    struct raft_message raft = {.type = RAFT_IO_REQUEST_VOTE,
                                .request_vote = {.term = 4,
                                                 .candidate_id = head.from,
                                                 .last_log_index = 7,
                                                 .last_log_term = 3,
                                                 .pre_vote = true}};
    (void)encode(&raft);
    cr_assert_eq(decode(), STATUS_OK);
    cr_expect(message->raft.request_vote.pre_vote && !message->raft.request_vote.disrupt_leader);
    cr_expect_eq(message->raft.request_vote.last_log_index, 7);

    free(frame);
    raft = (struct raft_message){.type = RAFT_IO_APPEND_ENTRIES_RESULT,
                                 .append_entries_result = {.term = 4, .last_log_index = 12}};
    (void)encode(&raft);
    cr_assert_eq(decode(), STATUS_OK);
    cr_expect_eq(message->raft.append_entries_result.last_log_index, 12);

    free(frame);
    raft = (struct raft_message){.type = RAFT_IO_TIMEOUT_NOW,
                                 .timeout_now = {.term = 4, .last_log_index = 12}};
    (void)encode(&raft);
    cr_assert_eq(decode(), STATUS_OK);
    cr_expect_eq(message->raft.timeout_now.last_log_index, 12);
}

Test(quorum_message, candidate_that_is_not_the_sender_is_malformed)
{
    struct raft_message raft = {.type = RAFT_IO_REQUEST_VOTE,
                                .request_vote = {.term = 4, .candidate_id = head.to}};
    (void)encode(&raft);

    cr_expect_eq(decode(), STATUS_MALFORMED);
}

Test(quorum_message, snapshot_arrives_with_its_configuration)
{
    static uint8_t directory_id[16];
    char identity[QUORUM_CONFIGURATION_IDENTITY_BYTES];
    quorum_configuration_identity(1, directory_id, identity);
    struct raft_configuration configuration;
    raft_configuration_init(&configuration);
    cr_assert_eq(raft_configuration_add(&configuration, quorum_meta_raft_id(1, directory_id),
                                        identity, RAFT_VOTER),
                 0);
    static uint8_t payload[40];
    (void)quorum_envelope_write_state_head(
        payload,
        &(struct quorum_envelope_state){.raft_index = 21, .bytes = payload + 32, .byte_count = 8});
    struct raft_message raft = {.type = RAFT_IO_INSTALL_SNAPSHOT,
                                .install_snapshot = {.term = 6,
                                                     .last_index = 21,
                                                     .last_term = 4,
                                                     .conf_index = 1,
                                                     .conf = configuration,
                                                     .data = {payload, sizeof payload}}};
    (void)encode(&raft);

    cr_assert_eq(decode(), STATUS_OK);

    cr_expect_eq(message->raft.install_snapshot.last_index, 21);
    cr_expect_arr_eq(message->payload, payload, sizeof payload);
    cr_expect(message->configuration_bytes > 0);
}

Test(quorum_message, long_request_is_cut_at_the_limit_but_never_to_nothing)
{
    static struct raft_entry many[3];
    size_t byte_count = QUORUM_MESSAGE_ENTRY_BYTES - 8;
    uint8_t *bytes = calloc(1, byte_count);
    uint32_t command_bytes = (uint32_t)(byte_count - QUORUM_ENVELOPE_HEAD_BYTES - 8);
    uint8_t *command = calloc(1, command_bytes);
    quorum_envelope_write(
        bytes, 5, &(struct quorum_envelope_command){.bytes = command, .byte_count = command_bytes},
        1);
    for (uint32_t i = 0; i < 3; i++) {
        many[i] = (struct raft_entry){.term = 5, .type = RAFT_COMMAND, .buf = {bytes, byte_count}};
    }
    struct raft_message raft = append_entries();
    raft.append_entries.entries = many;
    raft.append_entries.n_entries = 3;

    cr_expect_eq(encode(&raft), 1);
    cr_expect_eq(decode(), STATUS_OK);
    cr_expect_eq(message->entry_count, 1);
    free(bytes);
    free(command);
}

Test(quorum_message, greeting_is_the_golden_frame)
{
    struct quorum_message_hello hello = {.node_id = 1, .voter_count = 3, .known_count = 2};
    memset(hello.directory_id, 0x11, 16);
    hello.known[0].node_id = 1;
    memset(hello.known[0].directory_id, 0x11, 16);
    hello.known[1].node_id = 3;
    memset(hello.known[1].directory_id, 0x33, 16);
    head = (struct quorum_message_head){.from = UINT64_C(0x100000011)};
    cr_assert_eq(quorum_message_encode_hello(&head, &hello, &frame, &frame_bytes), STATUS_OK);

    expect_golden(frame, frame_bytes,
                  "0000005f7530000000000000ffff0092bef26b0000004c08011891808080102a"
                  "4208011210111111111111111111111111111111112214080112101111111111"
                  "1111111111111111111111221408031210333333333333333333333333333333"
                  "332803");
    cr_assert_eq(decode(), STATUS_OK);
    cr_expect(message->is_hello && !message->head.has_cluster_id);
    cr_expect_arr_eq(&message->hello, &hello, sizeof hello);
}

Test(quorum_message, flipped_bit_is_malformed)
{
    struct raft_message raft = append_entries();
    (void)encode(&raft);

    for (size_t bit = 32; bit < frame_bytes * 8; bit++) {
        frame[bit / 8] ^= (uint8_t)(1U << bit % 8);
        cr_expect_neq(decode(), STATUS_OK, "bit %zu", bit);
        frame[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
}

/* Whoever can write frames can also write checksums; what gets through must be whole. */
Test(quorum_message, flipped_bit_behind_a_good_checksum_breaks_nothing)
{
    struct raft_message raft = append_entries();
    (void)encode(&raft);
    uint32_t refused = 0;

    for (size_t bit = 19 * 8; bit < frame_bytes * 8; bit++) {
        frame[bit / 8] ^= (uint8_t)(1U << bit % 8);
        uint32_t crc = htobe32(crc32c(0, frame + 19, frame_bytes - 19));
        memcpy(frame + 15, &crc, sizeof crc);
        if (decode() != STATUS_OK) {
            refused += 1;
        } else if (message->raft.type == RAFT_IO_APPEND_ENTRIES) {
            for (uint32_t i = 0; i < message->entry_count; i++) {
                cr_expect(message->entries[i].position + message->entries[i].byte_count <=
                          message->payload_bytes);
            }
        }
        frame[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    cr_expect(refused > 100);
}
