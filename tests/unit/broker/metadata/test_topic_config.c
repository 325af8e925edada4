/* Goal: each key accepts what Kafka accepts, and the value that rules is found with its source.
 * Method: the table against itself, edges of each type, then one topic under all layers. */
#include "broker/metadata/topic_config.h"

#include "tests/rig/image_maker.h"

#include <criterion/criterion.h>
#include <string.h>

static enum status check_value(const char *key, const char *value)
{
    char reason[CONFIG_KEY_REASON_BYTES] = "";
    enum status status =
        config_key_check(topic_config_key(wire_text_of(key)), wire_text_of(value), reason);
    cr_expect_eq(status == STATUS_OK, reason[0] == '\0', "%s=%s: %s", key, value, reason);
    return status;
}

Test(topic_config, keys_are_sorted_and_each_default_is_allowed)
{
    uint32_t count = 0;
    const struct config_key *keys = topic_config_keys(&count);

    for (uint32_t i = 0; i < count; i++) {
        cr_expect(i == 0 || strcmp(keys[i - 1].name, keys[i].name) < 0, "%s", keys[i].name);
        cr_expect_eq(topic_config_key(wire_text_of(keys[i].name)), &keys[i]);
        cr_expect_eq(check_value(keys[i].name, keys[i].fallback), STATUS_OK);
        cr_expect_gt(strlen(keys[i].about), 10);
        cr_expect(keys[i].is_dynamic);
    }
}

Test(topic_config, keys_that_tools_send_are_known)
{
    static const char *const names[] = {"unclean.leader.election.enable",
                                        "message.downconversion.enable",
                                        "segment.index.bytes",
                                        "segment.jitter.ms",
                                        "min.insync.replicas",
                                        "min.compaction.lag.ms",
                                        "max.compaction.lag.ms",
                                        "min.cleanable.dirty.ratio",
                                        "message.timestamp.difference.max.ms",
                                        "message.format.version",
                                        "index.interval.bytes",
                                        "flush.messages",
                                        "file.delete.delay.ms",
                                        "preallocate",
                                        "leader.replication.throttled.replicas",
                                        "follower.replication.throttled.replicas",
                                        "durability",
                                        "record.validation"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        cr_expect_not_null(topic_config_key(wire_text_of(names[i])), "%s", names[i]);
    }
}

Test(topic_config, unknown_keys_and_prefixes_of_keys_are_not_found)
{
    cr_expect_null(topic_config_key(wire_text_of("retention")));
    cr_expect_null(topic_config_key(wire_text_of("retention.ms2")));
    cr_expect_null(topic_config_key(wire_text_of("")));
    cr_expect_null(topic_config_key(wire_text_of(NULL)));
}

Test(topic_config, numbers_are_held_to_their_range)
{
    cr_expect_eq(check_value("retention.ms", "-1"), STATUS_OK);
    cr_expect_eq(check_value("retention.ms", " 5 "), STATUS_OK);
    cr_expect_eq(check_value("retention.ms", "-2"), STATUS_INVALID);
    cr_expect_eq(check_value("retention.ms", ""), STATUS_INVALID);
    cr_expect_eq(check_value("retention.ms", "1e3"), STATUS_INVALID);
    cr_expect_eq(check_value("retention.ms", "9223372036854775808"), STATUS_INVALID);
    cr_expect_eq(check_value("retention.ms", "5 5"), STATUS_INVALID);
    cr_expect_eq(check_value("segment.bytes", "1048575"), STATUS_INVALID);
    cr_expect_eq(check_value("segment.bytes", "1048576"), STATUS_OK);
    cr_expect_eq(check_value("segment.bytes", "2147483648"), STATUS_INVALID);
    cr_expect_eq(check_value("min.cleanable.dirty.ratio", "0.25"), STATUS_OK);
    cr_expect_eq(check_value("min.cleanable.dirty.ratio", "1.01"), STATUS_INVALID);
    cr_expect_eq(check_value("min.cleanable.dirty.ratio", "nan"), STATUS_INVALID);
}

