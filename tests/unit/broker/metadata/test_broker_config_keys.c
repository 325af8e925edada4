/* Goal: the broker resource knows its own keys and the broker's names of topic keys.
 * Method: the table against itself, then the layers of one key. */
#include "broker/metadata/broker_config_keys.h"

#include "tests/rig/image_maker.h"

#include <criterion/criterion.h>

Test(broker_config_keys, each_key_is_found_under_its_name_once_and_its_default_is_allowed)
{
    char reason[CONFIG_KEY_REASON_BYTES];
    uint32_t count = broker_config_keys_count();
    for (uint32_t i = 0; i < count; i++) {
        struct config_key key;
        struct config_key found;
        broker_config_keys_at(i, &key);
        cr_assert(broker_config_keys_find(wire_text_of(key.name), &found), "%s", key.name);
        cr_expect_eq(found.about, key.about, "%s is there twice", key.name);
        cr_expect_eq(config_key_check(&key, wire_text_of(key.fallback), reason), STATUS_OK, "%s",
                     key.name);
    }
    cr_expect_gt(count, 50);
}

Test(broker_config_keys, topic_keys_are_known_by_their_broker_name_with_their_bounds)
{
    char reason[CONFIG_KEY_REASON_BYTES];
    struct config_key key;
    cr_assert(broker_config_keys_find(wire_text_of("log.segment.bytes"), &key));
    cr_expect_eq(config_key_check(&key, wire_text_of("5"), reason), STATUS_INVALID);
    cr_expect_str_eq(reason, "log.segment.bytes must be a whole number from 1048576 to 2147483647");
    cr_expect_not(broker_config_keys_find(wire_text_of("segment.bytes"), &key));
    cr_expect_not(broker_config_keys_find(wire_text_of("no.such.key"), &key));
}

Test(broker_config_keys, own_value_rules_over_the_clusters_except_where_all_must_agree)
{
    struct image *image = image_maker_cluster(1, 0);
    struct cluster_writer writer;
    struct config_key key;
    cluster_writer_init_command(&writer);
    cluster_writer_config(&writer, IMAGE_CONFIG_BROKER, "1", "message.max.bytes", "10");
    cluster_writer_config(&writer, IMAGE_CONFIG_CLUSTER, "", "message.max.bytes", "20");
    cluster_writer_config(&writer, IMAGE_CONFIG_BROKER, "1", "min.insync.replicas", "1");
    cluster_writer_config(&writer, IMAGE_CONFIG_CLUSTER, "", "min.insync.replicas", "2");
    image_maker_apply_fit(&image, &writer);
    struct config_key_view view = {.image = image, .broker_id = 1};

    cr_assert(broker_config_keys_find(wire_text_of("message.max.bytes"), &key));
    cr_expect_str_eq(broker_config_keys_value(&view, &key).text, "10");
    view.broker_id = 2;
    cr_expect_str_eq(broker_config_keys_value(&view, &key).text, "20");
    view.broker_id = 1;
    cr_assert(broker_config_keys_find(wire_text_of("min.insync.replicas"), &key));
    cr_expect_str_eq(broker_config_keys_value(&view, &key).text, "2");
    cr_assert(broker_config_keys_find(wire_text_of("num.io.threads"), &key));
    cr_expect_eq(broker_config_keys_value(&view, &key).source, CONFIG_KEY_FROM_DEFAULT);
    cluster_writer_done(&writer);
    image_unref(image);
}
