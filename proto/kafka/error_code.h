/* Kafka's error codes: number, name, what a client does about it, and a text for people.
 *
 * The numbers are fixed by the protocol and travel as int16. Some may only be sent to requests of
 * a version that knows them (for instance 56 is 6 for Fetch up to version 5); whoever answers must
 * see to that.
 * Owner: none, constant. Loop: any. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* What a client does: FINAL gives up or tells the user; RETRY asks again; METADATA and
 * COORDINATOR first look up the leader or the coordinator again. */
enum error_code_reaction {
    ERROR_CODE_REACTION_FINAL,
    ERROR_CODE_REACTION_RETRY,
    ERROR_CODE_REACTION_METADATA,
    ERROR_CODE_REACTION_COORDINATOR,
};

/* clang-format off */
#define ERROR_CODE_TABLE(X) \
    X(UNKNOWN_SERVER_ERROR, -1, FINAL, "the broker failed in a way it has no code for") \
    X(NONE, 0, FINAL, "ok") \
    X(OFFSET_OUT_OF_RANGE, 1, FINAL, "the offset is not in the partition") \
    X(CORRUPT_MESSAGE, 2, RETRY, "a batch fails its checksum or its format") \
    X(UNKNOWN_TOPIC_OR_PARTITION, 3, METADATA, "no such topic or partition here") \
    X(INVALID_FETCH_SIZE, 4, FINAL, "the fetch size is not allowed") \
    X(LEADER_NOT_AVAILABLE, 5, METADATA, "the partition has no leader now") \
    X(NOT_LEADER_OR_FOLLOWER, 6, METADATA, "this broker does not lead the partition") \
    X(REQUEST_TIMED_OUT, 7, RETRY, "the time given ran out") \
    X(BROKER_NOT_AVAILABLE, 8, FINAL, "the broker cannot be reached") \
    X(REPLICA_NOT_AVAILABLE, 9, METADATA, "the replica cannot be read now") \
    X(MESSAGE_TOO_LARGE, 10, FINAL, "the batch is larger than the topic allows") \
    X(STALE_CONTROLLER_EPOCH, 11, FINAL, "the controller's epoch is old") \
    X(OFFSET_METADATA_TOO_LARGE, 12, FINAL, "the text stored with an offset is too long") \
    X(NETWORK_EXCEPTION, 13, METADATA, "the connection broke before the answer") \
    X(COORDINATOR_LOAD_IN_PROGRESS, 14, RETRY, "the coordinator is still loading its state") \
    X(COORDINATOR_NOT_AVAILABLE, 15, COORDINATOR, "there is no coordinator now") \
    X(NOT_COORDINATOR, 16, COORDINATOR, "this broker does not coordinate that") \
    X(INVALID_TOPIC_EXCEPTION, 17, FINAL, "the topic's name or kind forbids this") \
    X(RECORD_LIST_TOO_LARGE, 18, FINAL, "the batch is larger than a segment") \
    X(NOT_ENOUGH_REPLICAS, 19, RETRY, "too few in-sync replicas to accept the write") \
    X(NOT_ENOUGH_REPLICAS_AFTER_APPEND, 20, RETRY, "too few in-sync replicas remained") \
    X(INVALID_REQUIRED_ACKS, 21, FINAL, "acks is not -1, 0 or 1") \
    X(ILLEGAL_GENERATION, 22, FINAL, "the group is in another generation") \
    X(INCONSISTENT_GROUP_PROTOCOL, 23, FINAL, "no protocol in common with the group") \
    X(INVALID_GROUP_ID, 24, FINAL, "the group's name is not allowed") \
    X(UNKNOWN_MEMBER_ID, 25, FINAL, "the group does not know this member") \
    X(INVALID_SESSION_TIMEOUT, 26, FINAL, "the session timeout is outside the allowed range") \
    X(REBALANCE_IN_PROGRESS, 27, FINAL, "the group is rebalancing, join again") \
    X(INVALID_COMMIT_OFFSET_SIZE, 28, FINAL, "the offset commit is too large to store") \
    X(TOPIC_AUTHORIZATION_FAILED, 29, FINAL, "not allowed on this topic") \
    X(GROUP_AUTHORIZATION_FAILED, 30, FINAL, "not allowed on this group") \
    X(CLUSTER_AUTHORIZATION_FAILED, 31, FINAL, "not allowed on this cluster") \
    X(INVALID_TIMESTAMP, 32, FINAL, "a record's time is outside the allowed range") \
    X(UNSUPPORTED_SASL_MECHANISM, 33, FINAL, "this mechanism of authentication is not offered") \
    X(ILLEGAL_SASL_STATE, 34, FINAL, "authentication does not expect this request now") \
    X(UNSUPPORTED_VERSION, 35, FINAL, "the API or its version is not served") \
    X(TOPIC_ALREADY_EXISTS, 36, FINAL, "a topic of this name exists") \
    X(INVALID_PARTITIONS, 37, FINAL, "the number of partitions is not allowed") \
    X(INVALID_REPLICATION_FACTOR, 38, FINAL, "the replication factor is not possible") \
    X(INVALID_REPLICA_ASSIGNMENT, 39, FINAL, "the assignment of replicas is not possible") \
    X(INVALID_CONFIG, 40, FINAL, "a configuration value is not allowed") \
    X(NOT_CONTROLLER, 41, RETRY, "this node is not the active controller") \
    X(INVALID_REQUEST, 42, FINAL, "the request contradicts itself or the protocol") \
    X(UNSUPPORTED_FOR_MESSAGE_FORMAT, 43, FINAL, "the record format lacks what is asked for") \
    X(POLICY_VIOLATION, 44, FINAL, "a policy of the cluster forbids this") \
    X(OUT_OF_ORDER_SEQUENCE_NUMBER, 45, FINAL, "a batch before this one is missing") \
    X(DUPLICATE_SEQUENCE_NUMBER, 46, FINAL, "the batch was written already") \
    X(INVALID_PRODUCER_EPOCH, 47, FINAL, "a producer with a newer epoch has taken over") \
    X(INVALID_TXN_STATE, 48, FINAL, "the transaction is not in a state that allows this") \
    X(INVALID_PRODUCER_ID_MAPPING, 49, FINAL, "the producer id is another one") \
    X(INVALID_TRANSACTION_TIMEOUT, 50, FINAL, "the transaction timeout is above the limit") \
    X(CONCURRENT_TRANSACTIONS, 51, RETRY, "the transaction before this one is still ending") \
    X(TRANSACTION_COORDINATOR_FENCED, 52, FINAL, "the transaction coordinator has been replaced") \
    X(TRANSACTIONAL_ID_AUTHORIZATION_FAILED, 53, FINAL, "not allowed on this transactional id") \
    X(SECURITY_DISABLED, 54, FINAL, "access control is not on") \
    X(OPERATION_NOT_ATTEMPTED, 55, FINAL, "not tried, because an earlier part failed") \
    X(KAFKA_STORAGE_ERROR, 56, METADATA, "the broker's disk failed") \
    X(LOG_DIR_NOT_FOUND, 57, FINAL, "no such data directory") \
    X(SASL_AUTHENTICATION_FAILED, 58, FINAL, "authentication failed") \
    X(UNKNOWN_PRODUCER_ID, 59, FINAL, "nothing is known of this producer id any more") \
    X(REASSIGNMENT_IN_PROGRESS, 60, FINAL, "the partition's replicas are being moved") \
    X(DELEGATION_TOKEN_AUTH_DISABLED, 61, FINAL, "delegation tokens are not on") \
    X(DELEGATION_TOKEN_NOT_FOUND, 62, FINAL, "no such delegation token") \
    X(DELEGATION_TOKEN_OWNER_MISMATCH, 63, FINAL, "the delegation token belongs to someone else") \
    X(DELEGATION_TOKEN_REQUEST_NOT_ALLOWED, 64, FINAL, "not over this connection") \
    X(DELEGATION_TOKEN_AUTHORIZATION_FAILED, 65, FINAL, "not allowed on this delegation token") \
    X(DELEGATION_TOKEN_EXPIRED, 66, FINAL, "the delegation token has expired") \
    X(INVALID_PRINCIPAL_TYPE, 67, FINAL, "this kind of principal is not supported") \
    X(NON_EMPTY_GROUP, 68, FINAL, "the group has members") \
    X(GROUP_ID_NOT_FOUND, 69, FINAL, "no such group") \
    X(FETCH_SESSION_ID_NOT_FOUND, 70, RETRY, "no such fetch session") \
    X(INVALID_FETCH_SESSION_EPOCH, 71, RETRY, "the fetch session expects another epoch") \
    X(LISTENER_NOT_FOUND, 72, METADATA, "the leader has no listener of this name") \
    X(TOPIC_DELETION_DISABLED, 73, FINAL, "topics cannot be deleted here") \
    X(FENCED_LEADER_EPOCH, 74, METADATA, "the leader epoch is old") \
    X(UNKNOWN_LEADER_EPOCH, 75, RETRY, "the leader epoch is newer than this broker knows") \
    X(UNSUPPORTED_COMPRESSION_TYPE, 76, FINAL, "the compression is not allowed here") \
    X(STALE_BROKER_EPOCH, 77, FINAL, "the broker has registered again since") \
    X(OFFSET_NOT_AVAILABLE, 78, RETRY, "the new leader has not caught up enough to tell") \
    X(MEMBER_ID_REQUIRED, 79, FINAL, "join again with the member id given") \
    X(PREFERRED_LEADER_NOT_AVAILABLE, 80, METADATA, "the preferred leader cannot lead now") \
    X(GROUP_MAX_SIZE_REACHED, 81, FINAL, "the group is full") \
    X(FENCED_INSTANCE_ID, 82, FINAL, "another member has taken over this instance id") \
    X(ELIGIBLE_LEADERS_NOT_AVAILABLE, 83, METADATA, "no replica may lead now") \
    X(ELECTION_NOT_NEEDED, 84, METADATA, "the partition is led as wished") \
    X(NO_REASSIGNMENT_IN_PROGRESS, 85, FINAL, "no replicas are being moved") \
    X(GROUP_SUBSCRIBED_TO_TOPIC, 86, FINAL, "the group reads this topic") \
    X(INVALID_RECORD, 87, FINAL, "a record breaks the rules of the topic or the format") \
    X(UNSTABLE_OFFSET_COMMIT, 88, RETRY, "an open transaction may still change the offset") \
    X(THROTTLING_QUOTA_EXCEEDED, 89, RETRY, "the quota is used up for now") \
    X(PRODUCER_FENCED, 90, FINAL, "a newer producer uses the transactional id") \
    X(RESOURCE_NOT_FOUND, 91, FINAL, "no such resource") \
    X(DUPLICATE_RESOURCE, 92, FINAL, "the resource is named twice") \
    X(UNACCEPTABLE_CREDENTIAL, 93, FINAL, "the credential is not acceptable") \
    X(INCONSISTENT_VOTER_SET, 94, FINAL, "the sets of voters differ") \
    X(INVALID_UPDATE_VERSION, 95, FINAL, "the feature level is not possible") \
    X(FEATURE_UPDATE_FAILED, 96, FINAL, "the features could not be updated") \
    X(PRINCIPAL_DESERIALIZATION_FAILURE, 97, FINAL, "the forwarded principal cannot be read") \
    X(SNAPSHOT_NOT_FOUND, 98, FINAL, "no such snapshot") \
    X(POSITION_OUT_OF_RANGE, 99, FINAL, "the position is not in the snapshot") \
    X(UNKNOWN_TOPIC_ID, 100, METADATA, "no topic has this id here") \
    X(DUPLICATE_BROKER_REGISTRATION, 101, FINAL, "the broker id is in use") \
    X(BROKER_ID_NOT_REGISTERED, 102, FINAL, "no broker of this id is registered") \
    X(INCONSISTENT_TOPIC_ID, 103, METADATA, "the topic has another id") \
    X(INCONSISTENT_CLUSTER_ID, 104, FINAL, "this is another cluster") \
    X(TRANSACTIONAL_ID_NOT_FOUND, 105, FINAL, "no such transactional id") \
    X(FETCH_SESSION_TOPIC_ID_ERROR, 106, RETRY, "the fetch session mixes topic ids and names") \
    X(INELIGIBLE_REPLICA, 107, FINAL, "a replica may not join the in-sync set") \
    X(NEW_LEADER_ELECTED, 108, FINAL, "the change led to a new leader") \
    X(OFFSET_MOVED_TO_TIERED_STORAGE, 109, FINAL, "the offset lies in remote storage") \
    X(FENCED_MEMBER_EPOCH, 110, FINAL, "the member's epoch is not the group's") \
    X(UNRELEASED_INSTANCE_ID, 111, FINAL, "the instance id is still in use") \
    X(UNSUPPORTED_ASSIGNOR, 112, FINAL, "the group's coordinator does not know the assignor") \
    X(STALE_MEMBER_EPOCH, 113, FINAL, "the member's epoch is old, ask for the new one") \
    X(MISMATCHED_ENDPOINT_TYPE, 114, FINAL, "the request went to the wrong kind of listener") \
    X(UNSUPPORTED_ENDPOINT_TYPE, 115, FINAL, "this kind of listener is not supported") \
    X(UNKNOWN_CONTROLLER_ID, 116, FINAL, "no controller of this id") \
    X(UNKNOWN_SUBSCRIPTION_ID, 117, FINAL, "no such subscription of metrics") \
    X(TELEMETRY_TOO_LARGE, 118, FINAL, "the metrics are larger than allowed") \
    X(INVALID_REGISTRATION, 119, FINAL, "the broker's registration is not acceptable") \
    X(TRANSACTION_ABORTABLE, 120, FINAL, "abort the transaction and try again") \
    X(INVALID_RECORD_STATE, 121, FINAL, "the record is not in a state that allows this") \
    X(SHARE_SESSION_NOT_FOUND, 122, RETRY, "no such share session") \
    X(INVALID_SHARE_SESSION_EPOCH, 123, RETRY, "the share session expects another epoch") \
    X(FENCED_STATE_EPOCH, 124, FINAL, "the share state has a newer epoch") \
    X(INVALID_VOTER_KEY, 125, FINAL, "the voter's id does not match its directory") \
    X(DUPLICATE_VOTER, 126, FINAL, "the voter is in the set already") \
    X(VOTER_NOT_FOUND, 127, FINAL, "no such voter") \
    X(INVALID_REGULAR_EXPRESSION, 128, FINAL, "the regular expression cannot be read") \
    X(REBOOTSTRAP_REQUIRED, 129, FINAL, "start again from the bootstrap addresses") \
    X(STREAMS_INVALID_TOPOLOGY, 130, FINAL, "the topology is not possible") \
    X(STREAMS_INVALID_TOPOLOGY_EPOCH, 131, FINAL, "the topology's epoch is not possible") \
    X(STREAMS_TOPOLOGY_FENCED, 132, FINAL, "the topology is old") \
    X(SHARE_SESSION_LIMIT_REACHED, 133, RETRY, "too many share sessions") \
    X(GROUP_DELETION_FAILED, 134, FINAL, "the group could not be deleted") \
    X(STREAMS_TOPOLOGY_DESCRIPTION_UPDATE_FAILED, 135, FINAL, "the description is not stored") \
    X(CONTROLLER_ID_NOT_REGISTERED, 136, FINAL, "no controller of this id is registered")
/* clang-format on */

enum error_code {
#define X(name, number, reaction, text) ERROR_CODE_##name = (number),
    ERROR_CODE_TABLE(X)
#undef X
};

#define ERROR_CODE_MIN ERROR_CODE_UNKNOWN_SERVER_ERROR
#define ERROR_CODE_MAX ERROR_CODE_CONTROLLER_ID_NOT_REGISTERED

/* All take what came over the wire: numbers outside the table are final and have a name. */
const char *error_code_name(int16_t number); /* As in the table; "UNKNOWN" outside it. */
const char *error_code_text(int16_t number); /* A fragment without a full stop. */
enum error_code_reaction error_code_reaction(int16_t number);
bool error_code_is_retriable(int16_t number);
