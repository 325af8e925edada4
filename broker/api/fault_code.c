#include "broker/api/fault_code.h"

#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

int16_t fault_code_of_partition(enum partition_fault fault)
{
    switch (fault) {
    case PARTITION_FAULT_NONE:
        return ERROR_CODE_NONE;
    case PARTITION_FAULT_NOT_HERE: /* Clients look for the leader again, as they should. */
    case PARTITION_FAULT_NOT_LEADER:
        return ERROR_CODE_NOT_LEADER_OR_FOLLOWER;
    case PARTITION_FAULT_FENCED_LEADER_EPOCH:
        return ERROR_CODE_FENCED_LEADER_EPOCH;
    case PARTITION_FAULT_UNKNOWN_LEADER_EPOCH:
        return ERROR_CODE_UNKNOWN_LEADER_EPOCH;
    case PARTITION_FAULT_OUT_OF_RANGE:
        return ERROR_CODE_OFFSET_OUT_OF_RANGE;
    case PARTITION_FAULT_STORAGE:
        return ERROR_CODE_KAFKA_STORAGE_ERROR;
    case PARTITION_FAULT_CORRUPT:
        return ERROR_CODE_CORRUPT_MESSAGE;
    case PARTITION_FAULT_FEW_REPLICAS:
        return ERROR_CODE_NOT_ENOUGH_REPLICAS;
    case PARTITION_FAULT_FEW_REPLICAS_AFTER:
        return ERROR_CODE_NOT_ENOUGH_REPLICAS_AFTER_APPEND;
    case PARTITION_FAULT_TIMEOUT:
    case PARTITION_FAULT_BUSY: /* Retriable, and the only such that says "later". */
        return ERROR_CODE_REQUEST_TIMED_OUT;
    case PARTITION_FAULT_TOO_LARGE: /* Trying again would not help. */
        return ERROR_CODE_MESSAGE_TOO_LARGE;
    case PARTITION_FAULT_DUPLICATE:
        return ERROR_CODE_DUPLICATE_SEQUENCE_NUMBER;
    case PARTITION_FAULT_SEQUENCE_GAP:
        return ERROR_CODE_OUT_OF_ORDER_SEQUENCE_NUMBER;
    case PARTITION_FAULT_PRODUCER_EPOCH:
        return ERROR_CODE_INVALID_PRODUCER_EPOCH;
    case PARTITION_FAULT_TXN_STATE:
        return ERROR_CODE_INVALID_TXN_STATE;
    case PARTITION_FAULT_TXN_STALE:
        return ERROR_CODE_CONCURRENT_TRANSACTIONS;
    case PARTITION_FAULT_COORDINATOR_FENCED:
        return ERROR_CODE_TRANSACTION_COORDINATOR_FENCED;
    case PARTITION_FAULT_UNKNOWN_REPLICA:
        return ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION;
    case PARTITION_FAULT_NOT_AVAILABLE:
        return ERROR_CODE_OFFSET_NOT_AVAILABLE;
    }
    check_unreachable("partition fault outside its table");
}
