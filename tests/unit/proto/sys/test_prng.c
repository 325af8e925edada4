/* Goal: the sequence is the published one, so that a seed means the same run everywhere.
 * Method: the authors' reference outputs, then range and spread of the derived forms. */
#include "proto/sys/prng.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

static struct prng prng;

Test(prng, sequence_is_xoshiro256_starstar)
{
    prng = (struct prng){.state = {1, 2, 3, 4}};

    cr_expect_eq(prng_next(&prng), UINT64_C(11520));
    cr_expect_eq(prng_next(&prng), UINT64_C(0));
    cr_expect_eq(prng_next(&prng), UINT64_C(1509978240));
    cr_expect_eq(prng_next(&prng), UINT64_C(1215971899390074240));
    cr_expect_eq(prng_next(&prng), UINT64_C(1216172134540287360));
    cr_expect_eq(prng_next(&prng), UINT64_C(607988272756665600));
    cr_expect_eq(prng_next(&prng), UINT64_C(16172922978634559625));
}

Test(prng, seed_is_spread_by_splitmix64)
{
    prng_init(&prng, 0);

    cr_expect_eq(prng.state[0], UINT64_C(0xe220a8397b1dcdaf));
    cr_expect_eq(prng.state[1], UINT64_C(0x6e789e6aa1b965f4));
    cr_expect_eq(prng.state[2], UINT64_C(0x06c45d188009454f));
    cr_expect_eq(prng.state[3], UINT64_C(0xf88bb8a8724c81ec));
}

Test(prng, below_reaches_every_value_and_never_the_bound)
{
    uint32_t counts[10] = {0};
    prng_init(&prng, 42);

    for (int i = 0; i < 100000; i++) {
        uint64_t value = prng_below(&prng, 10);
        cr_assert_lt(value, 10);
        counts[value] += 1;
    }

    for (int i = 0; i < 10; i++) {
        cr_expect(counts[i] > 9500 && counts[i] < 10500, "%d came %u times", i, counts[i]);
    }
    cr_expect_eq(prng_below(&prng, 1), 0);
}

Test(prng, below_is_even_when_the_bound_does_not_divide)
{
    uint32_t low_count = 0;
    prng_init(&prng, 42);

    /* A plain remainder would give the lower half twice as often. */
    uint64_t bound = (UINT64_MAX / 3) * 2;
    for (int i = 0; i < 10000; i++) {
        low_count += prng_below(&prng, bound) < bound / 2 ? 1 : 0;
    }

    cr_expect(low_count > 4800 && low_count < 5200, "%u in the lower half", low_count);
}

Test(prng, below_nothing_aborts, .signal = SIGABRT)
{
    prng_init(&prng, 42);

    prng_below(&prng, 0);
}

Test(prng, fraction_lies_in_zero_to_one)
{
    double sum = 0;
    prng_init(&prng, 42);

    for (int i = 0; i < 10000; i++) {
        double fraction = prng_fraction(&prng);
        cr_assert(fraction >= 0 && fraction < 1);
        sum += fraction;
    }

    cr_expect(sum > 4900 && sum < 5100);
}

Test(prng, fill_writes_each_byte_and_none_beyond)
{
    for (uint64_t count = 0; count < 20; count++) {
        uint8_t seen[24] = {0};
        prng_init(&prng, 42);
        for (int i = 0; i < 100; i++) {
            uint8_t bytes[24] = {0};
            prng_fill(&prng, bytes, count);
            for (uint64_t at = 0; at < sizeof bytes; at++) {
                seen[at] |= bytes[at];
            }
        }
        for (uint64_t at = 0; at < sizeof seen; at++) {
            cr_assert_eq(seen[at] != 0, at < count);
        }
    }
}
