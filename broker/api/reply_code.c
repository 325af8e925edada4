#include "broker/api/reply_code.h"

#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

int16_t reply_code_of_decision(enum decision_reason reason)
{
    switch (reason) {
    case DECISION_NONE:
        return ERROR_CODE_NONE;
    case DECISION_TOPIC_NAME:
    case DECISION_INTERNAL_TOPIC:
        return ERROR_CODE_INVALID_TOPIC_EXCEPTION;
    case DECISION_TOPIC_EXISTS:
        return ERROR_CODE_TOPIC_ALREADY_EXISTS;
    case DECISION_UNKNOWN_TOPIC:
    case DECISION_UNKNOWN_PARTITION:
        return ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION;
    case DECISION_UNKNOWN_TOPIC_ID:
        return ERROR_CODE_UNKNOWN_TOPIC_ID;
    case DECISION_PARTITION_COUNT:
        return ERROR_CODE_INVALID_PARTITIONS;
    case DECISION_REPLICATION_FACTOR:
    case DECISION_NO_BROKERS: /* What Kafka says when it finds no broker to place on. */
        return ERROR_CODE_INVALID_REPLICATION_FACTOR;
    case DECISION_ASSIGNMENT:
        return ERROR_CODE_INVALID_REPLICA_ASSIGNMENT;
    case DECISION_CONFIG:
        return ERROR_CODE_INVALID_CONFIG;
    case DECISION_REQUEST:
    case DECISION_NOT_THE_LEADER:
        return ERROR_CODE_INVALID_REQUEST;
    case DECISION_LIMIT:
        return ERROR_CODE_POLICY_VIOLATION;
    case DECISION_STALE_BROKER:
        return ERROR_CODE_STALE_BROKER_EPOCH;
    case DECISION_UNKNOWN_BROKER:
        return ERROR_CODE_BROKER_ID_NOT_REGISTERED;
    case DECISION_DUPLICATE_BROKER:
        return ERROR_CODE_DUPLICATE_BROKER_REGISTRATION;
    case DECISION_OTHER_CLUSTER:
        return ERROR_CODE_INCONSISTENT_CLUSTER_ID;
    case DECISION_REGISTRATION:
        return ERROR_CODE_INVALID_REGISTRATION;
    case DECISION_OLD_LEADER_EPOCH:
        return ERROR_CODE_FENCED_LEADER_EPOCH;
    case DECISION_NEW_LEADER_EPOCH: /* This controller is behind; the newer one knows. */
        return ERROR_CODE_NOT_CONTROLLER;
    case DECISION_OLD_PARTITION_EPOCH:
        return ERROR_CODE_INVALID_UPDATE_VERSION;
    case DECISION_INELIGIBLE_REPLICA:
        return ERROR_CODE_INELIGIBLE_REPLICA;
    case DECISION_LEADER_MOVED:
        return ERROR_CODE_NEW_LEADER_ELECTED;
    case DECISION_NO_ELECTION_NEEDED:
        return ERROR_CODE_ELECTION_NOT_NEEDED;
    case DECISION_NO_PREFERRED_LEADER:
        return ERROR_CODE_PREFERRED_LEADER_NOT_AVAILABLE;
    case DECISION_NO_ELIGIBLE_LEADER:
        return ERROR_CODE_ELIGIBLE_LEADERS_NOT_AVAILABLE;
    case DECISION_NO_PRODUCER_IDS:
        return ERROR_CODE_UNKNOWN_SERVER_ERROR;
    default:
        check_unreachable("a reason of a decision");
    }
}

int16_t reply_code_of_status(enum status status)
{
    switch (status) {
    case STATUS_OK:
        return ERROR_CODE_NONE;
    case STATUS_NOT_LEADER:
    case STATUS_CANCELED:
    case STATUS_CLOSED:
    case STATUS_UNREACHABLE:
        return ERROR_CODE_NOT_CONTROLLER; /* Nothing happened; another node may do it. */
    case STATUS_BUSY:
    case STATUS_PENDING:
    case STATUS_TIMEOUT:
    case STATUS_UNKNOWN:
        return ERROR_CODE_REQUEST_TIMED_OUT;
    case STATUS_FULL:
        return ERROR_CODE_POLICY_VIOLATION;
    case STATUS_INVALID:
    case STATUS_MALFORMED:
        return ERROR_CODE_INVALID_REQUEST;
    case STATUS_UNSUPPORTED:
        return ERROR_CODE_UNSUPPORTED_VERSION;
    case STATUS_FENCED:
        return ERROR_CODE_STALE_BROKER_EPOCH;
    case STATUS_NO_MEMORY:
    case STATUS_NOT_FOUND:
    case STATUS_EXISTS:
    case STATUS_AHEAD:
    case STATUS_OUT_OF_RANGE:
    case STATUS_CORRUPT:
    case STATUS_IO:
    case STATUS_NO_SPACE:
    default:
        return ERROR_CODE_UNKNOWN_SERVER_ERROR;
    }
}

const char *reply_code_message(enum status status)
{
    switch (status) {
    case STATUS_NOT_LEADER:
    case STATUS_CANCELED:
    case STATUS_CLOSED:
    case STATUS_UNREACHABLE:
        return "the active controller changed and nothing was done; try again";
    case STATUS_BUSY:
    case STATUS_TIMEOUT:
        return "the controller is busy and nothing was done; try again later";
    case STATUS_UNKNOWN:
        return "it is not known whether it was done; look before trying again";
    case STATUS_FULL:
        return "the request is larger than one decision may be; split it";
    case STATUS_OK:
    case STATUS_NO_MEMORY:
    case STATUS_PENDING:
    case STATUS_NOT_FOUND:
    case STATUS_EXISTS:
    case STATUS_FENCED:
    case STATUS_AHEAD:
    case STATUS_OUT_OF_RANGE:
    case STATUS_INVALID:
    case STATUS_UNSUPPORTED:
    case STATUS_MALFORMED:
    case STATUS_CORRUPT:
    case STATUS_IO:
    case STATUS_NO_SPACE:
    default:
        return status_text(status);
    }
}
