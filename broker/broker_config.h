/* The settings of one broker: Kafka's names where Kafka has the setting, plain text `key=value`.
 *
 * One table holds every key with its kind, default, bounds and a sentence of help; the file reader,
 * the command line (`--set key=value`) and `--help` all come from it. An unknown key or a value out
 * of bounds is an error that names the key, the value and what would be right.
 *
 * Owner: main. Loop: none. Limits: a file of 1 MiB, values of BROKER_CONFIG_VALUE_BYTES_MAX. */
#pragma once

#include "proto/sys/socket.h"
#include "proto/sys/status.h"
#include "raft/quorum.h"

#include <stdbool.h>
#include <stdint.h>

#define BROKER_CONFIG_VALUE_BYTES_MAX 1024U
#define BROKER_CONFIG_ERROR_BYTES_MAX 1536U

/* key, kind, field, default, minimum, maximum, help */
#define BROKER_CONFIG_TABLE(X)                                                                     \
    X("node.id", INT, node_id, "1", 1, INT32_MAX, "number of this broker, unique in the cluster")  \
    X("listeners", TEXT, listeners, "127.0.0.1:9092", 0, 0,                                        \
      "where clients and peers reach this broker, HOST:PORT; port 0: a free one")                  \
    X("advertised.listeners", TEXT, advertised_listeners, "", 0, 0,                                \
      "what clients are told instead of `listeners`, HOST:PORT")                                   \
    X("log.dir", TEXT, log_dir, "data", 0, 0, "directory of all data of this broker")              \
    X("controller.quorum.voters", TEXT, voters_text, "", 0, 0,                                     \
      "ID@HOST:PORT,… of the first voters; empty: this broker alone")                              \
    X("broker.rack", TEXT, rack, "", 0, 0, "rack of this broker, for spreading replicas")          \
    X("insecure", BOOL, is_insecure, "false", 0, 1,                                                \
      "allow a listener that is not on loopback although nobody has to log in")                    \
    X("shards", INT, shard_count, "0", 0, 64, "event loops; 0: one per core")                      \
    X("journal.bytes", INT, journal_bytes, "268435456", 1048576, INT64_MAX,                        \
      "size of each shard's journal")                                                              \
    X("memory.limit.bytes", INT, memory_limit_bytes, "1073741824", 67108864, INT64_MAX,            \
      "what requests, answers and newest records may take together")                               \
    X("disk.free.bytes.min", INT, free_bytes_min, "67108864", 0, INT64_MAX,                        \
      "produce is refused while the disk has less free")                                           \
    X("disk.reserve.bytes", INT, reserve_bytes, "33554432", 0, INT64_MAX,                          \
      "kept back, so that a full disk stops neither the quorum nor a start; at most an eighth")    \
    X("socket.request.max.bytes", INT, request_bytes_max, "104857600", 1024, 1073741824,           \
      "largest request that is read")                                                              \
    X("max.connections", INT, connection_count_max, "10000", 1, 1000000, "open connections")       \
    X("auto.create.topics.enable", BOOL, is_auto_create, "false", 0, 1,                            \
      "create a topic when a client names one that is not there")                                  \
    X("num.partitions", INT, partition_count, "1", 1, 10000, "partitions of a topic by default")   \
    X("default.replication.factor", INT, replication_factor, "0", 0, 16,                           \
      "replicas of a partition by default; 0: three, or as many as there are brokers")             \
    X("internal.topic.partitions", INT, internal_partition_count, "50", 1, 1000,                   \
      "partitions of __consumer_offsets and __transaction_state")                                  \
    X("coordinator.snapshot.records", INT, snapshot_record_count, "65536", 1, INT32_MAX,           \
      "records of an internal partition between two snapshots of what they came to")               \
    X("group.min.session.timeout.ms", INT, group_session_ms_min, "6000", 1, 86400000,              \
      "shortest session of a group member; does not bind groups of type millrace")                 \
    X("group.max.session.timeout.ms", INT, group_session_ms_max, "1800000", 1, 86400000,           \
      "longest session of a group member")                                                         \
    X("group.initial.rebalance.delay.ms", INT, group_delay_ms, "0", 0, 3600000,                    \
      "how long the first generation of a group waits for more members")                           \
    X("group.max.size", INT, group_member_count_max, "10000", 1, 1000000, "members of one group")  \
    X("offset.metadata.max.bytes", INT, offset_metadata_bytes_max, "4096", 0, 1048576,             \
      "longest text that a consumer can commit with an offset")                                    \
    X("offsets.retention.minutes", INT, offsets_retention_min, "10080", 1, INT32_MAX,              \
      "how long the offsets of a group without members are kept")                                  \
    X("offsets.retention.check.interval.ms", INT, offsets_check_ms, "600000", 1, INT32_MAX,        \
      "how often expired offsets are looked for")                                                  \
    X("transaction.max.timeout.ms", INT, txn_timeout_ms_max, "900000", 1, INT32_MAX,               \
      "longest time that a producer may ask for to keep a transaction open")                       \
    X("transaction.abort.timed.out.transaction.cleanup.interval.ms", INT, txn_sweep_ms, "1000",    \
      10, 3600000, "how often transactions that are open for too long are looked for")             \
    X("transactional.id.expiration.ms", INT, txn_expiration_ms, "604800000", 1, INT64_MAX,         \
      "how long a transactional id that nobody uses is kept")                                      \
    X("transaction.remove.expired.transaction.cleanup.interval.ms", INT, txn_expiry_check_ms,      \
      "3600000", 10, INT32_MAX, "how often expired transactional ids are looked for")              \
    X("replica.lag.time.max.ms", INT, replica_lag_ms, "10000", 100, 3600000,                       \
      "a follower that has not caught up for so long leaves the ISR")                              \
    X("broker.heartbeat.interval.ms", INT, heartbeat_interval_ms, "500", 10, 60000,                \
      "how often a broker tells the controller that it lives")                                     \
    X("broker.session.timeout.ms", INT, session_timeout_ms, "3000", 100, 600000,                   \
      "a broker that is silent for so long is fenced")                                             \
    X("controller.quorum.election.timeout.ms", INT, election_ms, "1000", 50, 60000,                \
      "silence of the leader after which a voter stands for election")

