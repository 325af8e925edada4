/* Goal: every fault has a text, a status that tells it from success, and a number clients know. */
#include "proto/record/batch_fault.h"

#include <criterion/criterion.h>
#include <string.h>

Test(batch_fault, only_none_is_a_success)
{
    cr_expect_eq(batch_fault_status(BATCH_FAULT_NONE), STATUS_OK);
    cr_expect_eq(batch_fault_code(BATCH_FAULT_NONE), 0);
    for (int fault = BATCH_FAULT_NONE + 1; fault <= BATCH_FAULT_NO_ROOM; fault++) {
        cr_expect_neq(batch_fault_status((enum batch_fault)fault), STATUS_OK, "%d", fault);
        cr_expect_gt(batch_fault_code((enum batch_fault)fault), 0, "%d", fault);
        cr_expect_gt(strlen(batch_fault_text((enum batch_fault)fault)), 10, "%d", fault);
    }
}
