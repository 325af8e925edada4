#include "broker/metadata/topic_config.h"

#include "broker/metadata/broker_config_keys.h"
#include "proto/sys/check.h"

#include <stdio.h>
#include <string.h>

#define INT32_TOP INT32_MAX
#define KEYS_COUNT ((uint32_t)(sizeof keys / sizeof keys[0]))

/* Sorted by name; test_topic_config holds it to that. */
static const struct config_key keys[] = {
    {"cleanup.policy", CONFIG_KEY_LIST, "delete", 0, 0, "compact delete", "log.cleanup.policy",
     true, true,
     "What happens to old records: delete, compact or both; empty keeps them for ever. Until the "
     "cleaner is there, compact keeps everything."},
    {"compression.gzip.level", CONFIG_KEY_INT, "-1", -1, 9, NULL, "compression.gzip.level", false,
     true, "Level for gzip where the broker compresses; it stores batches as received."},
    {"compression.lz4.level", CONFIG_KEY_INT, "9", 1, 17, NULL, "compression.lz4.level", false,
     true, "Level for lz4 where the broker compresses; it stores batches as received."},
    {"compression.type", CONFIG_KEY_STRING, "producer", 0, 0,
     "producer uncompressed gzip snappy lz4 zstd", "compression.type", false, true,
     "Batches are stored as the producer compressed them, whatever stands here."},
    {"compression.zstd.level", CONFIG_KEY_INT, "3", -131072, 22, NULL, "compression.zstd.level",
     false, true, "Level for zstd where the broker compresses; it stores batches as received."},
    {"delete.retention.ms", CONFIG_KEY_LONG, "86400000", 0, INT64_MAX, NULL,
     "log.cleaner.delete.retention.ms", false, true,
     "How long a compacted topic keeps the mark of a deleted key."},
    {"durability", CONFIG_KEY_STRING, "disk", 0, 0, "disk memory", "log.durability", true, true,
     "disk: acknowledged when flushed on every replica in sync. memory: before that, as Kafka "
     "does."},
    {"errors.deadletterqueue.group.enable", CONFIG_KEY_BOOLEAN, "false", 0, 0, NULL, NULL, false,
     true, "Whether share groups may use the topic for records they gave up."},
    {"file.delete.delay.ms", CONFIG_KEY_LONG, "60000", 0, INT64_MAX, NULL,
     "log.segment.delete.delay.ms", true, true,
     "How long a deleted segment's file stays for readers that are still in it."},
    {"flush.messages", CONFIG_KEY_LONG, "9223372036854775807", 1, INT64_MAX, NULL,
     "log.flush.interval.messages", false, true,
     "Accepted; every acknowledgement waits for a flush already (see durability)."},
    {"flush.ms", CONFIG_KEY_LONG, "9223372036854775807", 0, INT64_MAX, NULL,
     "log.flush.interval.ms", false, true,
     "Accepted; every acknowledgement waits for a flush already (see durability)."},
    {"follower.replication.throttled.replicas", CONFIG_KEY_LIST, "", 0, 0, NULL, NULL, false, true,
     "Replicas whose catching up is throttled on the follower's side."},
    {"index.interval.bytes", CONFIG_KEY_INT, "4096", 0, INT32_TOP, NULL, "log.index.interval.bytes",
     true, true, "Bytes of log between two entries of the offset index."},
    {"leader.replication.throttled.replicas", CONFIG_KEY_LIST, "", 0, 0, NULL, NULL, false, true,
     "Replicas whose catching up is throttled on the leader's side."},
    {"local.retention.bytes", CONFIG_KEY_LONG, "-2", -2, INT64_MAX, NULL,
     "log.local.retention.bytes", false, true, "Accepted; there is no remote storage."},
    {"local.retention.ms", CONFIG_KEY_LONG, "-2", -2, INT64_MAX, NULL, "log.local.retention.ms",
     false, true, "Accepted; there is no remote storage."},
    {"max.compaction.lag.ms", CONFIG_KEY_LONG, "9223372036854775807", 1, INT64_MAX, NULL,
     "log.cleaner.max.compaction.lag.ms", false, true,
     "Longest time that a record of a compacted topic stays uncompacted."},
    {"max.message.bytes", CONFIG_KEY_INT, "1048588", 0, INT32_TOP, NULL, "message.max.bytes", true,
     true, "Largest batch that is taken, after compression."},
    {"message.downconversion.enable", CONFIG_KEY_BOOLEAN, "true", 0, 0, NULL, NULL, false, true,
     "Accepted; old message formats are gone."},
    {"message.format.version", CONFIG_KEY_STRING, "3.0-IV1", 0, 0, NULL, NULL, false, true,
     "Accepted; batches are always in format v2."},
    {"message.timestamp.after.max.ms", CONFIG_KEY_LONG, "3600000", 0, INT64_MAX, NULL,
     "log.message.timestamp.after.max.ms", true, true,
     "How far a record's time may lie ahead of the broker's clock."},
    {"message.timestamp.before.max.ms", CONFIG_KEY_LONG, "9223372036854775807", 0, INT64_MAX, NULL,
     "log.message.timestamp.before.max.ms", true, true,
     "How far a record's time may lie behind the broker's clock."},
    {"message.timestamp.difference.max.ms", CONFIG_KEY_LONG, "9223372036854775807", 0, INT64_MAX,
     NULL, NULL, false, true, "Accepted; see message.timestamp.before.max.ms and after."},
    {"message.timestamp.type", CONFIG_KEY_STRING, "CreateTime", 0, 0, "CreateTime LogAppendTime",
     "log.message.timestamp.type", true, true,
     "Whose time a record carries: its producer's or the broker's."},
    {"min.cleanable.dirty.ratio", CONFIG_KEY_DOUBLE, "0.5", 0, 1, NULL,
     "log.cleaner.min.cleanable.ratio", false, true,
     "Share of uncompacted bytes from which a log is compacted."},
    {"min.compaction.lag.ms", CONFIG_KEY_LONG, "0", 0, INT64_MAX, NULL,
     "log.cleaner.min.compaction.lag.ms", false, true,
     "Shortest time that a record of a compacted topic stays uncompacted."},
    {"min.insync.replicas", CONFIG_KEY_INT, "1", 1, INT32_TOP, NULL, "min.insync.replicas", true,
     true,
     "Replicas in sync that acks=all and the high watermark need. Not set: 2 where the topic has "
     "three replicas or more, else 1."},
    {"preallocate", CONFIG_KEY_BOOLEAN, "false", 0, 0, NULL, "log.preallocate", false, true,
     "Accepted; segments are extended a few MiB ahead."},
    {"record.validation", CONFIG_KEY_STRING, "batch", 0, 0, "batch full", "log.record.validation",
     true, true,
     "batch: checksum, header and uncompressed records are checked. full: compressed ones too."},
    {"remote.log.copy.disable", CONFIG_KEY_BOOLEAN, "false", 0, 0, NULL, NULL, false, true,
     "Accepted; there is no remote storage."},
    {"remote.log.delete.on.disable", CONFIG_KEY_BOOLEAN, "false", 0, 0, NULL, NULL, false, true,
     "Accepted; there is no remote storage."},
    {"remote.storage.enable", CONFIG_KEY_BOOLEAN, "false", 0, 0, NULL, NULL, false, true,
     "Only false: there is no remote storage."},
    {"retention.bytes", CONFIG_KEY_LONG, "-1", -1, INT64_MAX, NULL, "log.retention.bytes", true,
     true, "Size of a partition from which old segments are deleted; -1: none."},
    {"retention.ms", CONFIG_KEY_LONG, "604800000", -1, INT64_MAX, NULL, "log.retention.ms", true,
     true, "Age from which a segment is deleted; -1: none."},
    {"segment.bytes", CONFIG_KEY_INT, "1073741824", 1048576, INT32_TOP, NULL, "log.segment.bytes",
     true, true, "Size at which a segment is closed and the next one begun."},
    {"segment.index.bytes", CONFIG_KEY_INT, "10485760", 4, INT32_TOP, NULL,
     "log.index.size.max.bytes", false, true, "Accepted; indexes grow with their segment."},
    {"segment.jitter.ms", CONFIG_KEY_LONG, "0", 0, INT64_MAX, NULL, "log.roll.jitter.ms", false,
     true, "Accepted; segments of one age are not closed in one moment anyway."},
    {"segment.ms", CONFIG_KEY_LONG, "604800000", 1, INT64_MAX, NULL, "log.roll.ms", true, true,
     "Age at which a segment is closed and the next one begun."},
    {"unclean.leader.election.enable", CONFIG_KEY_BOOLEAN, "false", 0, 0, NULL,
     "unclean.leader.election.enable", true, true,
     "Whether a replica that may lack acknowledged records may lead when no other can."},
};

