/* Goal: groups live where Kafka's tools look for them.
 * Method: known values of Java's String.hashCode. */
#include "broker/coordinator/ledger_key.h"

#include <criterion/criterion.h>

static int32_t place(const char *text, uint32_t count)
{
    return ledger_key_partition(wire_text_of(text), count);
}

Test(ledger_key, follows_javas_hash_of_ascii)
{
    cr_expect_eq(place("", 50), 0);
    cr_expect_eq(place("abc", 1000000), 96354);
    cr_expect_eq(place("hello", 1000000000), 99162322);
}

Test(ledger_key, counts_characters_beyond_ascii_as_utf16_units)
{
    cr_expect_eq(place("\xc3\xa9", 1000000), 0xe9);
    cr_expect_eq(place("\xe2\x82\xac", 1000000), 0x20ac);
    cr_expect_eq(place("\xf0\x9f\x98\x80", 100000000), 0xd83d * 31 + 0xde00);
}

Test(ledger_key, absolute_of_the_smallest_number_is_zero)
{
    cr_expect_eq(place("polygenelubricants", 50), 0);
}

Test(ledger_key, bytes_that_are_no_utf8_have_a_place_too)
{
    cr_expect_geq(place("\xff\xfe\xe2\x82", 50), 0);
}
