/* Goal: a configuration is altered as a whole or not at all, by the rules of its key.
 * Method: one request per rule against three brokers and two topics. */
#include "broker/controller/config_decisions.h"

#include "broker/metadata/config_key.h"
#include "tests/rig/decider.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct decider decider;

static void set_up(void)
{
    decider_init(&decider, 3, 0);
    cr_assert(decider_create(&decider, "orders", 2, 3));
    cr_assert(decider_create(&decider, "payments", 2, 3));
}

static void tear_down(void)
{
    decider_done(&decider);
}

TestSuite(config_decisions, .init = set_up, .fini = tear_down);

static enum decision_reason alter(enum image_config_kind kind, const char *name,
                                  struct config_decisions_entry entry)
{
    struct config_decisions_resource item = {
        .kind = kind, .name = wire_text_of(name), .entries = &entry, .entry_count = 1};
    struct config_decisions_request request = {.items = &item, .item_count = 1};
    config_decisions_alter(decider_begin(&decider), &request);
    if (item.error.reason == DECISION_NONE) {
        decider_apply(&decider);
    } else {
        cr_expect_eq(decider.writer.record_count, 0);
        cr_expect_gt(strlen(item.error.message), 5);
    }
    return item.error.reason;
}

static struct config_decisions_entry entry(int8_t operation, const char *key, const char *value)
{
    return (struct config_decisions_entry){
        .key = wire_text_of(key), .value = wire_text_of(value), .operation = operation};
}

static const char *value_of(const char *topic, const char *key)
{
    const struct image_topic *found = decider_topic(&decider, topic);
    const char *value = config_key_lookup(found->configs, found->config_count, key);
    return value == NULL ? "unset" : value;
}

Test(config_decisions, topic_values_are_set_and_deleted)
{
    cr_expect_eq(
        alter(IMAGE_CONFIG_TOPIC, "orders", entry(CONFIG_DECISIONS_SET, "retention.ms", " 5 ")),
        DECISION_NONE);
    cr_expect_str_eq(value_of("orders", "retention.ms"), "5");
    cr_expect_str_eq(value_of("payments", "retention.ms"), "unset");
    cr_expect_eq(
        alter(IMAGE_CONFIG_TOPIC, "orders", entry(CONFIG_DECISIONS_DELETE, "retention.ms", NULL)),
        DECISION_NONE);
    cr_expect_str_eq(value_of("orders", "retention.ms"), "unset");
}

Test(config_decisions, value_that_is_set_already_writes_nothing)
{
    cr_assert_eq(
        alter(IMAGE_CONFIG_TOPIC, "orders", entry(CONFIG_DECISIONS_SET, "retention.ms", "5")),
        DECISION_NONE);
    cr_assert_eq(
        alter(IMAGE_CONFIG_TOPIC, "orders", entry(CONFIG_DECISIONS_SET, "retention.ms", "5")),
        DECISION_NONE);
    cr_expect_eq(decider.writer.record_count, 0);
}

Test(config_decisions, lists_are_appended_to_and_subtracted_from)
{
    cr_assert_eq(alter(IMAGE_CONFIG_TOPIC, "orders",
                       entry(CONFIG_DECISIONS_APPEND, "cleanup.policy", "compact")),
                 DECISION_NONE);
    cr_expect_str_eq(value_of("orders", "cleanup.policy"), "delete,compact");
    cr_assert_eq(alter(IMAGE_CONFIG_TOPIC, "orders",
                       entry(CONFIG_DECISIONS_APPEND, "cleanup.policy", "compact, delete")),
                 DECISION_NONE);
    cr_expect_str_eq(value_of("orders", "cleanup.policy"), "delete,compact");
    cr_assert_eq(alter(IMAGE_CONFIG_TOPIC, "orders",
                       entry(CONFIG_DECISIONS_SUBTRACT, "cleanup.policy", "delete")),
                 DECISION_NONE);
    cr_expect_str_eq(value_of("orders", "cleanup.policy"), "compact");
    cr_assert_eq(alter(IMAGE_CONFIG_TOPIC, "orders",
                       entry(CONFIG_DECISIONS_SUBTRACT, "cleanup.policy", "compact")),
                 DECISION_NONE);
    cr_expect_str_eq(value_of("orders", "cleanup.policy"), "");
    cr_expect_eq(
        alter(IMAGE_CONFIG_TOPIC, "orders", entry(CONFIG_DECISIONS_APPEND, "retention.ms", "5")),
        DECISION_CONFIG);
    cr_expect_eq(alter(IMAGE_CONFIG_TOPIC, "orders",
                       entry(CONFIG_DECISIONS_APPEND, "cleanup.policy", "shred")),
                 DECISION_CONFIG);
}

