/* The few requests that stories about a broker are made of, each one call with plain results.
 *
 * All go through a wire_client (broker_world.h), so the broker sees nothing but frames.
 * Owner: the test. Loop: none. */
#pragma once

#include "proto/kafka/fetch.h"
#include "proto/kafka/produce.h"
#include "proto/record/batch.h"
#include "tests/rig/broker_world.h"

#define KAFKA_TALK_PRODUCE_VERSION 9
#define KAFKA_TALK_FETCH_VERSION 12

struct kafka_talk_config {
    const char *key;
    const char *value;
};

/* Answers with the topic's error code, when all brokers that are up have heard of it. `configs`
 * ends with a NULL key, or is NULL. */
int16_t kafka_talk_create(struct wire_client *client, const char *topic, int32_t partition_count,
                          int16_t replication_factor, const struct kafka_talk_config *configs);
int16_t kafka_talk_delete(struct wire_client *client, const char *topic);
struct wire_uuid kafka_talk_topic_id(struct wire_client *client, const char *topic);

struct kafka_talk_batch {
    int32_t record_count; /* 0: one. */
    const char *value;    /* Of each record; NULL: "value". */
    int64_t timestamp_ms; /* 0: now. */
    int64_t producer_id;  /* 0: none. */
    int16_t producer_epoch;
    int32_t base_sequence;
    enum compression_codec codec;
    bool is_transactional;
};
/* In the client's arena. */
uint8_t *kafka_talk_batch(struct wire_client *client, const struct kafka_talk_batch *options,
                          size_t *out_byte_count);

struct kafka_talk_produce {
    const char *topic;
    int32_t partition;
    int16_t acks;
    int16_t version; /* 0: KAFKA_TALK_PRODUCE_VERSION. */
    int32_t timeout_ms;
    const uint8_t *bytes;
    size_t byte_count;
    bool has_null_records;
    const char *transactional_id; /* NULL: none. */
};
void kafka_talk_ask_produce(struct wire_client *client, const struct kafka_talk_produce *produce);
/* Aborts when the broker closes. */
struct kafka_produce_response_partition_produce_response
kafka_talk_produce(struct wire_client *client, const struct kafka_talk_produce *produce);
/* One plain record, acks all; the offset, or minus the error code. */
int64_t kafka_talk_put(struct wire_client *client, const char *topic, int32_t partition,
                       const char *value);

struct kafka_talk_fetch {
    const char *topic;
    int32_t partition;
    int64_t offset;
    int32_t partition_bytes; /* 0: 1 MiB. */
    int32_t max_bytes;       /* 0: 50 MiB. */
    int32_t min_bytes;
    int32_t max_wait_ms;
    int8_t isolation;
    int32_t leader_epoch; /* 0: not told. */
};
void kafka_talk_ask_fetch(struct wire_client *client, const struct kafka_talk_fetch *fetches,
                          int32_t count);
/* Partition `index` of an answer. */
const struct kafka_fetch_response_partition_data *
kafka_talk_fetched(const struct kafka_fetch_response *answer, int32_t index);
struct kafka_fetch_response kafka_talk_fetch(struct wire_client *client,
                                             const struct kafka_talk_fetch *fetch);
/* How many records there are, and in `out_last` a copy of the last value (64 bytes). */
int32_t kafka_talk_count(const struct kafka_fetch_response_partition_data *data, char out_last[64]);

/* The offset, or minus the error code. */
int64_t kafka_talk_offset(struct wire_client *client, const char *topic, int32_t partition,
                          int64_t timestamp_ms);