struct broker_config {
#define BROKER_CONFIG_FIELD_INT(field) int64_t field;
#define BROKER_CONFIG_FIELD_BOOL(field) bool field;
#define BROKER_CONFIG_FIELD_TEXT(field) char field[BROKER_CONFIG_VALUE_BYTES_MAX];
#define X(key, kind, field, initial, minimum, maximum, help) BROKER_CONFIG_FIELD_##kind(field)
    BROKER_CONFIG_TABLE(X)
#undef X
    /* From the texts, by broker_config_finish(): */
    struct address listen;
    struct address advertised; /* Port 0: as the listener turns out. */
    struct quorum_voter voters[QUORUM_VOTERS_MAX];
    uint32_t voter_count; /* 0: this broker alone, at the listener's address. */
};

struct broker_config_error {
    char text[BROKER_CONFIG_ERROR_BYTES_MAX]; /* what; why; fix */
};

void broker_config_init(struct broker_config *self);
/* INVALID: unknown key or bad value, with a text in `out_error`. */
MUST_USE enum status broker_config_set(struct broker_config *self, const char *key,
                                       const char *value, struct broker_config_error *out_error);
/* Lines of `key=value`, blank lines and `#` comments; errors name the line. */
MUST_USE enum status broker_config_read(struct broker_config *self, const char *text,
                                        size_t byte_count, struct broker_config_error *out_error);
/* Addresses and voters; after the last broker_config_set(). */
MUST_USE enum status broker_config_finish(struct broker_config *self,
                                          struct broker_config_error *out_error);
/* One row a call; false at the end. For help texts and DescribeConfigs. */
struct broker_config_row {
    const char *key;
    const char *initial;
    const char *help;
};
bool broker_config_row_at(uint32_t index, struct broker_config_row *out_row);
