/* Goal: libraft never sees a configuration that it cannot take, and ours are remembered rightly.
 * Method: golden bytes, hostile ones, and the moves of the history. */
#include "raft/quorum_configuration.h"
#include "raft/quorum_heap.h"
#include "raft/quorum_meta.h"
#include "tests/unit/raft/golden.h"

static struct quorum_heap heap;
static uint8_t encoded[512];
static size_t encoded_bytes;

static void set_up(void)
{
    quorum_heap_init(&heap);
    (void)quorum_heap_enter(&heap);
    struct raft_configuration configuration;
    raft_configuration_init(&configuration);
    for (int32_t i = 1; i <= 3; i++) {
        uint8_t directory_id[16];
        memset(directory_id, i, sizeof directory_id);
        char identity[QUORUM_CONFIGURATION_IDENTITY_BYTES];
        quorum_configuration_identity(i * 100, directory_id, identity);
        cr_assert_eq(raft_configuration_add(&configuration,
                                            quorum_meta_raft_id(i * 100, directory_id), identity,
                                            i == 3 ? RAFT_STANDBY : RAFT_VOTER),
                     0);
    }
    struct raft_buffer buffer;
    cr_assert_eq(raft_configuration_encode(&configuration, &buffer), 0);
    encoded_bytes = buffer.len;
    memcpy(encoded, buffer.base, buffer.len);
}

static void tear_down(void)
{
    quorum_heap_drop(&heap);
}

TestSuite(quorum_configuration, .init = set_up, .fini = tear_down);

Test(quorum_configuration, bytes_are_those_of_libraft_with_our_names)
{
    expect_golden(encoded, encoded_bytes,
                  "010300000000000000c2ff9c45640000003130303a3031303130313031303130"
                  "3130313031303130313031303130313031303130310001ba50a84dc800000032"
                  "30303a3032303230323032303230323032303230323032303230323032303230"
                  "32303200019235444a2c0100003330303a303330333033303330333033303330"
                  "333033303330333033303330333033303300000000000000");
}

Test(quorum_configuration, good_one_is_decoded)
{
    struct raft_configuration configuration;

    cr_assert_eq(quorum_configuration_decode(encoded, encoded_bytes, &configuration), STATUS_OK);

    cr_expect_eq(configuration.n, 3);
    cr_expect_eq(quorum_meta_node_id(configuration.servers[1].id), 200);
    cr_expect_eq(configuration.servers[2].role, RAFT_STANDBY);
    cr_expect_str_eq(configuration.servers[0].address, "100:01010101010101010101010101010101");
}

Test(quorum_configuration, no_flipped_bit_but_in_role_or_padding_gets_through)
{
    struct raft_configuration configuration;
    uint32_t accepted = 0;
    for (size_t bit = 0; bit < encoded_bytes * 8; bit++) {
        encoded[bit / 8] ^= (uint8_t)(1U << bit % 8);
        accepted +=
            quorum_configuration_decode(encoded, encoded_bytes, &configuration) == STATUS_OK;
        encoded[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    /* Voters become stand-bys, the stand-by a voter or a spare, and 5 bytes are padding. */
    cr_expect_eq(accepted, 4 + 5 * 8);
}

Test(quorum_configuration, cuts_counts_and_strangers_are_malformed)
{
    for (size_t cut = 0; cut < encoded_bytes; cut++) {
        cr_expect_eq(quorum_configuration_check(encoded, cut), STATUS_MALFORMED, "%zu", cut);
    }
    encoded[1] = 0;
    cr_expect_eq(quorum_configuration_check(encoded, encoded_bytes), STATUS_MALFORMED);
    encoded[1] = 200;
    cr_expect_eq(quorum_configuration_check(encoded, encoded_bytes), STATUS_MALFORMED);
    encoded[1] = 3;
    encoded[9] ^= 1; /* An id that its name does not give. */
    cr_expect_eq(quorum_configuration_check(encoded, encoded_bytes), STATUS_MALFORMED);
}

Test(quorum_configuration, history_answers_for_every_index)
{
    struct quorum_configuration_history history = {0};
    quorum_configuration_history_push(&history, 1, "a", 1);
    quorum_configuration_history_push(&history, 10, "b", 1);
    quorum_configuration_history_push(&history, 20, "c", 1);

    cr_expect_null(quorum_configuration_history_at(&history, 0));
    cr_expect_eq(quorum_configuration_history_at(&history, 9)->bytes[0], 'a');
    cr_expect_eq(quorum_configuration_history_at(&history, 10)->bytes[0], 'b');
    cr_expect_eq(quorum_configuration_history_at(&history, 99)->bytes[0], 'c');

    quorum_configuration_history_cut(&history, 20);
    cr_expect_eq(quorum_configuration_history_at(&history, 99)->bytes[0], 'b');
    quorum_configuration_history_trim(&history, 15);
    cr_expect_null(quorum_configuration_history_at(&history, 9));
    cr_expect_eq(quorum_configuration_history_at(&history, 15)->bytes[0], 'b');
    quorum_configuration_history_done(&history);
}