#define INSYNC_MIN "min.insync.replicas"

const struct config_key *topic_config_keys(uint32_t *out_count)
{
    *out_count = KEYS_COUNT;
    return keys;
}

const struct config_key *topic_config_key(struct wire_text name)
{
    return config_key_find(keys, KEYS_COUNT, name);
}

static const char *insync_min_default(const struct image_topic *topic)
{
    return topic->partition_count > 0 && topic->partitions[0].replica_count >= 3 ? "2" : "1";
}

struct config_key_value topic_config_inherited(const struct config_key_view *view,
                                               const struct image_topic *topic,
                                               const struct config_key *key)
{
    struct config_key_value value;
    struct config_key_view shared = {.image = view->image, .broker_id = -1};
    if (key->synonym != NULL &&
        config_key_broker_value(broker_config_keys_is_shared(key->synonym) ? &shared : view,
                                key->synonym, &value)) {
        return value;
    }
    if (strcmp(key->name, INSYNC_MIN) == 0) {
        return (struct config_key_value){.text = insync_min_default(topic),
                                         .source = CONFIG_KEY_FROM_DEFAULT};
    }
    return (struct config_key_value){.text = key->fallback, .source = CONFIG_KEY_FROM_DEFAULT};
}

struct config_key_value topic_config_value(const struct config_key_view *view,
                                           const struct image_topic *topic,
                                           const struct config_key *key)
{
    const char *text = config_key_lookup(topic->configs, topic->config_count, key->name);
    if (text != NULL) {
        return (struct config_key_value){.text = text, .source = CONFIG_KEY_FROM_TOPIC};
    }
    return topic_config_inherited(view, topic, key);
}

