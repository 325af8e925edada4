/* Goal: a batch whose offsets cannot be right is noticed, wherever a reader begins.
 * Method: batches told by their headers alone, behind an index of one entry. */
#include "broker/log/offset_chain.h"

#include "proto/wire/big_endian.h"

#include <criterion/criterion.h>

static struct offset_index index_below;
static struct offset_chain chain;

/* The segment begins at 100; its index names the batch [110, 112] at 4096. */
static void set_up(void)
{
    offset_index_init(&index_below, 100, 10);
    cr_assert_eq(offset_index_append(&index_below, 112, 4096), STATUS_OK);
}

static void tear_down(void)
{
    offset_index_done(&index_below);
}

TestSuite(offset_chain, .init = set_up, .fini = tear_down);

static enum status add(int64_t base_offset, int32_t last_offset_delta)
{
    uint8_t bytes[BATCH_HEADER_BYTES] = {0};
    big_endian_put64(bytes, (uint64_t)base_offset);
    big_endian_put32(bytes + 23, (uint32_t)last_offset_delta);
    const struct batch_view batch = {.bytes = bytes, .byte_count = sizeof bytes};
    return offset_chain_add(&chain, &batch);
}

Test(offset_chain, first_batch_begins_where_its_segment_does)
{
    cr_expect_eq(offset_chain_begin(&chain, &index_below, 111), 0);

    cr_expect_eq(add(99, 2), STATUS_CORRUPT);
    cr_expect_eq(add(101, 2), STATUS_CORRUPT);
    cr_expect_eq(add(100, 2), STATUS_OK);
}

Test(offset_chain, batch_of_an_index_entry_ends_where_the_entry_says)
{
    cr_expect_eq(offset_chain_begin(&chain, &index_below, 112), 4096);

    cr_expect_eq(add(109, 2), STATUS_CORRUPT);
    cr_expect_eq(add(111, 2), STATUS_CORRUPT);
    cr_expect_eq(add(100, 2), STATUS_CORRUPT);
    cr_expect_eq(add(113, -1), STATUS_CORRUPT);
    cr_expect_eq(add(110, 2), STATUS_OK);
    cr_expect_eq(add(113, 0), STATUS_OK);
}

Test(offset_chain, next_batch_begins_where_the_last_one_ended)
{
    (void)offset_chain_begin(&chain, &index_below, 100);
    cr_assert_eq(add(100, 2), STATUS_OK);

    cr_expect_eq(add(100, 2), STATUS_CORRUPT, "again");
    cr_expect_eq(add(102, 2), STATUS_CORRUPT);
    cr_expect_eq(add(104, 2), STATUS_CORRUPT, "a gap");
    cr_expect_eq(add(INT64_MIN, 2), STATUS_CORRUPT);
    cr_expect_eq(add(INT64_MAX, 2), STATUS_CORRUPT);
    cr_expect_eq(add(103, -1), STATUS_CORRUPT);
    cr_expect_eq(add(103, 2), STATUS_OK);
    cr_expect_eq(add(106, INT32_MAX), STATUS_OK);
}
