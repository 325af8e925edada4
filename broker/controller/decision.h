/* What every decision of the controller is given, and how it says no.
 *
 * A decision is a pure function of (image, command, limits, random numbers): it writes records into
 * the writer and results into the command's own memory, and touches nothing else. Items of one
 * request are refused one by one, each with a reason that a program understands and a sentence that
 * a person does: what, why, fix.
 *
 * Owner: the caller. Loop: the quorum's. Limits: DECISION_PARTITIONS_MAX partitions made by one
 * request, DECISION_ITEMS_MAX items in it, DECISION_CLUSTER_PARTITIONS_MAX in all. */
#pragma once

#include "broker/metadata/cluster_writer.h"
#include "broker/metadata/image.h"
#include "proto/sys/arena.h"
#include "proto/sys/prng.h"

#define DECISION_MESSAGE_BYTES 256U
#define DECISION_ITEMS_MAX 2000U
#define DECISION_PARTITIONS_MAX 10000U
#define DECISION_CLUSTER_PARTITIONS_MAX 200000U
#define DECISION_REPLICATION_MAX 5U

#define DECISION_REASON_TABLE(X)                                                                   \
    X(NONE, "ok")                                                                                  \
    X(TOPIC_NAME, "the topic's name is not allowed")                                               \
    X(TOPIC_EXISTS, "a topic of this name exists")                                                 \
    X(UNKNOWN_TOPIC, "no such topic")                                                              \
    X(UNKNOWN_TOPIC_ID, "no topic has this id")                                                    \
    X(UNKNOWN_PARTITION, "the topic has no such partition")                                        \
    X(INTERNAL_TOPIC, "the topic belongs to the system")                                           \
    X(PARTITION_COUNT, "the number of partitions is not allowed")                                  \
    X(REPLICATION_FACTOR, "the replication factor is not possible")                                \
    X(ASSIGNMENT, "the assignment of replicas is not possible")                                    \
    X(CONFIG, "a configuration value is not allowed")                                              \
    X(REQUEST, "the request contradicts itself")                                                   \
    X(LIMIT, "the request asks for more than a limit allows")                                      \
    X(NO_BROKERS, "no broker can take replicas now")                                               \
    X(STALE_BROKER, "the broker has registered again since")                                       \
    X(UNKNOWN_BROKER, "the broker is not registered")                                              \
    X(DUPLICATE_BROKER, "another live process has this broker id")                                 \
    X(OTHER_CLUSTER, "the broker belongs to another cluster")                                      \
    X(REGISTRATION, "the registration is not complete")                                            \
    X(OLD_LEADER_EPOCH, "the leader epoch is an old one")                                          \
    X(NEW_LEADER_EPOCH, "the leader epoch is newer than the controller's")                         \
    X(NOT_THE_LEADER, "the broker does not lead the partition")                                    \
    X(OLD_PARTITION_EPOCH, "the partition has changed since")                                      \
    X(INELIGIBLE_REPLICA, "a replica may not join the ISR now")                                    \
    X(LEADER_MOVED, "the change was made, and another broker leads now")                           \
    X(NO_ELECTION_NEEDED, "the partition has the leader that was asked for")                       \
    X(NO_PREFERRED_LEADER, "the first replica is not in sync")                                     \
    X(NO_ELIGIBLE_LEADER, "no replica may lead")                                                   \
    X(NO_PRODUCER_IDS, "producer ids are used up")

enum decision_reason {
#define X(name, text) DECISION_##name,
    DECISION_REASON_TABLE(X)
#undef X
};

struct decision_error {
    enum decision_reason reason;
    char message[DECISION_MESSAGE_BYTES]; /* Empty with DECISION_NONE. */
};

struct decision_defaults {
    uint32_t partition_count;          /* num.partitions */
    uint32_t internal_partition_count; /* Of internal topics; 0: 50. */
    uint32_t replication_factor;       /* 0: three, or as many as there are brokers. */
};

struct decision {
    const struct image *image;     /* Borrowed. */
    struct cluster_writer *writer; /* Borrowed. */
    struct arena *arena;           /* Borrowed; scratch memory. */
    struct prng *prng;             /* Borrowed. */
    struct decision_defaults defaults;
};

const char *decision_reason_text(enum decision_reason reason);
/* Sets both; a message that is too long is cut. */
void decision_refuse(struct decision_error *self, enum decision_reason reason, const char *format,
                     ...) __attribute__((format(printf, 3, 4)));
/* For "%.*s": a peer's text, cut to what fits a message. */
int decision_text_length(struct wire_text text);
/* One flag per key, in the arena: true where another key is the same. NULL without memory. */
bool *decision_find_repeated(struct arena *arena, const struct wire_text *keys, uint32_t count);