static const char *set_or_fallback(const struct image_config_value *values, uint32_t count,
                                   const char *name)
{
    const char *text = config_key_lookup(values, count, name);
    return text != NULL ? text : topic_config_key(wire_text_of(name))->fallback;
}

enum status topic_config_check_all(const struct image_config_value *values, uint32_t count,
                                   char out_reason[CONFIG_KEY_REASON_BYTES])
{
    int written = 0;
    const char *remote = config_key_lookup(values, count, "remote.storage.enable");
    if (remote != NULL && config_key_is_true(remote)) {
        written = snprintf(out_reason, CONFIG_KEY_REASON_BYTES,
                           "remote.storage.enable must be false: there is no remote storage");
        check(written > 0);
        return STATUS_INVALID;
    }
    int64_t lag_min = config_key_number(set_or_fallback(values, count, "min.compaction.lag.ms"));
    int64_t lag_max = config_key_number(set_or_fallback(values, count, "max.compaction.lag.ms"));
    if (lag_min > lag_max) {
        written = snprintf(out_reason, CONFIG_KEY_REASON_BYTES,
                           "min.compaction.lag.ms must not be greater than max.compaction.lag.ms");
        check(written > 0);
        return STATUS_INVALID;
    }
    return STATUS_OK;
}

static const char *text_of(const struct config_key_view *view, const struct image_topic *topic,
                           const char *name)
{
    const struct config_key *key = topic_config_key(wire_text_of(name));
    check(key != NULL);
    return topic_config_value(view, topic, key).text;
}

static int64_t number_of(const struct config_key_view *view, const struct image_topic *topic,
                         const char *name)
{
    return config_key_number(text_of(view, topic, name));
}

int32_t topic_config_insync_min(const struct image *image, const struct image_topic *topic)
{
    struct config_key_view view = {.image = image, .broker_id = -1};
    int64_t wanted = number_of(&view, topic, INSYNC_MIN);
    int64_t replica_count = topic->partition_count == 0 ? 1 : topic->partitions[0].replica_count;
    return (int32_t)(wanted < replica_count ? wanted : replica_count);
}

bool topic_config_allows_unclean(const struct image *image, const struct image_topic *topic)
{
    struct config_key_view view = {.image = image, .broker_id = -1};
    return config_key_is_true(text_of(&view, topic, "unclean.leader.election.enable"));
}

