/* Goal: what all threads hold together never passes the limit, and all of it can be given back.
 * Method: the edges in one thread, then four threads that take and give against one limit. */
#include "proto/sys/budget.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>

static struct budget budget;

Test(budget, takes_up_to_the_limit_exactly)
{
    budget_init(&budget, 100);

    cr_expect(budget_take(&budget, 60));
    cr_expect_not(budget_take(&budget, 41));
    cr_expect_eq(budget_taken_bytes(&budget), 60);
    cr_expect(budget_take(&budget, 40));
    cr_expect_not(budget_take(&budget, 1));
    cr_expect(budget_take(&budget, 0));
    budget_give(&budget, 100);
    cr_expect_eq(budget_taken_bytes(&budget), 0);
}

Test(budget, huge_take_does_not_wrap)
{
    budget_init(&budget, 100);
    cr_assert(budget_take(&budget, 60));

    cr_expect_not(budget_take(&budget, SIZE_MAX));
    cr_expect_not(budget_take(&budget, SIZE_MAX - 59));
    cr_expect_eq(budget_taken_bytes(&budget), 60);
}

Test(budget, giving_more_than_was_taken_aborts, .signal = SIGABRT)
{
    budget_init(&budget, 100);
    cr_assert(budget_take(&budget, 10));

    budget_give(&budget, 11);
}

static void *take_and_give(void *context)
{
    size_t *beyond = context;
    for (int i = 0; i < 100000; i++) {
        if (budget_take(&budget, 7)) {
            *beyond += budget_taken_bytes(&budget) > 20 ? 1 : 0;
            budget_give(&budget, 7);
        }
    }
    return NULL;
}

Test(budget, threads_together_never_pass_the_limit)
{
    pthread_t threads[4];
    size_t beyond[4] = {0};
    budget_init(&budget, 20);

    for (int i = 0; i < 4; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, take_and_give, &beyond[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        cr_expect_eq(beyond[i], 0);
    }

    cr_expect_eq(budget_taken_bytes(&budget), 0);
}
