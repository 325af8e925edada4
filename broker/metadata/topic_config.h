/* Every topic configuration key that clients know, and ours; the value that rules, and its source.
 *
 * A value is looked for in this order: the topic's own, the broker's own under the broker's name of
 * the key, the cluster's, the properties file, the built-in one. `min.insync.replicas` has no
 * built-in number: it is 2 where the topic has three replicas or more, else 1. It, `durability` and
 * `unclean.leader.election.enable` skip the broker's own value and its file, since leaders and
 * controller must agree on them.
 * Keys that nothing here obeys are accepted: provisioning tools send them.
 *
 * Owner: static table. Loop: any. */
#pragma once

#include "broker/metadata/config_key.h"

/* Sorted by name. */
const struct config_key *topic_config_keys(uint32_t *out_count);
/* NULL when there is no such key. */
const struct config_key *topic_config_key(struct wire_text name);

/* `key` is one of topic_config_keys(). */
struct config_key_value topic_config_value(const struct config_key_view *view,
                                           const struct image_topic *topic,
                                           const struct config_key *key);
/* The value that would rule if the topic had none of its own. */
struct config_key_value topic_config_inherited(const struct config_key_view *view,
                                               const struct image_topic *topic,
                                               const struct config_key *key);

/* Holds keys of one topic against each other, as they would be; only set ones are listed.
 * STATUS_INVALID with a sentence fragment in `out_reason`. */
MUST_USE enum status topic_config_check_all(const struct image_config_value *values, uint32_t count,
                                            char out_reason[CONFIG_KEY_REASON_BYTES]);

enum topic_config_durability { TOPIC_CONFIG_DURABILITY_DISK, TOPIC_CONFIG_DURABILITY_MEMORY };
enum topic_config_validation { TOPIC_CONFIG_VALIDATION_BATCH, TOPIC_CONFIG_VALIDATION_FULL };

/* What the parts of a broker obey, read once per image and topic. */
struct topic_config_settings {
    int64_t segment_bytes;
    int64_t segment_ms;
    int64_t retention_bytes; /* -1: none. */
    int64_t retention_ms;    /* -1: none. */
    int64_t file_delete_delay_ms;
    int64_t timestamp_before_max_ms;
    int64_t timestamp_after_max_ms;
    int32_t index_interval_bytes;
    int32_t message_bytes_max;
    int32_t insync_replicas_min; /* At least 1, at most the replication factor. */
    bool is_compacted;
    bool is_deleted_from; /* cleanup.policy names delete. */
    bool is_append_time;  /* message.timestamp.type */
    bool is_unclean_election_allowed;
    const char *compression_type; /* "producer", "gzip" …; lives as long as the image. */
    enum topic_config_durability durability;
    enum topic_config_validation validation;
};
void topic_config_settings_of(const struct config_key_view *view, const struct image_topic *topic,
                              struct topic_config_settings *out_settings);
/* The two that decide elections; the same on every node. */
int32_t topic_config_insync_min(const struct image *image, const struct image_topic *topic);
bool topic_config_allows_unclean(const struct image *image, const struct image_topic *topic);
bool topic_config_is_memory_durable(const struct image *image, const struct image_topic *topic);

/* True for names that the system keeps for itself: `__consumer_offsets` and the like. */
bool topic_config_is_internal(struct wire_text name);
/* What an internal topic is created with; empty for any other. Sorted by key. */
const struct image_config_value *topic_config_internal(struct wire_text name, uint32_t *out_count);
/* Keeps `values`, which have room for one more, sorted by key; the last value of a key counts. */
void topic_config_put(struct image_config_value *values, uint32_t *count, const char *key,
                      const char *value);
