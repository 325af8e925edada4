/* Three scripted brokers with one topic between them: real batches kept in memory, sequences judged
 * as a Kafka broker does, and a hook that spoils requests and answers on purpose.
 *
 * Owner: one test. Loop: the one given. Limits: SCRIPTED_LOG_*; a test that needs more fails. */
#pragma once

#include "proto/kafka/fetch.h"
#include "proto/record/batch.h"
#include "tests/rig/scripted_broker.h"

#define SCRIPTED_LOG_BROKERS 3U
#define SCRIPTED_LOG_PARTITIONS 4
#define SCRIPTED_LOG_TOPIC "events"
#define SCRIPTED_LOG_PORT 9092
#define SCRIPTED_LOG_PRODUCERS 64U

enum scripted_fault {
    SCRIPTED_WELL,
    SCRIPTED_BREAK_BEFORE, /* The connection breaks, nothing was done. */
    SCRIPTED_BREAK_AFTER,  /* It was done, and the answer is lost. */
    SCRIPTED_SILENT_AFTER, /* It was done, and nobody says so. */
    SCRIPTED_GARBAGE,      /* Done, and the answer's body is cut short. */
};

struct scripted_producer {
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t next_sequence;
    uint32_t recent_count;
    struct {
        int32_t base_sequence;
        int64_t base_offset;
    } recent[5]; /* Newest first. */
};

struct scripted_partition {
    int32_t leader;
    int32_t leader_epoch;
    int64_t start;
    int64_t end;
    int64_t stable_end; /* -1: the end. */
    uint8_t *bytes;     /* Owned. Batches, one behind the other. */
    size_t byte_count;
    uint32_t batch_count;
    struct kafka_fetch_response_aborted_transaction *aborted; /* Borrowed from the test. */
    int32_t aborted_count;
    struct scripted_producer producers[SCRIPTED_LOG_PRODUCERS];
    uint32_t producer_count;
};

struct scripted_log {
    struct loop *loop;
    struct scripted_broker brokers[SCRIPTED_LOG_BROKERS];
    bool is_down[SCRIPTED_LOG_BROKERS];
    struct scripted_partition partitions[SCRIPTED_LOG_PARTITIONS];
    bool has_topic;
    uint8_t topic_life; /* Part of its id. */
    int64_t next_producer_id;
    int64_t next_ingested_ms;
    uint32_t request_counts[100]; /* By API key. */
    struct list held;             /* Fetches that wait for records. */
    /* May be NULL. What happens to this request; and what a partition of it is refused with. */
    enum scripted_fault (*spoil)(struct scripted_log *self, uint32_t broker, int16_t api_key);
    int16_t (*refuse)(struct scripted_log *self, int16_t api_key, int32_t partition);
    /* For more than logs, see scripted_txn. May be NULL: true where it has served the request; and
     * whether a batch may be written. */
    bool (*serve_more)(struct scripted_log *self, uint32_t broker, struct scripted_request *request,
                       enum scripted_fault fault, struct arena *arena);
    int16_t (*admit)(struct scripted_log *self, int32_t partition, int16_t version,
                     const struct batch_view *view);
    const struct scripted_range *ranges; /* Of all brokers, as the next two, from their start. */
    uint32_t range_count;
    int16_t txn_level;
    void *context;
};

void scripted_log_start(struct scripted_log *self, struct loop *loop);
void scripted_log_stop(struct scripted_log *self);
/* The broker is gone, and what it led is led by the next one that is up. */
void scripted_log_kill(struct scripted_log *self, uint32_t broker);
void scripted_log_revive(struct scripted_log *self, uint32_t broker);
/* A batch that no client sent; it is stamped with the end. */
void scripted_log_append(struct scripted_log *self, int32_t partition, const void *batch,
                         size_t byte_count);
/* Answers unless the fault says otherwise. For serve_more. */
void scripted_log_answer(const struct scripted_request *request, enum scripted_fault fault,
                         scripted_encode *encode, const void *message);
