/* Goal: a view is made of whole batches only, and stamps leave a checksum as right as it was.
 * Method: hand-made headers around the edges of length and magic; stamped batches of many sizes are
 * compared with a checksum computed from scratch. */
#include "proto/record/batch.h"
#include "tests/rig/batch_seal.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>

static uint8_t *batch_of_size(size_t byte_count)
{
    uint8_t *batch = malloc(byte_count);
    cr_assert_not_null(batch);
    for (size_t i = 0; i < byte_count; i++) {
        batch[i] = (uint8_t)(i * 31 + byte_count);
    }
    batch[16] = BATCH_MAGIC;
    batch_seal(batch, byte_count);
    return batch;
}

static struct batch_view view_of(const uint8_t *batch, size_t byte_count)
{
    struct batch_view view;
    cr_assert_eq(batch_view_init(&view, batch, byte_count), STATUS_OK);
    return view;
}

Test(batch, view_needs_the_whole_batch)
{
    uint8_t *batch = batch_of_size(100);
    struct batch_view view = {0};

    for (size_t i = 0; i < 100; i++) {
        cr_expect_eq(batch_view_init(&view, batch, i), STATUS_NOT_FOUND, "%zu", i);
    }
    cr_expect_eq(batch_view_init(&view, batch, 100), STATUS_OK);
    cr_expect_eq(view.byte_count, 100);
    free(batch);
}

Test(batch, measure_needs_length_and_magic_only)
{
    uint8_t *batch = batch_of_size(1000);
    uint32_t byte_count = 0;

    cr_expect_eq(batch_measure(batch, BATCH_PEEK_BYTES - 1, &byte_count), STATUS_NOT_FOUND);
    cr_expect_eq(batch_measure(batch, BATCH_PEEK_BYTES, &byte_count), STATUS_OK);
    cr_expect_eq(byte_count, 1000);
    free(batch);
}

Test(batch, lengths_that_no_batch_has_are_malformed)
{
    static const uint32_t lengths[] = {0,           1,           48,         0x7ffffff4U,
                                       0x7fffffffU, 0x80000000U, 0xffffffffU};
    uint8_t *batch = batch_of_size(100);
    uint32_t byte_count = 0;

    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        big_endian_put32(batch + 8, lengths[i]);
        cr_expect_eq(batch_measure(batch, 100, &byte_count), STATUS_MALFORMED, "%u", lengths[i]);
        cr_expect_eq(batch_measure(batch, BATCH_FRAME_BYTES, &byte_count), STATUS_MALFORMED);
    }
    big_endian_put32(batch + 8, 0x7ffffff3U);
    cr_expect_eq(batch_measure(batch, 100, &byte_count), STATUS_OK);
    cr_expect_eq(byte_count, INT32_MAX);
    big_endian_put32(batch + 8, 49);
    cr_expect_eq(batch_measure(batch, 100, &byte_count), STATUS_OK);
    cr_expect_eq(byte_count, BATCH_HEADER_BYTES);
    free(batch);
}

Test(batch, older_magic_is_unsupported_whatever_its_length)
{
    uint8_t *batch = batch_of_size(100);
    uint32_t byte_count = 0;
    batch[16] = 1;
    big_endian_put32(batch + 8, 24);

    cr_expect_eq(batch_measure(batch, 100, &byte_count), STATUS_UNSUPPORTED);
    free(batch);
}

Test(batch, stamps_keep_the_checksum_right_at_any_size)
{
    for (size_t byte_count = BATCH_HEADER_BYTES; byte_count < 70000;
         byte_count += 1 + byte_count / 3) {
        uint8_t *batch = batch_of_size(byte_count);
        struct batch_view view = view_of(batch, byte_count);

        batch_stamp_append_time(batch, 1760000000000);
        cr_expect(batch_has_right_checksum(&view), "append time, %zu", byte_count);
        cr_expect(batch_has_append_time(&view));
        cr_expect_eq(batch_max_timestamp(&view), 1760000000000);
        batch_stamp_create_time(batch, 7);
        cr_expect(batch_has_right_checksum(&view), "create time, %zu", byte_count);
        cr_expect_not(batch_has_append_time(&view));
        cr_expect_eq(batch_max_timestamp(&view), 7);
        batch_stamp_producer(batch, INT64_MAX, INT16_MAX, INT32_MAX);
        cr_expect(batch_has_right_checksum(&view), "producer, %zu", byte_count);
        cr_expect_eq(batch_producer_id(&view), INT64_MAX);
        cr_expect_eq(batch_producer_epoch(&view), INT16_MAX);
        cr_expect_eq(batch_base_sequence(&view), INT32_MAX);
        batch_stamp_offset(batch, INT64_MAX, 12);
        cr_expect(batch_has_right_checksum(&view), "offset, %zu", byte_count);
        cr_expect_eq(batch_base_offset(&view), INT64_MAX);
        cr_expect_eq(batch_leader_epoch(&view), 12);
        free(batch);
    }
}

Test(batch, stamping_does_not_bless_a_wrong_checksum)
{
    uint8_t *batch = batch_of_size(500);
    struct batch_view view = view_of(batch, 500);
    batch[300] ^= 4;

    batch_stamp_append_time(batch, 1760000000000);
    cr_expect_not(batch_has_right_checksum(&view));
    batch[300] ^= 4;
    cr_expect(batch_has_right_checksum(&view));
    free(batch);
}

Test(batch, sequence_after_the_greatest_is_zero)
{
    uint8_t *batch = batch_of_size(100);
    struct batch_view view = view_of(batch, 100);
    big_endian_put32(batch + 53, INT32_MAX - 1);

    big_endian_put32(batch + 23, 1);
    cr_expect_eq(batch_last_sequence(&view), INT32_MAX);
    big_endian_put32(batch + 23, 2);
    cr_expect_eq(batch_last_sequence(&view), 0);
    big_endian_put32(batch + 53, UINT32_MAX);
    cr_expect_eq(batch_last_sequence(&view), -1);
    free(batch);
}

Test(batch, negative_offset_is_never_stamped, .signal = SIGABRT)
{
    uint8_t *batch = batch_of_size(100);
    batch_stamp_offset(batch, -1, 0);
}
