/* Goal: only what the next attempt must meet again stops a job.
 * Method: one of each kind. */
#include "processor/task/task_fault.h"

#include "proto/kafka/error_code.h"

#include <criterion/criterion.h>
#include <string.h>

Test(task_fault, only_final_refusals_stop_a_job)
{
    cr_expect_eq(task_fault_judge(STATUS_FENCED, ERROR_CODE_PRODUCER_FENCED), TASK_VERDICT_FENCED);
    cr_expect_eq(task_fault_judge(STATUS_INVALID, ERROR_CODE_MESSAGE_TOO_LARGE),
                 TASK_VERDICT_FATAL);
    cr_expect_eq(task_fault_judge(STATUS_INVALID, ERROR_CODE_TOPIC_AUTHORIZATION_FAILED),
                 TASK_VERDICT_FATAL);
    cr_expect_eq(task_fault_judge(STATUS_TIMEOUT, 0), TASK_VERDICT_AGAIN);
    cr_expect_eq(task_fault_judge(STATUS_INVALID, ERROR_CODE_INVALID_TXN_STATE),
                 TASK_VERDICT_AGAIN);
    cr_expect_eq(task_fault_judge(STATUS_NOT_FOUND, ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION),
                 TASK_VERDICT_AGAIN);
}

Test(task_fault, fault_is_told_in_its_four_parts)
{
    struct task_fault fault;
    task_fault_set(&fault, "MISFIT", "because", "do this");
    task_fault_say(&fault, "partition %d offset %d", 3, 17);
    const Millrace__Plan__Fault *message = task_fault_message(&fault);
    cr_expect_str_eq(message->code, "MISFIT");
    cr_expect_str_eq(message->what, "partition 3 offset 17");
    cr_expect_str_eq(message->why, "because");
    cr_expect_str_eq(message->fix, "do this");
    task_fault_set(&fault, "OTHER", NULL, NULL);
    cr_expect_str_eq(task_fault_message(&fault)->why, "");
}
