/* Goal: every point can be named in a setting and is found again.
 * Method: all names there and back. */
#include "processor/task/task_point.h"

#include <criterion/criterion.h>

Test(task_point, every_name_is_found_again)
{
    for (unsigned i = 0; i < TASK_POINT_COUNT; i++) {
        enum task_point found = TASK_POINT_COUNT;
        cr_assert(task_point_find(task_point_name((enum task_point)i), &found));
        cr_expect_eq(found, (enum task_point)i);
    }
}

Test(task_point, unknown_name_is_refused)
{
    enum task_point found = TASK_POINT_COUNT;
    cr_expect_not(task_point_find("before_lunch", &found));
    cr_expect_eq(found, TASK_POINT_COUNT);
}