Test(topic_config, texts_are_held_to_their_choices)
{
    cr_expect_eq(check_value("cleanup.policy", "compact,delete"), STATUS_OK);
    cr_expect_eq(check_value("cleanup.policy", "compact, delete"), STATUS_OK);
    cr_expect_eq(check_value("cleanup.policy", ""), STATUS_OK);
    cr_expect_eq(check_value("cleanup.policy", "compact,"), STATUS_INVALID);
    cr_expect_eq(check_value("cleanup.policy", "shred"), STATUS_INVALID);
    cr_expect_eq(check_value("compression.type", "lz4"), STATUS_OK);
    cr_expect_eq(check_value("compression.type", "lz"), STATUS_INVALID);
    cr_expect_eq(check_value("preallocate", "TRUE"), STATUS_OK);
    cr_expect_eq(check_value("preallocate", "yes"), STATUS_INVALID);
    cr_expect_eq(check_value("durability", "memory"), STATUS_OK);
    cr_expect_eq(check_value("record.validation", "some"), STATUS_INVALID);
    cr_expect_eq(check_value("durability", NULL), STATUS_INVALID);
}

Test(topic_config, values_contradicting_each_other_are_refused)
{
    char reason[CONFIG_KEY_REASON_BYTES] = "";
    const struct image_config_value lags[] = {{"max.compaction.lag.ms", "5"},
                                              {"min.compaction.lag.ms", "6"}};
    const struct image_config_value remote[] = {{"remote.storage.enable", "true"}};

    cr_expect_eq(topic_config_check_all(lags, 2, reason), STATUS_INVALID);
    cr_expect_eq(topic_config_check_all(lags, 1, reason), STATUS_OK);
    cr_expect_eq(topic_config_check_all(remote, 1, reason), STATUS_INVALID);
    cr_expect_eq(topic_config_check_all(NULL, 0, reason), STATUS_OK);
}

static struct image *image;

static void expect_value(const struct config_key_view *view, const char *key, const char *text,
                         enum config_key_source source)
{
    const struct image_topic *topic = image_topic_at(view->image, 0);
    struct config_key_value value =
        topic_config_value(view, topic, topic_config_key(wire_text_of(key)));
    cr_expect_str_eq(value.text, text);
    cr_expect_eq(value.source, source, "%s from %d", key, (int)value.source);
}

static void set(enum image_config_kind kind, const char *name, const char *key, const char *value)
{
    struct cluster_writer writer;
    cluster_writer_init_command(&writer);
    cluster_writer_config(&writer, kind, name, key, value);
    image_maker_apply_fit(&image, &writer);
    cluster_writer_done(&writer);
}

Test(topic_config, nearest_layer_rules)
{
    const struct image_config_value file[] = {{"log.retention.ms", "1"}};
    image = image_maker_cluster(3, 0);
    image_maker_topic(&image, "orders", 1, 3);
    struct config_key_view view = {
        .image = image, .broker_id = 2, .file_values = file, .file_value_count = 1};
    expect_value(&(struct config_key_view){.image = image, .broker_id = 2}, "retention.ms",
                 "604800000", CONFIG_KEY_FROM_DEFAULT);
    expect_value(&view, "retention.ms", "1", CONFIG_KEY_FROM_FILE);

    set(IMAGE_CONFIG_CLUSTER, "", "log.retention.ms", "2");
    view.image = image;
    expect_value(&view, "retention.ms", "2", CONFIG_KEY_FROM_CLUSTER);

    set(IMAGE_CONFIG_BROKER, "2", "log.retention.ms", "3");
    view.image = image;
    expect_value(&view, "retention.ms", "3", CONFIG_KEY_FROM_BROKER);

    set(IMAGE_CONFIG_TOPIC, "orders", "retention.ms", "4");
    view.image = image;
    expect_value(&view, "retention.ms", "4", CONFIG_KEY_FROM_TOPIC);
    image_unref(image);
}

