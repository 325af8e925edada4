/* Goal: delays grow, stay within their bounds, and differ between clients.
 * Method: the first delays of one retry, many draws at the ceiling. */
#include "client/retry.h"
#include "proto/sys/clock.h"

#include <criterion/criterion.h>

Test(retry, delays_double_up_to_the_ceiling_within_a_quarter)
{
    struct prng prng;
    prng_init(&prng, 7);
    struct retry retry;
    retry_init(&retry, 100, 1000);
    const int64_t middles_ms[] = {100, 200, 400, 800, 1000, 1000, 1000};

    for (size_t i = 0; i < sizeof middles_ms / sizeof *middles_ms; i++) {
        int64_t delay_ns = retry_next_ns(&retry, &prng);
        cr_expect_geq(delay_ns, middles_ms[i] * CLOCK_NS_PER_MS * 3 / 4);
        cr_expect_leq(delay_ns, middles_ms[i] * CLOCK_NS_PER_MS * 5 / 4);
    }
    for (int i = 0; i < 1000; i++) {
        cr_expect_leq(retry_next_ns(&retry, &prng), 1250 * CLOCK_NS_PER_MS);
    }
}

Test(retry, a_success_begins_again_at_the_floor)
{
    struct prng prng;
    prng_init(&prng, 7);
    struct retry retry;
    retry_init(&retry, 100, 1000);
    for (int i = 0; i < 5; i++) {
        cr_assert_gt(retry_next_ns(&retry, &prng), 0);
    }

    retry_reset(&retry);

    cr_expect_leq(retry_next_ns(&retry, &prng), 125 * CLOCK_NS_PER_MS);
}

Test(retry, two_clients_do_not_come_back_together)
{
    struct prng one;
    struct prng other;
    prng_init(&one, 1);
    prng_init(&other, 2);
    struct retry retries[2];
    retry_init(&retries[0], 100, 1000);
    retry_init(&retries[1], 100, 1000);

    cr_expect_neq(retry_next_ns(&retries[0], &one), retry_next_ns(&retries[1], &other));
}
