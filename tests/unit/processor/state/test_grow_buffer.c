/* Goal: bytes come together in order, and the first failure sticks.
 * Method: one of each kind; the limit. */
#include "processor/state/grow_buffer.h"

#include <criterion/criterion.h>

Test(grow_buffer, numbers_are_big_endian_and_short_when_they_vary)
{
    struct grow_buffer buffer = {0};
    grow_buffer_put_uint8(&buffer, 0xab);
    grow_buffer_put_uint32(&buffer, 0x01020304);
    grow_buffer_put_int64(&buffer, -2);
    grow_buffer_put_double(&buffer, -0.5);
    grow_buffer_put_uvarint(&buffer, 300);
    grow_buffer_put_varint(&buffer, -1);
    grow_buffer_put_varint(&buffer, INT64_MIN);
    grow_buffer_put_raw(&buffer, "xy", 2);

    static const uint8_t expected[] = {0xab, 1,    2,    3,    4,    0xff, 0xff, 0xff, 0xff,
                                       0xff, 0xff, 0xff, 0xfe, 0xbf, 0xe0, 0,    0,    0,
                                       0,    0,    0,    0xac, 2,    1,    0xff, 0xff, 0xff,
                                       0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,    'x',  'y'};
    struct wire_bytes bytes = grow_buffer_bytes(&buffer);
    cr_assert_eq(bytes.byte_count, sizeof expected);
    cr_expect_arr_eq(bytes.bytes, expected, sizeof expected);
    grow_buffer_done(&buffer);
}

Test(grow_buffer, keeps_its_bytes_while_it_grows_and_is_used_again)
{
    struct grow_buffer buffer = {0};
    for (uint32_t i = 0; i < 10000; i++) {
        grow_buffer_put_uint32(&buffer, i);
    }
    cr_assert_eq(buffer.byte_count, 40000);
    cr_expect_eq(buffer.bytes[39999], 9999 & 0xff);
    cr_expect_eq(buffer.bytes[3], 0);
    size_t capacity = buffer.capacity;
    grow_buffer_clear(&buffer);
    grow_buffer_put_uint8(&buffer, 1);
    cr_expect_eq(buffer.byte_count, 1);
    cr_expect_eq(buffer.capacity, capacity);
    grow_buffer_done(&buffer);
}

Test(grow_buffer, limit_is_full_and_sticks)
{
    struct grow_buffer buffer = {0};
    grow_buffer_put_uint8(&buffer, 1);
    cr_expect_null(grow_buffer_extend(&buffer, GROW_BUFFER_BYTES_MAX));
    cr_expect_eq(buffer.status, STATUS_FULL);
    grow_buffer_put_uint8(&buffer, 2);
    cr_expect_eq(buffer.byte_count, 1);
    grow_buffer_clear(&buffer);
    cr_expect_eq(buffer.status, STATUS_OK);
    grow_buffer_done(&buffer);
}
