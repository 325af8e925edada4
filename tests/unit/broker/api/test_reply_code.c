/* Goal: clients get the numbers that make them do the right thing.
 * Method: the table of wrong requests that other brokers answer too, then the whole enums. */
#include "broker/api/reply_code.h"

#include "proto/kafka/error_code.h"

#include <criterion/criterion.h>
#include <string.h>

Test(reply_code, wrong_admin_requests_get_the_numbers_that_clients_know)
{
    cr_expect_eq(reply_code_of_decision(DECISION_NONE), 0);
    cr_expect_eq(reply_code_of_decision(DECISION_TOPIC_NAME), 17);
    cr_expect_eq(reply_code_of_decision(DECISION_TOPIC_EXISTS), 36);
    cr_expect_eq(reply_code_of_decision(DECISION_PARTITION_COUNT), 37);
    cr_expect_eq(reply_code_of_decision(DECISION_REPLICATION_FACTOR), 38);
    cr_expect_eq(reply_code_of_decision(DECISION_ASSIGNMENT), 39);
    cr_expect_eq(reply_code_of_decision(DECISION_CONFIG), 40);
    cr_expect_eq(reply_code_of_decision(DECISION_REQUEST), 42);
    cr_expect_eq(reply_code_of_decision(DECISION_LIMIT), 44);
    cr_expect_eq(reply_code_of_decision(DECISION_UNKNOWN_TOPIC), 3);
    cr_expect_eq(reply_code_of_decision(DECISION_UNKNOWN_TOPIC_ID), 100);
    cr_expect_eq(reply_code_of_decision(DECISION_STALE_BROKER), 77);
    cr_expect_eq(reply_code_of_decision(DECISION_OTHER_CLUSTER), 104);
    cr_expect_eq(reply_code_of_decision(DECISION_INELIGIBLE_REPLICA), 107);
}

Test(reply_code, every_reason_has_a_number_and_only_none_is_success)
{
#define X(name, text)                                                                              \
    cr_expect_eq(reply_code_of_decision(DECISION_##name) == 0, DECISION_##name == DECISION_NONE);  \
    cr_expect_gt(strlen(decision_reason_text(DECISION_##name)), 1);
    DECISION_REASON_TABLE(X)
#undef X
}

Test(reply_code, every_status_has_a_number_and_only_ok_is_success)
{
#define X(name, text)                                                                              \
    cr_expect_eq(reply_code_of_status(STATUS_##name) == 0, STATUS_##name == STATUS_OK);            \
    cr_expect_not_null(reply_code_message(STATUS_##name));
    STATUS_TABLE(X)
#undef X
}

Test(reply_code, what_did_not_happen_or_may_have_is_retried)
{
    cr_expect(error_code_is_retriable(reply_code_of_status(STATUS_NOT_LEADER)));
    cr_expect(error_code_is_retriable(reply_code_of_status(STATUS_BUSY)));
    cr_expect(error_code_is_retriable(reply_code_of_status(STATUS_UNKNOWN)));
    cr_expect_not(error_code_is_retriable(reply_code_of_status(STATUS_FULL)));
    cr_expect_not(error_code_is_retriable(reply_code_of_decision(DECISION_CONFIG)));
}