Test(config_decisions, list_does_not_grow_beyond_what_a_value_may_be)
{
    static char items[4000];
    memset(items, 'x', sizeof items - 1);
    cr_assert_eq(alter(IMAGE_CONFIG_TOPIC, "orders",
                       entry(0, "leader.replication.throttled.replicas", items)),
                 DECISION_NONE);
    memset(items, 'y', sizeof items - 1);
    cr_expect_eq(
        alter(IMAGE_CONFIG_TOPIC, "orders",
              entry(CONFIG_DECISIONS_APPEND, "leader.replication.throttled.replicas", items)),
        DECISION_CONFIG);
}

Test(config_decisions, wrong_requests_are_refused_with_their_reason)
{
    cr_expect_eq(alter(IMAGE_CONFIG_TOPIC, "unknown", entry(0, "retention.ms", "5")),
                 DECISION_UNKNOWN_TOPIC);
    cr_expect_eq(alter(IMAGE_CONFIG_TOPIC, "orders", entry(0, "no.such.key", "5")),
                 DECISION_CONFIG);
    cr_expect_eq(alter(IMAGE_CONFIG_TOPIC, "orders", entry(0, "retention.ms", "soon")),
                 DECISION_CONFIG);
    cr_expect_eq(alter(IMAGE_CONFIG_TOPIC, "orders", entry(0, "retention.ms", NULL)),
                 DECISION_CONFIG);
    cr_expect_eq(alter(IMAGE_CONFIG_TOPIC, "orders", entry(9, "retention.ms", "5")),
                 DECISION_REQUEST);
    cr_expect_eq(alter(IMAGE_CONFIG_TOPIC, "orders", entry(0, "remote.storage.enable", "true")),
                 DECISION_CONFIG);
    cr_expect_eq(alter(IMAGE_CONFIG_BROKER, "9", entry(0, "message.max.bytes", "5")),
                 DECISION_REQUEST);
    cr_expect_eq(alter(IMAGE_CONFIG_BROKER, "1x", entry(0, "message.max.bytes", "5")),
                 DECISION_REQUEST);
    cr_expect_eq(alter(IMAGE_CONFIG_BROKER, "1", entry(0, "retention.ms", "5")), DECISION_CONFIG);
    cr_expect_eq(alter(IMAGE_CONFIG_BROKER, "1", entry(0, "delete.topic.enable", "false")),
                 DECISION_CONFIG);
    cr_expect_eq(alter(IMAGE_CONFIG_BROKER, "1", entry(0, "min.insync.replicas", "2")),
                 DECISION_CONFIG);
    cr_expect_eq(alter(IMAGE_CONFIG_GROUP, "g", entry(0, "a", "b")), DECISION_REQUEST);
}

Test(config_decisions, brokers_and_the_cluster_have_values_of_their_own)
{
    uint32_t count = 0;
    cr_assert_eq(alter(IMAGE_CONFIG_BROKER, "02", entry(0, "message.max.bytes", "5")),
                 DECISION_NONE);
    cr_assert_eq(alter(IMAGE_CONFIG_CLUSTER, "", entry(0, "min.insync.replicas", "3")),
                 DECISION_NONE);

    const struct image_config_value *values = image_broker_configs(decider.image, 2, &count);
    cr_assert_eq(count, 1);
    cr_expect_str_eq(values[0].value, "5");
    values = image_broker_configs(decider.image, -1, &count);
    cr_assert_eq(count, 1);
    cr_expect_str_eq(values[0].key, "min.insync.replicas");
}

Test(config_decisions, replacing_deletes_what_is_not_listed)
{
    struct config_decisions_entry entries[] = {entry(0, "retention.ms", "7"),
                                               entry(0, "max.message.bytes", "9")};
    struct config_decisions_resource item = {.kind = IMAGE_CONFIG_TOPIC,
                                             .name = wire_text_of("orders"),
                                             .entries = entries,
                                             .entry_count = 2};
    struct config_decisions_request request = {
        .items = &item, .item_count = 1, .is_replacing = true};
    image_maker_set(&decider.image, "orders", "segment.ms", "11");
    image_maker_set(&decider.image, "orders", "retention.ms", "11");
    config_decisions_alter(decider_begin(&decider), &request);
    decider_apply(&decider);

    cr_expect_str_eq(value_of("orders", "segment.ms"), "unset");
    cr_expect_str_eq(value_of("orders", "retention.ms"), "7");
    cr_expect_str_eq(value_of("orders", "max.message.bytes"), "9");
}

