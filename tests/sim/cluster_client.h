/* A small scripted client of brokers in the simulated world: per partition one idempotent producer
 * and one consumer, which tell a checker what they did and saw.
 *
 * Nobody asks for metadata: an actor that is refused tries another broker. A producer sends one
 * record at a time, with acks=all, until it has a definite answer; the record is its value. A
 * consumer reads from its offset up to the high watermark, from whichever leader it finds, and
 * begins at 0 again when told. A reader does the same with what txn_actor writes, read_committed,
 * and leaves out what the answers say was aborted.
 *
 * Owner: the workload. Loop: the client node's. Limits: CLUSTER_CLIENT_PARTITIONS_MAX. */
#pragma once

#include "client/link.h"
#include "proto/sys/arena.h"
#include "tests/sim/log_match.h"
#include "tests/sim/sim_checker.h"
#include "tests/sim/sim_node.h"
#include "tests/sim/txn_actor.h"

#define CLUSTER_CLIENT_PARTITIONS_MAX 8U
#define CLUSTER_CLIENT_BROKERS 3U
#define CLUSTER_CLIENT_PORT 9092
#define CLUSTER_CLIENT_TOPIC "t"

struct cluster_client;

enum cluster_actor_kind {
    CLUSTER_ACTOR_MAKER,
    CLUSTER_ACTOR_PRODUCER,
    CLUSTER_ACTOR_CONSUMER,
    CLUSTER_ACTOR_READER, /* Of committed transactions. */
    CLUSTER_ACTOR_KINDS,
};

struct cluster_actor {
    struct cluster_client *client;
    enum cluster_actor_kind kind;
    int32_t partition;
    uint32_t target; /* Index of the broker that is asked. */
    struct link_call call;
    struct wire_slice body;
    struct arena arena;
    struct timer timer;
    bool is_asking;
    uint32_t made_count; /* Of the maker: topics. */
    /* Of a producer: */
    int64_t producer_id; /* -1: not given yet. */
    int32_t sequence;
    uint64_t value; /* 0: nothing is under way. */
    int64_t acknowledged_count;
    /* Of a consumer: */
    int64_t offset;
    int64_t asked_offset;
    int64_t end_seen; /* Behind the last record that was ever seen. */
    /* Of a reader: */
    int64_t high_watermark; /* Of the last answer, as is the next. */
    int64_t stable_offset;
};

/* The world's memory; the node's code works on it from inside. */
struct cluster_client {
    struct sim_world *world;
    struct sim_checker *checker;
    struct log_match *match;
    struct txn_history *history;
    struct loop *loop;
    int32_t partition_count;
    int32_t txn_partition_count;                                     /* 0: no transactions. */
    struct link *links[CLUSTER_ACTOR_KINDS][CLUSTER_CLIENT_BROKERS]; /* Answers wait in line. */
    struct cluster_actor maker;
    struct cluster_actor producers[CLUSTER_CLIENT_PARTITIONS_MAX];
    struct cluster_actor consumers[CLUSTER_CLIENT_PARTITIONS_MAX];
    struct cluster_actor readers[CLUSTER_CLIENT_PARTITIONS_MAX];
    bool has_topic;
    bool is_resting; /* No new records; the one under way is brought to its end. */
    int64_t pace_ns_max;
};

/* On the client's node, which must never die. */
void cluster_client_start(struct cluster_client *self, struct loop *loop);
/* Resting, and every record has its answer. */
bool cluster_client_is_settled(const struct cluster_client *self);
void cluster_client_read_again(struct cluster_client *self);
/* All consumers have read everything that was acknowledged or ever seen, and all readers up to the
 * high watermark: no transaction holds them back. */
bool cluster_client_has_read_all(const struct cluster_client *self);
