/* Goal: the kernel's randomness fills exactly what was asked.
 * Method: many fills, or-ed together, around a border. */
#include "proto/sys/host/host_entropy.h"

#include <criterion/criterion.h>

Test(host_entropy, fill_reaches_every_byte_and_none_beyond)
{
    uint8_t seen[34] = {0};
    for (int i = 0; i < 64; i++) {
        uint8_t bytes[34] = {0};
        host_entropy_fill(bytes, 33);
        for (int at = 0; at < 34; at++) {
            seen[at] |= bytes[at];
        }
    }
    for (int at = 0; at < 33; at++) {
        cr_expect_neq(seen[at], 0);
    }
    cr_expect_eq(seen[33], 0);
}

Test(host_entropy, seeds_differ)
{
    cr_expect_neq(host_entropy_seed(), host_entropy_seed());
}