Test(config_decisions, one_wrong_entry_refuses_its_resource_and_no_other)
{
    struct config_decisions_entry wrong[] = {entry(0, "retention.ms", "7"),
                                             entry(0, "segment.bytes", "9")};
    struct config_decisions_entry twice[] = {entry(0, "retention.ms", "7"),
                                             entry(0, "retention.ms", "8")};
    struct config_decisions_entry right[] = {entry(0, "retention.ms", "7")};
    struct config_decisions_resource items[] = {
        {.kind = IMAGE_CONFIG_TOPIC,
         .name = wire_text_of("orders"),
         .entries = wrong,
         .entry_count = 2},
        {.kind = IMAGE_CONFIG_TOPIC,
         .name = wire_text_of("payments"),
         .entries = right,
         .entry_count = 1},
        {.kind = IMAGE_CONFIG_BROKER,
         .name = wire_text_of("1"),
         .entries = twice,
         .entry_count = 2},
        {.kind = IMAGE_CONFIG_CLUSTER, .name = wire_text_of(""), .entries = NULL},
        {.kind = IMAGE_CONFIG_CLUSTER, .name = wire_text_of(""), .entries = NULL}};
    struct config_decisions_request request = {.items = items, .item_count = 5};
    config_decisions_alter(decider_begin(&decider), &request);
    decider_apply(&decider);

    cr_expect_eq(items[0].error.reason, DECISION_CONFIG);
    cr_expect_eq(items[1].error.reason, DECISION_NONE);
    cr_expect_eq(items[2].error.reason, DECISION_REQUEST);
    cr_expect_eq(items[3].error.reason, DECISION_REQUEST);
    cr_expect_eq(items[4].error.reason, DECISION_REQUEST);
    cr_expect_str_eq(value_of("orders", "retention.ms"), "unset");
    cr_expect_str_eq(value_of("payments", "retention.ms"), "7");
}

Test(config_decisions, validate_only_does_nothing)
{
    struct config_decisions_entry one = entry(0, "min.insync.replicas", "3");
    struct config_decisions_resource item = {.kind = IMAGE_CONFIG_TOPIC,
                                             .name = wire_text_of("orders"),
                                             .entries = &one,
                                             .entry_count = 1};
    struct config_decisions_request request = {
        .items = &item, .item_count = 1, .validate_only = true};
    config_decisions_alter(decider_begin(&decider), &request);

    cr_expect_eq(item.error.reason, DECISION_NONE);
    cr_expect_eq(decider.writer.record_count, 0);
}

/* Partition 0 has a leader and an ELR, partition 1 has an ELR only. */
static void make_elr(const char *name)
{
    const struct image_topic *topic = decider_topic(&decider, name);
    struct cluster_writer writer;
    cluster_writer_init_command(&writer);
    for (int32_t i = 0; i < 2; i++) {
        struct image_partition next = topic->partitions[i];
        next.partition_epoch += 1;
        next.elr_count = 1;
        next.elr[0] = next.replicas[1];
        next.isr_count = i == 0;
        next.isr[0] = next.replicas[0];
        next.leader = i == 0 ? next.replicas[0] : -1;
        next.leader_epoch += 1;
        cluster_writer_change_partition(&writer, &topic->id, i, &next);
    }
    image_maker_apply_fit(&decider.image, &writer);
    cluster_writer_done(&writer);
}

Test(config_decisions, new_insync_minimum_clears_the_elr_where_somebody_leads)
{
    make_elr("orders");
    make_elr("payments");
    cr_assert_eq(alter(IMAGE_CONFIG_TOPIC, "orders", entry(0, "min.insync.replicas", "1")),
                 DECISION_NONE);
    cr_expect_eq(decider_partition(&decider, "orders", 0)->elr_count, 0);
    cr_expect_eq(decider_partition(&decider, "orders", 1)->elr_count, 1);
    cr_expect_eq(decider_partition(&decider, "payments", 0)->elr_count, 1);
}

Test(config_decisions, clusters_minimum_clears_each_elr_it_rules_once)
{
    struct config_decisions_entry one = entry(0, "min.insync.replicas", "1");
    struct config_decisions_resource items[] = {
        {.kind = IMAGE_CONFIG_CLUSTER, .name = wire_text_of(""), .entries = &one, .entry_count = 1},
        {.kind = IMAGE_CONFIG_TOPIC,
         .name = wire_text_of("orders"),
         .entries = &one,
         .entry_count = 1}};
    struct config_decisions_request request = {.items = items, .item_count = 2};
    make_elr("orders");
    make_elr("payments");
    config_decisions_alter(decider_begin(&decider), &request);
    decider_apply(&decider); /* Refused if a partition changed twice. */

    cr_expect_eq(decider_partition(&decider, "orders", 0)->elr_count, 0);
    cr_expect_eq(decider_partition(&decider, "payments", 0)->elr_count, 0);
    make_elr("orders");
    cr_assert_eq(alter(IMAGE_CONFIG_CLUSTER, "", entry(0, "min.insync.replicas", "2")),
                 DECISION_NONE);
    cr_expect_eq(decider_partition(&decider, "orders", 0)->elr_count, 1); /* It has its own. */
}
