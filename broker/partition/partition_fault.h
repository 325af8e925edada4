/* Why a partition refused or could not do something; broker/api turns it into Kafka's numbers. */
#pragma once

#define PARTITION_FAULT_TABLE(X)                                                                   \
    X(NONE, "ok")                                                                                  \
    X(NOT_HERE, "this broker has no replica of the partition")                                     \
    X(NOT_LEADER, "this broker does not lead the partition")                                       \
    X(FENCED_LEADER_EPOCH, "the request's leader epoch is older than the partition's")             \
    X(UNKNOWN_LEADER_EPOCH, "the request's leader epoch is newer than the partition's")            \
    X(OUT_OF_RANGE, "the offset is outside what the partition keeps")                              \
    X(STORAGE, "the partition's storage failed or is full")                                        \
    X(CORRUPT, "stored bytes fail their checksum and are not served")                              \
    X(FEW_REPLICAS, "fewer replicas are in sync than min.insync.replicas; nothing was written")    \
    X(FEW_REPLICAS_AFTER, "written, but fewer replicas are in sync than min.insync.replicas")      \
    X(TIMEOUT, "written, but not safe on all in-sync replicas within the request's time")          \
    X(DUPLICATE, "the batch was written before, at an offset that is not known any more")          \
    X(SEQUENCE_GAP, "the batch's sequence does not follow the producer's last one")                \
    X(PRODUCER_EPOCH, "a newer producer epoch is known for this producer id")                      \
    X(TXN_STATE, "the batch does not fit the producer's transaction on this partition")            \
    X(TXN_STALE, "a marker came while the coordinator was asked; nothing was written, try again")  \
    X(COORDINATOR_FENCED, "the marker's coordinator epoch is older than one seen before")          \
    X(BUSY, "the broker's memory or journal is full for the moment")                               \
    X(TOO_LARGE, "the batch is larger than the broker's journal can take at once")                 \
    X(UNKNOWN_REPLICA, "the fetching broker is not a replica of the partition")                    \
    X(NOT_AVAILABLE, "the offset is not known yet in the new leader's term")

enum partition_fault {
#define X(name, text) PARTITION_FAULT_##name,
    PARTITION_FAULT_TABLE(X)
#undef X
};

const char *partition_fault_text(enum partition_fault fault);
