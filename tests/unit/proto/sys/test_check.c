/* Goal: a failed check ends the process, a true one costs nothing and is evaluated once.
 * Method: one death per macro, and a condition with a side effect. */
#include "proto/sys/check.h"

#include <criterion/criterion.h>
#include <signal.h>

Test(check, false_condition_aborts, .signal = SIGABRT)
{
    volatile int one = 1;

    check(one == 2);
}

Test(check, unreachable_place_aborts, .signal = SIGABRT)
{
    check_unreachable("the test came here");
}

Test(check, true_condition_is_evaluated_once_and_passes)
{
    int evaluated_count = 0;

    check(++evaluated_count > 0);

    cr_expect_eq(evaluated_count, 1);
}
