/* Goal: a directory knows who it is, or says that it does not.
 * Method: golden bytes, flipped bits, hostile fields. */
#include "raft/quorum_bytes.h"
#include "raft/quorum_meta.h"
#include "proto/wire/crc32c.h"
#include "tests/unit/raft/golden.h"

static struct quorum_meta born(void)
{
    struct quorum_meta meta = {.is_born = true, .node_id = 2, .voter_count = 3};
    memset(meta.directory_id, 0x22, 16);
    memset(meta.cluster_id, 0xcc, 16);
    for (int32_t i = 0; i < 3; i++) {
        meta.voters[i].node_id = i + 1;
        memset(meta.voters[i].directory_id, 0x11 * (i + 1), 16);
    }
    return meta;
}

Test(quorum_meta, bytes_are_those_of_version_1)
{
    struct quorum_meta meta = born();
    uint8_t bytes[QUORUM_META_BYTES_MAX];

    size_t byte_count = quorum_meta_encode(&meta, bytes);

    expect_golden(bytes, byte_count,
                  "3ea2803a01000200020000000300000022222222222222222222222222222222"
                  "cccccccccccccccccccccccccccccccc01000000000000001111111111111111"
                  "1111111111111111020000000000000022222222222222222222222222222222"
                  "030000000000000033333333333333333333333333333333");
}

Test(quorum_meta, what_was_encoded_is_decoded)
{
    struct quorum_meta meta = born();
    uint8_t bytes[QUORUM_META_BYTES_MAX];
    struct quorum_meta decoded = {0};

    cr_assert_eq(quorum_meta_decode(bytes, quorum_meta_encode(&meta, bytes), &decoded), STATUS_OK);

    cr_expect_arr_eq(&decoded, &meta, sizeof meta);
}

Test(quorum_meta, any_flipped_bit_is_corrupt)
{
    struct quorum_meta meta = born();
    uint8_t bytes[QUORUM_META_BYTES_MAX];
    size_t byte_count = quorum_meta_encode(&meta, bytes);
    struct quorum_meta decoded;

    for (size_t bit = 0; bit < byte_count * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        cr_expect_eq(quorum_meta_decode(bytes, byte_count, &decoded), STATUS_CORRUPT);
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
}

Test(quorum_meta, newer_version_is_unsupported)
{
    struct quorum_meta meta = born();
    uint8_t bytes[QUORUM_META_BYTES_MAX];
    size_t byte_count = quorum_meta_encode(&meta, bytes);
    quorum_bytes_put16(bytes + 4, 2);
    quorum_bytes_put32(bytes, crc32c(0, bytes + 4, byte_count - 4));
    struct quorum_meta decoded;

    cr_expect_eq(quorum_meta_decode(bytes, byte_count, &decoded), STATUS_UNSUPPORTED);
}

Test(quorum_meta, wiped_directory_is_another_voter_of_the_same_node)
{
    static const uint8_t one[16] = "one";
    static const uint8_t two[16] = "two";

    cr_expect_neq(quorum_meta_raft_id(7, one), quorum_meta_raft_id(7, two));
    cr_expect_eq(quorum_meta_node_id(quorum_meta_raft_id(7, two)), 7);
}
