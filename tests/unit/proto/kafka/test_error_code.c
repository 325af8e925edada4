/* Goal: codes have Kafka's numbers, and clients retry what Kafka's client retries.
 * Method: totals over the table, some rows of each kind, and numbers outside it. */
#include "proto/kafka/error_code.h"

#include <criterion/criterion.h>

Test(error_code, numbers_and_names_are_those_of_kafka)
{
    cr_expect_eq(ERROR_CODE_MIN, -1);
    cr_expect_eq(ERROR_CODE_NOT_LEADER_OR_FOLLOWER, 6);
    cr_expect_eq(ERROR_CODE_FENCED_LEADER_EPOCH, 74);
    cr_expect_eq(ERROR_CODE_TRANSACTION_ABORTABLE, 120);
    cr_expect_eq(ERROR_CODE_MAX, 136);
    cr_expect_str_eq(error_code_name(0), "NONE");
    cr_expect_str_eq(error_code_name(-1), "UNKNOWN_SERVER_ERROR");
    cr_expect_str_eq(error_code_name(45), "OUT_OF_ORDER_SEQUENCE_NUMBER");
    cr_expect_str_eq(error_code_name(136), "CONTROLLER_ID_NOT_REGISTERED");
    cr_expect_str_eq(error_code_text(19), "too few in-sync replicas to accept the write");
}

Test(error_code, thirty_two_codes_are_retriable)
{
    int count = 0;
    for (int16_t number = ERROR_CODE_MIN; number <= ERROR_CODE_MAX; number++) {
        count += error_code_is_retriable(number) ? 1 : 0;
    }

    cr_expect_eq(count, 32);
    cr_expect(error_code_is_retriable(ERROR_CODE_CORRUPT_MESSAGE));
    cr_expect_not(error_code_is_retriable(ERROR_CODE_OUT_OF_ORDER_SEQUENCE_NUMBER));
}

Test(error_code, reaction_tells_what_to_look_up_first)
{
    cr_expect_eq(error_code_reaction(ERROR_CODE_NOT_LEADER_OR_FOLLOWER),
                 ERROR_CODE_REACTION_METADATA);
    cr_expect_eq(error_code_reaction(ERROR_CODE_NOT_COORDINATOR), ERROR_CODE_REACTION_COORDINATOR);
    cr_expect_eq(error_code_reaction(ERROR_CODE_REQUEST_TIMED_OUT), ERROR_CODE_REACTION_RETRY);
    cr_expect_eq(error_code_reaction(ERROR_CODE_PRODUCER_FENCED), ERROR_CODE_REACTION_FINAL);
}

Test(error_code, numbers_outside_the_table_are_final_and_unknown)
{
    cr_expect_str_eq(error_code_name(137), "UNKNOWN");
    cr_expect_str_eq(error_code_name(-2), "UNKNOWN");
    cr_expect_eq(error_code_reaction(INT16_MAX), ERROR_CODE_REACTION_FINAL);
    cr_expect_not(error_code_is_retriable(INT16_MIN));
}