bool topic_config_is_memory_durable(const struct image *image, const struct image_topic *topic)
{
    struct config_key_view view = {.image = image, .broker_id = -1};
    return strcmp(text_of(&view, topic, "durability"), "memory") == 0;
}

void topic_config_settings_of(const struct config_key_view *view, const struct image_topic *topic,
                              struct topic_config_settings *out_settings)
{
    const char *policy = text_of(view, topic, "cleanup.policy");
    *out_settings = (struct topic_config_settings){
        .segment_bytes = number_of(view, topic, "segment.bytes"),
        .segment_ms = number_of(view, topic, "segment.ms"),
        .retention_bytes = number_of(view, topic, "retention.bytes"),
        .retention_ms = number_of(view, topic, "retention.ms"),
        .file_delete_delay_ms = number_of(view, topic, "file.delete.delay.ms"),
        .timestamp_before_max_ms = number_of(view, topic, "message.timestamp.before.max.ms"),
        .timestamp_after_max_ms = number_of(view, topic, "message.timestamp.after.max.ms"),
        .index_interval_bytes = (int32_t)number_of(view, topic, "index.interval.bytes"),
        .message_bytes_max = (int32_t)number_of(view, topic, "max.message.bytes"),
        .insync_replicas_min = topic_config_insync_min(view->image, topic),
        .is_compacted = config_key_lists(policy, "compact"),
        .is_deleted_from = config_key_lists(policy, "delete"),
        .is_append_time =
            strcmp(text_of(view, topic, "message.timestamp.type"), "LogAppendTime") == 0,
        .is_unclean_election_allowed = topic_config_allows_unclean(view->image, topic),
        .compression_type = text_of(view, topic, "compression.type"),
        .durability = strcmp(text_of(view, topic, "durability"), "memory") == 0
                          ? TOPIC_CONFIG_DURABILITY_MEMORY
                          : TOPIC_CONFIG_DURABILITY_DISK,
        .validation = strcmp(text_of(view, topic, "record.validation"), "full") == 0
                          ? TOPIC_CONFIG_VALIDATION_FULL
                          : TOPIC_CONFIG_VALIDATION_BATCH,
    };
}

static const struct image_config_value offsets_configs[] = {
    {"cleanup.policy", "compact"},
    {"compression.type", "producer"},
    {"segment.bytes", "104857600"},
};
static const struct image_config_value transaction_configs[] = {
    {"cleanup.policy", "compact"},
    {"compression.type", "uncompressed"},
    {"segment.bytes", "104857600"},
    {"unclean.leader.election.enable", "false"},
};
static const struct image_config_value catalog_configs[] = {
    {"cleanup.policy", "compact"},
    {"unclean.leader.election.enable", "false"},
};

/* Topics whose settings are ours to choose. Brokers alone write those that are internal; the
 * catalog is written by processors, which are clients. */
static const struct {
    const char *name;
    const struct image_config_value *values;
    uint32_t count;
    bool is_internal;
} internal_topics[] = {
    {"__consumer_offsets", offsets_configs, 3, true},
    {"__transaction_state", transaction_configs, 4, true},
    {"__millrace_catalog", catalog_configs, 2, false},
};

bool topic_config_is_internal(struct wire_text name)
{
    for (size_t i = 0; i < sizeof internal_topics / sizeof internal_topics[0]; i++) {
        if (wire_text_equals(name, internal_topics[i].name)) {
            return internal_topics[i].is_internal;
        }
    }
    return false;
}

const struct image_config_value *topic_config_internal(struct wire_text name, uint32_t *out_count)
{
    for (size_t i = 0; i < sizeof internal_topics / sizeof internal_topics[0]; i++) {
        if (wire_text_equals(name, internal_topics[i].name)) {
            *out_count = internal_topics[i].count;
            return internal_topics[i].values;
        }
    }
    *out_count = 0;
    return NULL;
}

void topic_config_put(struct image_config_value *values, uint32_t *count, const char *key,
                      const char *value)
{
    uint32_t place = 0;
    while (place < *count && strcmp(values[place].key, key) < 0) {
        place += 1;
    }
    if (place == *count || strcmp(values[place].key, key) != 0) {
        memmove(values + place + 1, values + place, (*count - place) * sizeof *values);
        *count += 1;
    }
    values[place] = (struct image_config_value){.key = key, .value = value};
}