Test(topic_config, insync_minimum_follows_the_replication_factor_unless_set)
{
    image = image_maker_cluster(3, 0);
    image_maker_topic(&image, "two", 1, 2);
    cr_expect_eq(topic_config_insync_min(image, image_topic_at(image, 0)), 1);
    image_maker_topic(&image, "three", 1, 3);
    cr_expect_eq(topic_config_insync_min(image, image_topic_at(image, 0)), 2);

    set(IMAGE_CONFIG_CLUSTER, "", "min.insync.replicas", "3");
    cr_expect_eq(topic_config_insync_min(image, image_topic_at(image, 0)), 3);
    cr_expect_eq(topic_config_insync_min(image, image_topic_at(image, 1)), 2); /* Its RF. */

    set(IMAGE_CONFIG_TOPIC, "three", "min.insync.replicas", "1");
    cr_expect_eq(topic_config_insync_min(image, image_topic_at(image, 0)), 1);
    image_unref(image);
}

Test(topic_config, what_leader_and_controller_share_is_not_taken_from_one_broker)
{
    const struct image_config_value file[] = {{"log.durability", "memory"},
                                              {"min.insync.replicas", "3"},
                                              {"unclean.leader.election.enable", "true"}};
    struct topic_config_settings settings;
    image = image_maker_cluster(3, 0);
    image_maker_topic(&image, "orders", 1, 3);
    set(IMAGE_CONFIG_BROKER, "2", "min.insync.replicas", "1");
    struct config_key_view view = {
        .image = image, .broker_id = 2, .file_values = file, .file_value_count = 3};

    topic_config_settings_of(&view, image_topic_at(image, 0), &settings);

    cr_expect_eq(settings.insync_replicas_min, 2);
    cr_expect_eq(settings.durability, TOPIC_CONFIG_DURABILITY_DISK);
    cr_expect_not(settings.is_unclean_election_allowed);
    image_unref(image);
}

Test(topic_config, settings_hold_what_was_set)
{
    struct topic_config_settings settings;
    image = image_maker_cluster(3, 0);
    image_maker_topic(&image, "orders", 1, 3);
    image_maker_set(&image, "orders", "cleanup.policy", "compact");
    image_maker_set(&image, "orders", "record.validation", "full");
    image_maker_set(&image, "orders", "durability", "memory");
    image_maker_set(&image, "orders", "message.timestamp.type", "LogAppendTime");
    image_maker_set(&image, "orders", "max.message.bytes", "77");
    struct config_key_view view = {.image = image, .broker_id = 1};

    topic_config_settings_of(&view, image_topic_at(image, 0), &settings);

    cr_expect(settings.is_compacted);
    cr_expect_not(settings.is_deleted_from);
    cr_expect(settings.is_append_time);
    cr_expect_eq(settings.validation, TOPIC_CONFIG_VALIDATION_FULL);
    cr_expect_eq(settings.durability, TOPIC_CONFIG_DURABILITY_MEMORY);
    cr_expect_eq(settings.message_bytes_max, 77);
    cr_expect_eq(settings.retention_ms, 604800000);
    cr_expect_eq(settings.segment_bytes, 1073741824);
    cr_expect_str_eq(settings.compression_type, "producer");
    image_unref(image);
}

Test(topic_config, internal_topics_are_compacted)
{
    uint32_t count = 0;
    const struct image_config_value *values =
        topic_config_internal(wire_text_of("__consumer_offsets"), &count);

    cr_expect(topic_config_is_internal(wire_text_of("__transaction_state")));
    cr_expect_not(topic_config_is_internal(wire_text_of("orders")));
    cr_assert_eq(count, 3);
    cr_expect_str_eq(values[0].value, "compact");
    topic_config_internal(wire_text_of("orders"), &count);
    cr_expect_eq(count, 0);
}
